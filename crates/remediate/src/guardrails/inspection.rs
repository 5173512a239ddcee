//! The target must be there, and be seen. Not knowing is an objection.

use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::inspect_error::InspectError;
use crate::objection::Objection;

/// How long the cluster may be out of reach before a human is called: an API server is restarted within a minute or two, and
/// without one nobody but a human can act.
const UNAVAILABLE_MAX: Duration = Duration::from_secs(300);

pub(super) struct NotInspected;

impl Guardrail for NotInspected {
    fn codes(&self) -> &'static [&'static str] {
        &["not-inspected", "target-not-found", "cluster-unavailable"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        // Without a policy nothing is to be done, so nobody looked.
        let (Some(_), Err(error)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        let objection = match error {
            InspectError::NotAsked => return Vec::new(),
            InspectError::NotFound { .. } => {
                Objection::escalate("target-not-found", format!("the target isn't there: {error}"))
            }
            InspectError::Unavailable { .. } => {
                let text = format!("the target can't be looked at now: {error}");
                Objection::expect("cluster-unavailable", UNAVAILABLE_MAX, text)
            }
            InspectError::Forbidden { .. } | InspectError::Unsupported { .. } | InspectError::NotConfigured { .. } => {
                Objection::escalate("not-inspected", format!("the target can't be looked at: {error}"))
            }
        };
        vec![objection]
    }
}
