//! Incidents on their way into the journal, which is the truth about them: what can't be written now is tried again in
//! each cycle.

use std::collections::BTreeMap;

use homeostat_core::{Incident, IncidentId, Timestamp};
use homeostat_journal::{Journal, JournalError, Note};

/// The latest state of each incident that isn't recorded yet. There is at most one a subject, so it is as bounded as those are.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// In the order in which they opened.
    waiting: BTreeMap<(Timestamp, IncidentId), Incident>,
}

impl Recording {
    /// Adds an incident's newest state.
    pub(crate) fn add(&mut self, incident: &Incident) {
        self.waiting.insert((incident.opened_at, incident.id.clone()), incident.clone());
    }

    /// Writes what waits, up to the first failure.
    pub(crate) fn write(&mut self, journal: &Journal, now: Timestamp) -> Result<(), JournalError> {
        while let Some(first) = self.waiting.first_entry() {
            journal.note(&Note::Incident(Box::new(first.get().clone())), now)?;
            first.remove();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
