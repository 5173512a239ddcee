//! What belongs to a Deployment: autoscalers that target it, ReplicaSets that are its own, volumes. Pure.

use homeostat_remediate::Autoscaler;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The Deployment controller's number of a template.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The autoscaler that targets the Deployment of this name, if one of them does. KEDA's come as these, too.
pub(super) fn autoscaler_of(name: &str, autoscalers: &[HorizontalPodAutoscaler]) -> Option<Autoscaler> {
    autoscalers.iter().find_map(|autoscaler| {
        let spec = &autoscaler.spec;
        let target = &spec.scale_target_ref;
        let group = target.api_version.as_deref().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        // `extensions` is where Deployments lived before `apps`; the autoscaler still takes it.
        let is_deployment = target.kind == "Deployment" && matches!(group, None | Some("apps" | "extensions"));
        (is_deployment && target.name == name).then(|| Autoscaler::Seen {
            name: autoscaler.metadata.name.clone().unwrap_or_default(),
            replicas_min: u32::try_from(spec.min_replicas.unwrap_or(1)).unwrap_or(0),
            replicas_max: u32::try_from(spec.max_replicas).unwrap_or(0),
        })
    })
}

/// The current revision of the Deployment's template, as its controller numbers it.
pub(super) fn revision(deployment: &Deployment) -> Option<u64> {
    revision_of(&deployment.metadata)
}

/// The highest revision below the current one among the Deployment's own ReplicaSets.
pub(super) fn revision_previous(deployment: &Deployment, replica_sets: &[ReplicaSet]) -> Option<u64> {
    let uid = deployment.metadata.uid.as_deref()?;
    let current = revision(deployment)?;
    let own = replica_sets.iter().filter(|set| is_controlled_by(&set.metadata, uid));
    own.filter_map(|set| revision_of(&set.metadata)).filter(|revision| *revision < current).max()
}

/// Whether pods of the Deployment mount a persistent volume claim. Claims made per pod and deleted with it don't count.
pub(super) fn has_persistent_volume(deployment: &Deployment) -> bool {
    let pod = deployment.spec.template.spec.as_ref();
    pod.is_some_and(|pod| pod.volumes.iter().flatten().any(|volume| volume.persistent_volume_claim.is_some()))
}

fn revision_of(metadata: &ObjectMeta) -> Option<u64> {
    metadata.annotations.as_ref()?.get(REVISION)?.parse().ok()
}

fn is_controlled_by(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

#[cfg(test)]
mod tests;
