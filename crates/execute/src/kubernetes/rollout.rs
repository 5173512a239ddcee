//! Judging a rollout from a workload's status, as `kubectl rollout status` does. Pure.

use homeostat_remediate::Progress;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, DeploymentCondition, DeploymentStatus, StatefulSet};

use super::workload::{Typed, Workload};

/// The condition in which the Deployment's controller reports on the rollout.
const PROGRESSING: &str = "Progressing";
/// Its reason once `progressDeadlineSeconds` is over. The controller itself does nothing about it.
const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
/// Its reason once the newest ReplicaSet has been fully available. It stays when pods fail later.
const COMPLETED: &str = "NewReplicaSetAvailable";

/// What a status says, whatever the kind.
struct Counts {
    /// Whether the status speaks of the spec as it is now.
    is_observed: bool,
    wanted: u32,
    available: u32,
    /// New pods that are available.
    updated_available: u32,
    /// Whether `kubectl rollout status` would say that it is over.
    is_complete: bool,
    /// Whether pods are still to be replaced. When it isn't complete and this is false, pods failed after their rollout.
    is_replacing: bool,
    /// Why the controller gave up. Only a Deployment's does.
    failed: Option<String>,
}

/// How far the newest rollout has come.
pub(super) fn judge(workload: &Workload) -> Progress {
    let counts = counts(workload);
    let (updated_available, wanted) = (counts.updated_available, counts.wanted);
    if !counts.is_observed {
        Progress::Rolling { updated_available: 0, wanted }
    } else if let Some(why) = counts.failed {
        Progress::Failed { why }
    } else if counts.is_complete {
        Progress::Complete { wanted }
    } else {
        Progress::Rolling { updated_available, wanted }
    }
}

/// Whether a rollout is going on.
///
/// Not the opposite of "complete": a workload whose rollout had completed and whose pods fail now isn't
/// complete by `kubectl`'s judgement, but nothing is being rolled out, and a restart may be just what it needs. One that ran out of
/// time may hang for ever: waiting for it would be waiting without end.
pub(super) fn is_in_progress(workload: &Workload) -> bool {
    let counts = counts(workload);
    !counts.is_observed || (counts.failed.is_none() && !counts.is_complete && counts.is_replacing)
}

/// Why the newest rollout failed, if the controller says that it did.
pub(super) fn failure(workload: &Workload) -> Option<String> {
    let counts = counts(workload);
    counts.failed.filter(|_| counts.is_observed)
}

/// Replicas wanted: of a DaemonSet, one on each node that it fits.
pub(super) fn replicas_wanted(workload: &Workload) -> u32 {
    counts(workload).wanted
}

/// Replicas available now.
pub(super) fn replicas_available(workload: &Workload) -> u32 {
    counts(workload).available
}

fn counts(workload: &Workload) -> Counts {
    match &workload.typed {
        Typed::Deployment(of) => of_deployment(of),
        Typed::StatefulSet(of) => of_stateful_set(of),
        Typed::DaemonSet(of) => of_daemon_set(of),
    }
}

fn of_deployment(deployment: &Deployment) -> Counts {
    let wanted = count_or(deployment.spec.replicas, 1);
    let status = deployment.status.clone().unwrap_or_default();
    let (replicas, updated) = (count_or(status.replicas, 0), count_or(status.updated_replicas, 0));
    let available = count_or(status.available_replicas, 0);
    let condition = progressing(&status);
    let reason = condition.and_then(|condition| condition.reason.as_deref());
    let all_are_new = updated >= wanted && replicas <= updated;
    let failed = condition.filter(|_| reason == Some(DEADLINE_EXCEEDED)).map(|condition| {
        let message = condition.message.as_deref().unwrap_or("no message");
        format!("{DEADLINE_EXCEEDED}: {message}")
    });
    Counts {
        is_observed: is_observed(deployment.metadata.generation, status.observed_generation),
        wanted,
        available,
        // The status doesn't say whose the available pods are. Taking all old ones as available gives the fewest new.
        updated_available: available.saturating_sub(replicas.saturating_sub(updated)).min(updated),
        is_complete: all_are_new && available >= updated,
        // The controller tells a rollout from failing pods by the condition's reason, which stays in the second case.
        is_replacing: !(reason == Some(COMPLETED) && all_are_new),
        failed,
    }
}

/// A StatefulSet has no deadline: one that is stuck goes on for ever. `currentRevision` becomes `updateRevision` when all pods are
/// new and ready, and stays it when they fail later.
fn of_stateful_set(set: &StatefulSet) -> Counts {
    let wanted = count_or(set.spec.replicas, 1);
    let status = set.status.clone().unwrap_or_default();
    let ready = count_or(status.ready_replicas, 0);
    let updated = count_or(status.updated_replicas, 0);
    let strategy = set.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    // Pods with a lower ordinal are kept at the old revision on purpose.
    let kept = count_or(strategy.and_then(|rolling| rolling.partition), 0);
    let is_replacing = if kept > 0 {
        updated < wanted.saturating_sub(kept)
    } else {
        status.update_revision != status.current_revision
    };
    Counts {
        is_observed: is_observed(set.metadata.generation, status.observed_generation),
        wanted,
        available: count_or(status.available_replicas, ready),
        updated_available: updated.min(ready),
        is_complete: ready >= wanted && !is_replacing,
        is_replacing,
        failed: None,
    }
}

fn of_daemon_set(set: &DaemonSet) -> Counts {
    let status = set.status.clone().unwrap_or_default();
    let wanted = count_or(Some(status.desired_number_scheduled), 0);
    let updated = count_or(status.updated_number_scheduled, 0);
    let available = count_or(status.number_available, 0);
    Counts {
        is_observed: is_observed(set.metadata.generation, status.observed_generation),
        wanted,
        available,
        updated_available: updated.min(available),
        is_complete: updated >= wanted && available >= wanted,
        is_replacing: updated < wanted,
        failed: None,
    }
}

/// Whether the status speaks of the spec as it is now.
fn is_observed(generation: Option<i64>, observed: Option<i64>) -> bool {
    generation.unwrap_or(0) <= observed.unwrap_or(0)
}

fn progressing(status: &DeploymentStatus) -> Option<&DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(PROGRESSING))
}

fn count_or(value: Option<i32>, default: u32) -> u32 {
    value.map_or(default, |value| u32::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests;
