//! Somebody else's rollout is going on; it ends, or it fails (I23).

use crate::decision_context::DecisionContext;
use crate::guardrails::WAIT_MAX;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct RolloutInProgress;

impl Guardrail for RolloutInProgress {
    fn codes(&self) -> &'static [&'static str] {
        &["rollout-in-progress"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        if context.asked.is_some_and(|asked| asked.action.works_while().rolling_out) {
            return Vec::new();
        }
        let (Some(_), Ok(seen)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        let objection = || Objection::expect("rollout-in-progress", WAIT_MAX, "a rollout of the target is going on");
        (seen.rollout_in_progress).then(objection).into_iter().collect()
    }
}
