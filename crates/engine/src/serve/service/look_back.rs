//! What began shortly before the start: the models were trained without the last hours, which are now looked at as if they came in live.
//!
//! A fault that went on while homeostat was started would otherwise be what is usual.

use std::sync::PoisonError;
use std::time::Duration;

use homeostat_core::Timestamp;

use super::Service;
use crate::serve::window_rows::WINDOW_ROWS;

/// Rows that are looked at in one go: a window's, less those that are asked for again.
const CHUNK_ROWS: u32 = WINDOW_ROWS as u32 - 4;
/// Most goes: twelve hours of minutes, three of quarters of a minute. It bounds how long the start takes.
const CHUNKS_MAX: u32 = 12;

impl Service {
    /// Looks at what the models haven't seen of the time before the start. What began and ended then is told to nobody; what goes on opens
    /// an incident in the first cycle.
    pub(crate) async fn look_back(&mut self) {
        let now = self.read_clock();
        let at = (now - self.config.offset).align_down(self.config.step);
        let newest = {
            let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
            monitor.subjects().filter_map(|subject| monitor.ensemble(subject)?.newest_at()).min()
        };
        let Some(newest) = newest.filter(|newest| *newest < at) else { return };
        let ends = chunk_ends(newest, at, self.config.step);
        tracing::info!(from = %newest, to = %at, "looking for what began before the start");
        for end in ends {
            let pulled = self.puller.ask(end).await;
            let (seen, pull) = self.puller.take(pulled);
            if pull.failed.len() >= self.config.queries.n_queries() {
                // The first cycle tells it, and goes on from here.
                break;
            }
            self.cycle.recall_rollouts(now, self.puller.rollouts());
            self.cycle.look_back(end, &seen.windows);
        }
        self.cycle.looked_back();
    }
}

/// The last rows of each go, oldest first: together they reach from `newest` to `at`, or as far back as may be.
fn chunk_ends(newest: Timestamp, at: Timestamp, step: Duration) -> Vec<Timestamp> {
    let mut ends: Vec<Timestamp> =
        (0..CHUNKS_MAX).map(|idx| at - step * (CHUNK_ROWS * idx)).take_while(|end| *end > newest).collect();
    ends.reverse();
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 60)
    }

    #[test]
    fn the_goes_reach_from_what_models_have_seen_until_now_and_no_further_back_than_allowed() {
        assert_eq!(chunk_ends(minute(1000), minute(1000), STEP), []);
        assert_eq!(chunk_ends(minute(999), minute(1000), STEP), [minute(1000)]);
        assert_eq!(chunk_ends(minute(880), minute(1000), STEP), [minute(940), minute(1000)]);
        assert_eq!(chunk_ends(minute(0), minute(100_000), STEP).len(), 12);
    }
}
