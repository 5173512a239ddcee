//! What is known is too old to act on, or from the future: then the clock stepped back and nobody knows its age (I8, I28).

use homeostat_core::IncidentState;

use crate::decision_context::DecisionContext;
use crate::guardrails::WAIT_MAX;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct Stale;

impl Guardrail for Stale {
    fn codes(&self) -> &'static [&'static str] {
        &["stale-decision"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (incident, limits, now) = (context.proposal.incident, context.limits, context.now);
        let mut found = Vec::new();
        if incident.state == IncidentState::Open {
            if incident.updated_at > now {
                let text =
                    format!("the incident is of {}, later than now: the clock stepped back", incident.updated_at);
                found.push(too_old(&text));
            } else if now.since(incident.updated_at) > limits.incident_age_max {
                found.push(too_old(&format!("nothing was heard of the incident since {}", incident.updated_at)));
            }
        }
        if let Ok(seen) = context.seen
            && (seen.seen_at > now || now.since(seen.seen_at) > limits.inspection_age_max)
        {
            found.push(too_old(&format!("the target was looked at {}", seen.seen_at)));
        }
        found
    }
}

fn too_old(what: &str) -> Objection {
    Objection::expect("stale-decision", WAIT_MAX, format!("what is known is too old to act on: {what}"))
}
