//! The contract of everything that can act on a target.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{ActionName, Actions, Args, InspectError, Inspected, PayloadError, Plan, Progress};

/// Acts on targets. An executor never decides and never retries by itself: each call is one attempt.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Its name in logs and the journal.
    fn name(&self) -> &'static str;

    /// What it can do. A decision for any other action is refused.
    fn actions(&self) -> &Actions;

    /// The exact write that applying the plan will send, for the journal. A pure function of the plan (I5, I7).
    fn payload(&self, plan: &Plan) -> Result<String, PayloadError>;

    /// Whether it can be worked with now, for health and metrics; the error says why not.
    async fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Looks at the object that the action would be done to. `now` only stamps the answer.
    async fn inspect(&self, action: &ActionName, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError>;

    /// The same for what a policy says about how, where that names more objects to look at.
    async fn inspect_for(
        &self,
        action: &ActionName,
        subject: &Subject,
        _args: &Args,
        now: Timestamp,
    ) -> Result<Inspected, InspectError> {
        self.inspect(action, subject, now).await
    }

    /// Looks for the plan's marker on its target: what really happened to a half-done action (I6).
    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError>;

    /// Asks whether the write would be accepted, and writes nothing. `Rejected` is a sure no; every other error says only that it
    /// isn't known. What can't be asked says yes.
    async fn dry_run(&self, _plan: &Plan) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Does what the plan says, with the target's UID and this version as preconditions (I8) and the plan's id as a marker in
    /// the same write (I6). Applying twice is applying once (I7). The version is the plan's own at first, and after an
    /// [`ApplyError::Conflict`] the one that it names.
    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError>;

    /// Does what is left of an action of several writes, some of it; called in each cycle after [`apply`](Self::apply), while writing is
    /// allowed, until the action ends. Doing it again when nothing is left does nothing.
    async fn go_on(&self, _plan: &Journaled) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Takes it back, only while the target is still as the plan left it (I16). Undoing twice is undoing once (I7): the driver
    /// sends it again when it doesn't know whether the first one arrived, so an undo that is done already answers `Ok`.
    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError>;

    /// How far what was applied has come.
    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError>;
}

/// The write was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The object's version after the write.
    pub resource_version: String,
    /// What was changed of the write on its way, if something was: it took effect, but not as it was sent.
    pub altered: Option<String>,
}

/// What became of an action whose outcome isn't known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The plan's marker is on the target.
    AppliedByUs,
    /// The target is as it was when the plan was made.
    NotApplied,
    /// Somebody else changed it since.
    ChangedByOther,
    /// The object is gone, or another object has its name.
    Gone,
    /// What was done leaves no mark that could be looked for.
    Unknowable,
}

/// Why applying failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The target isn't what was decided on any more (UID or version differ): nothing was written; decide anew.
    #[error("the target changed since the decision: {why}")]
    Stale {
        /// What differs.
        why: String,
    },
    /// Only the target's status changed since the decision: nothing was written; look whether it may still be done, then try
    /// again at this version.
    #[error("the target's status changed meanwhile: {why}")]
    Conflict {
        /// The version to try next.
        resource_version: String,
        /// The cluster's answer.
        why: String,
    },
    /// Nothing was written, and the same write may be accepted later: try again in the next cycle.
    #[error("it can't be written now: {why}")]
    NotNow {
        /// What has to pass first.
        why: String,
    },
    /// The write was refused for good (no right, invalid, wrong kind): nothing was written; escalate.
    #[error("the write was refused: {why}")]
    Rejected {
        /// The cluster's answer.
        why: String,
    },
    /// Nobody knows whether it was written: inspect the marker before anything else (I6).
    #[error("no answer to the write, it may have happened: {why}")]
    Unknown {
        /// The whole chain of causes.
        why: String,
    },
}
