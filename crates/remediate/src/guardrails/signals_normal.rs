//! Whatever made the incident open, its newest measurements are normal: it is about to close by itself, or its cause was
//! mended by somebody while a decision waited.

use crate::decision_context::DecisionContext;
use crate::guardrails::WAIT_MAX;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct SignalsNormal;

impl Guardrail for SignalsNormal {
    fn codes(&self) -> &'static [&'static str] {
        &["signals-normal"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let objection = || Objection::expect("signals-normal", WAIT_MAX, "its newest measurements are normal");
        context.environment.signals_normal.then(objection).into_iter().collect()
    }
}
