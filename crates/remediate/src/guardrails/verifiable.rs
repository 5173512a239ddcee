//! Some signal must have opened the incident, or nothing could show that it recovered.

use crate::decision_context::DecisionContext;
use crate::decision_context::features;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct NotVerifiable;

impl Guardrail for NotVerifiable {
    fn codes(&self) -> &'static [&'static str] {
        &["not-verifiable"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        if context.proposal.policy.is_none() || !features(context.proposal.incident).is_empty() {
            return Vec::new();
        }
        vec![Objection::escalate("not-verifiable", "no signal opened the incident by which recovery could be verified")]
    }
}
