//! From the API server's answers to [`Inspected`], [`WriteOutcome`] and [`Progress`].

use homeostat_core::{Subject, Timestamp, WorkloadKind};
use homeostat_remediate::{Autoscaler, InspectError, Inspected, Known, Plan, PreviousRevision, Progress};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, Selector};

use super::api::{ApiServer, CallError};
use super::workload::Workload;
use super::{effect, marker, owner, ownership, revisions, rollout};
use crate::executor::WriteOutcome;

/// How far the API server's clock may be behind ours before we would take a change after the decision for one before it.
/// Hosts with a working NTP client stay well within a second; a minute also covers one without for a while.
const CLOCK_SKEW_MAX_MS: i64 = 60_000;

/// Namespaces are DNS labels, names of Deployments DNS subdomains (RFC 1123).
const NAMESPACE_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 253;

/// Refuses what isn't a Deployment, or can't be the name of one.
///
/// Names come from metric labels: one with a `/` or `..` in it would lead the request to another object (I10).
pub(super) fn check_subject(subject: &Subject) -> Result<(), InspectError> {
    let is_name = |text: &str, bytes_max: usize, dots: bool| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let edges = [text.bytes().next(), text.bytes().last()];
        text.len() <= bytes_max
            && edges.into_iter().all(|edge| edge.is_some_and(inner))
            && text.bytes().all(|byte| inner(byte) || byte == b'-' || (dots && byte == b'.'))
            && !text.contains("..")
    };
    match subject.kind {
        WorkloadKind::Deployment => {}
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::External => {
            return Err(InspectError::Unsupported { subject: subject.clone() });
        }
    }
    if is_name(&subject.namespace, NAMESPACE_BYTES_MAX, false) && is_name(&subject.name, NAME_BYTES_MAX, true) {
        Ok(())
    } else {
        // No object can have such a name.
        Err(InspectError::NotFound { subject: subject.clone() })
    }
}

/// Reads the subject's Deployment.
pub(super) async fn deployment_of(api: &ApiServer, subject: &Subject) -> Result<Workload, InspectError> {
    check_subject(subject)?;
    let read = api.deployment(&subject.namespace, &subject.name).await;
    read.map_err(|error| inspect_error(error, subject, "get", "deployments.apps"))
}

/// Looks at everything that guardrails want to know of a Deployment.
pub(super) async fn inspect(api: &ApiServer, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
    let deployment = deployment_of(api, subject).await?;
    let metadata = &deployment.metadata;
    if metadata.deletion_timestamp.is_some() {
        return Err(InspectError::NotFound { subject: subject.clone() });
    }
    let (Some(uid), Some(resource_version)) = (metadata.uid.clone(), metadata.resource_version.clone()) else {
        return Err(InspectError::Unavailable {
            why: format!("{subject}: the answer names no UID or no resourceVersion"),
        });
    };
    // At once: on a slow API server one after the other would take three times as long.
    let (revision_previous, autoscaler, budgets) = tokio::try_join!(
        revision_previous(api, subject, &deployment),
        autoscaler(api, subject),
        budgets(api, subject),
    )?;
    Ok(Inspected {
        uid,
        resource_version,
        generation: metadata.generation,
        kind: WorkloadKind::Deployment,
        created_at: metadata.creation_timestamp.as_ref().map(|time| Timestamp::from_millis(time.0.as_millisecond())),
        seen_at: now,
        revision: revisions::revision(&deployment).map(|revision| revision.to_string()),
        revision_previous,
        replicas_wanted: rollout::replicas_wanted(&deployment),
        replicas_available: rollout::replicas_available(&deployment),
        rollout_in_progress: rollout::is_in_progress(&deployment),
        rollout_failed: rollout::failure(&deployment),
        paused: deployment.spec.paused.unwrap_or(false),
        autoscaler,
        owner: owner::owner(metadata),
        marker: marker::marker(&deployment),
        disruption: effect::disruption(&deployment, &budgets),
        has_persistent_volume: ownership::has_persistent_volume(&deployment),
    })
}

/// The previous revision. Without the right to look there may be one: nobody can propose to go back to it, and a restart
/// doesn't need to.
async fn revision_previous(
    api: &ApiServer,
    subject: &Subject,
    deployment: &Workload,
) -> Result<Known<PreviousRevision>, InspectError> {
    let selector = deployment.spec.selector.clone();
    let selector = Selector::try_from(selector).map_err(|error| InspectError::Unavailable {
        why: format!("{subject}: its selector can't be read: {error}"),
    })?;
    let listed = api
        .list(
            // With every field of their templates, also those that our types don't know.
            |client| {
                Api::<DynamicObject>::namespaced_with(
                    client,
                    &subject.namespace,
                    &ApiResource::erase::<ReplicaSet>(&()),
                )
            },
            ListParams::default().labels_from(&selector),
        )
        .await;
    Ok(visible(listed, subject, "replicasets.apps")?.and_then(|sets| revisions::previous(deployment, sets)))
}

async fn autoscaler(api: &ApiServer, subject: &Subject) -> Result<Known<Autoscaler>, InspectError> {
    let listed = api
        .list(|client| Api::<HorizontalPodAutoscaler>::namespaced(client, &subject.namespace), ListParams::default())
        .await;
    let autoscalers = visible(listed, subject, "horizontalpodautoscalers.autoscaling")?;
    Ok(autoscalers.and_then(|autoscalers| ownership::autoscaler_of(&subject.name, autoscalers)))
}

/// The namespace's disruption budgets. Without the right to look they can't be heeded, and the strategy alone says what a roll-out
/// takes down.
async fn budgets(api: &ApiServer, subject: &Subject) -> Result<Known<Vec<PodDisruptionBudget>>, InspectError> {
    let listed = api
        .list(|client| Api::<PodDisruptionBudget>::namespaced(client, &subject.namespace), ListParams::default())
        .await;
    visible(listed, subject, "poddisruptionbudgets.policy")
}

/// What was listed, or that it may not be: rights that a restart doesn't need mustn't stop one, and their absence mustn't look like
/// an empty list.
fn visible<T>(
    listed: Result<Vec<T>, CallError>,
    subject: &Subject,
    resource: &str,
) -> Result<Known<Vec<T>>, InspectError> {
    match listed.map_err(|error| inspect_error(error, subject, "list", resource)) {
        Ok(objects) => Ok(Known::Is(objects)),
        Err(error @ InspectError::Forbidden { .. }) => {
            tracing::debug!(%subject, %error, "they can't be read, so they aren't considered");
            Ok(Known::NotVisible { why: error.to_string() })
        }
        Err(error) => Err(error),
    }
}

/// What became of the plan, from the object as it is now (I6).
///
/// Without our marker and with another version, only `managedFields` can tell a change of the object from its own
/// controller reporting its status, which happens all the time to a workload in trouble.
pub(super) fn outcome_of_write(deployment: &Deployment, plan: &Plan) -> WriteOutcome {
    let metadata = &deployment.metadata;
    if metadata.uid.as_deref() != Some(plan.target.uid.as_str()) {
        WriteOutcome::Gone
    } else if marker::is_marked(deployment, &plan.id) {
        WriteOutcome::AppliedByUs
    } else if is_as_decided(deployment, plan, plan.target.generation) {
        WriteOutcome::NotApplied
    } else {
        WriteOutcome::ChangedByOther
    }
}

/// Whether the object is, in all that matters, the one that was decided on: only its status may have changed since.
pub(super) fn is_as_decided(deployment: &Deployment, plan: &Plan, generation: Option<i64>) -> bool {
    let (metadata, target) = (&deployment.metadata, &plan.target);
    metadata.uid.as_deref() == Some(target.uid.as_str())
        && metadata.deletion_timestamp.is_none()
        && match generation {
            // Spec and annotations, so also paused, replicas and the marks of others: the API server counts both.
            Some(generation) => metadata.generation == Some(generation),
            None => {
                metadata.resource_version.as_deref() == Some(target.resource_version.as_str())
                    || is_untouched_since(deployment, plan.decided_at)
            }
        }
}

/// How far the plan's roll-out has come.
///
/// What counts as overwritten is the effect, not the marker: whoever takes only the marker away has stopped nothing.
pub(super) fn progress(deployment: &Deployment, plan: &Plan, is_in_effect: bool) -> Progress {
    let metadata = &deployment.metadata;
    if metadata.uid.as_deref() != Some(plan.target.uid.as_str()) || metadata.deletion_timestamp.is_some() {
        Progress::Gone
    } else if !is_in_effect {
        Progress::Overridden
    } else {
        rollout::judge(deployment)
    }
}

/// Whether every write except those of the status is older than `moment`. `false` when that isn't certain.
fn is_untouched_since(deployment: &Deployment, moment: Timestamp) -> bool {
    let entries = deployment.metadata.managed_fields.as_deref().unwrap_or_default();
    let mut spec_writes = entries.iter().filter(|entry| entry.subresource.as_deref() != Some("status"));
    let is_older = |time: i64| time < moment.as_millis().saturating_sub(CLOCK_SKEW_MAX_MS);
    let n_spec_writes = spec_writes.clone().count();
    n_spec_writes > 0
        && spec_writes.all(|entry| entry.time.as_ref().is_some_and(|time| is_older(time.0.as_millisecond())))
}

/// Sorts a failed read by what to do next.
pub(super) fn inspect_error(error: CallError, subject: &Subject, verb: &str, resource: &str) -> InspectError {
    match error {
        CallError::Answered { code: 403, .. } => InspectError::Forbidden {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            namespace: subject.namespace.clone(),
        },
        CallError::Answered { code: 404, .. } if verb == "get" => InspectError::NotFound { subject: subject.clone() },
        error @ (CallError::Answered { .. } | CallError::NoAnswer { .. }) => {
            InspectError::Unavailable { why: format!("{verb} {resource} in namespace {}: {error}", subject.namespace) }
        }
    }
}

#[cfg(test)]
mod tests;
