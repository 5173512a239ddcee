//! The one write of a rollout action, as text, with its preconditions and its marker. Pure: no cluster in here.
//!
//! The write is a JSON merge patch (RFC 7396), not a JSON Patch (RFC 6902): a merge patch creates a missing
//! `annotations` map and leaves an existing one alone, whereas JSON Patch can't say "create if missing", so its text
//! would depend on the object and couldn't be journaled before the object is read. The preconditions are in the patch
//! itself: the API server answers 409 when `metadata.resourceVersion` isn't the object's, and 422 when
//! `metadata.uid` isn't (it can't be changed). Either way nothing is written.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{PayloadError, Plan};
use serde_json::{Value, json};

/// The annotation on the pod template that makes a workload replace its pods: `kubectl rollout restart`'s own, which
/// people, dashboards and Argo CD's health checks already know.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// The annotation that says which plan wrote last.
///
/// It is on the workload, not on the pod template: there it would be part of the template's hash, and taking
/// it away would replace the pods once more. The Deployment's controller copies it to the new ReplicaSet anyway, and
/// `kubectl rollout undo` puts the old ReplicaSet's annotations back, so our marker goes when our template goes.
pub const ACTION_ID: &str = "homeostat.io/action-id";

/// The annotation that ties the write to logs, incident and journal; beside [`ACTION_ID`].
pub const CORRELATION_ID: &str = "homeostat.io/correlation-id";

/// The annotation that says which plan was taken back last; [`ACTION_ID`] stays as it is then.
pub const UNDONE_ID: &str = "homeostat.io/undone-action-id";

/// The exact patch that merges this into the pod template, for the object at the plan's version.
pub(crate) fn of_template(plan: &Plan, template: &Value) -> Result<String, PayloadError> {
    let target = &plan.target;
    match target.subject.kind {
        WorkloadKind::Deployment => {}
        kind @ (WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::External) => {
            return Err(PayloadError(format!("{} is a {}, not a deployment", target.subject, kind.name())));
        }
    }
    if target.uid.is_empty() || target.resource_version.is_empty() {
        // An empty resourceVersion in a patch means "whatever it is now": a write without a precondition.
        return Err(PayloadError("it names no UID or no resourceVersion, so nothing would guard the write".to_owned()));
    }
    // The keys are in alphabetical order, so that the text doesn't depend on how the map behind `json!` orders them.
    let patch = json!({
        "metadata": {
            "annotations": { ACTION_ID: plan.id.as_str(), CORRELATION_ID: plan.correlation.as_str() },
            "resourceVersion": target.resource_version,
            "uid": target.uid,
        },
        "spec": { "template": template },
    });
    Ok(patch.to_string())
}

/// The same patch for another version of the object.
#[cfg(feature = "kubernetes")]
pub(crate) fn at_version(patch: &str, resource_version: &str) -> Result<String, PayloadError> {
    if resource_version.is_empty() {
        return Err(PayloadError("no resourceVersion guards the write".to_owned()));
    }
    let mut patch = parsed(patch)?;
    patch["metadata"]["resourceVersion"] = json!(resource_version);
    Ok(patch.to_string())
}

/// The patch of a plan's inverse, for this version of the object, with the mark of the undo beside the plan's own.
#[cfg(feature = "kubernetes")]
pub(crate) fn for_undo(patch: &str, plan: &Plan, resource_version: &str) -> Result<String, PayloadError> {
    let mut patch = parsed(&at_version(patch, resource_version)?)?;
    patch["metadata"]["annotations"][UNDONE_ID] = json!(plan.id.as_str());
    Ok(patch.to_string())
}

#[cfg(feature = "kubernetes")]
fn parsed(patch: &str) -> Result<Value, PayloadError> {
    serde_json::from_str(patch).map_err(|error| PayloadError(format!("its patch isn't JSON: {error}")))
}
