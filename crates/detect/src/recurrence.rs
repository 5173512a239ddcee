//! What comes back at the same time of the day or the week, and how much further a row must go there to be news.
//!
//! It knows no detector and no label: moments and fused surprisals in, a factor for each moment out. What was there on most days
//! isn't rare, whatever a tail that was fitted to rows says of it.

use std::time::Duration;

use homeostat_core::{LocalMoment, Timestamp};
use serde::{Deserialize, Serialize};

mod cycles;
mod expected;
mod period;
mod recent_days;

use cycles::Cycles;
use period::{DAY, Period, WEEK, WORKING_DAY, phase_of};
use recent_days::RecentDays;

pub use expected::{Every, ExpectedTime};

/// Jobs begin a minute or two late: rows of one such stretch of the day, and of its neighbours, are of the same time of the day.
const PHASE: Duration = Duration::from_secs(300);

/// What goes beyond so many times the level that recurs is news: no run is exactly like the ones before, and what a row says grows with the square of
/// how far it is for some detectors. With 1.6 simulated jobs, rotations and backups called once in two weeks; 2.6 did as 3.2; a job that
/// runs several times as long or as hard is still seen.
const TIMES: f64 = 3.2;

/// How much further than elsewhere a row must go at a time of the day or the week.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recurrence {
    /// What an alarm needs where nothing recurs, in nats.
    threshold_nats: f64,
    /// The length of a phase.
    phase_ms: i64,
    /// Factors by phase, ascending; a phase that isn't there has a factor of 1.
    day: Vec<(u16, f32)>,
    working_day: Vec<(u16, f32)>,
    week: Vec<(u16, f32)>,
    recent_days: RecentDays,
    /// What people say is meant to happen, by local time. It is kept in the journal and not with the models.
    #[serde(skip)]
    expected: Vec<ExpectedTime>,
}

impl Recurrence {
    /// Of consecutive rows, one a `step`, in nats, at moments of local time; `None` is a row without a score. `threshold_nats` is what an
    /// alarm needs where nothing recurs.
    ///
    /// The rows themselves are divided by their factors, each by what the *other* cycles say: what happened once in the
    /// history is no less of an event there than it would be now, and a threshold fitted to these rows is right for rows to come.
    pub(crate) fn fit(rows: &mut [(LocalMoment, Option<f64>)], step: Duration, threshold_nats: f64) -> Self {
        let phase_ms = i64::try_from(step.max(PHASE).as_millis()).unwrap_or(i64::MAX);
        // What is lower than this needs no factor.
        let level_min = threshold_nats / TIMES;
        let habits = [DAY, WORKING_DAY, WEEK].map(|period| Cycles::of(rows, period, phase_ms, level_min));
        for (at, nats) in rows.iter_mut() {
            let level = habits.iter().map(|cycles| cycles.level_of_others(*at)).fold(0.0, f64::max);
            *nats = nats.map(|nats| nats / factor(level, threshold_nats));
        }
        let [day, working_day, week] = habits.map(|cycles| cycles.factors(threshold_nats));
        let recent_days = RecentDays::new(step);
        Self { threshold_nats, phase_ms, day, working_day, week, recent_days, expected: Vec::new() }
    }

    /// Goes by what people say is meant to happen, in place of what they said before; moments of local time.
    pub(crate) fn expect(&mut self, expected: &[ExpectedTime]) {
        self.expected = expected.to_vec();
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        let factors = self.day.capacity() + self.working_day.capacity() + self.week.capacity();
        let expected = self.expected.capacity() * size_of::<ExpectedTime>();
        factors * size_of::<(u16, f32)>() + expected + self.recent_days.heap_bytes()
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(crate) fn is_consistent(&self) -> bool {
        let is_sound = |factors: &[(u16, f32)]| {
            factors.is_sorted_by(|a, b| a.0 < b.0) && factors.iter().all(|(_, factor)| *factor >= 1.0)
        };
        self.phase_ms >= 0
            && self.threshold_nats >= 0.0
            && [&self.day, &self.working_day, &self.week].into_iter().all(|factors| is_sound(factors))
            && self.recent_days.is_consistent()
    }

    /// What a row of this moment of local time says, less what recurs, by the history, by the last days and by what people say. The row itself is
    /// remembered.
    pub(crate) fn push(&mut self, at: LocalMoment, nats: f64) -> f64 {
        let recent = factor(self.recent_days.push(at.clock, nats), self.threshold_nats);
        nats / self.by_history(at).max(recent).max(self.by_people(at.clock))
    }

    /// The factor that people give a moment.
    fn by_people(&self, at: Timestamp) -> f64 {
        self.expected.iter().filter(|time| time.holds(at)).map(ExpectedTime::factor).fold(1.0, f64::max)
    }

    /// The factor that the history gives a moment.
    fn by_history(&self, at: LocalMoment) -> f64 {
        let factor = |factors: &[(u16, f32)], period: &Period| {
            // Most often there are none.
            if factors.is_empty() || !period.has(at) {
                return 1.0;
            }
            let phase = u16::try_from(phase_of(at, period, self.phase_ms)).unwrap_or(u16::MAX);
            let found = factors.binary_search_by_key(&phase, |(phase, _)| *phase);
            found.ok().and_then(|idx| factors.get(idx)).map_or(1.0, |(_, factor)| f64::from(*factor))
        };
        let working_day = factor(&self.working_day, &WORKING_DAY);
        factor(&self.day, &DAY).max(working_day).max(factor(&self.week, &WEEK))
    }
}

/// By how much more a row must say where this level recurs: [`TIMES`] the level is then what the threshold is elsewhere.
fn factor(level_nats: f64, threshold_nats: f64) -> f64 {
    if level_nats > 0.0 { (TIMES * level_nats / threshold_nats).max(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY_ROWS: i64 = 1440;

    /// So many days of minutes in which rows say 1 nat, and what `event` adds at a row.
    fn days(n_days: i64, event: impl Fn(i64) -> f64) -> Vec<(LocalMoment, Option<f64>)> {
        (0..n_days * DAY_ROWS).map(|row| (at(0, row), Some(1.0 + event(row)))).collect()
    }

    fn at_six(row: i64) -> bool {
        (360..370).contains(&(row % DAY_ROWS))
    }

    /// What a row says of which nothing is remembered afterwards.
    fn discounted(recurrence: &Recurrence, at: LocalMoment, nats: f64) -> f64 {
        recurrence.clone().push(at, nats)
    }

    fn has_no_habit(recurrence: &Recurrence) -> bool {
        [&recurrence.day, &recurrence.working_day, &recurrence.week].into_iter().all(Vec::is_empty)
    }

    fn at(day: i64, minute: i64) -> LocalMoment {
        homeostat_core::Timestamp::from_secs(86_400 * day + 60 * minute).into()
    }

    #[test]
    fn a_daily_job_counts_little_at_its_time_and_fully_at_another() {
        let mut rows = days(9, |row| if at_six(row) { 40.0 } else { 0.0 });
        let recurrence = Recurrence::fit(&mut rows, MINUTE, 10.0);
        assert!((discounted(&recurrence, at(20, 363), 41.0) - 10.0 / TIMES).abs() < 1e-3, "below the threshold");
        assert!(discounted(&recurrence, at(20, 363), 140.0) > 10.0, "several times as far is news");
        assert_eq!(discounted(&recurrence, at(20, 800), 41.0), 41.0);
        // A minute or two late.
        assert!(discounted(&recurrence, at(20, 372), 41.0) < 10.0);
    }

    #[test]
    fn what_was_once_is_an_event_and_stays_one_in_the_history() {
        let once = 4 * DAY_ROWS + 600;
        let mut rows = days(9, |row| if (once..once + 10).contains(&row) { 40.0 } else { 0.0 });
        let recurrence = Recurrence::fit(&mut rows, MINUTE, 10.0);
        assert!(has_no_habit(&recurrence));
        assert_eq!(rows[once as usize + 3].1, Some(41.0));
    }

    #[test]
    fn each_day_of_the_history_is_judged_by_the_others() {
        // On one day the job goes five times as far.
        let mut rows = days(9, |row| match (at_six(row), row / DAY_ROWS) {
            (true, 5) => 200.0,
            (true, _) => 40.0,
            (false, _) => 0.0,
        });
        Recurrence::fit(&mut rows, MINUTE, 10.0);
        let of_day = |day: i64| rows[(day * DAY_ROWS + 363) as usize].1.unwrap_or(0.0);
        assert!(of_day(5) > 10.0 && of_day(4) < 10.0, "{} {}", of_day(5), of_day(4));
    }

    #[test]
    fn two_weeks_show_what_comes_each_week_and_one_shows_nothing() {
        let on_sundays = |row: i64| if row / DAY_ROWS % 7 == 3 && at_six(row) { 40.0 } else { 0.0 };
        let recurs = |n_days: i64| {
            let recurrence = Recurrence::fit(&mut days(n_days, on_sundays), MINUTE, 10.0);
            discounted(&recurrence, at(24, 363), 41.0) < 10.0
        };
        assert_eq!((recurs(14), recurs(7)), (true, false));
        // And on Saturdays it is news.
        let recurrence = Recurrence::fit(&mut days(14, on_sundays), MINUTE, 10.0);
        assert_eq!(discounted(&recurrence, at(23, 363), 41.0), 41.0);
    }

    #[test]
    fn what_runs_on_working_days_is_known_there_and_is_news_on_saturday() {
        // The epoch was a Thursday: days 2 and 3 are a weekend. Fifty minutes on each working night.
        let on_working_days =
            |row: i64| if (row / DAY_ROWS + 3) % 7 < 5 && (60..110).contains(&(row % DAY_ROWS)) { 40.0 } else { 0.0 };
        let recurrence = Recurrence::fit(&mut days(14, on_working_days), MINUTE, 10.0);
        assert!(discounted(&recurrence, at(21, 80), 41.0) < 10.0, "a Thursday");
        assert_eq!(discounted(&recurrence, at(23, 80), 41.0), 41.0, "a Saturday");
    }

    #[test]
    fn two_weeks_show_a_long_habit_of_some_nights() {
        // An hour on Mondays, Wednesdays and Fridays: a twentieth of all rows, so that a single phase agrees by chance more often than is told.
        let some_nights = |row: i64| {
            if [0, 2, 4].contains(&((row / DAY_ROWS + 3) % 7)) && (60..240).contains(&(row % DAY_ROWS)) {
                40.0
            } else {
                0.0
            }
        };
        let recurrence = Recurrence::fit(&mut days(14, some_nights), MINUTE, 10.0);
        assert!(discounted(&recurrence, at(18, 80), 41.0) < 10.0, "a Monday");
        assert_eq!(discounted(&recurrence, at(19, 80), 41.0), 41.0, "a Tuesday");
    }

    #[test]
    fn a_new_job_is_expected_from_the_fourth_day_on() {
        let mut recurrence = Recurrence::fit(&mut days(9, |_| 0.0), MINUTE, 10.0);
        let mut of_day = |day: i64| {
            let rows = (0..DAY_ROWS).map(|row| recurrence.push(at(day, row), if at_six(row) { 41.0 } else { 1.0 }));
            rows.fold(0.0, f64::max)
        };
        let highest: Vec<f64> = (9..14).map(&mut of_day).collect();
        assert!(
            highest[..3].iter().all(|nats| *nats == 41.0) && highest[3..].iter().all(|nats| *nats < 10.0),
            "{highest:?}"
        );
    }

    #[test]
    fn what_people_expect_counts_little_at_its_time_and_fully_when_it_is_longer_or_goes_much_further() {
        let mut recurrence = Recurrence::fit(&mut days(9, |_| 0.0), MINUTE, 10.0);
        let backup =
            |every: Every| ExpectedTime { from: at(20, 350).clock, to: at(20, 390).clock, every, score_peak: 4.0 };
        recurrence.expect(&[backup(Every::Day)]);
        assert!(discounted(&recurrence, at(21, 363), 41.0) < 10.0, "the same on the next day");
        assert!(discounted(&recurrence, at(21, 363), 140.0) > 10.0, "several times as far");
        assert_eq!(discounted(&recurrence, at(21, 390), 41.0), 41.0, "longer");
        assert_eq!(discounted(&recurrence, at(21, 340), 41.0), 41.0, "another time");
        recurrence.expect(&[backup(Every::Week)]);
        assert_eq!(discounted(&recurrence, at(21, 363), 41.0), 41.0, "another day");
        assert!(discounted(&recurrence, at(27, 363), 41.0) < 10.0, "the same day of the next week");
        recurrence.expect(&[]);
        assert_eq!(discounted(&recurrence, at(27, 363), 41.0), 41.0, "withdrawn");
    }

    #[test]
    fn peaks_at_any_time_agree_by_chance_and_are_no_habit() {
        // Every other quarter of an hour of each day has a peak, at random.
        let peak = |row: i64| {
            homeostat_core::Seed::new((row / 15) as u64).fork("peak").value().is_multiple_of(2) && row % 15 == 7
        };
        let mut rows = days(14, |row| if peak(row) { 40.0 } else { 0.0 });
        let before = rows.clone();
        assert!(has_no_habit(&Recurrence::fit(&mut rows, MINUTE, 10.0)));
        assert_eq!(rows, before);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_ever_made_more_and_more_stays_more(
            nats in proptest::collection::vec(0.0..100.0_f64, 400..1200), threshold in 0.5..50.0_f64, low in 0.0..50.0_f64, more in 0.0..50.0_f64,
        ) {
            let hour = Duration::from_secs(3600);
            let mut rows: Vec<(LocalMoment, Option<f64>)> =
                (0..).zip(&nats).map(|(row, nats)| (at(0, 60 * row), Some(*nats))).collect();
            let recurrence = Recurrence::fit(&mut rows, hour, threshold);
            proptest::prop_assert!(recurrence.is_consistent());
            for ((at, less), nats) in rows.iter().zip(&nats) {
                proptest::prop_assert!(less.is_some_and(|less| less <= *nats));
                proptest::prop_assert!(discounted(&recurrence, *at, low) <= discounted(&recurrence, *at, low + more));
            }
        }
    }
}
