//! Too many incidents at once for single actions (I18).

use crate::decision_context::DecisionContext;
use crate::decision_context::n_going_on;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct InStorm;

impl Guardrail for InStorm {
    fn codes(&self) -> &'static [&'static str] {
        &["storm"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (n_open, open_max) = (n_going_on(context.environment.open), context.limits.open_max);
        if !context.environment.is_storm && n_open <= open_max {
            return Vec::new();
        }
        let text = format!("{n_open} incidents are open, more than {open_max}: that isn't for single actions");
        // One call for the whole storm, which the driver makes when it begins.
        vec![Objection::note("storm", text).with("n_open", n_open).with("open_max", open_max)]
    }
}
