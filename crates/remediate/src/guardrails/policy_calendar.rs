//! A policy acts within its hours only, and starts nothing that may last into a freeze (I29).

use crate::decision_context::{DecisionContext, ends_within};
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct OutsideCalendar;

impl Guardrail for OutsideCalendar {
    fn codes(&self) -> &'static [&'static str] {
        &["outside-hours", "change-freeze"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        let (calendar, now) = (&policy.calendar, context.now);
        let mut found = Vec::new();
        if !calendar.allows(now) {
            let hours: Vec<String> = calendar.allowed.iter().map(ToString::to_string).collect();
            let (hours, zone) = (hours.join(", "), &calendar.timezone.name);
            let text = format!("policy {:?} acts within {hours} ({zone}) only", policy.name);
            found.push(Objection::escalate("outside-hours", text).with("hours", hours).with("timezone", zone.as_str()));
        }
        if let Some(freeze) = calendar.freeze_within(now, now + ends_within(policy, context.limits)) {
            let text = format!("the freeze {:?} lasts from {} to {}", freeze.name, freeze.from, freeze.to);
            found.push(Objection::escalate("change-freeze", text).with("name", freeze.name.as_str()));
        }
        found.into_iter().map(Objection::approvable).collect()
    }
}
