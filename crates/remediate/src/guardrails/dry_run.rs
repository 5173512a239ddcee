//! The cluster said beforehand that it would refuse the write, or take its effect out of it (admission, a quota, a missing right), or
//! that nobody can write now. Known before anything is decided, it costs no attempt.

use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::dry_run::DryRun;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// A webhook that must be asked and is down is back within minutes, or somebody is needed for it.
const NOT_NOW_MAX: Duration = Duration::from_secs(300);

pub(super) struct DryRunFailed;

impl Guardrail for DryRunFailed {
    fn codes(&self) -> &'static [&'static str] {
        &["dry-run-refused", "not-writable-now"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        match context.environment.dry_run {
            DryRun::Passed => Vec::new(),
            DryRun::Refused { why } => {
                vec![Objection::escalate("dry-run-refused", format!("the write would fail: {why}"))]
            }
            DryRun::NotNow { why } => {
                vec![Objection::expect("not-writable-now", NOT_NOW_MAX, format!("nothing can be written now: {why}"))]
            }
        }
    }
}
