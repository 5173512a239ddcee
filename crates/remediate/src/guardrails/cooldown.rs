//! Nothing is done to a workload for a while after an action on it has ended (I4). A clock that steps back leaves more of it
//! to wait, never less (I28).

use std::time::Duration;

use homeostat_core::format_duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::past_action::PastAction;
use crate::stage::Stage;

/// The cooldown after an attempt that surely wrote nothing: two usual cycles, so that what was in its way has changed.
const NOT_APPLIED_COOLDOWN: Duration = Duration::from_secs(60);

pub(super) struct Cooldown;

impl Guardrail for Cooldown {
    fn codes(&self) -> &'static [&'static str] {
        &["cooldown-active", "just-recovered"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (proposal, now) = (context.proposal, context.now);
        let Some(policy) = proposal.policy else { return Vec::new() };
        let over_at = |action: &PastAction| {
            // The cooldown is its own policy's or this one's, whichever is longer.
            let own = proposal.policies.iter().find(|other| other.name == action.plan.policy);
            let own = own.map_or(Duration::ZERO, |other| other.cooldown_after_action);
            let cooldown = own.max(policy.cooldown_after_action);
            // What wrote nothing changed nothing that would have to settle.
            let wrote_nothing = action.stage == Stage::NotApplied;
            action.stage_at + if wrote_nothing { cooldown.min(NOT_APPLIED_COOLDOWN) } else { cooldown }
        };
        let last = context.history.ended(&proposal.incident.subject).max_by_key(|action| over_at(action));
        let Some(last) = last.filter(|last| over_at(last) > now) else { return Vec::new() };
        let (until, after) = (over_at(last), &last.plan.id);
        let remaining = until.since(now);
        // Rounded up: "0s remain" would read as over.
        let remaining_s = remaining.as_secs() + u64::from(remaining.subsec_millis() > 0);
        let left = format_duration(Duration::from_secs(remaining_s));
        let text = format!("{left} of the cooldown after {after} remain");
        let same_incident = last.plan.incident == proposal.incident.id;
        let objection = if same_incident {
            // The next attempt comes when it is over; how the last one ended was told.
            Objection::wait("cooldown-active", until, text)
        } else {
            Objection::escalate("cooldown-active", text)
        };
        let mut found = vec![objection.with("remaining_s", remaining_s).with("after", after.as_str())];
        if same_incident && last.stage == Stage::Recovered {
            // It only waits to close; should it not, the end of the cooldown asks again.
            let text = format!("{after} was verified to have helped; the incident is about to close");
            found.push(Objection::note("just-recovered", text).with("after", after.as_str()));
        }
        found
    }
}
