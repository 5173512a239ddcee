//! The executor of a replay, which does nothing; and one for tests that can't even look.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_execute::{Applied, ApplyError, Executor, WriteOutcome};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    ActionName, Actions, InspectError, Inspected, Known, PayloadError, Plan, PreviousRevision, Progress,
};

/// Every proposal is refused as "can't be inspected".
#[cfg(test)]
#[derive(Default)]
pub(crate) struct NoExecutor {
    actions: Actions,
}

#[cfg(test)]
const WHY: &str = "there is nothing to look with";

#[cfg(test)]
#[async_trait]
impl Executor for NoExecutor {
    fn name(&self) -> &'static str {
        "none"
    }

    fn actions(&self) -> &Actions {
        &self.actions
    }

    fn payload(&self, _plan: &Plan) -> Result<String, PayloadError> {
        Err(PayloadError(WHY.to_owned()))
    }

    async fn inspect(&self, _: &ActionName, _: &Subject, _: Timestamp) -> Result<Inspected, InspectError> {
        Err(InspectError::NotConfigured { why: WHY.to_owned() })
    }

    async fn outcome_of_write(&self, _plan: &Plan) -> Result<WriteOutcome, InspectError> {
        Err(InspectError::NotConfigured { why: WHY.to_owned() })
    }

    async fn apply(&self, _plan: &Journaled, _resource_version: &str) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: WHY.to_owned() })
    }

    async fn undo(&self, _plan: &Journaled) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: WHY.to_owned() })
    }

    async fn progress(&self, _plan: &Plan) -> Result<Progress, InspectError> {
        Err(InspectError::NotConfigured { why: WHY.to_owned() })
    }
}

/// The executor of a replay: every target is there and at rest, so that policy and history alone decide; it does nothing.
pub(crate) struct PretendExecutor {
    actions: Actions,
}

impl PretendExecutor {
    /// Knows every action.
    pub(crate) fn new() -> Self {
        Self { actions: homeostat_execute::actions() }
    }
}

#[async_trait]
impl Executor for PretendExecutor {
    fn name(&self) -> &'static str {
        "pretend"
    }

    fn actions(&self) -> &Actions {
        &self.actions
    }

    fn payload(&self, plan: &Plan) -> Result<String, PayloadError> {
        Ok(format!("nothing; in reality {}", plan.step.action))
    }

    async fn inspect(&self, _: &ActionName, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        Ok(Inspected {
            revision: Some("2".to_owned()),
            revision_previous: Known::Is(PreviousRevision { revision: "1".to_owned(), change: None }),
            quotas: Known::NotApplicable,
            ..Inspected::at_rest(format!("replay-{subject}"), subject.kind, now)
        })
    }

    async fn outcome_of_write(&self, _plan: &Plan) -> Result<WriteOutcome, InspectError> {
        Ok(WriteOutcome::NotApplied)
    }

    async fn apply(&self, _plan: &Journaled, _resource_version: &str) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: "a replay does nothing".to_owned() })
    }

    async fn undo(&self, _plan: &Journaled) -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: "a replay does nothing".to_owned() })
    }

    async fn progress(&self, _plan: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Gone)
    }
}
