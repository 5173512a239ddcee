//! Many actions, found by what is asked of them again and again: deciding goes by a handful of them, not by thousands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{IncidentId, Subject, Timestamp};

use crate::past_action::PastAction;
use crate::plan::PlanId;
use crate::stage::{JournalEvent, Stage};

/// Actions in the order of their intents, each shared: giving out thousands copies no plan.
#[derive(Clone, Debug, Default)]
pub struct PastActions {
    actions: BTreeMap<u64, Arc<PastAction>>,
    by_plan: BTreeMap<PlanId, u64>,
    by_incident: BTreeMap<IncidentId, Vec<u64>>,
    by_subject: BTreeMap<Subject, Vec<u64>>,
    by_policy: BTreeMap<String, Attempts>,
    attempts: Attempts,
    in_flight: BTreeSet<u64>,
    next: u64,
}

/// When attempts were intended. What surely wrote nothing was none.
///
/// A clock that was put back makes them lie out of the order in which they were made, so they are sorted by it (I28).
type Attempts = BTreeSet<(Timestamp, u64)>;

impl PastActions {
    /// All of them, oldest intent first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<PastAction>> {
        self.actions.values()
    }

    /// Those of which budgets, cooldowns, or carrying them on may still ask at `now`.
    pub fn counting(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = &Arc<PastAction>> {
        self.iter().filter(move |action| action.counts_at(now))
    }

    /// The one with the oldest intent.
    pub fn first(&self) -> Option<&Arc<PastAction>> {
        self.iter().next()
    }

    /// The one with the newest intent.
    pub fn last(&self) -> Option<&Arc<PastAction>> {
        self.iter().next_back()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Whether one of them is of the plan with this id.
    pub fn has(&self, plan: &str) -> bool {
        self.by_plan.contains_key(plan)
    }

    /// The action of this plan.
    pub fn get(&self, plan: &PlanId) -> Option<&Arc<PastAction>> {
        self.actions.get(self.by_plan.get(plan)?)
    }

    /// Those that haven't ended, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = &Arc<PastAction>> {
        self.those(&self.in_flight)
    }

    /// Those for this incident, oldest first.
    pub fn of_incident(&self, incident: &IncidentId) -> impl DoubleEndedIterator<Item = &Arc<PastAction>> {
        self.those(self.by_incident.get(incident).into_iter().flatten())
    }

    /// Those on this subject, oldest first.
    pub fn on(&self, subject: &Subject) -> impl DoubleEndedIterator<Item = &Arc<PastAction>> {
        self.those(self.by_subject.get(subject).into_iter().flatten())
    }

    /// How many attempts were intended in the window that ends now, or after it.
    pub fn attempts(&self, window: Duration, now: Timestamp) -> u32 {
        count(&self.attempts, window, now)
    }

    /// As [`attempts`](Self::attempts), those of this policy.
    pub fn attempts_of_policy(&self, policy: &str, window: Duration, now: Timestamp) -> u32 {
        self.by_policy.get(policy).map_or(0, |attempts| count(attempts, window, now))
    }

    /// Those of this policy, by when they were intended; without what surely wrote nothing.
    pub fn of_policy(&self, policy: &str) -> impl DoubleEndedIterator<Item = &Arc<PastAction>> {
        let attempts = self.by_policy.get(policy).into_iter().flatten();
        attempts.filter_map(|(_, idx)| self.actions.get(idx))
    }

    fn those<'a, T>(&'a self, idxs: T) -> impl DoubleEndedIterator<Item = &'a Arc<PastAction>>
    where
        T: IntoIterator<Item = &'a u64, IntoIter: DoubleEndedIterator>,
    {
        idxs.into_iter().filter_map(|idx| self.actions.get(idx))
    }

    /// Adds one; its intent is the newest.
    pub fn push(&mut self, action: impl Into<Arc<PastAction>>) {
        let (action, idx) = (action.into(), self.next);
        let plan = &action.plan;
        self.by_plan.insert(plan.id.clone(), idx);
        self.by_incident.entry(plan.incident.clone()).or_default().push(idx);
        self.by_subject.entry(plan.target.subject.clone()).or_default().push(idx);
        if !action.stage.is_end() {
            self.in_flight.insert(idx);
        }
        if action.stage != Stage::NotApplied {
            self.attempts.insert((action.intended_at, idx));
            self.by_policy.entry(plan.policy.clone()).or_default().insert((action.intended_at, idx));
        }
        self.actions.insert(idx, action);
        self.next += 1;
    }

    /// Takes an action to its next stage. Whoever holds it as it was keeps it as it was.
    pub fn step(&mut self, plan: &PlanId, event: &JournalEvent, at: Timestamp) -> Result<(), String> {
        let idx = *self.by_plan.get(plan).ok_or_else(|| format!("{plan} has no intent"))?;
        let action = self.actions.get_mut(&idx).ok_or_else(|| format!("{plan} has no intent"))?;
        Arc::make_mut(action).step(event, at).map_err(|error| format!("{plan}: {error}"))?;
        let action = Arc::clone(action);
        if action.stage.is_end() {
            self.in_flight.remove(&idx);
        }
        if action.stage == Stage::NotApplied {
            self.no_attempt(&action, idx);
        }
        Ok(())
    }

    /// Drops the oldest ended ones above the limit; those of incidents for which `stays` holds stay. It doesn't go by time: what a
    /// clock that is ahead for a moment drops would be missing from the budgets afterwards (I28).
    pub fn drop_old(&mut self, ended_max: usize, stays: impl Fn(&IncidentId) -> bool) {
        while self.actions.len() - self.in_flight.len() > ended_max {
            let mut ended = self.actions.iter().filter(|(_, action)| action.stage.is_end());
            let oldest = ended.find(|(_, action)| !stays(&action.plan.incident));
            let Some((idx, action)) = oldest.map(|(idx, action)| (*idx, Arc::clone(action))) else { return };
            self.remove(idx, &action);
        }
    }

    fn remove(&mut self, idx: u64, action: &PastAction) {
        self.no_attempt(action, idx);
        self.actions.remove(&idx);
        let plan = &action.plan;
        self.by_plan.remove(&plan.id);
        forget(&mut self.by_incident, &plan.incident, idx);
        forget(&mut self.by_subject, &plan.target.subject, idx);
    }

    fn no_attempt(&mut self, action: &PastAction, idx: u64) {
        self.attempts.remove(&(action.intended_at, idx));
        if let Some(attempts) = self.by_policy.get_mut(&action.plan.policy) {
            attempts.remove(&(action.intended_at, idx));
            if attempts.is_empty() {
                self.by_policy.remove(&action.plan.policy);
            }
        }
    }
}

/// A clock that steps back makes `now` earlier and the count larger, never smaller: stricter (I28). An intent in the future counts.
fn count(attempts: &Attempts, window: Duration, now: Timestamp) -> u32 {
    let newest_first = attempts.iter().rev();
    let n = newest_first.take_while(|(intended_at, _)| *intended_at + window > now).count();
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn forget<K: Ord>(index: &mut BTreeMap<K, Vec<u64>>, key: &K, idx: u64) {
    if let Some(idxs) = index.get_mut(key) {
        idxs.retain(|other| *other != idx);
        if idxs.is_empty() {
            index.remove(key);
        }
    }
}

/// The same actions in the same order; how they came there doesn't matter.
impl PartialEq for PastActions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<A: Into<Arc<PastAction>>> FromIterator<A> for PastActions {
    fn from_iter<T: IntoIterator<Item = A>>(actions: T) -> Self {
        let mut all = Self::default();
        actions.into_iter().for_each(|action| all.push(action));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_plan::plan as restart_of;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + secs as i64)
    }

    proptest! {
        /// Whatever was pushed, ended and dropped, the indexes say what going through all of them says.
        #[test]
        fn the_indexes_say_what_the_actions_say(
            made in prop::collection::vec((0_u8..4, 0_u64..2_000, 0_u8..4), 0..40),
            window_s in 0_u64..2_500,
            now_s in 0_u64..2_500,
            ended_max in 0_usize..30,
        ) {
            let mut all = PastActions::default();
            for (nth, (name, secs, end)) in made.into_iter().enumerate() {
                let mut plan = restart_of(&format!("s{name}"), at(secs));
                plan.id = PlanId::of(&plan.incident, nth as u32);
                plan.policy = format!("policy-{}", name % 2);
                let id = plan.id.clone();
                all.push(PastAction::intended(plan, at(secs)));
                let events: &[JournalEvent] = match end {
                    0 => &[],
                    1 => &[JournalEvent::NotApplied { why: "test".into(), refused: false }],
                    _ => &[JournalEvent::ApplyStarted, JournalEvent::OutcomeUnknown { why: "test".into() }],
                };
                for event in events {
                    all.step(&id, event, at(secs + 1)).unwrap();
                }
            }
            all.drop_old(ended_max, |incident| incident.as_str().ends_with('0'));
            let (window, now) = (Duration::from_secs(window_s), at(now_s));
            let is_attempt = |action: &&Arc<PastAction>| {
                action.stage != Stage::NotApplied && action.intended_at + window > now
            };
            prop_assert_eq!(all.attempts(window, now) as usize, all.iter().filter(is_attempt).count());
            for policy in ["policy-0", "policy-1", "policy-2"] {
                let n = all.iter().filter(is_attempt).filter(|action| action.plan.policy == policy).count();
                prop_assert_eq!(all.attempts_of_policy(policy, window, now) as usize, n);
            }
            prop_assert!(all.in_flight().eq(all.iter().filter(|action| !action.stage.is_end())));
            for name in 0..4 {
                let subject = Subject::deployment("shop", format!("s{name}"));
                prop_assert!(all.on(&subject).eq(all.iter().filter(|action| action.plan.target.subject == subject)));
            }
            for action in all.iter() {
                prop_assert!(all.get(&action.plan.id).is_some_and(|found| Arc::ptr_eq(found, action)));
                let incident = &action.plan.incident;
                prop_assert!(all.of_incident(incident).eq(all.iter().filter(|other| &other.plan.incident == incident)));
            }
        }
    }

    #[test]
    fn the_oldest_ended_are_dropped_and_what_is_under_way_or_stays_never_is() {
        let mut all = PastActions::default();
        for (name, ends) in [("stays", true), ("under-way", false), ("old", true), ("new", true)] {
            let plan = restart_of(name, at(0));
            let id = plan.id.clone();
            all.push(PastAction::intended(plan, at(0)));
            if ends {
                all.step(&id, &JournalEvent::ApplyStarted, at(0)).unwrap();
                all.step(&id, &JournalEvent::OutcomeUnknown { why: "test".into() }, at(1)).unwrap();
            }
        }
        let stays = restart_of("stays", at(0)).incident;
        all.drop_old(2, |incident| incident == &stays);
        let names: Vec<_> = all.iter().map(|action| action.plan.target.subject.name.clone()).collect();
        assert_eq!(names, ["stays", "under-way", "new"]);
    }
}
