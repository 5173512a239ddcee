//! Only an open incident is acted on.

use homeostat_core::IncidentState;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct IncidentNotOpen;

impl Guardrail for IncidentNotOpen {
    fn codes(&self) -> &'static [&'static str] {
        &["incident-not-open"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (code, state) = ("incident-not-open", context.proposal.incident.state);
        let objection = match state {
            IncidentState::Open => return Vec::new(),
            // Data that went silent doesn't say that anything recovered.
            IncidentState::Stale => Objection::escalate(code, "the incident's data went silent"),
            IncidentState::Resolved | IncidentState::Rebaselined | IncidentState::Expired => {
                Objection::note(code, "the incident isn't open any more")
            }
        };
        vec![objection.with("state", serde_json::to_value(state).unwrap_or_default())]
    }
}
