//! The policy must name an action, and one that can be done here.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct NoAction;

impl Guardrail for NoAction {
    fn codes(&self) -> &'static [&'static str] {
        &["no-action", "ladder-ended", "unsupported-action"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        let objection = match (&policy.action, context.proposal.wanted) {
            (None, _) => {
                let text = format!("policy {:?} names no action", policy.name);
                Objection::escalate("no-action", text).with("policy", policy.name.as_str())
            }
            (Some(first), None) => {
                let steps: Vec<&str> = first.steps().map(|action| action.name.as_str()).collect();
                let text = format!("every step of policy {:?} was tried: {}", policy.name, steps.join(", "));
                Objection::escalate("ladder-ended", text).with("policy", policy.name.as_str())
            }
            (Some(_), Some(action)) if context.environment.actions.get(&action.name).is_none() => {
                let text = format!("the executor can't do {}", action.name);
                Objection::escalate("unsupported-action", text).with("action", action.name.as_str())
            }
            (Some(_), Some(_)) => return Vec::new(),
        };
        vec![objection]
    }
}
