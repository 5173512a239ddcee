//! A person said no (I25): the same action isn't proposed again for this incident.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct Rejected;

impl Guardrail for Rejected {
    fn codes(&self) -> &'static [&'static str] {
        &["rejected"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(pending) = context.history.pending.get(&context.proposal.incident.id) else { return Vec::new() };
        let Some(rejection) = pending.rejection() else { return Vec::new() };
        let action = &pending.plan().step.action;
        if context.proposal.action() != Some(action) {
            return Vec::new();
        }
        let note = if rejection.note.is_empty() { String::new() } else { format!(": {}", rejection.note) };
        let text = format!("{} rejected {action} at {}{note}", rejection.by, rejection.at);
        vec![Objection::note("rejected", text).with("by", rejection.by.as_str())]
    }
}
