//! What a kubelet would write of pods, which the control plane of the tests hasn't got.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::{shop_feed, workload};

/// What it writes.
#[derive(Default)]
pub(super) struct Played {
    /// The statuses of the containers, of the pods of the newest revision.
    pub(super) containers: Vec<Value>,
    /// The statuses of the init containers.
    pub(super) init_containers: Vec<Value>,
    /// An event about each pod: reason and message.
    pub(super) event: Option<(&'static str, &'static str)>,
    /// The image of a second revision, on whose pods it is.
    pub(super) second_revision: Option<&'static str>,
}

impl Played {
    /// Waits for the Deployment's pods and writes into their status what a kubelet would, and its events.
    pub(super) async fn play(&self, client: &Client, namespace: &str) -> Result<()> {
        if self.containers.is_empty() {
            return Ok(());
        }
        workload::wait_rolled_out(client, namespace, "cart").await?;
        let mut newest = "cart".to_owned();
        if let Some(image) = self.second_revision {
            let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
            let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}});
            deployments.patch("cart", &PatchParams::default(), &Patch::Strategic(change)).await?;
            workload::wait_rolled_out(client, namespace, "cart").await?;
            newest =
                workload::replica_sets_of(client, namespace, "cart").await?.last().context("a revision")?.name_any();
        }
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let events: Api<Event> = Api::namespaced(client.clone(), namespace);
        let since = jiff_now();
        for pod in workload::pods_of(client, namespace, "cart").await? {
            let name = pod.name_any();
            if !name.starts_with(&newest) {
                continue;
            }
            let mut conditions =
                serde_json::to_value(pod.status.as_ref().and_then(|status| status.conditions.clone()))?;
            for condition in conditions.as_array_mut().into_iter().flatten() {
                if matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady")) {
                    condition["status"] = json!("False");
                    condition["lastTransitionTime"] = json!(since);
                }
            }
            let mut status = json!({"containerStatuses": self.containers, "conditions": conditions});
            if !self.init_containers.is_empty() {
                status["initContainerStatuses"] = json!(self.init_containers);
            }
            pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await?;
            if let Some((reason, message)) = self.event {
                // A kubelet says it again every minute or two.
                let last = (shop_feed::now() + Duration::from_secs(300)).align_down(Duration::from_secs(1)).to_string();
                let event = json!({
                    "metadata": {"name": format!("{name}.played")}, "type": "Warning", "reason": reason, "message": message,
                    "involvedObject": {
                        "apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid(),
                    },
                    "source": {"component": "kubelet"}, "count": 4, "firstTimestamp": since, "lastTimestamp": last,
                });
                events.create(&PostParams::default(), &serde_json::from_value(event)?).await?;
            }
        }
        Ok(())
    }
}

pub(super) fn waits(reason: &str, message: &str) -> Value {
    json!({"name": "app", "image": "shop/cart:1.4.9", "imageID": "", "ready": false, "restartCount": 0,
           "state": {"waiting": {"reason": reason, "message": message}}})
}

pub(super) fn crashes(reason: &str, exit_code: i32) -> Value {
    let now = jiff_now();
    json!({"name": "app", "image": "shop/cart:1.4.9", "imageID": "", "ready": false, "restartCount": 6,
           "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s restarting failed container=app"}},
           "lastState": {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": now, "finishedAt": now}}})
}

pub(super) fn runs(name: &str, image: &str) -> Value {
    let since = ago(1_800);
    json!({"name": name, "image": image, "imageID": "", "ready": true, "restartCount": 0,
           "state": {"running": {"startedAt": since}}})
}

fn ago(secs: u64) -> String {
    let at = shop_feed::now() - Duration::from_secs(secs);
    at.align_down(Duration::from_secs(1)).to_string()
}

fn jiff_now() -> String {
    shop_feed::now().align_down(Duration::from_secs(1)).to_string()
}
