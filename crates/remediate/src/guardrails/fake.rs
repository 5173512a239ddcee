//! A guardrail for tests: what registering one takes.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// The workload that it objects to.
pub(super) const FAKE_NAME: &str = "fake-guardrail";

pub(super) struct Fake;

impl Guardrail for Fake {
    fn codes(&self) -> &'static [&'static str] {
        &["fake"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let objects = context.proposal.incident.subject.name == FAKE_NAME;
        objects.then(|| Objection::escalate("fake", "the fake objects to its own name")).into_iter().collect()
    }
}
