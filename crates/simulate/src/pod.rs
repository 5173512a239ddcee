//! One pod's life: start, ready, killed, waiting longer after each kill. Not what it serves.

use std::time::Duration;

use homeostat_core::Timestamp;

/// Longest wait between two starts of a container, and how long it must run for the waits to start anew:
/// the kubelet's own numbers (10 s doubling up to 5 min, reset after 10 min).
const BACKOFF_S_MAX: u64 = 300;
const BACKOFF_RESET: Duration = Duration::from_secs(600);

/// How long caches and connection pools of a new process take to fill.
pub(crate) const WARM_S: f64 = 180.0;

/// How long a new process takes to reach its usual memory.
const MEMORY_WARM_S: f64 = 600.0;

/// A pod in its slot.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) created_at: Timestamp,
    /// The Deployment's revision it belongs to.
    pub(crate) revision: u64,
    /// What it runs; a restart makes a new revision of the same code.
    pub(crate) code: u64,
    pub(crate) state: PodState,
    /// Memory that will never be given back, share of the limit.
    pub(crate) leaked: f64,
    /// The pod before it in its slot served until it was ready: nothing was missing in between.
    pub(crate) took_over: bool,
    kills_in_a_row: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PodState {
    /// It serves.
    Ready { since: Timestamp },
    /// Its container starts, or waits to be started; ready at `until`.
    Waiting { until: Timestamp },
    /// It finds no node.
    Pending,
}

/// What keeps a pod from running.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Obstacle {
    /// There is no node for it.
    pub(crate) no_node: bool,
    /// Its container dies before it's ready.
    pub(crate) dies: bool,
}

impl Pod {
    /// A pod whose container starts now.
    pub(crate) fn starting(at: Timestamp, startup: Duration, revision: u64, code: u64) -> Self {
        let state = PodState::Waiting { until: at + startup };
        Self { created_at: at, revision, code, state, leaked: 0.0, took_over: false, kills_in_a_row: 0 }
    }

    /// A pod that has run for long.
    pub(crate) fn settled(at: Timestamp, revision: u64, code: u64) -> Self {
        let since = at - Duration::from_secs(86_400);
        Self {
            created_at: since,
            revision,
            code,
            state: PodState::Ready { since },
            leaked: 0.0,
            took_over: false,
            kills_in_a_row: 0,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, PodState::Ready { .. })
    }

    /// Lives on until `now`; returns how often its container was restarted.
    pub(crate) fn advance(&mut self, now: Timestamp, startup: Duration, obstacle: Obstacle) -> u32 {
        let mut n_restarts = 0;
        if obstacle.no_node {
            self.state = PodState::Pending;
            self.took_over = false;
            return 0;
        }
        if self.state == PodState::Pending {
            self.state = PodState::Waiting { until: now + startup };
        }
        if obstacle.dies && self.is_ready() {
            self.kill(now, startup);
            return 1;
        }
        // Each turn moves `until` on by at least the start-up time, and a step is a minute at most.
        while let PodState::Waiting { until } = self.state {
            if until > now {
                break;
            }
            if obstacle.dies {
                n_restarts += 1;
                self.kills_in_a_row = self.kills_in_a_row.saturating_add(1);
                self.state = PodState::Waiting { until: until + self.backoff() + startup };
            } else {
                self.state = PodState::Ready { since: until };
            }
        }
        n_restarts
    }

    /// Its container is killed and started again, in the same pod.
    pub(crate) fn kill(&mut self, now: Timestamp, startup: Duration) {
        if let PodState::Ready { since } = self.state
            && now.since(since) >= BACKOFF_RESET
        {
            self.kills_in_a_row = 0;
        }
        self.kills_in_a_row = self.kills_in_a_row.saturating_add(1);
        self.leaked = 0.0;
        self.took_over = false;
        self.state = PodState::Waiting { until: now + self.backoff() + startup };
    }

    /// The first restart is immediate, then 10 s, 20 s, 40 s …
    fn backoff(&self) -> Duration {
        let seconds = match self.kills_in_a_row {
            0 | 1 => 0,
            kills => 10_u64.saturating_mul(1 << (kills - 2).min(10)),
        };
        Duration::from_secs(seconds.min(BACKOFF_S_MAX))
    }

    /// Share of the step that ends `now` in which its slot served.
    pub(crate) fn share_ready(&self, now: Timestamp, step: Duration) -> f64 {
        match self.state {
            PodState::Ready { .. } if self.took_over => 1.0,
            PodState::Ready { since } => (now.since(since).as_secs_f64() / step.as_secs_f64()).min(1.0),
            PodState::Waiting { .. } | PodState::Pending => 0.0,
        }
    }

    /// 1 for a process that has just started, falling to 0 once it's warm.
    pub(crate) fn coldness(&self, now: Timestamp) -> f64 {
        match self.state {
            PodState::Ready { since } => (1.0 - now.since(since).as_secs_f64() / WARM_S).max(0.0),
            PodState::Waiting { .. } | PodState::Pending => 0.0,
        }
    }

    /// Share of its usual memory that a process of this age uses.
    pub(crate) fn memory_fill(&self, now: Timestamp) -> f64 {
        match self.state {
            PodState::Ready { since } => 0.6 + 0.4 * (now.since(since).as_secs_f64() / MEMORY_WARM_S).min(1.0),
            PodState::Waiting { .. } | PodState::Pending => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTUP: Duration = Duration::from_secs(20);
    const DIES: Obstacle = Obstacle { no_node: false, dies: true };

    #[test]
    fn a_crash_loop_slows_down_to_one_restart_in_five_minutes() {
        let start = Timestamp::from_secs(0);
        let mut pod = Pod::settled(start, 1, 1);
        let per_step: Vec<u32> =
            (1..=60).map(|minute| pod.advance(start + Duration::from_secs(60 * minute), STARTUP, DIES)).collect();
        let (early, late) = (per_step[..10].iter().sum::<u32>(), per_step[40..].iter().sum::<u32>());
        assert!(early >= 5 && late <= 4, "{per_step:?}");
        assert!(!pod.is_ready());
    }

    #[test]
    fn a_killed_container_is_back_in_the_same_pod_without_its_leak() {
        let start = Timestamp::from_secs(0);
        let mut pod = Pod::settled(start, 1, 1);
        pod.leaked = 0.4;
        let created_at = pod.created_at;
        pod.kill(start, STARTUP);
        assert!(!pod.is_ready());
        assert_eq!(pod.advance(start + Duration::from_secs(60), STARTUP, Obstacle::default()), 0);
        assert!(pod.is_ready() && pod.leaked == 0.0 && pod.created_at == created_at);
        assert!((pod.share_ready(start + Duration::from_secs(60), Duration::from_secs(60)) - 40.0 / 60.0).abs() < 1e-9);
    }

    #[test]
    fn a_pod_without_a_node_waits_and_then_starts() {
        let mut pod = Pod::settled(Timestamp::from_secs(0), 1, 1);
        let no_node = Obstacle { no_node: true, dies: false };
        pod.advance(Timestamp::from_secs(60), STARTUP, no_node);
        assert_eq!(pod.state, PodState::Pending);
        pod.advance(Timestamp::from_secs(120), STARTUP, Obstacle::default());
        assert!(!pod.is_ready());
        pod.advance(Timestamp::from_secs(180), STARTUP, Obstacle::default());
        assert!(pod.is_ready());
    }
}
