//! How often the policy may try on one workload for one type of incident (I3). A clock that steps back leaves more attempts
//! inside the window, never fewer (I28).

use homeostat_core::format_duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// Attempts for one incident that wrote nothing. They cost no budget; but what failed three times in a row to be written
/// won't be written by trying on.
const NOT_APPLIED_MAX: u32 = 3;

pub(super) struct MaxAttempts;

impl Guardrail for MaxAttempts {
    fn codes(&self) -> &'static [&'static str] {
        &["max-attempts"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (incident, history) = (context.proposal.incident, context.history);
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        let (max_attempts, window) = (policy.max_attempts, policy.attempts_window);
        let mut n_attempts = history.attempts(&incident.subject, incident.incident_type, window, context.now);
        let n_not_applied = history.not_applied(&incident.id);
        if n_not_applied >= NOT_APPLIED_MAX {
            n_attempts = n_attempts.saturating_add(n_not_applied).max(max_attempts);
        }
        if n_attempts < max_attempts {
            return Vec::new();
        }
        let text = format!("{n_attempts} of {max_attempts} attempts were made in the last {}", format_duration(window));
        let objection = Objection::escalate("max-attempts", text).with("n_attempts", n_attempts);
        vec![objection.with("max_attempts", max_attempts).with("window_s", window.as_secs())]
    }
}
