//! Deployments and what happens to them: roll-outs, restarts, killed and crashing containers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::wait;

/// A roll-out takes a second here; this leaves room for a busy machine.
pub const ROLLOUT_WITHIN: Duration = Duration::from_secs(60);

/// Creates a namespace and waits until it takes pods (until its service account is there).
///
/// # Errors
/// When it exists.
pub async fn create_namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    wait::until_true("the namespace has its service account", Duration::from_secs(60), || async {
        Ok(accounts.get_opt("default").await?.is_some())
    })
    .await
}

/// Creates a Deployment with one container per pod (named like it, 512 MiB at most) and waits for its roll-out.
///
/// # Errors
/// When it exists, or doesn't roll out.
pub async fn deploy(client: &Client, namespace: &str, name: &str, n_replicas: i32) -> Result<Deployment> {
    let labels = json!({"app": name});
    let deployment = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": n_replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": name,
                    "image": format!("registry.example/{name}:1.0.0"),
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "256Mi"},
                        "limits": {"memory": "512Mi"},
                    },
                }]},
            },
        },
    }))?;
    deployments(client, namespace).create(&PostParams::default(), &deployment).await?;
    wait_rolled_out(client, namespace, name).await
}

/// Waits until the latest template is what runs, completely, and returns the Deployment as it is then.
///
/// # Errors
/// When it isn't within [`ROLLOUT_WITHIN`].
pub async fn wait_rolled_out(client: &Client, namespace: &str, name: &str) -> Result<Deployment> {
    let deployments = deployments(client, namespace);
    wait::until(&format!("{namespace}/{name} is rolled out"), ROLLOUT_WITHIN, || async {
        let deployment = deployments.get(name).await?;
        Ok(is_rolled_out(&deployment).then_some(deployment))
    })
    .await
}

/// Whether the latest template is what runs, completely: `kubectl rollout status` uses the same conditions.
#[must_use]
pub fn is_rolled_out(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let seen = status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0);
    let counts = [status.replicas, status.updated_replicas, status.available_replicas];
    seen && counts.iter().all(|count| count.unwrap_or(0) == wanted)
}

/// Restarts it as `kubectl rollout restart` does, without waiting.
///
/// # Errors
/// When there's no such Deployment.
pub async fn restart(client: &Client, namespace: &str, name: &str) -> Result<Deployment> {
    deployments(client, namespace).restart(name).await.with_context(|| format!("restarting {name}"))
}

/// Gives its container another image, without waiting.
///
/// # Errors
/// When there's no such Deployment.
pub async fn set_image(client: &Client, namespace: &str, name: &str, image: &str) -> Result<Deployment> {
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": name, "image": image}]}}}});
    patch_deployment(client, namespace, name, &Patch::Strategic(patch)).await
}

/// Sets its number of replicas, without waiting.
///
/// # Errors
/// When there's no such Deployment.
pub async fn scale(client: &Client, namespace: &str, name: &str, n_replicas: i32) -> Result<Deployment> {
    let patch = json!({"spec": {"replicas": n_replicas}});
    patch_deployment(client, namespace, name, &Patch::Merge(patch)).await
}

/// Deletes it, waits until it and its pods are gone, and creates it anew: the same name, another UID.
///
/// # Errors
/// When there's no such Deployment, or the new one doesn't roll out.
pub async fn recreate(client: &Client, namespace: &str, name: &str) -> Result<Deployment> {
    let deployments = deployments(client, namespace);
    let mut deployment = deployments.get(name).await?;
    deployments.delete(name, &DeleteParams::foreground()).await?;
    wait::until_true(&format!("{namespace}/{name} is gone"), ROLLOUT_WITHIN, || async {
        Ok(deployments.get_opt(name).await?.is_none() && pods_of(client, namespace, name).await?.is_empty())
    })
    .await?;
    // Only what a person would have in a file; the rest belonged to the old object.
    let old = deployment.metadata;
    deployment.metadata = serde_json::from_value(json!({"name": name, "labels": old.labels}))?;
    deployment.status = None;
    deployments.create(&PostParams::default(), &deployment).await?;
    wait_rolled_out(client, namespace, name).await
}

/// The Deployment's pods that aren't being deleted, by name.
///
/// # Errors
/// When the API server doesn't answer.
pub async fn pods_of(client: &Client, namespace: &str, deployment: &str) -> Result<Vec<Pod>> {
    let selected = ListParams::default().labels(&format!("app={deployment}"));
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&selected).await?;
    let mut pods: Vec<Pod> = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    pods.sort_by_key(ResourceExt::name_any);
    Ok(pods)
}

/// The Deployment's `ReplicaSets`, oldest first: one for each template it has had.
///
/// # Errors
/// When the API server doesn't answer.
pub async fn replica_sets_of(client: &Client, namespace: &str, deployment: &str) -> Result<Vec<ReplicaSet>> {
    let sets = Api::<ReplicaSet>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    let owned = |set: &ReplicaSet| {
        let mut owners = set.metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.kind == "Deployment" && owner.name == deployment)
    };
    let mut sets: Vec<ReplicaSet> = sets.into_iter().filter(owned).collect();
    let revision = |set: &ReplicaSet| -> u64 {
        let text = set.annotations().get("deployment.kubernetes.io/revision");
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    sets.sort_by_key(revision);
    Ok(sets)
}

/// Plays `times` kills for lack of memory in the Deployment's first pod, and returns that pod's name. The container
/// runs again afterwards: its restart count is higher, and its last state says `OOMKilled`.
///
/// # Errors
/// When it has no pod.
pub async fn oom_kill(client: &Client, namespace: &str, deployment: &str, times: i32) -> Result<String> {
    change_first_container(client, namespace, deployment, |container| {
        let n_restarts = container["restartCount"].as_i64().unwrap_or(0);
        container["restartCount"] = json!(n_restarts + i64::from(times));
        container["lastState"] = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    })
    .await
}

/// Makes the Deployment's first pod crash again and again, and returns its name: the container waits with
/// `CrashLoopBackOff` and isn't ready, so the Deployment lacks a replica until that pod is replaced.
///
/// # Errors
/// When it has no pod.
pub async fn crash_loop(client: &Client, namespace: &str, deployment: &str) -> Result<String> {
    change_first_container(client, namespace, deployment, |container| {
        let n_restarts = container["restartCount"].as_i64().unwrap_or(0);
        container["restartCount"] = json!(n_restarts + 1);
        container["ready"] = json!(false);
        container["started"] = json!(false);
        container["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        container["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
    })
    .await
}

async fn change_first_container(
    client: &Client,
    namespace: &str,
    deployment: &str,
    change: impl Fn(&mut Value),
) -> Result<String> {
    let pods = pods_of(client, namespace, deployment).await?;
    let pod = pods.first().with_context(|| format!("{deployment} has no pod"))?;
    let name = pod.name_any();
    let mut status = serde_json::to_value(&pod.status)?;
    let containers = status["containerStatuses"].as_array_mut().context("the pod doesn't run yet")?;
    ensure!(!containers.is_empty(), "the pod has no container");
    change(&mut containers[0]);
    let ready = containers.iter().all(|container| container["ready"] == json!(true));
    let containers = json!(containers);
    // The kubelet would set these too; the ReplicaSet counts pods by the condition, not by the containers.
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        if matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady")) {
            condition["status"] = json!(if ready { "True" } else { "False" });
        }
    }
    let patch = json!({"status": {"containerStatuses": containers, "conditions": status["conditions"]}});
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(name)
}

async fn patch_deployment(client: &Client, namespace: &str, name: &str, patch: &Patch<Value>) -> Result<Deployment> {
    let patched = deployments(client, namespace).patch(name, &PatchParams::default(), patch).await;
    patched.with_context(|| format!("patching {namespace}/{name}"))
}

fn deployments(client: &Client, namespace: &str) -> Api<Deployment> {
    Api::namespaced(client.clone(), namespace)
}
