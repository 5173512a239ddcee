//! The contract of everything that can act on a target.

use async_trait::async_trait;
use homeostat_core::{ActionKind, Plan, Subject, Timestamp};

use crate::inspected::Inspected;
use crate::journal::Journaled;

/// Acts on targets. An executor never decides and never retries by itself: each call is one attempt.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Its name in logs and the journal.
    fn name(&self) -> &'static str;

    /// Whether it can do this kind of action; a policy that wants another is refused when it is loaded.
    fn supports(&self, kind: ActionKind) -> bool;

    /// The exact write that applying the plan will send, for the journal. A pure function of the plan (I5, I7).
    fn write_of(&self, plan: &Plan) -> String;

    /// Looks at the subject's object. `now` only stamps the answer.
    async fn inspect(&self, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError>;

    /// Looks for the plan's marker on its target: what really happened to a half-done action (I6).
    async fn trace(&self, plan: &Plan) -> Result<Trace, InspectError>;

    /// Does what the plan says, with the target's UID and version as preconditions (I8) and the plan's id as a marker in
    /// the same write (I6). Applying twice is applying once (I7).
    async fn apply(&self, plan: &Journaled) -> Result<Applied, ApplyError>;

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
}

/// What became of an action whose outcome isn't known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The plan's marker is on the target.
    AppliedByUs,
    /// The target is as it was when the plan was made.
    NotApplied,
    /// Somebody else changed it since.
    ChangedByOther,
    /// The object is gone, or another object has its name.
    Gone,
}

/// How far a roll-out has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Still replacing pods.
    Rolling {
        /// New pods available.
        updated_available: u32,
        /// Pods wanted.
        wanted: u32,
    },
    /// All replicas are new and available.
    Complete {
        /// Pods wanted, which all are available.
        wanted: u32,
    },
    /// The cluster gave up on it.
    Failed {
        /// The cluster's reason.
        why: String,
    },
    /// Somebody overwrote what we wrote.
    Overridden,
    /// The object is gone, or another object has its name.
    Gone,
}

/// Why a target couldn't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no such object: refuse, a name that isn't there can't be acted on.
    #[error("{subject} isn't in the cluster")]
    NotFound {
        /// What was looked for.
        subject: Subject,
    },
    /// We aren't allowed to look: refuse, and tell the operator which right is missing.
    #[error(
        "not allowed to {verb} {resource} in namespace {namespace}: grant it (see `homeostat rbac`) or take the policy out"
    )]
    Forbidden {
        /// The missing verb.
        verb: String,
        /// The resource.
        resource: String,
        /// The namespace.
        namespace: String,
    },
    /// This executor doesn't know such objects: refuse.
    #[error("{subject}: this executor doesn't act on its kind")]
    Unsupported {
        /// What was asked about.
        subject: Subject,
    },
    /// It can't be reached or answers nonsense: refuse now, ask again in the next cycle.
    #[error("the cluster can't be asked: {why}")]
    Unavailable {
        /// The whole chain of causes.
        why: String,
    },
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
