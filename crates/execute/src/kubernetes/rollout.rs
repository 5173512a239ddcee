//! Judging a roll-out from a Deployment's status, as `kubectl rollout status` does. Pure.

use homeostat_remediate::Progress;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};

/// The condition in which the Deployment's controller reports on the roll-out.
const PROGRESSING: &str = "Progressing";
/// Its reason once `progressDeadlineSeconds` is over. The controller itself does nothing about it.
const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
/// Its reason once the newest ReplicaSet has been fully available. It stays when pods fail later.
const COMPLETED: &str = "NewReplicaSetAvailable";

/// How far the newest roll-out has come: the conditions of `kubectl rollout status` for Deployments, in its order.
pub(super) fn judge(deployment: &Deployment) -> Progress {
    let wanted = replicas_wanted(deployment);
    let status = deployment.status.clone().unwrap_or_default();
    if !is_observed(deployment) {
        return Progress::Rolling { updated_available: 0, wanted };
    }
    if let Some(condition) = progressing(&status)
        && condition.reason.as_deref() == Some(DEADLINE_EXCEEDED)
    {
        let message = condition.message.as_deref().unwrap_or("no message");
        return Progress::Failed { why: format!("{DEADLINE_EXCEEDED}: {message}") };
    }
    let (replicas, updated, available) = counts(&status);
    if updated < wanted || replicas > updated || available < updated {
        // The status doesn't say whose the available pods are. Taking all old ones as available gives the fewest new.
        let updated_available = available.saturating_sub(replicas.saturating_sub(updated)).min(updated);
        return Progress::Rolling { updated_available, wanted };
    }
    Progress::Complete { wanted }
}

/// Whether a roll-out is going on.
///
/// Not the opposite of "complete": a Deployment whose roll-out had completed and whose pods fail now isn't
/// complete by `kubectl`'s judgement, but nothing is being rolled out, and a restart may be just what it needs. The
/// controller tells the two apart by the condition's reason, which stays `NewReplicaSetAvailable` in the second case.
pub(super) fn is_in_progress(deployment: &Deployment) -> bool {
    match judge(deployment) {
        Progress::Complete { .. } => false,
        Progress::Rolling { .. } => !(is_observed(deployment) && only_pods_are_missing(deployment)),
        // One that ran out of time may hang for ever: waiting for it would be waiting without end.
        Progress::Failed { .. } => false,
        Progress::Overridden | Progress::Gone => true,
    }
}

/// Why the newest roll-out failed, if the controller says that it did.
pub(super) fn failure(deployment: &Deployment) -> Option<String> {
    match judge(deployment) {
        Progress::Failed { why } => Some(why),
        Progress::Complete { .. } | Progress::Rolling { .. } | Progress::Overridden | Progress::Gone => None,
    }
}

/// Replicas wanted; the API's default is 1.
pub(super) fn replicas_wanted(deployment: &Deployment) -> u32 {
    let replicas = deployment.spec.replicas.unwrap_or(1);
    u32::try_from(replicas).unwrap_or(0)
}

/// Replicas available now.
pub(super) fn replicas_available(deployment: &Deployment) -> u32 {
    count(deployment.status.as_ref().and_then(|status| status.available_replicas))
}

/// Whether the status speaks of the spec as it is now.
fn is_observed(deployment: &Deployment) -> bool {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
    deployment.metadata.generation.unwrap_or(0) <= observed
}

fn only_pods_are_missing(deployment: &Deployment) -> bool {
    let Some(status) = deployment.status.as_ref() else { return false };
    let (replicas, updated, _) = counts(status);
    let completed = progressing(status).and_then(|condition| condition.reason.as_deref()) == Some(COMPLETED);
    completed && updated >= replicas_wanted(deployment) && replicas <= updated
}

fn progressing(status: &DeploymentStatus) -> Option<&DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(PROGRESSING))
}

/// All replicas, updated ones, available ones.
fn counts(status: &DeploymentStatus) -> (u32, u32, u32) {
    (count(status.replicas), count(status.updated_replicas), count(status.available_replicas))
}

fn count(value: Option<i32>) -> u32 {
    u32::try_from(value.unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
