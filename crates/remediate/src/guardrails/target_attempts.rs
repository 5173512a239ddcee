//! How often anything may be done to one workload, whatever for (I3).

use homeostat_core::format_duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct TargetAttempts;

impl Guardrail for TargetAttempts {
    fn codes(&self) -> &'static [&'static str] {
        &["target-attempts"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (limits, now) = (context.limits, context.now);
        let (max, window) = (limits.target_attempts_max, limits.target_window);
        let n = context.history.attempts_on(&context.proposal.incident.subject, window, now);
        if n < max {
            return Vec::new();
        }
        let text = format!("{n} actions of {max} were taken on this workload in the last {}", format_duration(window));
        let objection = Objection::escalate("target-attempts", text).with("n_attempts", n).with("attempts_max", max);
        vec![objection.with("window_s", window.as_secs())]
    }
}
