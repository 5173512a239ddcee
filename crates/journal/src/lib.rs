//! What is written down before anything is done, and everything that follows: the contract, and [`SqliteJournal`], which
//! keeps it.

mod fold;
mod note;
mod sqlite;
#[cfg(test)]
mod test_plan;

use std::path::PathBuf;

use homeostat_core::{Incident, IncidentId, Plan, PlanId, Timestamp};
use homeostat_remediate::{DecisionRecord, Escalation, History, JournalEvent, KillSwitch, Stage};
use serde::{Deserialize, Serialize};

pub use note::Note;
pub use sqlite::{ChainHead, RecordRow, SqliteJournal};

/// Proof that the intent is durable. Only this crate's journals make one, in `record` and `in_flight`, and an executor's
/// `apply` takes nothing else: acting without a journal doesn't compile (invariant I5).
///
/// ```compile_fail
/// # fn plan() -> homeostat_core::Plan { todo!() }
/// let unjournaled = homeostat_journal::Journaled::new(plan());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Journaled(Plan);

impl Journaled {
    /// Only journals of this crate may say that something is durable.
    pub(crate) const fn new(plan: Plan) -> Self {
        Self(plan)
    }

    /// The plan whose intent is durable.
    pub const fn plan(&self) -> &Plan {
        &self.0
    }
}

/// What is going to be done, with the exact write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The plan.
    pub plan: Plan,
    /// Which executor will do it.
    pub executor: String,
    /// The exact write it will send, from the executor's `payload`.
    pub write: String,
    /// Requests a second before the action, where the subject has traffic: what recovery is compared with (I14).
    pub traffic_before: Option<f64>,
}

/// Why something isn't surely in the journal. Split by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written: refuse this action; the next cycle asks again.
    #[error("{what}: not written to the journal: {why}")]
    NotWritten {
        /// What was to be written.
        what: String,
        /// The cause.
        why: String,
    },
    /// It may have been written: do nothing with it until the journal has been read back. The journal reads itself back
    /// before its next answer.
    #[error("{what}: the journal doesn't say whether it is written: {why}")]
    NotConfirmed {
        /// What was to be written.
        what: String,
        /// The cause.
        why: String,
    },
}

/// The journal can't be read: refuse everything until it can (I12).
#[derive(Debug, thiserror::Error)]
#[error("the journal can't be read: {why}")]
pub struct ReadError {
    /// The cause.
    pub why: String,
}

/// Why a journal can't be opened. Each is for a human to put right.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path}: another homeostat process has this journal; stop it, or give this one its own file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It can't be created, read or written.
    #[error("{path}: can't be used as a journal: {why}; check that the folder exists and is writable")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// It is a SQLite file of something else.
    #[error("{path}: is another program's SQLite file; give the journal a file of its own")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// Another version of homeostat wrote it.
    #[error(
        "{path}: has schema version {found}, this homeostat reads {expected}; run the version that wrote it, or move the file away to start anew (budgets and cooldowns then start anew too)"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// What is in it can't be right.
    #[error("{path}: damaged: {why}; keep a copy for the audit, then restore a backup or move it away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The chain of hashes doesn't hold: a row was changed, dropped or put in.
#[derive(Debug, thiserror::Error)]
#[error("the journal's chain breaks at row {seq}: {why}")]
pub struct ChainError {
    /// The first row that is wrong.
    pub seq: i64,
    /// What is wrong.
    pub why: String,
}

/// Where intents and everything that follows are kept. Every answer is as of the last durable write.
pub trait Journal: Send + Sync {
    /// Makes an intent durable. After `Ok` it survives the death of the process and of the machine. An id that is there
    /// already, or a second plan for a subject that has one in flight, is refused (I1).
    fn record(&self, intent: &Intent, now: Timestamp) -> Result<Journaled, JournalError>;

    /// Makes the next event of an action durable, if it may follow, and says what stage that leads to.
    fn append(&self, plan: &PlanId, event: &JournalEvent, now: Timestamp) -> Result<Stage, JournalError>;

    /// Makes anything else durable. `Ok(false)`: it says what the journal says already, and no row was written.
    fn note(&self, note: &Note, now: Timestamp) -> Result<bool, JournalError>;

    /// Actions that haven't ended, oldest first, as proof that they are journaled.
    fn in_flight(&self) -> Result<Vec<Journaled>, ReadError>;

    /// What was done before, as deciding needs it.
    fn history(&self, now: Timestamp) -> Result<History, ReadError>;

    /// The latest state of each incident, oldest first; ended ones as far as they are kept.
    fn incidents(&self) -> Result<Vec<Incident>, ReadError>;

    /// The latest decision on an incident.
    fn decision(&self, incident: &IncidentId) -> Result<Option<DecisionRecord>, ReadError>;

    /// Whether a human was already called for this incident and reason.
    fn is_escalated(&self, incident: &IncidentId, reason: &str) -> Result<bool, ReadError>;

    /// Calls that nobody has taken over for delivery yet (I33).
    fn escalations_undelivered(&self) -> Result<Vec<Escalation>, ReadError>;

    /// The kill switch as last journaled; off if it never was.
    fn kill_switch(&self) -> Result<KillSwitch, ReadError>;
}
