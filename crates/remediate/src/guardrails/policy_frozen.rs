//! A policy that made something worse is stopped until a human releases it (I17).

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct PolicyFrozen;

impl Guardrail for PolicyFrozen {
    fn codes(&self) -> &'static [&'static str] {
        &["policy-frozen"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        let Some(why) = context.history.frozen.get(&policy.name) else { return Vec::new() };
        let text = format!("policy {:?} is stopped since it made something worse: {why}", policy.name);
        vec![Objection::escalate("policy-frozen", text).with("policy", policy.name.as_str())]
    }
}
