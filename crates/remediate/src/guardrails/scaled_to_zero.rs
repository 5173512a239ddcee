//! What is scaled to zero is meant to do nothing.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct ScaledToZero;

impl Guardrail for ScaledToZero {
    fn codes(&self) -> &'static [&'static str] {
        &["scaled-to-zero"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (Some(_), Ok(seen)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        let objection = || Objection::escalate("scaled-to-zero", "the target is scaled to zero");
        (seen.replicas_wanted == 0).then(objection).into_iter().collect()
    }
}
