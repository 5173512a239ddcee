//! The one write this executor makes, as text, and how to recognise it afterwards. Pure: no cluster in here.
//!
//! The write is a JSON merge patch (RFC 7396), not a JSON Patch (RFC 6902): a merge patch creates a missing
//! `annotations` map and leaves an existing one alone, whereas JSON Patch can't say "create if missing", so its text
//! would depend on the object and couldn't be journaled before the object is read. The preconditions are in the patch
//! itself: the API server answers 409 when `metadata.resourceVersion` isn't the object's, and 422 when
//! `metadata.uid` isn't (it can't be changed). Either way nothing is written.

use homeostat_core::{Action, Plan, PlanId, Timestamp, WorkloadKind};
use homeostat_remediate::Marker;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;

use super::api::FIELD_MANAGER;

/// The annotation on the pod template that makes the Deployment replace its pods: `kubectl rollout restart`'s own, which
/// people, dashboards and Argo CD's health checks already know.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// The annotation that says which plan wrote last.
///
/// It is on the Deployment, not on the pod template: there it would be part of the template's hash, and taking
/// it away would replace the pods once more. The Deployment's controller copies it to the new ReplicaSet anyway, and
/// `kubectl rollout undo` puts the old ReplicaSet's annotations back, so our marker goes when our template goes.
pub const ACTION_ID: &str = "homeostat.io/action-id";

/// The annotation that ties the write to logs, incident and journal; beside [`ACTION_ID`].
pub const CORRELATION_ID: &str = "homeostat.io/correlation-id";

/// The exact patch for the plan, or why this executor can't do it. The same text for the same plan, always.
pub(super) fn patch_of(plan: &Plan) -> Result<String, String> {
    patch_at(plan, &plan.target.resource_version)
}

/// The same patch for a later version of the object, which differs from the plan's in its status only.
pub(super) fn patch_at(plan: &Plan, resource_version: &str) -> Result<String, String> {
    match plan.target.subject.kind {
        WorkloadKind::Deployment => {}
        kind @ (WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::External) => {
            return Err(format!(
                "{} is a {}; this executor restarts Deployments only",
                plan.target.subject,
                kind.name()
            ));
        }
    }
    let restarted_at = match &plan.action {
        Action::RolloutRestart { restarted_at } => *restarted_at,
        Action::RolloutUndo { .. } => {
            return Err("this executor can't go back to an earlier revision; use `kubectl rollout undo`".to_owned());
        }
    };
    if plan.target.uid.is_empty() || resource_version.is_empty() {
        // An empty resourceVersion in a patch means "whatever it is now": a write without a precondition.
        return Err("the plan names no UID or no resourceVersion, so nothing would guard the write".to_owned());
    }
    // The keys are in alphabetical order, so that the text doesn't depend on how the map behind `json!` orders them.
    Ok(json!({
        "metadata": {
            "annotations": { ACTION_ID: plan.id.as_str(), CORRELATION_ID: plan.correlation.as_str() },
            "resourceVersion": resource_version,
            "uid": plan.target.uid,
        },
        "spec": { "template": { "metadata": { "annotations": { RESTARTED_AT: restarted_at.to_string() } } } },
    })
    .to_string())
}

/// Whether the plan's marker is on the Deployment.
pub(super) fn is_marked(deployment: &Deployment, id: &PlanId) -> bool {
    annotation(deployment, ACTION_ID) == Some(id.as_str())
}

/// Whether the pod template still carries exactly the plan's restart.
pub(super) fn is_in_effect(deployment: &Deployment, plan: &Plan) -> bool {
    match &plan.action {
        Action::RolloutRestart { restarted_at } => restart_of(deployment) == Some(restarted_at.to_string().as_str()),
        Action::RolloutUndo { .. } => false,
    }
}

/// The trace that an action left on the Deployment, with the time of our field manager's latest write.
pub(super) fn marker(deployment: &Deployment) -> Option<Marker> {
    let action = annotation(deployment, ACTION_ID)?.to_owned();
    let entries = deployment.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    let at = ours.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_millisecond()).max();
    Some(Marker { action, at: at.map(Timestamp::from_millis) })
}

fn annotation<'a>(deployment: &'a Deployment, key: &str) -> Option<&'a str> {
    deployment.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

fn restart_of(deployment: &Deployment) -> Option<&str> {
    let template = &deployment.spec.template;
    template.metadata.as_ref()?.annotations.as_ref()?.get(RESTARTED_AT).map(String::as_str)
}
