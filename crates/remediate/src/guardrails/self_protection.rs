//! Homeostat itself, and what it needs, is left alone (I27).

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct SelfProtection;

impl Guardrail for SelfProtection {
    fn codes(&self) -> &'static [&'static str] {
        &["self-protection"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let subject = &context.proposal.incident.subject;
        let what = if context.limits.own_namespaces.contains(&subject.namespace) {
            format!("namespace {}", subject.namespace)
        } else if context.limits.own_subjects.contains(subject) {
            subject.to_string()
        } else {
            return Vec::new();
        };
        let text = format!("homeostat doesn't act on {what}, which it needs itself");
        vec![Objection::escalate("self-protection", text).with("what", what)]
    }
}
