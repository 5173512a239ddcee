//! What every action that takes a pod away does to a cluster: one request, and recognising what became of it.

use homeostat_remediate::{InspectError, ObjectKind, ObjectRef, PayloadError, Plan, Progress};
use serde_json::{Value, json};

use super::api::{ApiServer, CallError, Place};
use super::inspect_error::inspect_error;
use super::{apply, inspect, object, rollout};
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::removal::{self, Removal};

/// How a pod is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Evict,
    Delete,
}

impl How {
    /// What it takes.
    const fn right(self) -> &'static str {
        match self {
            Self::Evict => EVICT,
            Self::Delete => "delete pods",
        }
    }
}

/// The right to evict.
pub(super) const EVICT: &str = "create pods/eviction";

/// What the API server says when a disruption budget forbids an eviction now.
const BUDGET: &str = "disruption budget";
/// What it says when several budgets cover the pod: nobody can evict it until somebody takes one away.
const SEVERAL_BUDGETS: &str = "more than one PodDisruptionBudget";

/// What became of the pod. One that is gone or on its way out is what was wanted, whoever did it: nothing of it can say who.
pub(super) async fn outcome_of_write(api: &ApiServer, plan: &Plan) -> Result<WriteOutcome, InspectError> {
    let pod = pod_of(plan).map_err(|error| InspectError::NotConfigured { why: error.to_string() })?;
    Ok(match read(api, plan, &pod).await? {
        Some(found) if is_there(&found, &pod) => WriteOutcome::NotApplied,
        Some(_) | None => WriteOutcome::AppliedByUs,
    })
}

/// Whether the pod may be taken away now.
pub(super) async fn dry_run(api: &ApiServer, plan: &Plan, how: How) -> Result<(), ApplyError> {
    let pod = pod_of(plan).map_err(unsendable)?;
    let mut request = request(plan, how, &pod, &pod.resource_version).map_err(unsendable)?;
    match how {
        How::Evict => request.body["deleteOptions"]["dryRun"] = json!(["All"]),
        How::Delete => request.body["dryRun"] = json!(["All"]),
    }
    match send(api, plan, &pod, how, &request, true).await {
        Ok(_) => Ok(()),
        Err(ApplyError::Rejected { why }) if apply::cannot_be_tried(&why) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes it away, if it is the pod that was decided on, at this version.
pub(super) async fn apply(
    api: &ApiServer,
    plan: &Plan,
    how: How,
    resource_version: &str,
) -> Result<Applied, ApplyError> {
    let pod = pod_of(plan).map_err(unsendable)?;
    // The journaled version, unless the driver names a later one.
    let is_first = resource_version == plan.target.resource_version;
    let version = if is_first { &pod.resource_version } else { resource_version };
    let request = request(plan, how, &pod, version).map_err(unsendable)?;
    send(api, plan, &pod, how, &request, false).await
}

/// How far the workload has come in replacing it.
pub(super) async fn progress(api: &ApiServer, plan: &Plan) -> Result<Progress, InspectError> {
    let pod = pod_of(plan).map_err(|error| InspectError::NotConfigured { why: error.to_string() })?;
    let workload = match inspect::workload_of(api, &plan.target.subject).await {
        Ok(workload) => workload,
        Err(InspectError::NotFound { .. }) => return Ok(Progress::Gone),
        Err(error) => return Err(error),
    };
    if workload.metadata.uid.as_deref() != Some(plan.target.uid.as_str()) {
        return Ok(Progress::Gone);
    }
    let found = read(api, plan, &pod).await?;
    let is_still_there = found.is_some_and(|found| found["metadata"]["uid"] == pod.uid.as_str());
    let wanted = rollout::replicas_wanted(&workload);
    Ok(match rollout::judge(&workload) {
        Progress::Complete { .. } if is_still_there => {
            Progress::Rolling { updated_available: wanted.saturating_sub(1), wanted }
        }
        progress => progress,
    })
}

async fn send(
    api: &ApiServer,
    plan: &Plan,
    pod: &ObjectRef,
    how: How,
    request: &Removal,
    is_dry_run: bool,
) -> Result<Applied, ApplyError> {
    let rejected = |why: String| ApplyError::Rejected { why };
    let subject = &plan.target.subject;
    inspect::check_subject(subject).map_err(|error| rejected(error.to_string()))?;
    if !object::is_name(&pod.name) {
        return Err(rejected(format!("{:?} can't be the name of a pod", pod.name)));
    }
    let place = Place { kind: ObjectKind::Pod, namespace: &subject.namespace, name: &pod.name };
    let body = request.body.to_string();
    let answer = match how {
        How::Evict => {
            let eviction = format!("{}/{}/eviction", place.collection(), pod.name);
            api.create(&eviction, &body, &request.audit_id, is_dry_run).await
        }
        How::Delete => api.delete(&place, &body, &request.audit_id, is_dry_run).await,
    };
    match answer {
        Ok(answer) => {
            let version = answer["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            Ok(Applied { resource_version: version.to_owned(), altered: None })
        }
        Err(CallError::NoAnswer { why }) => Err(ApplyError::Unknown { why }),
        Err(CallError::Answered { code, reason, message }) => {
            let answer = format!("{code} {reason}: {message}");
            match code {
                429 if message.contains(BUDGET) => {
                    Err(ApplyError::NotNow { why: format!("a disruption budget forbids it ({answer})") })
                }
                500 if message.contains(SEVERAL_BUDGETS) => Err(rejected(answer)),
                409 => after_conflict(api, plan, pod, how, request, answer, is_dry_run).await,
                404 => Err(ApplyError::Stale { why: format!("pod {} is gone", pod.name) }),
                _ if apply::is_webhook_down(&message) => {
                    Err(ApplyError::NotNow { why: format!("an admission webhook is unavailable ({answer})") })
                }
                401 => Err(ApplyError::NotNow { why: format!("the credentials aren't accepted ({answer})") }),
                403 => Err(rejected(apply::not_allowed(how.right(), &subject.namespace, &answer))),
                400..=499 if code != 408 && code != 429 => Err(rejected(answer)),
                _ => Err(ApplyError::Unknown { why: answer }),
            }
        }
    }
}

/// What a failed precondition means: the pod's status moves on all the time, and it may have come back to life.
async fn after_conflict(
    api: &ApiServer,
    plan: &Plan,
    pod: &ObjectRef,
    how: How,
    request: &Removal,
    answer: String,
    is_dry_run: bool,
) -> Result<Applied, ApplyError> {
    let found = match read(api, plan, pod).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(ApplyError::Stale { why: format!("pod {} is gone", pod.name) }),
        Err(error) => return Err(ApplyError::Unknown { why: format!("{answer}; and then it can't be read: {error}") }),
    };
    let version = found["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    if found["metadata"]["uid"] != pod.uid.as_str() {
        return Err(ApplyError::Stale { why: format!("another pod has the name {} ({answer})", pod.name) });
    }
    if !is_there(&found, pod) && !is_dry_run {
        return Ok(Applied { resource_version: version, altered: None });
    }
    // Removals are compared with what is stored, reads may come from a cache.
    let options = match how {
        How::Evict => &request.body["deleteOptions"],
        How::Delete => &request.body,
    };
    if is_there(&found, pod) && options["preconditions"]["resourceVersion"] == version {
        return Err(ApplyError::Unknown { why: apply::outdated(&answer) });
    }
    let failed_before = plan.step.args.get("serves") == Some(&json!(false));
    if failed_before && is_ready(&found) {
        return Err(ApplyError::Stale { why: format!("pod {} serves again", pod.name) });
    }
    if object::is_as_decided(&found, pod, None, plan) && !version.is_empty() {
        return Err(ApplyError::Conflict { resource_version: version, why: answer });
    }
    Err(ApplyError::Stale { why: format!("somebody changed pod {} ({answer})", pod.name) })
}

fn request(plan: &Plan, how: How, pod: &ObjectRef, version: &str) -> Result<Removal, PayloadError> {
    let at_version = ObjectRef { resource_version: version.to_owned(), ..pod.clone() };
    let mut step = plan.step.clone();
    step.args = at_version.in_args(step.args);
    match how {
        How::Evict => removal::evict(plan, &step),
        How::Delete => removal::delete(plan, &step),
    }
}

fn pod_of(plan: &Plan) -> Result<ObjectRef, PayloadError> {
    removal::pod(&plan.step)
}

/// Whether it is the very pod, and not on its way out.
fn is_there(found: &Value, pod: &ObjectRef) -> bool {
    found["metadata"]["uid"] == pod.uid.as_str() && found["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

async fn read(api: &ApiServer, plan: &Plan, pod: &ObjectRef) -> Result<Option<Value>, InspectError> {
    let subject = &plan.target.subject;
    inspect::check_subject(subject)?;
    let place = Place { kind: ObjectKind::Pod, namespace: &subject.namespace, name: &pod.name };
    match api.object(&place).await {
        Ok(found) => Ok(Some(found)),
        Err(CallError::Answered { code: 404, .. }) => Ok(None),
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            Err(inspect_error(error, subject, "get", "pods"))
        }
    }
}

fn unsendable(error: PayloadError) -> ApplyError {
    ApplyError::Rejected { why: error.to_string() }
}
