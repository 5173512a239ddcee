//! What may be done about incidents, and doing it: policy, guardrails, decide, stages, journal, verification, executors.
//!
//! The path is one way: an incident meets a policy, which proposes; the target is inspected; `decide`, a
//! pure function, says execute, propose or refuse; the intent is journaled; only what is journaled can be applied;
//! and the very signals that opened the incident say whether it helped.

mod executor;
mod inspected;
mod journal;
#[cfg(feature = "kubernetes")]
mod kubernetes;

pub use executor::{Applied, ApplyError, Executor, InspectError, Progress, Trace};
pub use inspected::{Autoscaler, GitOpsOwner, Inspected};
pub use journal::{Intent, Journal, JournalError, Journaled, SqliteJournal};
#[cfg(feature = "kubernetes")]
pub use kubernetes::{ACTION_ID, CORRELATION_ID, ConnectError, ConnectSpec, KubernetesExecutor, RESTARTED_AT};
