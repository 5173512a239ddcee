//! Somebody keeps the target as it is, and would put back what is changed in place (I22).

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct ManagedByOther;

impl Guardrail for ManagedByOther {
    fn codes(&self) -> &'static [&'static str] {
        &["gitops-managed"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (Some(_), Ok(seen)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        let Some(owner) = &seen.owner else { return Vec::new() };
        let text = format!(
            "{} manages the target ({}) and would put it back: act there, or set the annotation \
             homeostat.io/act-in-place: \"true\" if changes in place are accepted",
            owner.name, owner.seen_by
        );
        let objection = Objection::escalate("gitops-managed", text).with("owner", owner.name.as_str());
        vec![objection.with("seen_by", owner.seen_by.as_str())]
    }
}
