//! One action at a time over all targets, which includes one at a time on each (I1).

use crate::decision_context::DecisionContext;
use crate::guardrails::WAIT_MAX;
use crate::guardrails::{Guardrail, Needs};
use crate::limits::ACTIONS_IN_FLIGHT_MAX;
use crate::objection::Objection;

pub(super) struct InFlight;

impl Guardrail for InFlight {
    fn codes(&self) -> &'static [&'static str] {
        &["in-flight"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        if context.history.in_flight().count() < ACTIONS_IN_FLIGHT_MAX {
            return Vec::new();
        }
        let Some(action) = context.history.in_flight().next() else { return Vec::new() };
        let (plan, subject) = (&action.plan.id, &action.plan.target.subject);
        let objection = Objection::expect("in-flight", WAIT_MAX, format!("{plan} is still in flight on {subject}"));
        vec![objection.with("plan", plan.as_str()).with("subject", subject.to_string())]
    }
}
