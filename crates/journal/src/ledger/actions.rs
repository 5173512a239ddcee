//! Actions, from their intents on: shared, so that giving out the history of thousands copies pointers and no plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::{IncidentId, Subject, Timestamp};
use homeostat_remediate::PlanId;
use homeostat_remediate::{JournalEvent, LOOK_BACK_MAX, PastAction};

/// Ended actions kept in memory. The limit of starts (25 an hour at most, see `SafetyLimits`) over seven days gives 4200.
pub(super) const ACTIONS_ENDED_MAX: usize = 5000;

/// All actions, in the order of their intents.
#[derive(Clone, Debug, Default)]
pub(super) struct Actions {
    actions: BTreeMap<u64, Arc<PastAction>>,
    by_plan: BTreeMap<PlanId, u64>,
    /// Those in flight: one a subject (I1).
    busy: BTreeMap<Subject, u64>,
    next: u64,
}

impl Actions {
    pub(super) fn get(&self, plan: &PlanId) -> Option<&Arc<PastAction>> {
        self.actions.get(self.by_plan.get(plan)?)
    }

    /// The action in flight on this subject.
    pub(super) fn on(&self, subject: &Subject) -> Option<&Arc<PastAction>> {
        self.actions.get(self.busy.get(subject)?)
    }

    /// Actions that haven't ended, oldest first.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &Arc<PastAction>> {
        let mut idxs: Vec<u64> = self.busy.values().copied().collect();
        idxs.sort_unstable();
        idxs.into_iter().filter_map(|idx| self.actions.get(&idx))
    }

    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<PastAction>> {
        self.actions.values()
    }

    pub(super) fn push(&mut self, action: PastAction) {
        self.by_plan.insert(action.plan.id.clone(), self.next);
        self.busy.insert(action.plan.target.subject.clone(), self.next);
        self.actions.insert(self.next, Arc::new(action));
        self.next += 1;
    }

    pub(super) fn step(&mut self, plan: &PlanId, event: &JournalEvent, at: Timestamp) -> Result<(), String> {
        let action = self.by_plan.get(plan).and_then(|idx| self.actions.get_mut(idx));
        let action = action.ok_or_else(|| format!("{plan} has no intent"))?;
        // Whoever holds the history as it was keeps it as it was.
        Arc::make_mut(action).step(event, at).map_err(|error| format!("{plan}: {error}"))?;
        if action.stage.is_end() {
            self.busy.remove(&action.plan.target.subject);
        }
        Ok(())
    }

    /// Drops the oldest ended actions above the limit; those of open incidents stay, so that their attempts are numbered on.
    pub(super) fn drop_old(&mut self, is_open: impl Fn(&IncidentId) -> bool) {
        while self.actions.len() - self.busy.len() > ACTIONS_ENDED_MAX {
            let mut ended = self.actions.iter().filter(|(_, action)| action.stage.is_end());
            let oldest = ended.find(|(_, action)| !is_open(&action.plan.incident));
            let Some((idx, plan)) = oldest.map(|(idx, action)| (*idx, action.plan.id.clone())) else { return };
            self.actions.remove(&idx);
            self.by_plan.remove(&plan);
        }
    }

    /// Actions in flight, those within the longest look-back from `now`, and those of open incidents, however old.
    pub(super) fn since(&self, now: Timestamp, is_open: impl Fn(&IncidentId) -> bool) -> Vec<Arc<PastAction>> {
        let wanted = |action: &&Arc<PastAction>| counts(action, now) || is_open(&action.plan.incident);
        self.actions.values().filter(wanted).cloned().collect()
    }
}

/// Whether budgets, cooldowns or carrying it on may still ask for the action at `now`.
pub(super) fn counts(action: &PastAction, now: Timestamp) -> bool {
    !action.stage.is_end() || action.intended_at + LOOK_BACK_MAX > now || action.stage_at + LOOK_BACK_MAX > now
}
