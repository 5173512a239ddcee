//! One attempt to write, and what its answer means.

use homeostat_core::Plan;
use k8s_openapi::api::apps::v1::Deployment;

use super::api::{ApiServer, CallError};
use super::{inspect, restart};
use crate::executor::{Applied, ApplyError};

/// Sends the plan's write once.
///
/// **Which version counts (I8).** The object must be at exactly the `resourceVersion` that was decided on. Its controller
/// raises that with every status it reports, so a change that matters to nobody can make a write stale. That is
/// safe, and live enough: between inspecting and writing there is one journal record, a few milliseconds, so the next
/// cycle's decision has as good a chance again. Comparing "the relevant fields" instead would mean to decide here,
/// without the guardrails, which fields those are.
pub(super) async fn apply(api: &ApiServer, plan: &Plan) -> Result<Applied, ApplyError> {
    let rejected = |why: String| ApplyError::Rejected { why };
    let subject = &plan.target.subject;
    let patch = restart::patch_of(plan).map_err(rejected)?;
    inspect::check_subject(subject).map_err(|error| rejected(error.to_string()))?;
    match api.patch_deployment(&subject.namespace, &subject.name, &patch).await {
        Ok(deployment) => accepted(&deployment, plan),
        Err(CallError::NoAnswer { why }) => Err(ApplyError::Unknown { why }),
        Err(CallError::Answered { code, reason, message }) => {
            let answer = format!("{code} {reason}: {message}");
            match code {
                // The precondition failed, or the UID differs, which the API server takes for an invalid change.
                409 | 422 => after_refusal(api, plan, code, answer).await,
                404 => Err(ApplyError::Stale { why: format!("{subject} is gone") }),
                403 => Err(rejected(format!(
                    "not allowed to patch deployments.apps in namespace {}, or an admission check forbids it ({answer}): \
                     grant the right (see `homeostat rbac`) or take the policy out",
                    subject.namespace
                ))),
                400..=499 if code != 408 && code != 429 => Err(rejected(answer)),
                // 5xx may come after the write. 408 and 429 may come from a proxy that knows nothing of it. And what has
                // no code, or a strange one, says nothing at all.
                _ => Err(ApplyError::Unknown { why: answer }),
            }
        }
    }
}

/// The object in a 2xx answer must show our write: an admission webhook can take annotations away, and an effect without a
/// marker couldn't be found again.
fn accepted(deployment: &Deployment, plan: &Plan) -> Result<Applied, ApplyError> {
    let unknown = |why: &str| ApplyError::Unknown { why: format!("the write was accepted, but {why}") };
    if !restart::is_marked(deployment, &plan.id) || !restart::is_in_effect(deployment, plan) {
        return Err(unknown("the object in the answer doesn't carry it; an admission webhook may have changed it"));
    }
    match deployment.metadata.resource_version.clone() {
        Some(resource_version) => Ok(Applied { resource_version }),
        None => Err(unknown("the answer names no resourceVersion")),
    }
}

/// Finds out what a refused write means by looking at the object.
///
/// A refusal says that *this* request wrote nothing, not that nothing was written: a copy of it, sent before a crash or
/// doubled on the way, may have been accepted and may be the very reason for the conflict (I7).
async fn after_refusal(api: &ApiServer, plan: &Plan, code: u16, answer: String) -> Result<Applied, ApplyError> {
    let target = &plan.target;
    let deployment = match api.deployment(&target.subject.namespace, &target.subject.name).await {
        Ok(deployment) => deployment,
        Err(CallError::Answered { code: 404, .. }) => {
            return Err(ApplyError::Stale { why: format!("{} is gone", target.subject) });
        }
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            return Err(ApplyError::Unknown { why: format!("{answer}; and then the object can't be read: {error}") });
        }
    };
    let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
    let resource_version = deployment.metadata.resource_version.as_deref().unwrap_or_default();
    if uid != target.uid {
        return Err(ApplyError::Stale {
            why: format!("another object has the name: UID was {}, is {uid}", target.uid),
        });
    }
    if restart::is_marked(&deployment, &plan.id) {
        if restart::is_in_effect(&deployment, plan) {
            return Ok(Applied { resource_version: resource_version.to_owned() });
        }
        return Err(ApplyError::Unknown {
            why: format!("{answer}; it was written before and has been overwritten since"),
        });
    }
    if code == 409 {
        let was = &target.resource_version;
        return Err(ApplyError::Stale { why: format!("resourceVersion was {was}, is {resource_version} ({answer})") });
    }
    Err(ApplyError::Rejected { why: answer })
}

#[cfg(test)]
mod tests;
