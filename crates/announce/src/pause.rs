//! How long to wait before the next attempt.

use std::time::Duration;

use homeostat_core::Seed;

/// The first pause after a failure, doubled with every further one.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// The longest pause of our own. Five minutes is how long a repaired receiver may wait for an escalation at most.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(300);

/// The longest pause that a receiver may ask for. With longer ones it could silence us.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(900);

/// The largest part of a pause that is added to it, so that many senders that failed together don't come back together.
const JITTER_PERCENT_MAX: u64 = 25;

/// The pause after `n_failures` failures in a row: 5 s, 10 s, 20 s … 5 min and up to a quarter more, or what the receiver
/// asks for if that is longer. The same `salt` and number give the same pause.
pub(crate) fn pause(n_failures: u32, after: Option<Duration>, salt: &str) -> Duration {
    let own = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(n_failures.saturating_sub(1))).min(PAUSE_MAX);
    let percent = Seed::new(u64::from(n_failures)).fork(salt).value() % (JITTER_PERCENT_MAX + 1);
    let own = own + own.mul_f64(percent as f64 / 100.0);
    own.max(after.unwrap_or_default().min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit_with_a_little_jitter() {
        for (n_failures, secs) in [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (8, 300), (u32::MAX, 300)] {
            let own = Duration::from_secs(secs);
            let paused = pause(n_failures, None, "salt");
            assert!(own <= paused && paused <= own.mul_f64(1.25), "{n_failures}: {paused:?}");
        }
        let salts: std::collections::BTreeSet<_> = (0..50).map(|salt| pause(5, None, &salt.to_string())).collect();
        assert!(salts.len() > 10, "different senders come back at different times: {salts:?}");
        assert_eq!(pause(5, None, "a"), pause(5, None, "a"));
    }

    #[test]
    fn the_receivers_wish_is_honoured_within_bounds() {
        assert_eq!(pause(1, Some(Duration::from_secs(60)), "a"), Duration::from_secs(60));
        assert!(pause(9, Some(Duration::from_secs(60)), "a") >= PAUSE_MAX, "not to be asked more often");
        assert_eq!(pause(1, Some(Duration::from_secs(86_400)), "a"), RETRY_AFTER_MAX, "nor to be silenced");
    }
}
