//! A policy without a scope only proposes (I10).

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::policy::Scope;

pub(super) struct NoScope;

impl Guardrail for NoScope {
    fn codes(&self) -> &'static [&'static str] {
        &["no-scope"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        if policy.scope != Scope::Unstated {
            return Vec::new();
        }
        let text = format!("policy {:?} names no scope; add `scope: {{namespaces: [...]}}` to let it act", policy.name);
        vec![Objection::escalate("no-scope", text).approvable().with("policy", policy.name.as_str())]
    }
}
