//! What may be done about incidents, and doing it: policy, guardrails, decide, stages, journal, verification, executors.
//!
//! The path is one way: an incident meets a [`Policy`], which proposes; the target is inspected; [`decide`](decide()), a
//! pure function, says execute, propose or refuse; the intent is journaled; only what is [`Journaled`] can be applied;
//! and the very signals that opened the incident say whether it helped ([`verify`](verify())). The [`Driver`] walks
//! incidents along this path; it keeps nothing of its own that the journal doesn't have, so it may die at any moment.
//!
//! Not here: reading a clock (`now` comes in), scoring, and delivering calls for a human.

mod decide;
mod driver;
mod escalation;
mod executor;
mod guardrails;
mod history;
mod inspected;
mod journal;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod policy;
mod rails;
mod refusal;
mod stage;
#[cfg(test)]
mod test_plan;
mod verify;

pub use decide::{Decision, Proposal, Situation, decide};
pub use driver::{Driver, DriverEvent, PausePoint, SubjectSignals, TickInput};
pub use escalation::Escalation;
pub use executor::{Applied, ApplyError, Executor, InspectError, Progress, Trace};
pub use history::{History, LOOK_BACK_MAX, PastAction};
pub use inspected::{Autoscaler, GitOpsOwner, Inspected};
pub use journal::{
    ChainError, ChainHead, DecisionRecord, Intent, Journal, JournalError, Journaled, KillSwitch, Note, OpenError,
    Outcome, ReadError, SqliteJournal,
};
#[cfg(feature = "kubernetes")]
pub use kubernetes::{ACTION_ID, CORRELATION_ID, ConnectError, ConnectSpec, KubernetesExecutor, RESTARTED_AT};
pub use policy::{
    ATTEMPTS_WINDOW_MIN, MAX_ATTEMPTS_MAX, OUTCOMES_MIN_DEFAULT, Policy, Scope, default_action, lint, load_policies,
    policy_for,
};
pub use rails::{ACTIONS_IN_FLIGHT_MAX, NotALimit, Rails};
pub use refusal::{NextStep, Refusal};
pub use stage::{IllegalEvent, JournalEvent, Stage};
pub use verify::{Observation, Verdict, VerifyInput, verify};
