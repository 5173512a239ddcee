//! Does a policy say so, here, in this mode, with this confidence?

use std::time::Duration;

use homeostat_core::{IncidentType, Mode};

use crate::decide::{Facts, features};
use crate::policy::Scope;
use crate::refusal::Refusal;

/// A policy must be there, hold here, name an action, and be allowed to act.
pub(super) fn permits(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let proposal = facts.proposal;
    let mode = facts.context.mode.min(proposal.policy.map_or(Mode::Execute, |policy| policy.mode));
    match mode {
        Mode::Observe | Mode::Recommend => found.push(Refusal::Mode { mode }),
        Mode::Execute => {}
    }
    let Some(policy) = proposal.policy else {
        found.push(match proposal.elsewhere {
            Some(elsewhere) => Refusal::OutOfScope { policy: elsewhere.name.clone() },
            None => no_policy(facts),
        });
        return;
    };
    let name = || policy.name.clone();
    if policy.scope == Scope::Unstated {
        found.push(Refusal::NoScope { policy: name() });
    }
    match policy.action {
        None => found.push(Refusal::NoAction { policy: name() }),
        Some(action) if !facts.context.supported.contains(&action) => {
            found.push(Refusal::UnsupportedAction { action });
        }
        Some(_) => {}
    }
    if let Some(why) = facts.history.frozen.get(&policy.name) {
        found.push(Refusal::PolicyFrozen { policy: name(), why: why.clone() });
    }
    if !policy.auto_execute {
        found.push(Refusal::AutoExecuteOff { policy: name() });
    }
}

/// An incident found early has signals that don't say yet what it is. It gets this long to be typed before a human is called;
/// a fault that is found at its first stirrings leaves that time, and one that strikes hard is typed at once.
const TYPING_GRACE: Duration = Duration::from_secs(300);

fn no_policy(facts: &Facts<'_>) -> Refusal {
    let incident = facts.proposal.incident;
    let left = TYPING_GRACE.saturating_sub(facts.now.since(incident.opened_at));
    if incident.incident_type == IncidentType::Unknown && !left.is_zero() {
        return Refusal::NotTypedYet { wait_s: left.as_secs() };
    }
    Refusal::NoPolicy { incident_type: incident.incident_type }
}

/// The confidence's lower bound must reach the threshold, rest on enough outcomes (I31), and recovery must be verifiable.
pub(super) fn is_sure(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let Some(policy) = facts.proposal.policy else { return };
    let calibrated = facts.proposal.incident.confidence;
    let threshold = policy.confidence_threshold;
    // Equal passes. A confidence can't be NaN, so the comparison always means something.
    if calibrated.lower < threshold {
        found.push(Refusal::LowConfidence { lower: calibrated.lower, confidence: calibrated.confidence, threshold });
    }
    if calibrated.n_outcomes < policy.outcomes_min {
        found.push(Refusal::TooFewOutcomes { n_outcomes: calibrated.n_outcomes, outcomes_min: policy.outcomes_min });
    }
    if features(facts.proposal.incident).is_empty() {
        found.push(Refusal::NotVerifiable);
    }
}
