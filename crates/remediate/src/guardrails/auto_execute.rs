//! A policy may want to be asked each time.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct AutoExecuteOff;

impl Guardrail for AutoExecuteOff {
    fn codes(&self) -> &'static [&'static str] {
        &["auto-execute-off"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        if policy.auto_execute {
            return Vec::new();
        }
        let text = format!("policy {:?} has auto_execute: false", policy.name);
        vec![Objection::escalate("auto-execute-off", text).approvable().with("policy", policy.name.as_str())]
    }
}
