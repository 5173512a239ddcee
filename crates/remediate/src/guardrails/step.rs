//! What the action itself has against being done to this target.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct NoStep;

impl Guardrail for NoStep {
    fn codes(&self) -> &'static [&'static str] {
        &[]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let step = context.asked.map(|asked| &asked.step);
        step.and_then(|step| step.as_ref().err()).cloned().into_iter().collect()
    }
}
