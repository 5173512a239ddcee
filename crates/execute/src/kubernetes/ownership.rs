//! What belongs to a workload: autoscalers that target it, volumes. Pure.

use homeostat_core::Subject;
use homeostat_remediate::ObjectKind;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::workload::{Typed, Workload};

/// The autoscaler that targets the workload, if one of them does. KEDA's come as these, too.
pub(super) fn autoscaler_of<'a>(
    subject: &Subject,
    autoscalers: &'a [HorizontalPodAutoscaler],
) -> Option<&'a HorizontalPodAutoscaler> {
    let kind = ObjectKind::of(subject.kind)?;
    autoscalers.iter().find(|autoscaler| {
        let target = &autoscaler.spec.scale_target_ref;
        let group = target.api_version.as_deref().and_then(|version| version.split_once('/')).map(|(group, _)| group);
        // `extensions` is where Deployments lived before `apps`; the autoscaler still takes it.
        let is_workload = target.kind == kind.name() && matches!(group, None | Some("apps" | "extensions"));
        is_workload && target.name == subject.name
    })
}

/// Whether pods of the workload mount a persistent volume claim. Claims made per pod and deleted with it don't count.
pub(super) fn has_persistent_volume(workload: &Workload) -> bool {
    let pod = workload.pods().spec.as_ref();
    let mounts =
        pod.is_some_and(|pod| pod.volumes.iter().flatten().any(|volume| volume.persistent_volume_claim.is_some()));
    let claims = match &workload.typed {
        Typed::StatefulSet(of) => of.spec.volume_claim_templates.as_ref().is_some_and(|claims| !claims.is_empty()),
        Typed::Deployment(_) | Typed::DaemonSet(_) => false,
    };
    mounts || claims
}

#[cfg(test)]
mod tests;
