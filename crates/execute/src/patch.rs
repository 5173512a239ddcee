//! The one write of an action on a cluster, as text, with its preconditions and its marker. Pure: no cluster in here.
//!
//! The write is a JSON merge patch (RFC 7396), not a JSON Patch (RFC 6902): a merge patch creates a missing
//! `annotations` map and leaves an existing one alone, whereas JSON Patch can't say "create if missing", so its text
//! would depend on the object and couldn't be journaled before the object is read. The preconditions are in the patch
//! itself: the API server answers 409 when `metadata.resourceVersion` isn't the object's, and 422 when
//! `metadata.uid` isn't (it can't be changed). Either way nothing is written.

use homeostat_remediate::{ObjectKind, ObjectRef, PayloadError, Plan, Step};
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

/// The object that a step writes, at the version that was decided on: the workload, unless the step names another one.
pub(crate) fn written_by(plan: &Plan, step: &Step) -> Result<ObjectRef, PayloadError> {
    if let Some(object) = ObjectRef::in_step(step)? {
        return Ok(object);
    }
    let target = &plan.target;
    let kind = ObjectKind::of(target.subject.kind);
    let kind = kind.ok_or_else(|| PayloadError(format!("{} isn't in a cluster", target.subject)))?;
    Ok(ObjectRef {
        kind,
        name: target.subject.name.clone(),
        uid: target.uid.clone(),
        resource_version: target.resource_version.clone(),
        state: String::new(),
    })
}

/// The exact patch that merges this into the object that the step writes, at the version that was decided on.
pub(crate) fn of(plan: &Plan, step: &Step, change: Value) -> Result<String, PayloadError> {
    let object = written_by(plan, step)?;
    if object.uid.is_empty() || object.resource_version.is_empty() {
        // An empty resourceVersion in a patch means "whatever it is now": a write without a precondition.
        return Err(PayloadError("it names no UID or no resourceVersion, so nothing would guard the write".to_owned()));
    }
    let Value::Object(mut patch) = change else {
        return Err(PayloadError("what it changes isn't an object".to_owned()));
    };
    // Maps of JSON are sorted by key: the text doesn't depend on the order in which they were filled.
    let metadata = patch.entry("metadata").or_insert_with(|| json!({}));
    metadata["annotations"][ACTION_ID] = json!(plan.id.as_str());
    metadata["annotations"][CORRELATION_ID] = json!(plan.correlation.as_str());
    metadata["resourceVersion"] = json!(object.resource_version);
    metadata["uid"] = json!(object.uid);
    Ok(Value::Object(patch).to_string())
}

/// The exact patch that merges this into the pod template.
pub(crate) fn of_template(plan: &Plan, step: &Step, template: &Value) -> Result<String, PayloadError> {
    of(plan, step, json!({ "spec": { "template": template } }))
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
