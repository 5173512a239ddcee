//! What became of an action, in plain terms: this crate doesn't know how actions are carried out.

use homeostat_core::{IncidentId, Subject, Timestamp};
use homeostat_remediate::{ActionName, PlanId};
use serde::{Deserialize, Serialize};

/// An action that was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOutcome {
    /// Its plan, which is also the marker on what it wrote.
    pub plan: PlanId,
    /// The incident it answered.
    pub incident: IncidentId,
    /// What it was done to.
    pub subject: Subject,
    /// What was done.
    pub kind: ActionName,
    /// When.
    pub executed_at: Timestamp,
    /// When verification came to its end; `None` while it goes on.
    pub verified_at: Option<Timestamp>,
    /// What verification said.
    pub verification: Verification,
}

/// What verification said of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// It goes on.
    Pending,
    /// The signals that opened the incident are back to normal.
    Recovered,
    /// They aren't.
    NotRecovered,
    /// They, or others, are worse than before.
    MadeWorse,
    /// There was too little data to say. That is no recovery.
    Unknown,
}
