//! A call for a human, with everything needed to take over. Delivering it is not done here.

use homeostat_core::{CorrelationId, IncidentId, Subject, Timestamp};
use serde::{Deserialize, Serialize};

/// Why and where a human is called. One for each incident and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// The incident; also the key that paging services deduplicate by (I33).
    pub incident: IncidentId,
    /// The id that runs through everything.
    pub correlation: CorrelationId,
    /// Where it is.
    pub subject: Subject,
    /// The policy's channel; `None` means the default one.
    pub channel: Option<String>,
    /// A stable code: a refusal's, or the stage in which an action ended.
    pub reason: String,
    /// What happened, in a sentence or two.
    pub message: String,
    /// What was tried for this incident, oldest first, a line each.
    pub history: Vec<String>,
    /// When.
    pub at: Timestamp,
}
