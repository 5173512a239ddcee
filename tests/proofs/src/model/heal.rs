//! Liveness (I15): whatever state was reached, once nothing more goes wrong every action comes to an end in bounded time and
//! lets go of its target. The one continuation that is tried is fair: who can run runs, requests arrive, time passes.
//!
//! An API server that is away stays away, a stop stays in force: neither may keep an action open for ever.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use super::log::Tick;
use super::state::{Doing, State};
use super::{Protocol, Step};
use stateright::Model;

/// An action's longest time from its decision to its end (four ticks), that of a lease that has to run out first (two), one in
/// which the last request arrives, and as much again as two clocks may differ.
const ENDS_WITHIN: Tick = 9;

/// Steps that a leader can take within one tick before there is nothing left to do.
const STEPS_MAX: usize = 40;

/// What was found to end, by all that the continuation depends on.
#[derive(Default)]
pub(super) struct Healed(Mutex<HashSet<u64>>);

impl Protocol {
    /// Whether every action in flight ends from here.
    pub(super) fn heals(&self, state: &State) -> bool {
        if state.log.in_flight().next().is_none() {
            return true;
        }
        let healthy = healthy(state);
        let mut hasher = DefaultHasher::new();
        healthy.hash(&mut hasher);
        let key = hasher.finish();
        if self.healed.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return true;
        }
        let ends = self.ends(healthy);
        if ends {
            self.healed.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        ends
    }

    fn ends(&self, mut state: State) -> bool {
        for _ in 0..ENDS_WITHIN {
            for _ in 0..STEPS_MAX {
                let Some(next) = self.next(&state) else { break };
                state = next;
            }
            if state.log.in_flight().next().is_none() {
                return true;
            }
            self.take(&mut state, &Step::Pass);
        }
        false
    }

    /// The next step of the fair continuation within a tick: requests first, then who is in the middle of something, then the
    /// leader's actions in flight. Nothing new is begun, and signals don't become normal.
    fn next(&self, state: &State) -> Option<State> {
        let mut steps = Vec::new();
        for idx in 0..state.requests.len() {
            steps.push(if state.outage { Step::Drop(idx) } else { Step::Deliver(idx, true) });
        }
        for me in 0..2 {
            let replica = &state.replicas[usize::from(me)];
            steps.extend(replica.doing.next(me));
            if !self.leads(state, me) {
                if replica.epoch > 0 {
                    steps.push(Step::Lose(me));
                } else if self.is_free(state) {
                    steps.push(Step::Acquire(me));
                }
            } else if replica.doing == Doing::Nothing {
                steps.extend((0..replica.log.in_flight().count()).map(|idx| Step::CarryOn(me, idx, false)));
            }
        }
        steps.into_iter().find_map(|step| self.next_state(state, step))
    }
}

/// The same state with everything that runs running. What only counts faults and effects plays no part in what follows.
fn healthy(state: &State) -> State {
    let mut healthy = state.clone();
    for replica in &mut healthy.replicas {
        (replica.up, replica.paused, replica.cut_off) = (true, false, false);
    }
    // Requests that are lost cost a fault, and the continuation has none that it counts.
    (healthy.faults_left, healthy.broken, healthy.approvals) = (u8::MAX, 0, Default::default());
    healthy.effects.clear();
    healthy.before = [None, None];
    healthy
}
