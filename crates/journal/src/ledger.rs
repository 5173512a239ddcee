//! The journal's rows folded into what is asked of it. The rows are the only truth: opening a journal folds them all again.

mod carried;
pub(crate) mod incidents;
mod labels;
mod pending;

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::{Escalation, IncidentId, IncidentLabel, Timestamp};
use homeostat_remediate::{
    DecisionRecord, History, KillSwitch, PastAction, PastActions, PendingPlan, Plan, PlanId, Storm,
};

use crate::entry::Entry;
use crate::error::FoldError;
use crate::intent::Intent;
use crate::kept::KeptIncident;
use crate::page::{LabelledIncident, Page, PageItem, PageRequest};
use crate::row::Row;

use incidents::Incidents;
use labels::Labels;
use pending::Pending;

/// Ended actions kept in memory. The limit of starts (25 an hour at most, see `SafetyLimits`) over seven days gives 4200.
const ACTIONS_ENDED_MAX: usize = 5000;

/// A row that can't follow the rows before it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotFollow(pub(crate) String);

#[derive(Clone, Debug)]
struct Call {
    escalation: Escalation,
    /// The incident as it was when the call was made, if it was known.
    about: Option<Arc<KeptIncident>>,
    delivered: bool,
}

/// Everything the rows say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Shared with the histories that are given out: who holds one keeps it as it was.
    actions: Arc<PastActions>,
    incidents: Incidents,
    labels: Labels,
    decisions: BTreeMap<IncidentId, (i64, Arc<DecisionRecord>)>,
    pending: Pending,
    calls: BTreeMap<(IncidentId, String), Call>,
    /// By policy: the row that says so, and why.
    frozen: BTreeMap<String, (i64, String)>,
    storm: (i64, Option<Storm>),
    kill_switch: (i64, KillSwitch),
    n_not_understood: u64,
}

impl Ledger {
    /// Whether the entry may follow at `now`; `Ok(false)` when it would say nothing new.
    pub(crate) fn accepts(&self, entry: &Entry, now: Timestamp) -> Result<bool, CannotFollow> {
        match entry {
            Entry::Intent(intent) => self.accepts_intent(intent).map(|()| true),
            Entry::Step { plan, event } => {
                let action = self.actions.get(plan).ok_or_else(|| CannotFollow(format!("{plan} has no intent")))?;
                action
                    .stage
                    .next(event, action.plan.repeat)
                    .map_err(|error| CannotFollow(format!("{plan}: {error}")))?;
                Ok(true)
            }
            Entry::Incident(incident) => {
                Ok(self.incidents.get(&incident.id).is_none_or(|known| known.text() != incident.text()))
            }
            Entry::Label { label, .. } => {
                if self.incident(&label.incident).is_none() {
                    return Err(CannotFollow(format!("there is no incident {}", label.incident)));
                }
                Ok(self.labels.is_news(label))
            }
            Entry::Decision(record) => {
                Ok(self.decisions.get(&record.incident).is_none_or(|(_, earlier)| record.differs_from(earlier)))
            }
            Entry::Proposed(proposed) => Ok(self.pending.is_news(proposed)),
            Entry::Approval(approval) => {
                self.pending.accepts(approval, now).map_err(|error| CannotFollow(error.to_string()))
            }
            Entry::Escalated { escalation, .. } => Ok(!self.is_escalated(&escalation.incident, &escalation.reason)),
            Entry::Delivered(delivered) => {
                let key = (delivered.incident.clone(), delivered.reason.clone());
                Ok(self.calls.get(&key).is_some_and(|call| !call.delivered))
            }
            Entry::PolicyFrozen(note) => Ok(!self.frozen.contains_key(&note.policy)),
            Entry::PolicyReleased(note) => Ok(self.frozen.contains_key(&note.policy)),
            Entry::Storm(note) => Ok(self.storm.1 != note.storm),
            Entry::KillSwitch(switch) => Ok(&self.kill_switch.1 != switch),
            Entry::Archived(_) => Ok(true),
        }
    }

    fn accepts_intent(&self, intent: &Intent) -> Result<(), CannotFollow> {
        let plan = &intent.plan;
        if self.actions.get(&plan.id).is_some() {
            return Err(CannotFollow(format!("{} is in the journal already", plan.id)));
        }
        let subject = &plan.target.subject;
        match self.actions.on(subject).rfind(|action| !action.stage.is_end()) {
            Some(other) => Err(CannotFollow(format!("{} is still {} on {subject}", other.plan.id, other.stage))),
            None => Ok(()),
        }
    }

    /// Takes a row from a store in.
    pub(crate) fn take_row(&mut self, row: &Row) -> Result<(), FoldError> {
        let Some(entry) = Entry::of_row(row)? else {
            self.n_not_understood += 1;
            return Ok(());
        };
        let broken = |why: CannotFollow| crate::error::ChainError { seq: row.seq, why: why.to_string() };
        self.take(entry, row.seq, row.at).map_err(|error| FoldError::Broken(broken(error)))
    }

    /// Takes an entry in that is row `seq`.
    pub(crate) fn take(&mut self, entry: Entry, seq: i64, at: Timestamp) -> Result<(), CannotFollow> {
        match entry {
            Entry::Intent(intent) => {
                self.accepts_intent(&intent)?;
                self.pending.remove(&intent.plan.incident);
                let Intent { plan, traffic_before, levels_before, .. } = *intent;
                let (actions, incidents) = (Arc::make_mut(&mut self.actions), &self.incidents);
                actions.push(PastAction { traffic_before, levels_before, ..PastAction::intended(plan, at) });
                actions.drop_old(ACTIONS_ENDED_MAX, |incident| incidents.is_open(incident));
            }
            Entry::Step { plan, event } => {
                Arc::make_mut(&mut self.actions).step(&plan, &event, at).map_err(CannotFollow)?;
            }
            Entry::Incident(incident) => {
                if incident.is_over() {
                    self.pending.remove(&incident.id);
                }
                self.incidents.put(incident.in_row(seq));
                self.drop_old_incidents();
            }
            Entry::Label { label, about } => self.labels.put(*label, about, seq),
            Entry::Decision(record) => {
                self.decisions.insert(record.incident.clone(), (seq, Arc::new(*record)));
            }
            Entry::Proposed(proposed) => self.pending.propose(*proposed, seq),
            Entry::Approval(approval) => self.pending.answer(*approval, seq),
            Entry::Escalated { escalation, about } => {
                let key = (escalation.incident.clone(), escalation.reason.clone());
                self.calls.insert(key, Call { escalation: *escalation, about, delivered: false });
            }
            Entry::Delivered(delivered) => {
                if let Some(call) = self.calls.get_mut(&(delivered.incident, delivered.reason)) {
                    call.delivered = true;
                }
            }
            Entry::PolicyFrozen(note) => {
                self.frozen.insert(note.policy, (seq, note.why));
            }
            Entry::PolicyReleased(note) => {
                self.frozen.remove(&note.policy);
            }
            Entry::Storm(note) => self.storm = (seq, note.storm),
            Entry::KillSwitch(switch) => {
                if switch.engaged {
                    self.pending.void_approvals();
                }
                self.kill_switch = (seq, switch);
            }
            Entry::Archived(_) => {}
        }
        Ok(())
    }

    fn drop_old_incidents(&mut self) {
        let (calls, labels) = (&self.calls, &self.labels);
        // A call that nobody has taken over is never forgotten, and neither is what it is about (I33). What somebody has judged is
        // what confidence and expected times rest on.
        let stays = |id: &IncidentId| labels.get(id).is_some() || calls_of(calls, id).any(|call| !call.delivered);
        for dropped in self.incidents.drop_old(labels.len(), stays) {
            self.decisions.remove(&dropped);
            self.calls.retain(|(incident, _), _| incident != &dropped);
        }
    }

    /// The plan that an entry belongs to.
    pub(crate) fn plan_of<'a>(&'a self, entry: &'a Entry) -> Option<&'a Plan> {
        match entry {
            Entry::Intent(intent) => Some(&intent.plan),
            Entry::Step { plan, .. } => self.actions.get(plan).map(|action| &action.plan),
            Entry::Proposed(proposed) => Some(&proposed.plan),
            Entry::Incident(_)
            | Entry::Label { .. }
            | Entry::Decision(_)
            | Entry::Approval(_)
            | Entry::Escalated { .. }
            | Entry::Delivered(_)
            | Entry::PolicyFrozen(_)
            | Entry::PolicyReleased(_)
            | Entry::Storm(_)
            | Entry::KillSwitch(_)
            | Entry::Archived(_) => None,
        }
    }

    pub(crate) fn action(&self, plan: &PlanId) -> Option<&Arc<PastAction>> {
        self.actions.get(plan)
    }

    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &Arc<PastAction>> {
        self.actions.in_flight()
    }

    /// All that are kept, oldest first.
    pub(crate) fn actions(&self) -> impl Iterator<Item = &Arc<PastAction>> {
        self.actions.iter()
    }

    pub(crate) fn history(&self) -> History {
        let frozen = self.frozen.iter().map(|(policy, (_, why))| (policy.clone(), why.clone())).collect();
        History { actions: Arc::clone(&self.actions), frozen, storm: self.storm.1.clone(), pending: self.pending.all() }
    }

    /// Oldest first.
    pub(crate) fn incidents(&self) -> impl Iterator<Item = &Arc<KeptIncident>> {
        self.incidents.iter()
    }

    pub(crate) fn open_incidents(&self) -> impl Iterator<Item = &Arc<KeptIncident>> {
        self.incidents.iter().filter(|incident| !incident.is_over())
    }

    pub(crate) fn page(&self, request: &PageRequest) -> Page {
        self.incidents.page(request, |incident| self.item(incident))
    }

    /// An incident as it is shown.
    pub(crate) fn item(&self, incident: &Arc<KeptIncident>) -> PageItem {
        let (decision, label) = (self.decision(&incident.id).cloned(), self.label(&incident.id).cloned());
        PageItem { incident: Arc::clone(incident), decision, label }
    }

    pub(crate) fn label(&self, incident: &IncidentId) -> Option<&Arc<IncidentLabel>> {
        self.labels.get(incident)
    }

    /// The labels that count, with their incidents.
    pub(crate) fn labels(&self) -> impl Iterator<Item = LabelledIncident> {
        self.labels.iter().filter_map(|label| {
            let incident = Arc::clone(self.incident(&label.incident)?);
            Some(LabelledIncident { label: Arc::clone(label), incident })
        })
    }

    /// The incident, or what was known of it when somebody said what it was, or a human was last called for it.
    pub(crate) fn incident(&self, id: &IncidentId) -> Option<&Arc<KeptIncident>> {
        let of_call = || calls_of(&self.calls, id).find_map(|call| call.about.as_ref());
        self.incidents.get(id).or_else(|| self.labels.about(id)).or_else(of_call)
    }

    pub(crate) fn decision(&self, incident: &IncidentId) -> Option<&Arc<DecisionRecord>> {
        self.decisions.get(incident).map(|(_, record)| record)
    }

    pub(crate) fn pending(&self, incident: &IncidentId) -> Option<&Arc<PendingPlan>> {
        self.pending.get(incident)
    }

    pub(crate) fn is_escalated(&self, incident: &IncidentId, reason: &str) -> bool {
        self.calls.contains_key(&(incident.clone(), reason.to_owned()))
    }

    pub(crate) fn escalations_undelivered(&self) -> Vec<Escalation> {
        self.calls.values().filter(|call| !call.delivered).map(|call| call.escalation.clone()).collect()
    }

    pub(crate) fn kill_switch(&self) -> KillSwitch {
        self.kill_switch.1.clone()
    }

    /// Rows of a newer version that were left out because they are only shown.
    pub(crate) fn n_not_understood(&self) -> u64 {
        self.n_not_understood
    }
}

fn calls_of<'a, 'b>(
    calls: &'a BTreeMap<(IncidentId, String), Call>,
    incident: &'b IncidentId,
) -> impl Iterator<Item = &'a Call> + use<'a, 'b> {
    let from = (incident.clone(), String::new());
    calls.range(from..).take_while(move |((of, _), _)| of == incident).map(|(_, call)| call)
}
