//! Is the target as it is now fit to be acted on? Not knowing is a refusal.

use homeostat_core::ActionKind;

use crate::decide::Facts;
use crate::inspect_error::InspectError;
use crate::inspected::Inspected;
use crate::refusal::Refusal;

/// Whether what was seen of the target allows acting on it.
pub(super) fn ready(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    if facts.proposal.policy.is_none() {
        // Nothing is to be done, so nobody looked.
        return;
    }
    match facts.seen {
        Ok(seen) => {
            fresh(facts, seen, found);
            same(facts, seen, found);
            still(facts, seen, found);
        }
        Err(error) => found.push(match error {
            InspectError::NotFound { .. } => Refusal::TargetNotFound { why: error.to_string() },
            InspectError::NotAsked => return,
            InspectError::Unavailable { .. } => Refusal::ClusterUnavailable { why: error.to_string() },
            InspectError::Forbidden { .. } | InspectError::Unsupported { .. } | InspectError::NotConfigured { .. } => {
                Refusal::NotInspected { why: error.to_string() }
            }
        }),
    }
}

/// Seen lately (I8), and not in the future: then the clock stepped back and nobody knows how long ago it was (I28).
fn fresh(facts: &Facts<'_>, seen: &Inspected, found: &mut Vec<Refusal>) {
    if seen.seen_at > facts.now || facts.now.since(seen.seen_at) > facts.limits.inspection_age_max {
        found.push(Refusal::StaleDecision { why: format!("the target was looked at {}", seen.seen_at) });
    }
}

/// The very object that the incident is about (I2).
fn same(facts: &Facts<'_>, seen: &Inspected, found: &mut Vec<Refusal>) {
    let incident = facts.proposal.incident;
    if seen.kind != incident.subject.kind {
        let why = format!("it is a {}, the incident is about a {}", seen.kind.name(), incident.subject.kind.name());
        found.push(Refusal::TargetChanged { why });
    }
    if facts.history.of_incident(&incident.id).any(|action| action.plan.target.uid != seen.uid) {
        let why = "the object was made anew since the last attempt for this incident".to_owned();
        found.push(Refusal::TargetChanged { why });
    }
}

/// Nobody else is at work on it, and the action can do something.
fn still(facts: &Facts<'_>, seen: &Inspected, found: &mut Vec<Refusal>) {
    if seen.replicas_wanted == 0 {
        found.push(Refusal::ScaledToZero);
    }
    if seen.rollout_in_progress {
        found.push(Refusal::RolloutInProgress);
    }
    // Going back is what helps then; a restart would only start a second one that hangs.
    if let Some(why) = &seen.rollout_failed
        && facts.proposal.action() != Some(ActionKind::RolloutUndo)
    {
        found.push(Refusal::RolloutFailed { why: why.clone() });
    }
    if seen.paused {
        found.push(Refusal::Paused);
    }
    if let Some(owner) = &seen.owner {
        let (owner, seen_by) = (owner.name.clone(), owner.seen_by.clone());
        found.push(Refusal::GitopsManaged { owner, seen_by });
    }
    if facts.proposal.action() == Some(ActionKind::RolloutUndo) && seen.revision_previous.is_none() {
        found.push(Refusal::NoPreviousRevision);
    }
}
