//! Mirrors a namespace of the API server onto an exporter's page, as kube-state-metrics would.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::exporter::{Page, PageHandle};
use crate::kube_metrics::{DeploymentFacts, PodFacts, ReplicaSetFacts};
use crate::shop::Shop;

/// How old a mirrored value can be: less than the scrape interval, so that a scrape sees what a test did before.
const EVERY: Duration = Duration::from_millis(250);

/// What a namespace holds, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its pods; those being deleted are left out.
    pub pods: Vec<PodFacts>,
    /// Its `ReplicaSets` that belong to a Deployment.
    pub replica_sets: Vec<ReplicaSetFacts>,
    /// Its Deployments.
    pub deployments: Vec<DeploymentFacts>,
}

impl Snapshot {
    /// Reads it from the API server.
    ///
    /// # Errors
    /// When the API server doesn't answer.
    pub async fn read(client: &Client, namespace: &str) -> Result<Self> {
        let all = ListParams::default();
        let deployments = Api::<Deployment>::namespaced(client.clone(), namespace).list(&all).await?;
        let sets = Api::<ReplicaSet>::namespaced(client.clone(), namespace).list(&all).await?;
        let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&all).await?;
        Ok(Self {
            pods: pods
                .items
                .iter()
                .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                .map(pod_facts)
                .collect::<Result<_>>()?,
            replica_sets: sets.items.iter().filter_map(replica_set_facts).collect(),
            deployments: deployments.items.iter().map(deployment_facts).collect(),
        })
    }

    /// Puts everything on the page.
    pub fn write(&self, page: &mut Page) {
        self.pods.iter().for_each(|pod| pod.write(page));
        self.replica_sets.iter().for_each(|set| set.write(page));
        self.deployments.iter().for_each(|deployment| deployment.write(page));
    }
}

/// The running mirror; dropping it leaves the page as it is.
#[derive(Debug)]
pub struct KubeState(JoinHandle<()>);

impl KubeState {
    /// Mirrors `namespace` onto `page` from now on, after a first time that is done when this returns. A `shop`
    /// learns which pods its services have.
    ///
    /// While the API server doesn't answer, the page stays as it was: kube-state-metrics answers from its cache too.
    ///
    /// # Errors
    /// When the API server doesn't answer the first time.
    pub async fn mirror(
        client: Client,
        namespace: &str,
        page: PageHandle,
        shop: Option<Arc<Mutex<Shop>>>,
    ) -> Result<Self> {
        let namespace = namespace.to_owned();
        let show = move |snapshot: &Snapshot| {
            page.change(|page| {
                page.clear();
                snapshot.write(page);
            });
            if let Some(shop) = &shop {
                shop.lock().unwrap_or_else(PoisonError::into_inner).follow(snapshot);
            }
        };
        show(&Snapshot::read(&client, &namespace).await?);
        Ok(Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                if let Ok(snapshot) = Snapshot::read(&client, &namespace).await {
                    show(&snapshot);
                }
            }
        })))
    }
}

impl Drop for KubeState {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn pod_facts(pod: &Pod) -> Result<PodFacts> {
    // As JSON, because nearly every field on the way is optional.
    let (spec, status) = (serde_json::to_value(&pod.spec)?, serde_json::to_value(&pod.status)?);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let state = &status["containerStatuses"][0];
    let limit = &spec["containers"][0]["resources"]["limits"]["memory"];
    let conditions = status["conditions"].as_array();
    Ok(PodFacts {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        replica_set: controller(&pod.metadata).map(|owner| owner.name.clone()).unwrap_or_default(),
        node: text(&spec["nodeName"]),
        phase: text(&status["phase"]),
        ready: conditions.into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True"),
        container: text(&spec["containers"][0]["name"]),
        image: text(&spec["containers"][0]["image"]),
        n_restarts: state["restartCount"].as_i64().unwrap_or(0),
        last_terminated: state["lastState"]["terminated"]["reason"].as_str().map(str::to_owned),
        waiting: state["state"]["waiting"]["reason"].as_str().map(str::to_owned),
        memory_limit_bytes: limit.as_str().and_then(bytes),
    })
}

fn replica_set_facts(set: &ReplicaSet) -> Option<ReplicaSetFacts> {
    let owner = controller(&set.metadata).filter(|owner| owner.kind == "Deployment")?;
    Some(ReplicaSetFacts {
        namespace: set.metadata.namespace.clone()?,
        name: set.metadata.name.clone()?,
        deployment: owner.name.clone(),
        created_s: created_s(&set.metadata),
        n_replicas: set.spec.replicas.unwrap_or(1),
    })
}

fn deployment_facts(deployment: &Deployment) -> DeploymentFacts {
    let status = deployment.status.clone().unwrap_or_default();
    DeploymentFacts {
        namespace: deployment.metadata.namespace.clone().unwrap_or_default(),
        name: deployment.metadata.name.clone().unwrap_or_default(),
        created_s: created_s(&deployment.metadata),
        n_wanted: deployment.spec.replicas.unwrap_or(1),
        n_replicas: status.replicas.unwrap_or(0),
        n_available: status.available_replicas.unwrap_or(0),
        n_updated: status.updated_replicas.unwrap_or(0),
        generation: deployment.metadata.generation.unwrap_or(0),
        observed_generation: status.observed_generation.unwrap_or(0),
    }
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

#[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
fn created_s(metadata: &ObjectMeta) -> f64 {
    metadata.creation_timestamp.as_ref().map_or(0.0, |time| time.0.as_second() as f64)
}

/// A Kubernetes quantity of memory; only the suffixes that tests use.
fn bytes(quantity: &str) -> Option<f64> {
    let units = [("Ki", 1024.0), ("Mi", 1024.0 * 1024.0), ("Gi", 1024.0 * 1024.0 * 1024.0), ("", 1.0)];
    units.iter().find_map(|(suffix, unit)| Some(quantity.strip_suffix(suffix)?.parse::<f64>().ok()? * unit))
}
