//! What belongs to a Deployment: autoscalers that target it, volumes. Pure.

use homeostat_remediate::Autoscaler;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

/// The autoscaler that targets the Deployment of this name, if one of them does. KEDA's come as these, too.
pub(super) fn autoscaler_of(name: &str, autoscalers: &[HorizontalPodAutoscaler]) -> Option<Autoscaler> {
    autoscalers.iter().find_map(|autoscaler| {
        let spec = &autoscaler.spec;
        let target = &spec.scale_target_ref;
        let group = target.api_version.as_deref().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        // `extensions` is where Deployments lived before `apps`; the autoscaler still takes it.
        let is_deployment = target.kind == "Deployment" && matches!(group, None | Some("apps" | "extensions"));
        (is_deployment && target.name == name).then(|| Autoscaler {
            name: autoscaler.metadata.name.clone().unwrap_or_default(),
            replicas_min: u32::try_from(spec.min_replicas.unwrap_or(1)).unwrap_or(0),
            replicas_max: u32::try_from(spec.max_replicas).unwrap_or(0),
        })
    })
}

/// Whether pods of the Deployment mount a persistent volume claim. Claims made per pod and deleted with it don't count.
pub(super) fn has_persistent_volume(deployment: &Deployment) -> bool {
    let pod = deployment.spec.template.spec.as_ref();
    pod.is_some_and(|pod| pod.volumes.iter().flatten().any(|volume| volume.persistent_volume_claim.is_some()))
}

#[cfg(test)]
mod tests;
