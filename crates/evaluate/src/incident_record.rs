//! An incident as its changes tell it, from beginning to end.

use std::collections::BTreeMap;

use homeostat_core::{Incident, IncidentChange, IncidentId, Timestamp};

/// One incident, put together from its changes.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentRecord {
    /// As it was last told.
    pub incident: Incident,
    /// When it was over, resolved or accepted; `None` while it's open or silent.
    pub resolved_at: Option<Timestamp>,
}

impl IncidentRecord {
    /// The incidents that these changes, in their order, tell of; in order of opening, then id.
    pub fn of(changes: &[IncidentChange]) -> Vec<Self> {
        let mut records: BTreeMap<IncidentId, Self> = BTreeMap::new();
        for change in changes {
            let incident = change.incident().clone();
            let resolved_at = match change {
                IncidentChange::Resolved(incident)
                | IncidentChange::Rebaselined(incident)
                | IncidentChange::Expired(incident) => Some(incident.updated_at),
                IncidentChange::Opened(_)
                | IncidentChange::Updated(_)
                | IncidentChange::Refired(_)
                | IncidentChange::Stale(_) => None,
            };
            records.insert(incident.id.clone(), Self { incident, resolved_at });
        }
        let mut records: Vec<Self> = records.into_values().collect();
        records.sort_by_key(|record| record.incident.opened_at);
        records
    }
}
