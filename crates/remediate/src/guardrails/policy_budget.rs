//! How often a policy may act on all its workloads together (I3).

use homeostat_core::format_duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct PolicyBudget;

impl Guardrail for PolicyBudget {
    fn codes(&self) -> &'static [&'static str] {
        &["policy-budget"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        let Some(budget) = policy.budget else { return Vec::new() };
        let n = context.history.attempts_of_policy(&policy.name, budget.window, context.now);
        if n < budget.max {
            return Vec::new();
        }
        let window = format_duration(budget.window);
        let text = format!("policy {:?} has acted {n} times of {} in the last {window}", policy.name, budget.max);
        let objection = Objection::escalate("policy-budget", text).with("n_actions", n);
        vec![objection.with("actions_max", budget.max).with("window_s", budget.window.as_secs())]
    }
}
