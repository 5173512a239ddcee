//! Whatever made the incident open seems to be over: it is about to close by itself, or its cause was mended by somebody while
//! a decision waited. What counts is what the incident itself is closed by, over its newest rows.

use crate::decision_context::DecisionContext;
use crate::guardrails::WAIT_MAX;
use crate::guardrails::{Guardrail, Needs};
use crate::newest_rows::ROWS;
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
        // The same words while it lasts, whatever the rows are: each new text would be a decision of its own.
        let objection =
            || Objection::expect("signals-normal", WAIT_MAX, format!("its newest rows (of {ROWS}) are normal again"));
        context.environment.newest_rows.are_normal().then(objection).into_iter().collect()
    }
}
