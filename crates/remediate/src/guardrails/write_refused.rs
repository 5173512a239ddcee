//! What was refused is refused again: never sent twice for one incident, and not soon for another one; but a human may have
//! changed the rule since.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::past_action::PastAction;

pub(super) struct WriteRefused;

impl Guardrail for WriteRefused {
    fn codes(&self) -> &'static [&'static str] {
        &["write-refused"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Ok(seen) = context.seen else { return Vec::new() };
        let (incident, limits) = (context.proposal.incident, context.limits);
        let still_refused = |action: &PastAction| {
            let is_same = action.plan.incident == incident.id;
            is_same || action.stage_at + limits.target_window > context.now
        };
        let wanted = context.proposal.action();
        let is_same_write = |action: &&PastAction| {
            // Of what looks at no object only the action tells one write from another.
            let is_same_action = !seen.uid.is_empty() || wanted == Some(&action.plan.step.action);
            action.plan.target.uid == seen.uid && is_same_action
        };
        let ended = context.history.ended(&incident.subject).filter(is_same_write);
        let refused =
            ended.filter(|action| still_refused(action)).filter_map(|action| Some((action, action.refused.as_ref()?)));
        let Some((action, why)) = refused.last() else { return Vec::new() };
        let after = &action.plan.id;
        let text = format!("{after} was refused, and would be again: {why}");
        let objection = if action.plan.incident == incident.id {
            // How the attempt ended was told.
            Objection::note("write-refused", text)
        } else {
            Objection::escalate("write-refused", text)
        };
        vec![objection.with("after", after.as_str())]
    }
}
