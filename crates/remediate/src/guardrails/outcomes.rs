//! The confidence must rest on enough labelled outcomes (I31), unless the cluster itself says what it is.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct TooFewOutcomes;

impl Guardrail for TooFewOutcomes {
    fn codes(&self) -> &'static [&'static str] {
        &["too-few-outcomes"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        if context.proposal.incident.established_by().is_some() {
            return Vec::new();
        }
        let (n_outcomes, outcomes_min) = (context.proposal.incident.confidence.n_outcomes, policy.outcomes_min);
        if n_outcomes >= outcomes_min {
            return Vec::new();
        }
        let text = format!("the confidence rests on {n_outcomes} labelled outcomes, {outcomes_min} are needed");
        let objection = Objection::escalate("too-few-outcomes", text).approvable();
        vec![objection.with("n_outcomes", n_outcomes).with("outcomes_min", outcomes_min)]
    }
}
