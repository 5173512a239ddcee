//! Which old rows still count: they stay in the journal when what is around them is archived.

use homeostat_core::{IncidentId, Timestamp};

use super::{Ledger, calls_of};
use crate::entry::Entry;
use crate::row::Row;

impl Ledger {
    /// Whether a row that this ledger was folded from must stay, so that budgets and cooldowns, actions in flight, open
    /// incidents, calls nobody has taken over and switches are the same without the rows that go. `at` is the moment up to
    /// which rows go: what is within the longest look-back from there stays.
    pub(crate) fn still_counts(&self, row: &Row, at: Timestamp) -> bool {
        // What isn't understood is only shown, and the archive shows it, too.
        let Ok(Some(entry)) = Entry::of_row(row) else { return false };
        match entry {
            Entry::Intent(intent) => self.action_counts(&intent.plan.id, at),
            Entry::Step { plan, .. } => self.action_counts(&plan, at),
            Entry::Incident(incident) => {
                let is_latest = self.incidents.get(&incident.id).is_some_and(|known| known.seq == row.seq);
                is_latest && self.is_wanted(&incident.id)
            }
            // What is withdrawn goes, with what it withdraws.
            Entry::Label { label, .. } => self.labels.is_row(&label.incident, row.seq),
            Entry::Decision(record) => {
                let is_latest = self.decisions.get(&record.incident).is_some_and(|(seq, _)| *seq == row.seq);
                is_latest && self.is_wanted(&record.incident)
            }
            Entry::Proposed(proposed) => self.pending.is_row(&proposed.plan.incident, row.seq),
            Entry::Approval(approval) => self.pending.is_row(&approval.incident, row.seq),
            Entry::Escalated { escalation, .. } => self.is_wanted(&escalation.incident),
            Entry::Delivered(delivered) => self.is_wanted(&delivered.incident),
            Entry::PolicyFrozen(note) => self.frozen.get(&note.policy).is_some_and(|(seq, _)| *seq == row.seq),
            // The freezing that it takes back goes, too.
            Entry::PolicyReleased(_) | Entry::Archived(_) => false,
            Entry::Storm(_) => self.storm.0 == row.seq,
            Entry::KillSwitch(_) => self.kill_switch.0 == row.seq,
        }
    }

    fn action_counts(&self, plan: &homeostat_remediate::PlanId, at: Timestamp) -> bool {
        let counts =
            |action: &homeostat_remediate::PastAction| action.counts_at(at) || self.is_wanted(&action.plan.incident);
        self.action(plan).is_some_and(|action| counts(action))
    }

    /// Whether the incident goes on, somebody has judged it, or somebody still has to be called for it.
    fn is_wanted(&self, incident: &IncidentId) -> bool {
        self.incidents.is_open(incident)
            || self.label(incident).is_some()
            || calls_of(&self.calls, incident).any(|call| !call.delivered)
    }
}
