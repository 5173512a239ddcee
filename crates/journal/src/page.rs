//! Incidents a page at a time, newest first.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use homeostat_core::{IncidentId, IncidentLabel, Timestamp};
use homeostat_remediate::DecisionRecord;
use serde_json::{Value, json};

use crate::kept::KeptIncident;

/// What to answer.
///
/// ```
/// use homeostat_journal::PageRequest;
///
/// let request = PageRequest { limit: 50, ..PageRequest::default() };
/// assert!(!request.open_only && request.after.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// At most so many incidents; 0 counts as 1.
    pub limit: usize,
    /// Those after this place; `None`: from the newest on.
    pub after: Option<Cursor>,
    /// Only those that aren't over.
    pub open_only: bool,
}

impl Default for PageRequest {
    /// The hundred newest.
    fn default() -> Self {
        Self { limit: 100, after: None, open_only: false }
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Newest first.
    pub items: Vec<PageItem>,
    /// Where the next page begins; `None` on the last one. It stays valid when incidents come or change meanwhile.
    pub next: Option<Cursor>,
}

/// An incident with the latest decision on it, and what somebody says it was.
#[derive(Clone, Debug, PartialEq)]
pub struct PageItem {
    /// The incident.
    pub incident: Arc<KeptIncident>,
    /// The decision.
    pub decision: Option<Arc<DecisionRecord>>,
    /// The label that counts.
    pub label: Option<Arc<IncidentLabel>>,
}

/// A label that counts, with the latest state of its incident.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledIncident {
    /// What somebody says it was.
    pub label: Arc<IncidentLabel>,
    /// The incident.
    pub incident: Arc<KeptIncident>,
}

impl PageItem {
    /// All of it as data, as the API answers it.
    pub fn value(&self) -> Value {
        json!({
            "incident": self.incident.value(),
            "decision": self.decision.as_deref(),
            "label": self.label.as_deref(),
        })
    }
}

/// A place in the list. Its text is meant to be handed back as it is.
///
/// ```
/// use homeostat_journal::Cursor;
///
/// let cursor: Cursor = "1700000000000-inc-0123456789abcdef".parse()?;
/// assert_eq!(cursor.to_string(), "1700000000000-inc-0123456789abcdef");
/// assert!("yesterday".parse::<Cursor>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) opened_at: Timestamp,
    pub(crate) incident: IncidentId,
}

/// The text isn't a cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor {0:?}: pass the `next` of an earlier page as it is")]
pub struct NotACursor(String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.opened_at.as_millis(), self.incident)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let not_a_cursor = || NotACursor(text.to_owned());
        let (millis, id) = text.split_once('-').ok_or_else(not_a_cursor)?;
        let opened_at = millis.parse().map(Timestamp::from_millis).map_err(|_| not_a_cursor())?;
        let incident = serde_json::from_value(Value::from(id)).map_err(|_| not_a_cursor())?;
        Ok(Self { opened_at, incident })
    }
}
