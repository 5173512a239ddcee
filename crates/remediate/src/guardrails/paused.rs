//! While rollouts are paused an action would do nothing.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct Paused;

impl Guardrail for Paused {
    fn codes(&self) -> &'static [&'static str] {
        &["paused"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        if context.asked.is_some_and(|asked| asked.action.works_while().paused) {
            return Vec::new();
        }
        let (Some(_), Ok(seen)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        let objection = || Objection::escalate("paused", "rollouts of the target are paused");
        (seen.paused).then(objection).into_iter().collect()
    }
}
