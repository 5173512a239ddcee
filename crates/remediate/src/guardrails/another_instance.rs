//! A mark of an action that our journal doesn't know is another instance's, or ours from a journal that was lost: then what was
//! done before isn't known either.

use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// How long another instance's mark keeps us away: as long as it may take to verify and retry (the limits on one workload
/// look back an hour). Two that take turns every hour would still be within the limits of one.
const FRESH: Duration = Duration::from_secs(3600);

pub(super) struct AnotherInstance;

impl Guardrail for AnotherInstance {
    fn codes(&self) -> &'static [&'static str] {
        &["another-instance"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Ok(seen) = context.seen else { return Vec::new() };
        let Some(marker) = &seen.marker else { return Vec::new() };
        let is_ours = context.history.actions.has(&marker.action);
        // Without a time it may be of just now.
        let is_fresh = marker.at.is_none_or(|at| at + FRESH > context.now);
        if is_ours || !is_fresh {
            return Vec::new();
        }
        let at = marker.at.map(|at| format!(" at {at}")).unwrap_or_default();
        let text = format!("another homeostat instance acts on the target: {}{at}", marker.action);
        vec![Objection::escalate("another-instance", text).with("action", marker.action.as_str())]
    }
}
