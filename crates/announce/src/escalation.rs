//! A call for a person.

use homeostat_core::Incident;
use serde::{Deserialize, Serialize};

/// Homeostat can't, mustn't or didn't manage to deal with an incident; somebody should.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Escalation {
    /// The incident.
    pub incident: Incident,
    /// Whom to call: the name of a configured channel, as the policy's `escalation_channel` says.
    pub channel: String,
    /// Why, in one sentence.
    pub reason: String,
    /// What was done and decided so far, oldest first, a line each.
    pub history: Vec<String>,
    /// What homeostat would have done, or would do next.
    pub suggested_action: Option<String>,
}
