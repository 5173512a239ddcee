//! What is going to be done, and the proof that it is written down.

use homeostat_remediate::{Levels, Plan};
use serde::{Deserialize, Serialize};

/// Proof that the intent is durable. Only this crate's journal makes one, in `record`, `in_flight` and `to_restore`, and an executor's
/// `apply` takes nothing else: acting without a journal doesn't compile (invariant I5).
///
/// ```compile_fail
/// # fn plan() -> homeostat_remediate::Plan { todo!() }
/// let unjournaled = homeostat_journal::Journaled::new(plan());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Journaled(Plan);

impl Journaled {
    /// Only the journal of this crate may say that something is durable.
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
    /// How far its signals were from normal before the action: what it mustn't make worse (I17). Nothing in older rows.
    #[serde(default, skip_serializing_if = "Levels::is_empty")]
    pub levels_before: Levels,
}
