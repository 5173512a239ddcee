//! What may be asked of a journal.

use std::sync::Arc;

use homeostat_core::{Escalation, Incident, IncidentId, IncidentLabel, Timestamp};
use homeostat_remediate::{DecisionRecord, History, KillSwitch, PastAction, PendingPlan, PlanId};
use serde::Serialize;
use serde_json::Value;

use super::Journal;
use crate::block_on::block_on;
use crate::error::ReadError;
use crate::formats::upcast;
use crate::intent::Journaled;
use crate::kept::KeptIncident;
use crate::page::{LabelledIncident, Page, PageItem, PageRequest};
use crate::row::{Head, Row};

/// One row of the journal, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordRow {
    /// When it was written.
    pub at: String,
    /// What kind of entry it is.
    pub kind: String,
    /// The entry.
    pub body: Value,
}

/// # Errors
/// Each answers [`ReadError`] while what is in the store is unknown: refuse everything until it is known again (I12).
impl Journal {
    /// Actions that haven't ended, oldest first, as proof that they are journaled.
    pub fn in_flight(&self) -> Result<Vec<Journaled>, ReadError> {
        let folded = self.readable()?;
        Ok(folded.ledger.in_flight().map(|action| Journaled::new(action.plan.clone())).collect())
    }

    /// Ended actions whose time is over for which they lent something, oldest first, as proof that they are journaled.
    pub fn to_restore(&self, now: Timestamp) -> Result<Vec<Journaled>, ReadError> {
        let folded = self.readable()?;
        let due = folded.ledger.actions().filter(|action| action.is_to_restore(now));
        Ok(due.map(|action| Journaled::new(action.plan.clone())).collect())
    }

    /// What was done before, as deciding needs it. It copies pointers, no plans.
    pub fn history(&self) -> Result<History, ReadError> {
        Ok(self.readable()?.ledger.history())
    }

    /// One action.
    pub fn action(&self, plan: &PlanId) -> Result<Option<Arc<PastAction>>, ReadError> {
        Ok(self.readable()?.ledger.action(plan).cloned())
    }

    /// Incidents that aren't over, oldest first.
    pub fn open_incidents(&self) -> Result<Vec<Arc<KeptIncident>>, ReadError> {
        Ok(self.readable()?.ledger.open_incidents().cloned().collect())
    }

    /// The latest state of each kept incident, oldest first, in this version's types: all that are open, and the newest thousand of
    /// those that ended. To show them ask for a [`page`](Self::page), which also has what a newer version recorded.
    pub fn incidents(&self) -> Result<Vec<Incident>, ReadError> {
        Ok(self.readable()?.ledger.incidents().filter_map(|kept| kept.incident()).collect())
    }

    /// The latest state of an incident; for one that isn't kept any more, its state when a human was called for it.
    pub fn incident(&self, id: &IncidentId) -> Result<Option<Arc<KeptIncident>>, ReadError> {
        Ok(self.readable()?.ledger.incident(id).cloned())
    }

    /// The latest decision on an incident.
    pub fn decision(&self, incident: &IncidentId) -> Result<Option<Arc<DecisionRecord>>, ReadError> {
        Ok(self.readable()?.ledger.decision(incident).cloned())
    }

    /// The plan that waits for a person's answer, or has one that wasn't followed yet.
    pub fn pending(&self, incident: &IncidentId) -> Result<Option<Arc<PendingPlan>>, ReadError> {
        Ok(self.readable()?.ledger.pending(incident).cloned())
    }

    /// The labels that count, by incident.
    pub fn labels(&self) -> Result<Vec<LabelledIncident>, ReadError> {
        Ok(self.readable()?.ledger.labels().collect())
    }

    /// What somebody says an incident was.
    pub fn label(&self, incident: &IncidentId) -> Result<Option<Arc<IncidentLabel>>, ReadError> {
        Ok(self.readable()?.ledger.label(incident).cloned())
    }

    /// Whether a human was already called for this incident and reason.
    pub fn is_escalated(&self, incident: &IncidentId, reason: &str) -> Result<bool, ReadError> {
        Ok(self.readable()?.ledger.is_escalated(incident, reason))
    }

    /// Calls that nobody has taken over for delivery yet (I33).
    pub fn escalations_undelivered(&self) -> Result<Vec<Escalation>, ReadError> {
        Ok(self.readable()?.ledger.escalations_undelivered())
    }

    /// The kill switch as last journaled; off if it never was.
    pub fn kill_switch(&self) -> Result<KillSwitch, ReadError> {
        Ok(self.readable()?.ledger.kill_switch())
    }

    /// Every row about an incident, archived ones included, oldest first: when, what kind, and the body as JSON.
    pub fn record_of(&self, incident: &IncidentId) -> Result<Vec<RecordRow>, ReadError> {
        let writer = self.lock_writer();
        let rows = block_on(writer.store.rows_of(incident.as_str()))?;
        Ok(rows.into_iter().map(RecordRow::of).collect())
    }
}

/// What is shown to people and to other programs: always as of the last row that is surely written, also while the journal
/// is in trouble, and never waiting for a disk.
impl Journal {
    /// A page of incidents, newest first.
    pub fn page(&self, request: &PageRequest) -> Page {
        self.folded().ledger.page(request)
    }

    /// One incident as a page shows it.
    pub fn item(&self, incident: &IncidentId) -> Option<PageItem> {
        let folded = self.folded();
        folded.ledger.incident(incident).map(|kept| folded.ledger.item(kept))
    }

    /// The last row: whatever is shown is the same for as long as this is.
    pub fn head(&self) -> Head {
        self.folded().head.clone()
    }
}

impl RecordRow {
    /// A body that isn't JSON is shown as it is: the chain says whether it was tampered with.
    fn of(row: Row) -> Self {
        let body = match serde_json::from_str(&row.body) {
            Ok(body) => upcast(row.format, &row.kind, body),
            Err(_) => Value::String(row.body),
        };
        Self { at: row.at.to_string(), kind: row.kind, body }
    }
}
