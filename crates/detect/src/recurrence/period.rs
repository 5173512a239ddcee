//! A period in which things may recur, and where a moment is in it.

use std::time::Duration;

use homeostat_core::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// The epoch was a Thursday, the fourth day of a week that begins on Monday.
const EPOCH_WEEKDAY: i64 = 3;

/// Monday to Friday: what runs on working days is most often planned by this week. Elsewhere the week itself finds it, from two of them on.
const WORKING_DAYS: i64 = 5;

/// A period, how often it must have been seen, and in which share of its cycles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period {
    pub(super) length: Duration,
    pub(super) cycles_min: usize,
    pub(super) share_min: f64,
    working_days_only: bool,
}

/// On four days of five.
pub(super) const DAY: Period =
    Period { length: Duration::from_secs(86_400), cycles_min: 3, share_min: 0.8, working_days_only: false };

/// On four working days of five. Four of them, so that the one weekend of a short history isn't the reason.
pub(super) const WORKING_DAY: Period = Period { cycles_min: 4, working_days_only: true, ..DAY };

/// Of two weeks in both, of four in three.
pub(super) const WEEK: Period =
    Period { length: Duration::from_secs(7 * 86_400), cycles_min: 2, share_min: 0.6, working_days_only: false };

impl Period {
    /// Whether the moment belongs to one of its cycles.
    pub(super) fn has(&self, at: Timestamp) -> bool {
        let weekday = (at.as_millis().div_euclid(DAY_MS) + EPOCH_WEEKDAY).rem_euclid(7);
        !self.working_days_only || weekday < WORKING_DAYS
    }

    pub(super) fn length_ms(&self) -> i64 {
        i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn cycle_of(&self, at: Timestamp) -> i64 {
        at.as_millis().div_euclid(self.length_ms())
    }
}

/// The moment's phase, by phases of this length.
pub(super) fn phase_of(at: Timestamp, period: &Period, phase_ms: i64) -> usize {
    usize::try_from(at.as_millis().rem_euclid(period.length_ms()) / phase_ms.max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_day_is_monday_to_friday() {
        // 2 March 2026 is a Monday.
        let monday = 1_772_409_600;
        let working = |day: i64| WORKING_DAY.has(Timestamp::from_secs(monday + 86_400 * day));
        assert_eq!([0, 4, 5, 6, 7, -1].map(working), [true, true, false, false, true, false]);
        assert!((0..7).all(|day| DAY.has(Timestamp::from_secs(monday + 86_400 * day))));
    }
}
