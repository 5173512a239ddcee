//! What is written down before anything is done: intents, then everything that follows.

mod sqlite;

use homeostat_core::{Plan, PlanId, Timestamp};
use serde::{Deserialize, Serialize};

pub use sqlite::SqliteJournal;

/// Proof that the intent is durable. Only a journal's `record` makes one, and [`Executor::apply`](crate::Executor::apply)
/// takes nothing else: acting without a journal doesn't compile (invariant I5).
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
    /// The exact write it will send, from [`Executor::write_of`](crate::Executor::write_of).
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
    /// It may have been written: do nothing with it until the journal has been read back.
    #[error("{what}: the journal doesn't say whether it is written: {why}")]
    NotConfirmed {
        /// What was to be written.
        what: String,
        /// The cause.
        why: String,
    },
}

/// Where intents and everything that follows are kept.
pub trait Journal: Send + Sync {
    /// Makes an intent durable. After `Ok` it survives the death of the process and of the machine.
    fn record(&self, intent: &Intent, now: Timestamp) -> Result<Journaled, JournalError>;

    /// The ids of the plans that were recorded, in order.
    fn recorded(&self) -> Result<Vec<PlanId>, JournalError>;
}
