//! An incident as the journal keeps it: data. What homeostat itself must know of it is read out; the rest is shown as it is,
//! whichever version wrote it.

use std::sync::Arc;

use homeostat_core::{CorrelationId, Incident, IncidentId, IncidentState, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// The latest recorded state of one incident.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptIncident {
    /// Its id.
    pub id: IncidentId,
    /// The id that runs through everything.
    pub correlation: CorrelationId,
    /// Where it is, as text.
    pub subject: String,
    /// Its type's stable name.
    pub incident_type: String,
    /// Its state's stable name.
    pub state: String,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The row that says so.
    pub seq: i64,
    is_over: bool,
    text: Arc<str>,
}

#[derive(Deserialize)]
struct Summary {
    id: IncidentId,
    correlation: CorrelationId,
    subject: String,
    #[serde(rename = "type")]
    incident_type: String,
    state: String,
    opened_at: Timestamp,
    updated_at: Timestamp,
}

impl KeptIncident {
    /// Reads out what must be known. The error says what is missing.
    pub(crate) fn read(incident: &Value, seq: i64) -> Result<Self, String> {
        let summary = Summary::deserialize(incident).map_err(|error| error.to_string())?;
        let Summary { id, correlation, subject, incident_type, state, opened_at, updated_at } = summary;
        let text = incident.to_string().into();
        let known: Option<IncidentState> = serde_json::from_value(Value::from(state.as_str())).ok();
        let is_over = known.is_some_and(IncidentState::is_over);
        Ok(Self { id, correlation, subject, incident_type, state, opened_at, updated_at, seq, is_over, text })
    }

    /// The same, recorded in row `seq`.
    pub(crate) fn in_row(&self, seq: i64) -> Self {
        Self { seq, ..self.clone() }
    }

    /// Whether it is over. A state that this version doesn't know isn't.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The whole incident as JSON, as it was recorded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole incident as data.
    pub fn value(&self) -> Value {
        // It was made from a value.
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The incident in this version's types; `None` when a newer version recorded something that this one has no word for.
    pub fn incident(&self) -> Option<Incident> {
        serde_json::from_str(&self.text).ok()
    }
}
