//! An object as the API server sent it, whatever its kind: its metadata, and whether it still is what was decided on. Pure.

use homeostat_core::Timestamp;
use homeostat_remediate::{ObjectKind, ObjectRef, Plan, desired_state};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

/// How far the API server's clock may be behind ours before we would take a change after the decision for one before it.
/// Hosts with a working NTP client stay well within a second; a minute also covers one without for a while.
const CLOCK_SKEW_MAX_MS: i64 = 60_000;

/// Names are DNS subdomains (RFC 1123).
const NAME_BYTES_MAX: usize = 253;

/// Whether an object can have this name. One with a `/` or `..` in it would lead the request to another object (I10).
pub(super) fn is_name(text: &str) -> bool {
    is_dns(text, NAME_BYTES_MAX, true)
}

/// Whether it is lower-case letters, digits and dashes (and dots), with a letter or digit at both ends.
pub(super) fn is_dns(text: &str, bytes_max: usize, dots: bool) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let edges = [text.bytes().next(), text.bytes().last()];
    text.len() <= bytes_max
        && edges.into_iter().all(|edge| edge.is_some_and(inner))
        && text.bytes().all(|byte| inner(byte) || byte == b'-' || (dots && byte == b'.'))
        && !text.contains("..")
}

/// A kind as rights name it, such as `deployments.apps`.
pub(super) fn resource_name(kind: ObjectKind) -> String {
    let (group, _, plural) = kind.resource();
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// The object's metadata; what can't be read of it is missing.
pub(super) fn metadata(object: &Value) -> ObjectMeta {
    serde_json::from_value(object["metadata"].clone()).unwrap_or_default()
}

/// Whether the object is, in all that matters, the one that was decided on: only its status may have changed since.
pub(super) fn is_as_decided(object: &Value, decided: &ObjectRef, generation: Option<i64>, plan: &Plan) -> bool {
    let metadata = metadata(object);
    let is_same = if !decided.state.is_empty() {
        desired_state(object) == decided.state
    } else if generation.is_some() {
        // Spec and annotations, so also paused, replicas and the marks of others: the API server counts both.
        metadata.generation == generation
    } else {
        metadata.resource_version.as_deref() == Some(decided.resource_version.as_str())
            || is_untouched_since(&metadata, plan.decided_at)
    };
    metadata.uid.as_deref() == Some(decided.uid.as_str()) && metadata.deletion_timestamp.is_none() && is_same
}

/// Whether every write except those of the status is older than `moment`. `false` when that isn't certain.
///
/// Only `managedFields` can tell a change of the object from its own controller reporting its status, which happens all the time to a
/// workload in trouble.
fn is_untouched_since(metadata: &ObjectMeta, moment: Timestamp) -> bool {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    let mut spec_writes = entries.iter().filter(|entry| entry.subresource.as_deref() != Some("status"));
    let is_older = |time: i64| time < moment.as_millis().saturating_sub(CLOCK_SKEW_MAX_MS);
    let n_spec_writes = spec_writes.clone().count();
    n_spec_writes > 0
        && spec_writes.all(|entry| entry.time.as_ref().is_some_and(|time| is_older(time.0.as_millisecond())))
}
