//! A policy that may execute may still want to be asked about some incidents or actions.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct NeedsApproval;

impl Guardrail for NeedsApproval {
    fn codes(&self) -> &'static [&'static str] {
        &["needs-approval"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let proposal = context.proposal;
        let (Some(policy), Some(wanted)) = (proposal.policy, proposal.wanted) else { return Vec::new() };
        let mut found = Vec::new();
        if policy.approval.for_actions.contains(&wanted.name) {
            let text = format!("policy {:?} wants {} to be approved", policy.name, wanted.name);
            found.push(Objection::escalate("needs-approval", text).with("action", wanted.name.as_str()));
        }
        let lower = proposal.incident.confidence.lower;
        if let Some(below) = policy.approval.below_confidence
            && lower < below
        {
            let (lower, below) = (lower.value(), below.value());
            let text = format!(
                "policy {:?} wants to be approved where the confidence's lower bound is below {below:.2}; it is {lower:.2}",
                policy.name
            );
            found.push(Objection::escalate("needs-approval", text).with("lower", lower).with("below", below));
        }
        found.into_iter().map(Objection::approvable).collect()
    }
}
