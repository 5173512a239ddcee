//! Plans that wait for a person's answer: the latest proposal of each incident, and what was said of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::{IncidentId, Timestamp};
use homeostat_remediate::{AnswerError, Approval, PendingPlan, ProposedPlan};

/// Of every incident the latest proposal.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    by_incident: BTreeMap<IncidentId, Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    pending: Arc<PendingPlan>,
    proposed_in: i64,
    answered_in: Option<i64>,
}

impl Pending {
    pub(super) fn get(&self, incident: &IncidentId) -> Option<&Arc<PendingPlan>> {
        self.by_incident.get(incident).map(|waiting| &waiting.pending)
    }

    pub(super) fn all(&self) -> BTreeMap<IncidentId, Arc<PendingPlan>> {
        self.by_incident.iter().map(|(id, waiting)| (id.clone(), Arc::clone(&waiting.pending))).collect()
    }

    /// Whether the proposal shows another plan than the one that waits.
    pub(super) fn is_news(&self, proposed: &ProposedPlan) -> bool {
        self.get(&proposed.plan.incident).is_none_or(|waiting| waiting.proposed != *proposed)
    }

    /// Whether the answer says something new; an error if it can't count at `now`.
    pub(super) fn accepts(&self, approval: &Approval, now: Timestamp) -> Result<bool, AnswerError> {
        let none_waits = || AnswerError::NoneWaits(approval.incident.clone());
        let waiting = self.get(&approval.incident).ok_or_else(none_waits)?;
        waiting.check(approval, now)?;
        Ok(waiting.answer.as_ref().is_none_or(|answer| answer.answer != approval.answer))
    }

    /// Takes the proposal of row `seq`: the one before it waits no longer, and its answer with it.
    pub(super) fn propose(&mut self, proposed: ProposedPlan, seq: i64) {
        let incident = proposed.plan.incident.clone();
        let pending = Arc::new(PendingPlan::new(proposed));
        self.by_incident.insert(incident, Waiting { pending, proposed_in: seq, answered_in: None });
    }

    /// Takes the answer of row `seq`.
    pub(super) fn answer(&mut self, approval: Approval, seq: i64) {
        if let Some(waiting) = self.by_incident.get_mut(&approval.incident) {
            // Whoever holds the history as it was keeps it as it was.
            Arc::make_mut(&mut waiting.pending).answer = Some(approval);
            waiting.answered_in = Some(seq);
        }
    }

    /// An action on the incident begins, or it is over: nothing waits for it any more. What was approved is used by that.
    pub(super) fn remove(&mut self, incident: &IncidentId) {
        self.by_incident.remove(incident);
    }

    /// The kill switch voids approvals that weren't followed yet (I25): whoever resumes automation approves anew.
    pub(super) fn void_approvals(&mut self) {
        for waiting in self.by_incident.values_mut().filter(|waiting| waiting.pending.approval().is_some()) {
            Arc::make_mut(&mut waiting.pending).answer = None;
            waiting.answered_in = None;
        }
    }

    /// Whether row `seq` is the proposal that counts for this incident, or the answer to it.
    pub(super) fn is_row(&self, incident: &IncidentId, seq: i64) -> bool {
        let waiting = self.by_incident.get(incident);
        waiting.is_some_and(|waiting| waiting.proposed_in == seq || waiting.answered_in == Some(seq))
    }
}
