//! One attempt to write by a merge patch, and what its answer means.

use homeostat_remediate::{ObjectRef, Plan};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::api::{ApiServer, CallError, Place};
use super::inspect;
use super::object;
use crate::executor::{Applied, ApplyError};

/// A write, and how it is recognised afterwards.
pub(super) struct Write<'a> {
    /// The plan that it is of.
    pub(super) plan: &'a Plan,
    /// The object that it writes.
    pub(super) object: &'a ObjectRef,
    /// The bytes to send, with their preconditions.
    pub(super) patch: String,
    /// The version among those.
    pub(super) version: String,
    /// The generation of the object that was decided on, if it is known.
    pub(super) generation: Option<i64>,
    /// Whether this object is as the write leaves it.
    pub(super) is_in_effect: &'a (dyn Fn(&Value) -> bool + Sync),
    /// Whether it is only asked whether it would be accepted.
    pub(super) is_dry_run: bool,
    /// Whether the write's marker is on this object.
    pub(super) is_marked: &'a (dyn Fn(&ObjectMeta) -> bool + Sync),
}

impl Write<'_> {
    fn place(&self) -> Place<'_> {
        Place { kind: self.object.kind, namespace: &self.plan.target.subject.namespace, name: &self.object.name }
    }
}

/// Sends the write once.
///
/// **Which version counts (I8).** The API server writes only at exactly the patch's `resourceVersion`. Its controller raises that
/// with every status it reports, which a workload in trouble does all the time. So a conflict is looked into: when the
/// object is as decided on but for its status (see [`inspect::is_as_decided`]) the answer is [`ApplyError::Conflict`] with
/// the version to try next; nothing else of the write changes.
pub(super) async fn send(api: &ApiServer, write: &Write<'_>) -> Result<Applied, ApplyError> {
    let rejected = |why: String| ApplyError::Rejected { why };
    let (subject, place) = (&write.plan.target.subject, write.place());
    inspect::check_subject(subject).map_err(|error| rejected(error.to_string()))?;
    if !object::is_name(place.name) {
        return Err(rejected(format!("{:?} can't be the name of an object", place.name)));
    }
    match api.patch(&place, &write.patch, write.is_dry_run).await {
        Ok(object) => accepted(&object, write),
        Err(CallError::NoAnswer { why }) => Err(ApplyError::Unknown { why }),
        Err(CallError::Answered { code, reason, message }) => {
            let answer = format!("{code} {reason}: {message}");
            match code {
                // The precondition failed, or the UID differs, which the API server takes for an invalid change.
                409 | 422 => after_refusal(api, write, code, answer).await,
                404 => Err(ApplyError::Stale { why: format!("{} is gone", named(write)) }),
                _ if is_webhook_down(&message) => {
                    Err(ApplyError::NotNow { why: format!("an admission webhook is unavailable ({answer})") })
                }
                // Nobody looked at the write: the credentials are loaded anew, and may be good then.
                401 => Err(ApplyError::NotNow { why: format!("the credentials aren't accepted ({answer})") }),
                403 if is_denial(&message) => Err(rejected(denied(&answer))),
                403 => Err(rejected(not_allowed(
                    &format!("patch {}", object::resource_name(place.kind)),
                    &subject.namespace,
                    &answer,
                ))),
                400..=499 if code != 408 && code != 429 => Err(rejected(answer)),
                // 5xx may come after the write. 408 and 429 may come from a proxy that knows nothing of it. And what has
                // no code, or a strange one, says nothing at all.
                _ => Err(ApplyError::Unknown { why: answer }),
            }
        }
    }
}

fn named(write: &Write<'_>) -> String {
    if write.object.uid == write.plan.target.uid {
        write.plan.target.subject.to_string()
    } else {
        format!("{} {}", write.object.kind.name(), write.object.name)
    }
}

/// What the API server says when a webhook that must be asked can't be: admission comes before storing, so nothing was.
pub(super) fn is_webhook_down(message: &str) -> bool {
    message.contains("failed calling webhook")
}

/// What a conflict means at the very version that a read shows.
pub(super) fn outdated(answer: &str) -> String {
    format!("{answer}; but it shows itself unchanged, so what is read is older than what is stored")
}

/// What webhooks and admission policies say when they deny, in their two wordings.
fn is_denial(message: &str) -> bool {
    message.contains("denied the request") || message.contains("denied request")
}

/// What the API server says of a webhook that may have effects elsewhere and so can't be asked in a dry run: that is no word about
/// the write itself.
pub(super) fn cannot_be_tried(why: &str) -> bool {
    why.contains("does not support dry run")
}

/// What a 403 means that no admission check explains. `what` is the verb and the resource.
pub(super) fn not_allowed(what: &str, namespace: &str, answer: &str) -> String {
    format!(
        "not allowed to {what} in namespace {namespace}, or an admission check forbids it ({answer}): \
         grant the right (see `homeostat rbac`) or take the policy out"
    )
}

fn denied(answer: &str) -> String {
    format!("denied by admission ({answer}): the same write would be denied again")
}

/// The object in a 2xx answer must show our write: admission can change it on its way.
fn accepted(answer: &Value, write: &Write<'_>) -> Result<Applied, ApplyError> {
    let metadata = object::metadata(answer);
    if !(write.is_in_effect)(answer) {
        let why = "changed by admission: the write was accepted, but its effect was taken out of it".to_owned();
        return Err(ApplyError::Rejected { why });
    }
    let altered = (!(write.is_marked)(&metadata))
        .then(|| "changed by admission: the write was accepted, but homeostat's marker was taken out of it".to_owned());
    match metadata.resource_version {
        Some(resource_version) => Ok(Applied { resource_version, altered }),
        None => Err(ApplyError::Unknown {
            why: "the write was accepted, but the answer names no resourceVersion".to_owned(),
        }),
    }
}

/// Finds out what a refused write means by looking at the object.
///
/// A refusal says that *this* request wrote nothing, not that nothing was written: a copy of it, sent before a crash or
/// doubled on the way, may have been accepted and may be the very reason for the conflict (I7).
async fn after_refusal(api: &ApiServer, write: &Write<'_>, code: u16, answer: String) -> Result<Applied, ApplyError> {
    let target = write.object;
    let object = match api.object(&write.place()).await {
        Ok(object) => object,
        Err(CallError::Answered { code: 404, .. }) => {
            return Err(ApplyError::Stale { why: format!("{} is gone", named(write)) });
        }
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            return Err(ApplyError::Unknown { why: format!("{answer}; and then the object can't be read: {error}") });
        }
    };
    let metadata = object::metadata(&object);
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let resource_version = metadata.resource_version.clone().unwrap_or_default();
    if uid != target.uid {
        return Err(ApplyError::Stale {
            why: format!("another object has the name: UID was {}, is {uid}", target.uid),
        });
    }
    if (write.is_marked)(&metadata) {
        if write.is_dry_run {
            return Err(ApplyError::Stale { why: format!("it is written already ({answer})") });
        }
        if (write.is_in_effect)(&object) {
            return Ok(Applied { resource_version, altered: None });
        }
        return Err(ApplyError::Unknown {
            why: format!("{answer}; it was written before and has been overwritten since"),
        });
    }
    if code != 409 || is_denial(&answer) {
        let why = if is_denial(&answer) { denied(&answer) } else { answer };
        return Err(ApplyError::Rejected { why });
    }
    // Writes are compared with what is stored, reads may come from a cache: then what is read says nothing of earlier writes either.
    if resource_version == write.version {
        return Err(ApplyError::Unknown { why: outdated(&answer) });
    }
    if object::is_as_decided(&object, target, write.generation, write.plan) && !resource_version.is_empty() {
        return Err(ApplyError::Conflict { resource_version, why: answer });
    }
    let was = &target.resource_version;
    Err(ApplyError::Stale { why: format!("resourceVersion was {was}, is {resource_version} ({answer})") })
}

#[cfg(test)]
mod tests;
