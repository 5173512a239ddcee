//! The workload's own pods, and which of them don't serve.

use homeostat_core::{Subject, Timestamp};
use homeostat_remediate::{Failing, InspectError, Known, ObjectKind, ObjectRef, SeenPod};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, Selector};
use serde_json::Value;

use super::api::ApiServer;
use super::inspect_error::visible;
use super::revisions::is_controlled_by;
use super::workload::{Typed, Workload};

/// The workload's pods, but for those on their way out. A Deployment's are those of its ReplicaSets, which must be visible for it: a
/// selector alone may match others' pods.
pub(super) async fn pods(
    api: &ApiServer,
    subject: &Subject,
    workload: &Workload,
    revisions: &Known<Vec<DynamicObject>>,
    wanted: bool,
) -> Result<Known<Vec<SeenPod>>, InspectError> {
    if !wanted {
        return Ok(Known::NotVisible { why: "nobody looked".to_owned() });
    }
    let owners: Vec<String> = match (&workload.typed, revisions) {
        (Typed::StatefulSet(_) | Typed::DaemonSet(_), _) => workload.metadata.uid.iter().cloned().collect(),
        (Typed::Deployment(_), Known::Is(sets)) => {
            let own = sets.iter().filter(|set| is_controlled_by(&set.metadata, workload.metadata.uid.as_deref()));
            own.filter_map(|set| set.metadata.uid.clone()).collect()
        }
        (Typed::Deployment(_), Known::NotApplicable) => Vec::new(),
        (Typed::Deployment(_), Known::NotVisible { why }) => return Ok(Known::NotVisible { why: why.clone() }),
    };
    let selector = Selector::try_from(workload.selector()).map_err(|error| InspectError::Unavailable {
        why: format!("{subject}: its selector can't be read: {error}"),
    })?;
    let resource = ApiResource::erase::<Pod>(&());
    let listed = api
        .list(
            |client| Api::<DynamicObject>::namespaced_with(client, &subject.namespace, &resource),
            ListParams::default().labels_from(&selector),
        )
        .await;
    let pods = visible(listed, subject, "pods")?;
    Ok(pods.map(|pods| {
        let own = |pod: &&DynamicObject| owners.iter().any(|uid| is_controlled_by(&pod.metadata, Some(uid)));
        pods.iter().filter(own).filter_map(|pod| serde_json::to_value(pod).ok()).filter_map(|pod| seen(&pod)).collect()
    }))
}

fn seen(manifest: &Value) -> Option<SeenPod> {
    let pod: Pod = serde_json::from_value(manifest.clone()).ok()?;
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.iter().flatten();
    let restarts = containers.map(|container| u32::try_from(container.restart_count).unwrap_or(0)).sum();
    Some(SeenPod {
        object: ObjectRef::of(ObjectKind::Pod, manifest)?,
        node: pod.spec.and_then(|spec| spec.node_name).filter(|node| !node.is_empty()),
        failing: failing(&status),
        restarts,
        labels: pod.metadata.labels.unwrap_or_default(),
    })
}

/// Why the pod doesn't serve, if it doesn't. "Running" proves nothing: a crash-looping pod is.
fn failing(status: &PodStatus) -> Option<Failing> {
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    if ready.is_some_and(|ready| ready.status == "True") {
        return None;
    }
    let time =
        |time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| Timestamp::from_millis(time.0.as_millisecond());
    let since = ready.and_then(|ready| ready.last_transition_time.as_ref()).or(status.start_time.as_ref()).map(time);
    let containers = status.container_statuses.iter().flatten();
    let of_condition = || {
        let condition = status.conditions.iter().flatten().find(|condition| condition.status == "False")?;
        condition.reason.clone()
    };
    let why = containers.filter(|container| !container.ready).find_map(reason).or_else(of_condition);
    Some(Failing { since, why: why.unwrap_or_else(|| "not ready".to_owned()) })
}

fn reason(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    waiting.or_else(|| state.terminated.as_ref().and_then(|terminated| terminated.reason.clone()))
}

#[cfg(test)]
mod tests;
