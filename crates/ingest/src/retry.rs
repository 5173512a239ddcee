//! How long to wait before asking again.

use std::time::Duration;

use homeostat_core::Seed;

/// When and how often a failed request is repeated.
///
/// ```
/// use homeostat_core::Seed;
/// use homeostat_ingest::{PrometheusConfig, PrometheusSource, RetryPolicy};
///
/// assert_eq!(RetryPolicy::default().attempts_max, 3);
/// let mut config = PrometheusConfig::new("http://prometheus:9090".parse()?, Seed::new(1));
/// config.retry = RetryPolicy { attempts_max: 1, ..RetryPolicy::default() }; // never ask again
/// assert!(PrometheusSource::new(config).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most requests for one page, the first included. Three: a restarting Prometheus is given two chances; after
    /// that the next round of the service is the better retry.
    pub attempts_max: u32,
    /// The wait after the first failure, before jitter; it doubles each time.
    pub wait_base: Duration,
    /// No wait is longer, whatever the server asks for: a round that late is better skipped.
    pub wait_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 3, wait_base: Duration::from_millis(500), wait_max: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// The wait after failed attempt number `attempt` (from 1) of the request that `seed` was forked for.
    ///
    /// Half of the doubling wait is fixed and half is drawn ("equal jitter"), so that shards that failed together don't
    /// return together. A server's `Retry-After` is a lower bound; `None` if it asks for more than `wait_max`.
    pub(crate) fn wait(&self, attempt: u32, retry_after: Option<Duration>, seed: Seed) -> Option<Duration> {
        let doublings = attempt.saturating_sub(1).min(16);
        let full = self.wait_base.saturating_mul(1 << doublings).min(self.wait_max);
        // The upper 32 bits as a share of one: exact in f64, and never 1.
        let share = (seed.fork(&format!("attempt-{attempt}")).value() >> 32) as f64 / f64::from(u32::MAX);
        let drawn = full / 2 + (full / 2).mul_f64(share);
        match retry_after {
            Some(asked) if asked > self.wait_max => None,
            Some(asked) => Some(asked.max(drawn)),
            None => Some(drawn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_and_stay_below_the_limit() {
        let policy = RetryPolicy::default();
        for seed in 0..200 {
            for (attempt, full_ms) in [(1, 500), (2, 1000), (3, 2000), (40, 30_000)] {
                let wait = policy.wait(attempt, None, Seed::new(seed)).expect("a wait");
                let full = Duration::from_millis(full_ms);
                assert!(wait >= full / 2 && wait <= full, "{wait:?} for attempt {attempt}");
            }
        }
        let waits: std::collections::BTreeSet<_> = (0..20).map(|seed| policy.wait(1, None, Seed::new(seed))).collect();
        assert!(waits.len() > 15, "seeds must spread: {waits:?}");
    }

    #[test]
    fn the_servers_wish_is_a_lower_bound_and_too_long_a_wish_ends_it() {
        let policy = RetryPolicy::default();
        let asked = Duration::from_secs(7);
        assert_eq!(policy.wait(1, Some(asked), Seed::new(1)), Some(asked));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(31)), Seed::new(1)), None);
        let soon = policy.wait(1, Some(Duration::ZERO), Seed::new(1)).expect("a wait");
        assert!(soon >= Duration::from_millis(250));
    }
}
