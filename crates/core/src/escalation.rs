//! A call for a human, with what is needed to take over.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use crate::correlation::CorrelationId;
use crate::incident::IncidentId;
use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// Why and where a human is called. There is one for each incident and reason.
///
/// ```
/// use homeostat_core::Escalation;
///
/// // Journals written before an escalation could name several channels have `channel`, which may be null.
/// let text = r#"{"incident":"inc-1","correlation":"cor-1","subject":"shop/deployment/cart","channel":"pager",
///     "reason":"storm","message":"12 workloads have incidents","history":[],"at":"2026-01-31T12:00:00Z"}"#;
/// let escalation: Escalation = serde_json::from_str(text)?;
/// assert!(escalation.channels.contains("pager"));
/// assert_eq!(serde_json::to_value(&escalation)?["channels"], serde_json::json!(["pager"]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// The incident; also the key by which paging services deduplicate (I33).
    pub incident: IncidentId,
    /// The id that runs through logs, journal and the object's marker.
    pub correlation: CorrelationId,
    /// Where it is.
    pub subject: Subject,
    /// The channels to call, each once; empty means the default channel.
    #[serde(default, alias = "channel", deserialize_with = "none_one_or_many")]
    pub channels: BTreeSet<String>,
    /// A stable code: a refusal's, or the stage in which an action ended.
    pub reason: String,
    /// What happened, in a sentence or two.
    pub message: String,
    /// What was tried for this incident, oldest first, a line each.
    pub history: Vec<String>,
    /// When the human was called.
    pub at: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(BTreeSet<String>),
}

fn none_one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    Ok(match Option::<OneOrMany>::deserialize(deserializer)? {
        None => BTreeSet::new(),
        Some(OneOrMany::One(channel)) => BTreeSet::from([channel]),
        Some(OneOrMany::Many(channels)) => channels,
    })
}
