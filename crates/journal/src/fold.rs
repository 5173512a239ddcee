//! The journal's rows folded into what is asked of it. The rows are the only truth: opening a file folds them all again.

use std::collections::BTreeMap;

use homeostat_core::{Incident, IncidentId, Plan, PlanId, Timestamp};
use homeostat_remediate::{Escalation, History, JournalEvent, LOOK_BACK_MAX, PastAction};
use serde::{Deserialize, Serialize};

use super::{DecisionRecord, Intent, KillSwitch, Note};

/// Ended actions kept in memory. The limit of starts (25 an hour at most, see `Limits`) over seven days gives 4200.
const ACTIONS_ENDED_MAX: usize = 5000;

/// Resolved incidents kept in memory, with their decisions and calls: some weeks of a busy cluster, about 4 MB.
/// Older ones stay in the file.
const INCIDENTS_RESOLVED_MAX: usize = 1000;

/// One row's body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Entry {
    Intent(Box<Intent>),
    Step { plan: PlanId, event: JournalEvent },
    Note(Note),
}

/// A row that can't follow the rows before it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CannotFollow(String);

#[derive(Clone, Debug)]
struct Call {
    escalation: Escalation,
    delivered: bool,
}

/// Everything the rows say.
#[derive(Clone, Debug, Default)]
pub(super) struct Folded {
    /// In the order of their intents.
    actions: Vec<PastAction>,
    incidents: BTreeMap<IncidentId, Incident>,
    decisions: BTreeMap<IncidentId, DecisionRecord>,
    calls: BTreeMap<(IncidentId, String), Call>,
    frozen: BTreeMap<String, String>,
    kill_switch: KillSwitch,
}

impl Folded {
    /// Whether the entry may follow; `Ok(false)` when it would say nothing new.
    pub(super) fn accepts(&self, entry: &Entry) -> Result<bool, CannotFollow> {
        match entry {
            Entry::Intent(intent) => self.accepts_intent(intent).map(|()| true),
            Entry::Step { plan, event } => {
                let action = self.action(plan).ok_or_else(|| CannotFollow(format!("{plan} has no intent")))?;
                action.stage.next(event).map_err(|error| CannotFollow(format!("{plan}: {error}")))?;
                Ok(true)
            }
            Entry::Note(note) => Ok(self.is_news(note)),
        }
    }

    fn accepts_intent(&self, intent: &Intent) -> Result<(), CannotFollow> {
        let plan = &intent.plan;
        if self.action(&plan.id).is_some() {
            return Err(CannotFollow(format!("{} is in the journal already", plan.id)));
        }
        let subject = &plan.target.subject;
        match self.actions.iter().find(|past| !past.stage.is_end() && &past.plan.target.subject == subject) {
            Some(other) => Err(CannotFollow(format!("{} is still {} on {subject}", other.plan.id, other.stage))),
            None => Ok(()),
        }
    }

    fn is_news(&self, note: &Note) -> bool {
        match note {
            Note::Incident(incident) => self.incidents.get(&incident.id) != Some(&**incident),
            Note::Decision(record) => {
                self.decisions.get(&record.incident).is_none_or(|earlier| record.differs_from(earlier))
            }
            Note::Escalated(call) => !self.is_escalated(&call.incident, &call.reason),
            Note::EscalationDelivered { incident, reason } => {
                self.calls.get(&(incident.clone(), reason.clone())).is_some_and(|call| !call.delivered)
            }
            Note::PolicyFrozen { policy, .. } => !self.frozen.contains_key(policy),
            Note::PolicyReleased { policy, .. } => self.frozen.contains_key(policy),
            Note::KillSwitch(switch) => &self.kill_switch != switch,
        }
    }

    /// Takes a row in.
    pub(super) fn take(&mut self, entry: Entry, at: Timestamp) -> Result<(), CannotFollow> {
        self.accepts(&entry)?;
        match entry {
            Entry::Intent(intent) => {
                self.actions.push(PastAction::intended(intent.plan, intent.traffic_before, at));
                self.drop_old_actions();
            }
            Entry::Step { plan, event } => {
                if let Some(action) = self.actions.iter_mut().rev().find(|action| action.plan.id == plan) {
                    action.step(&event, at).map_err(|error| CannotFollow(error.to_string()))?;
                }
            }
            Entry::Note(note) => self.take_note(note),
        }
        Ok(())
    }

    fn take_note(&mut self, note: Note) {
        match note {
            Note::Incident(incident) => {
                self.incidents.insert(incident.id.clone(), *incident);
                self.drop_old_incidents();
            }
            Note::Decision(record) => {
                self.decisions.insert(record.incident.clone(), record);
            }
            Note::Escalated(escalation) => {
                let key = (escalation.incident.clone(), escalation.reason.clone());
                self.calls.insert(key, Call { escalation, delivered: false });
            }
            Note::EscalationDelivered { incident, reason } => {
                if let Some(call) = self.calls.get_mut(&(incident, reason)) {
                    call.delivered = true;
                }
            }
            Note::PolicyFrozen { policy, why } => {
                self.frozen.insert(policy, why);
            }
            Note::PolicyReleased { policy, .. } => {
                self.frozen.remove(&policy);
            }
            Note::KillSwitch(switch) => self.kill_switch = switch,
        }
    }

    fn drop_old_actions(&mut self) {
        let n_ended = self.actions.iter().filter(|action| action.stage.is_end()).count();
        if n_ended > ACTIONS_ENDED_MAX
            && let Some(idx) = self.actions.iter().position(|action| action.stage.is_end())
        {
            self.actions.remove(idx);
        }
    }

    fn drop_old_incidents(&mut self) {
        let resolved = self.incidents.values().filter(|incident| incident.state.is_over());
        if resolved.clone().count() > INCIDENTS_RESOLVED_MAX
            && let Some(oldest) =
                resolved.min_by_key(|incident| incident.updated_at).map(|incident| incident.id.clone())
        {
            self.incidents.remove(&oldest);
            self.decisions.remove(&oldest);
            // A call that nobody has taken over is never forgotten (I33).
            self.calls.retain(|(incident, _), call| incident != &oldest || !call.delivered);
        }
    }

    pub(super) fn action(&self, plan: &PlanId) -> Option<&PastAction> {
        self.actions.iter().rev().find(|action| &action.plan.id == plan)
    }

    /// The plan that an entry belongs to.
    pub(super) fn plan_of<'a>(&'a self, entry: &'a Entry) -> Option<&'a Plan> {
        match entry {
            Entry::Intent(intent) => Some(&intent.plan),
            Entry::Step { plan, .. } => self.action(plan).map(|action| &action.plan),
            Entry::Note(_) => None,
        }
    }

    pub(super) fn in_flight(&self) -> impl Iterator<Item = &PastAction> {
        self.actions.iter().filter(|action| !action.stage.is_end())
    }

    pub(super) fn history(&self, now: Timestamp) -> History {
        let kept = |action: &&PastAction| {
            !action.stage.is_end()
                || action.intended_at + LOOK_BACK_MAX > now
                || action.stage_at + LOOK_BACK_MAX > now
                // The attempts of an incident that is still open, however old, so that its attempts are numbered on.
                || self.incidents.get(&action.plan.incident).is_some_and(|it| !it.state.is_over())
        };
        History { actions: self.actions.iter().filter(kept).cloned().collect(), frozen: self.frozen.clone() }
    }

    pub(super) fn incidents(&self) -> Vec<Incident> {
        let mut incidents: Vec<Incident> = self.incidents.values().cloned().collect();
        incidents.sort_by(|left, right| (left.opened_at, &left.id).cmp(&(right.opened_at, &right.id)));
        incidents
    }

    pub(super) fn decision(&self, incident: &IncidentId) -> Option<&DecisionRecord> {
        self.decisions.get(incident)
    }

    pub(super) fn is_escalated(&self, incident: &IncidentId, reason: &str) -> bool {
        self.calls.contains_key(&(incident.clone(), reason.to_owned()))
    }

    pub(super) fn escalations_undelivered(&self) -> Vec<Escalation> {
        self.calls.values().filter(|call| !call.delivered).map(|call| call.escalation.clone()).collect()
    }

    pub(super) fn kill_switch(&self) -> KillSwitch {
        self.kill_switch.clone()
    }
}
