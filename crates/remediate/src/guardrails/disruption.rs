//! What would the action take down? (I19, I20) A rollout that takes everything down before anything new is there is an
//! outage, and where new pods don't start it stays one.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct TakesTooMuchDown;

impl Guardrail for TakesTooMuchDown {
    fn codes(&self) -> &'static [&'static str] {
        &["takes-all-down", "disruption-budget"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Ok(seen) = context.seen else { return Vec::new() };
        let of_step = context.asked.and_then(|asked| Some(asked.action.disruption(&asked.step.as_ref().ok()?.0, seen)));
        let (disruption, wanted) = (of_step.unwrap_or_else(|| seen.disruption.clone()), seen.replicas_wanted);
        let mut found = Vec::new();
        let mut all_down = |why: &str| {
            let text = format!("it would take all replicas down at once: {why}");
            found.push(Objection::escalate("takes-all-down", text).approvable());
        };
        if disruption.is_recreate {
            all_down("its strategy is Recreate");
        } else if wanted > 0 && disruption.unavailable_max >= wanted {
            all_down(&format!("all {wanted} pods may be missing at once"));
        }
        // A budget says what its owner allows to be taken down on purpose.
        // One that can't be seen isn't heeded: the right to list budgets is optional, and the strategy alone bounds what is missing.
        let budget = disruption.budget.value();
        if let Some(budget) = budget.filter(|budget| budget.allowed == 0) {
            let text = format!("the disruption budget {:?} allows no pod to be taken down now", budget.name);
            found.push(Objection::escalate("disruption-budget", text).approvable().with("name", budget.name.as_str()));
        }
        found
    }
}
