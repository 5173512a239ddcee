//! A period in which things may recur, and where a moment is in it.

use std::time::Duration;

use homeostat_core::LocalMoment;

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
    folded_by: FoldedBy,
}

/// Which of a moment's days counts, where that is a holiday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FoldedBy {
    /// Any: each day is one of its cycles.
    Day,
    /// Only what is no weekend, and like none.
    WorkingDay,
    /// The weekday that it is like.
    Weekday,
}

/// On four days of five.
pub(super) const DAY: Period =
    Period { length: Duration::from_secs(86_400), cycles_min: 3, share_min: 0.8, folded_by: FoldedBy::Day };

/// On four working days of five. Four of them, so that the one weekend of a short history isn't the reason.
pub(super) const WORKING_DAY: Period = Period { cycles_min: 4, folded_by: FoldedBy::WorkingDay, ..DAY };

/// Of two weeks in both, of four in three.
pub(super) const WEEK: Period =
    Period { length: Duration::from_secs(7 * 86_400), cycles_min: 2, share_min: 0.6, folded_by: FoldedBy::Weekday };

impl Period {
    /// Whether the moment belongs to one of its cycles.
    pub(super) fn has(&self, at: LocalMoment) -> bool {
        match self.folded_by {
            FoldedBy::Day | FoldedBy::Weekday => true,
            FoldedBy::WorkingDay => {
                (at.weekday.as_millis().div_euclid(DAY_MS) + EPOCH_WEEKDAY).rem_euclid(7) < WORKING_DAYS
            }
        }
    }

    /// The moment as the period sees it.
    fn ms_of(&self, at: LocalMoment) -> i64 {
        match self.folded_by {
            FoldedBy::Day | FoldedBy::WorkingDay => at.clock.as_millis(),
            FoldedBy::Weekday => at.weekday.as_millis(),
        }
    }

    pub(super) fn length_ms(&self) -> i64 {
        i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn cycle_of(&self, at: LocalMoment) -> i64 {
        self.ms_of(at).div_euclid(self.length_ms())
    }
}

/// The moment's phase, by phases of this length.
pub(super) fn phase_of(at: LocalMoment, period: &Period, phase_ms: i64) -> usize {
    usize::try_from(period.ms_of(at).rem_euclid(period.length_ms()) / phase_ms.max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use homeostat_core::{Holiday, LocalTime, Timestamp, Weekday};

    use super::*;

    #[test]
    fn a_working_day_is_monday_to_friday() {
        // 2 March 2026 is a Monday.
        let monday = 1_772_409_600;
        let working = |day: i64| WORKING_DAY.has(Timestamp::from_secs(monday + 86_400 * day).into());
        assert_eq!([0, 4, 5, 6, 7, -1].map(working), [true, true, false, false, true, false]);
        assert!((0..7).all(|day| DAY.has(Timestamp::from_secs(monday + 86_400 * day).into())));
    }

    #[test]
    fn a_holiday_is_no_working_day_and_has_the_phase_of_its_weekday() {
        let holiday = Holiday::new("2026-03-04", Weekday::Sunday).expect("a date");
        let local_time = LocalTime::default().with_holidays([holiday]);
        let at = |text: &str| local_time.moment(text.parse().expect("a moment"));
        let (wednesday, sunday) = (at("2026-03-04T10:00:00Z"), at("2026-03-08T10:00:00Z"));
        assert!(DAY.has(wednesday) && !WORKING_DAY.has(wednesday) && WORKING_DAY.has(at("2026-03-05T10:00:00Z")));
        let phase = |at: LocalMoment, period: &Period| phase_of(at, period, 300_000);
        assert_eq!(phase(wednesday, &WEEK), phase(sunday, &WEEK));
        assert_ne!(DAY.cycle_of(wednesday), DAY.cycle_of(sunday), "it is a day of its own");
    }
}
