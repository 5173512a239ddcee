//! The life cycle of a container, with memory: one that crashes in a loop is running half of the time, and its status tells of its
//! last end only.
//!
//! What is kept is a set of ends and the highest of some numbers, so the order in which states are seen doesn't matter.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::Timestamp;

use super::container::{Container, ContainerState, End};

/// The kubelet forgets a container's crashes once it has run for so long (`MaxContainerBackOff` of five minutes, twice).
pub(super) const BACK_OFF_RESET: Duration = Duration::from_secs(600);

/// Crashes from which on it is a loop: one is what a start may bring along (a database that isn't there yet), two may be the same
/// bad luck.
pub(super) const CRASHES_MIN: u32 = 3;

/// OOM kills from which on they open an incident by themselves.
pub(super) const OOM_KILLS_MIN: u32 = 2;

/// Ends that are remembered: enough to tell a loop from a bad day, whatever a container does for a year.
const ENDS_MAX: usize = 8;

/// What is remembered of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LifeCycle {
    ends: BTreeMap<Timestamp, End>,
    /// The longest back-off that was seen and the end after which, and how many crashes it stands for.
    backed_off: Option<(Timestamp, u32)>,
}

/// A container that ends again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    pub(super) crashes: u32,
    pub(super) oom_kills: u32,
    /// Its first end in this loop, as far as it was seen.
    pub(super) since: Timestamp,
    pub(super) newest: End,
}

impl LifeCycle {
    /// Takes what a status says.
    pub(super) fn observe(&mut self, container: &Container) {
        for end in container.ends() {
            let known = self.ends.entry(end.finished).or_insert_with(|| end.clone());
            // Two states of one end: whichever comes first by content, so that their order doesn't matter.
            if *end < *known {
                known.clone_from(end);
            }
        }
        while self.ends.len() > ENDS_MAX {
            self.ends.pop_first();
        }
        if let (Some(("CrashLoopBackOff", message)), Some(end)) = (container.waiting(), &container.last_end) {
            let crashes = crashes_of_back_off(message).unwrap_or_else(|| container.restarts.min(CRASHES_MIN));
            self.backed_off = self.backed_off.max(Some((end.finished, crashes)));
        }
    }

    /// The ends that belong together at `now`, however few: a loop, if they are [`CRASHES_MIN`].
    ///
    /// `born` is when its pod was. They are forgotten when the container has been running for [`BACK_OFF_RESET`], and belong together
    /// as long as no run between them was so long.
    pub(super) fn chain(&self, container: &Container, born: Timestamp, now: Timestamp) -> Option<Loop> {
        if container.running_since().is_some_and(|since| now.since(since) >= BACK_OFF_RESET) {
            return None;
        }
        let (_, newest) = self.ends.last_key_value()?;
        // A container of restart policy `Never`, or an init container that is done, isn't in any loop.
        if matches!(&container.state, ContainerState::Terminated(end) if end.exit_code == 0) {
            return None;
        }
        let mut chain = Loop { crashes: 0, oom_kills: 0, since: newest.finished, newest: newest.clone() };
        let mut next_start: Option<Timestamp> = None;
        for end in self.ends.values().rev() {
            // Between two ends that don't follow each other there may have been a run that nobody saw.
            if next_start.is_some_and(|start| start.since(end.finished) >= BACK_OFF_RESET) {
                break;
            }
            next_start = end.started;
            chain.crashes += 1;
            chain.oom_kills += u32::from(end.is_oom());
            chain.since = end.finished;
            if end.started.is_none_or(|started| end.finished.since(started) >= BACK_OFF_RESET) {
                break;
            }
        }
        if let Some((after, crashes)) = self.backed_off
            && after >= chain.since
        {
            chain.crashes = chain.crashes.max(crashes);
        }
        // One status alone: so many restarts within the pod's life leave no room for long runs between them.
        let restarts = container.restarts;
        let is_short = newest.started.is_some_and(|started| newest.finished.since(started) < BACK_OFF_RESET);
        if restarts >= CRASHES_MIN && is_short && newest.finished.since(born) <= BACK_OFF_RESET * restarts {
            chain.crashes = chain.crashes.max(restarts);
        }
        Some(chain)
    }
}

/// How many crashes in a row a back-off stands for: it begins at 10 s and doubles up to five minutes.
fn crashes_of_back_off(message: &str) -> Option<u32> {
    let duration = message.strip_prefix("back-off ")?.split(' ').next()?;
    let crashes = match duration {
        "10s" => 1,
        "20s" => 2,
        "40s" => 3,
        "1m20s" => 4,
        "2m40s" => 5,
        "5m0s" => 6,
        _other => return None,
    };
    Some(crashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn crash_loop(life: &LifeCycle, container: &Container, now: Timestamp) -> Option<Loop> {
        life.chain(container, at(0), now).filter(|chain| chain.crashes >= CRASHES_MIN)
    }

    fn end(started: i64, finished: i64, exit_code: i64) -> End {
        let reason = if exit_code == 137 { "OOMKilled" } else { "Error" };
        End {
            finished: at(finished),
            started: Some(at(started)),
            reason: reason.into(),
            exit_code,
            message: String::new(),
        }
    }

    fn waiting(message: &str, restarts: u32, last_end: End) -> Container {
        Container {
            restarts,
            state: ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: message.into() },
            last_end: Some(last_end),
            ..Container::default()
        }
    }

    fn running(since: i64, restarts: u32, last_end: End) -> Container {
        let state = ContainerState::Running { since: Some(at(since)) };
        Container { restarts, state, last_end: Some(last_end), is_ready: true, ..Container::default() }
    }

    #[test]
    fn a_loop_holds_while_it_runs_in_between_and_ends_when_it_ran_for_ten_minutes() {
        let mut life = LifeCycle::default();
        life.observe(&waiting("back-off 40s restarting failed container=app", 3, end(100, 105, 1)));
        let again = running(145, 4, end(100, 105, 1));
        life.observe(&again);
        assert!(crash_loop(&life, &again, at(150)).is_some(), "it is running, and that proves nothing");
        assert!(crash_loop(&life, &again, at(744)).is_some());
        assert_eq!(crash_loop(&life, &again, at(745)), None, "it has run for as long as the kubelet itself waits");
    }

    #[test]
    fn one_crash_is_none_and_a_year_of_single_crashes_neither() {
        let mut life = LifeCycle::default();
        let first = waiting("back-off 10s restarting failed container=app", 1, end(0, 5, 1));
        life.observe(&first);
        assert_eq!(crash_loop(&life, &first, at(6)), None);
        let day = 86_400;
        for n in 1..30 {
            let after = running(n * day + 10, n as u32, end((n - 1) * day + 10, n * day, 1));
            life.observe(&after);
            assert_eq!(crash_loop(&life, &after, at(n * day + 20)), None, "crash {n}");
        }
    }

    #[test]
    fn ends_that_were_seen_one_by_one_add_up() {
        let mut life = LifeCycle::default();
        for n in 0..4 {
            let status = running(n * 60 + 30, n as u32 + 1, end(n * 60, n * 60 + 20, 137));
            life.observe(&status);
            let found = crash_loop(&life, &status, at(n * 60 + 40));
            assert_eq!(found.map(|found| found.oom_kills), (n >= 2).then_some(n as u32 + 1));
        }
    }

    #[test]
    fn what_ended_well_is_done() {
        let mut life = LifeCycle::default();
        let done = end(0, 5, 0);
        let container = Container { restarts: 5, state: ContainerState::Terminated(done), ..Container::default() };
        life.observe(&container);
        assert_eq!(life.chain(&container, at(0), at(9)), None);
    }
}
