//! Somebody stopped automation (I11).

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct KillSwitchEngaged;

impl Guardrail for KillSwitchEngaged {
    fn codes(&self) -> &'static [&'static str] {
        &["kill-switch"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let switch = context.environment.kill_switch;
        let objection = || Objection::escalate("kill-switch", format!("automation is stopped: {}", switch.why));
        switch.engaged.then(objection).into_iter().collect()
    }
}
