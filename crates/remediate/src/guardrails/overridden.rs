//! Somebody put back what was written to this very object before. Nobody fights over a target.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::past_action::PastAction;
use crate::stage::Stage;

pub(super) struct Overridden;

impl Guardrail for Overridden {
    fn codes(&self) -> &'static [&'static str] {
        &["overridden"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Ok(seen) = context.seen else { return Vec::new() };
        let ended = context.history.ended(&context.proposal.incident.subject);
        let put_back = |action: &&PastAction| action.stage == Stage::Overridden && action.plan.target.uid == seen.uid;
        let Some(action) = ended.filter(put_back).last() else { return Vec::new() };
        let after = &action.plan.id;
        let text = format!("somebody put back what {after} wrote; doing it again would be a fight");
        vec![Objection::escalate("overridden", text).approvable().with("after", after.as_str())]
    }
}
