//! Does a policy say so, here, in this mode, with this confidence?

use homeostat_core::Mode;

use crate::decide::{Facts, features};
use crate::policy::Scope;
use crate::refusal::Refusal;

/// A policy must be there, hold here, name an action, and be allowed to act.
pub(super) fn permits(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let proposal = facts.proposal;
    let mode = facts.situation.mode.min(proposal.policy.map_or(Mode::Execute, |policy| policy.mode));
    match mode {
        Mode::Observe | Mode::Recommend => found.push(Refusal::Mode { mode }),
        Mode::Execute => {}
    }
    let Some(policy) = proposal.policy else {
        found.push(match proposal.elsewhere {
            Some(elsewhere) => Refusal::OutOfScope { policy: elsewhere.name.clone() },
            None => Refusal::NoPolicy { incident_type: proposal.incident.incident_type },
        });
        return;
    };
    let name = || policy.name.clone();
    if policy.scope == Scope::Unstated {
        found.push(Refusal::NoScope { policy: name() });
    }
    match policy.action {
        None => found.push(Refusal::NoAction { policy: name() }),
        Some(action) if !facts.situation.supported.contains(&action) => {
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
