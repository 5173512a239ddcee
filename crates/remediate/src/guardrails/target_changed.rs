//! The target must be the very object that the incident is about (I2).

use crate::decision_context::DecisionContext;
use crate::guardrails::WAIT_MAX;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct TargetChanged;

impl Guardrail for TargetChanged {
    fn codes(&self) -> &'static [&'static str] {
        &["target-changed"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (Some(_), Ok(seen)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        let incident = context.proposal.incident;
        let mut found = Vec::new();
        if seen.kind != incident.subject.kind {
            let (is, was) = (seen.kind.name(), incident.subject.kind.name());
            found.push(changed(&format!("it is a {is}, the incident is about a {was}")));
        }
        // What looks at no object has no UID to compare.
        let is_other = |uid: &str| !uid.is_empty() && !seen.uid.is_empty() && uid != seen.uid;
        if context.history.of_incident(&incident.id).any(|action| is_other(&action.plan.target.uid)) {
            found.push(changed("the object was recreated since the last attempt for this incident"));
        }
        found
    }
}

fn changed(what: &str) -> Objection {
    Objection::expect("target-changed", WAIT_MAX, format!("the target changed: {what}"))
}
