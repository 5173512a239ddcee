//! How much was done already: attempts (I3), cooldown (I4), actions in flight and starts (I1, I18).
//!
//! Every comparison grows stricter when the clock steps back (I28): an earlier `now` leaves more attempts inside their
//! windows and more of a cooldown to wait.

use std::time::Duration;

use homeostat_core::Subject;

use crate::decide::Facts;
use crate::history::PastAction;
use crate::limits::ACTIONS_IN_FLIGHT_MAX;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::stage::Stage;

/// The cooldown after an attempt that surely wrote nothing: two usual cycles, so that what was in its way has changed.
const NOT_APPLIED_COOLDOWN: Duration = Duration::from_secs(60);

/// Attempts for one incident that wrote nothing. They cost no budget; but what failed three times in a row to be written
/// won't be written by trying on.
const NOT_APPLIED_MAX: u32 = 3;

/// Whether there is budget left.
pub(super) fn left(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let subject = &facts.proposal.incident.subject;
    in_flight(facts, found);
    if let Some(policy) = facts.proposal.policy {
        cooldown(facts, policy, subject, found);
        attempts(facts, policy, subject, found);
    }
    let limits = facts.limits;
    let n_attempts = facts.history.attempts_on(subject, limits.target_window, facts.now);
    if n_attempts >= limits.target_attempts_max {
        found.push(Refusal::TargetAttempts {
            n_attempts,
            attempts_max: limits.target_attempts_max,
            window_s: limits.target_window.as_secs(),
        });
    }
    let n_starts = facts.history.starts(limits.starts_window, facts.now);
    if n_starts >= limits.starts_max {
        let window_s = limits.starts_window.as_secs();
        found.push(Refusal::StartLimit { n_starts, starts_max: limits.starts_max, window_s });
    }
}

/// One at a time over all targets, which includes one at a time on each (I1).
fn in_flight(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    if facts.history.in_flight().count() >= ACTIONS_IN_FLIGHT_MAX
        && let Some(action) = facts.history.in_flight().next()
    {
        found.push(Refusal::InFlight { plan: action.plan.id.clone(), subject: action.plan.target.subject.clone() });
    }
}

/// The cooldown after an action is its own policy's or this one's, whichever is longer (I4).
fn cooldown(facts: &Facts<'_>, policy: &Policy, subject: &Subject, found: &mut Vec<Refusal>) {
    let over_at = |action: &PastAction| {
        let own = facts.proposal.policies.iter().find(|other| other.name == action.plan.policy);
        let own = own.map_or(Duration::ZERO, |other| other.cooldown_after_action);
        let cooldown = own.max(policy.cooldown_after_action);
        // What wrote nothing changed nothing that would have to settle.
        let cooldown = if action.stage == Stage::NotApplied { cooldown.min(NOT_APPLIED_COOLDOWN) } else { cooldown };
        action.stage_at + cooldown
    };
    let Some(last) = facts.history.ended(subject).max_by_key(|action| over_at(action)) else { return };
    if over_at(last) > facts.now {
        let remaining = over_at(last).since(facts.now);
        // Rounded up: "0s remain" would read as over.
        let remaining_s = remaining.as_secs() + u64::from(remaining.subsec_millis() > 0);
        let same_incident = last.plan.incident == facts.proposal.incident.id;
        found.push(Refusal::CooldownActive { remaining_s, after: last.plan.id.clone(), same_incident });
        if same_incident && last.stage == Stage::Recovered {
            found.push(Refusal::JustRecovered { after: last.plan.id.clone() });
        }
    }
}

fn attempts(facts: &Facts<'_>, policy: &Policy, subject: &Subject, found: &mut Vec<Refusal>) {
    let kind = facts.proposal.incident.incident_type;
    let mut n_attempts = facts.history.attempts(subject, kind, policy.attempts_window, facts.now);
    let n_not_applied = facts.history.not_applied(&facts.proposal.incident.id);
    if n_not_applied >= NOT_APPLIED_MAX {
        n_attempts = n_attempts.saturating_add(n_not_applied).max(policy.max_attempts);
    }
    if n_attempts >= policy.max_attempts {
        found.push(Refusal::MaxAttempts {
            n_attempts,
            max_attempts: policy.max_attempts,
            window_s: policy.attempts_window.as_secs(),
        });
    }
}
