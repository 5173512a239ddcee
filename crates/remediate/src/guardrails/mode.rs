//! How far homeostat, or the policy, may go (I30).

use homeostat_core::Mode;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct ModeBelowExecute;

impl Guardrail for ModeBelowExecute {
    fn codes(&self) -> &'static [&'static str] {
        &["mode"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let of_policy = context.proposal.policy.map_or(Mode::Execute, |policy| policy.mode);
        let mode = context.environment.mode.min(of_policy);
        let text = format!("the mode is {mode}");
        let objection = match mode {
            // Nothing leaves.
            Mode::Observe => Objection::note("mode", text),
            // A proposal is for a human to see.
            Mode::Recommend => Objection::escalate("mode", text).approvable(),
            Mode::Execute => return Vec::new(),
        };
        vec![objection.with("mode", mode.to_string())]
    }
}
