//! One id from the window that alarmed to the action that was taken.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::short_id;
use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// Ties together everything that follows from one alarm: log lines, incident, plan, journal and the marker on the object.
///
/// ```
/// use homeostat_core::{CorrelationId, Subject, Timestamp};
///
/// let cart = Subject::deployment("shop", "cart");
/// let id = CorrelationId::of(&cart, Timestamp::from_secs(60));
/// assert_eq!(id, CorrelationId::of(&cart, Timestamp::from_secs(60)), "the same in a replay");
/// assert_ne!(id, CorrelationId::of(&cart, Timestamp::from_secs(120)));
/// assert_eq!(id.as_str().len(), 16);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(String);

impl CorrelationId {
    /// The id of what starts with this subject's window ending at `at`: the same in a replay.
    pub fn of(subject: &Subject, at: Timestamp) -> Self {
        Self(short_id(&[b"window", subject.to_string().as_bytes(), &at.as_millis().to_be_bytes()]))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
