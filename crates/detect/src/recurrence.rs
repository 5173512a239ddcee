//! What comes back at the same time of the day or the week, and how much further a row must go there to be news.
//!
//! It knows no detector and no label: moments and fused surprisals in, a factor for each moment out. What was there on most days
//! isn't rare, whatever a tail that was fitted to rows says of it.

use std::time::Duration;

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Jobs begin a minute or two late: rows of one such stretch of the day, and of its neighbours, are of the same time of the day.
const PHASE: Duration = Duration::from_secs(300);

/// What goes beyond so many times the level that recurs is news: no run is exactly like the ones before, and what a row says grows with the square of
/// how far it is for some detectors. With 1.6 simulated jobs, rotations and backups called once in two weeks; 2.6 did as 3.2; a job that
/// runs several times as long or as hard is still seen.
const TIMES: f64 = 3.2;

/// A period, how often it must have been seen, and in which share of its cycles.
struct Period {
    length: Duration,
    cycles_min: usize,
    share_min: f64,
}

/// On four days of five. What happens on working days only is found by the week.
const DAY: Period = Period { length: Duration::from_secs(86_400), cycles_min: 3, share_min: 0.8 };

/// Of two weeks in both, of four in three.
const WEEK: Period = Period { length: Duration::from_secs(7 * 86_400), cycles_min: 2, share_min: 0.6 };

/// Fewest cycles in which something must have been there to recur: once is no habit.
const SEEN_MIN: usize = 2;

/// So many phases of a period may recur by chance: where most hours have some peak, two weeks agree often without meaning it.
const BY_CHANCE_MAX: f64 = 0.3;

/// How much further than elsewhere a row must go at a time of the day or the week.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recurrence {
    /// The length of a phase; 0 when nothing recurs.
    phase_ms: i64,
    /// Factors by phase, ascending; a phase that isn't there has a factor of 1.
    day: Vec<(u16, f32)>,
    week: Vec<(u16, f32)>,
}

impl Recurrence {
    /// Of consecutive rows, one a `step`, in nats, at moments of local time; `None` is a row without a score. `threshold_nats` is what an
    /// alarm needs where nothing recurs.
    ///
    /// The rows themselves are divided by their factors, each by what the *other* cycles say: what happened once in the
    /// history is no less of an event there than it would be now, and a threshold fitted to these rows is right for rows to come.
    pub(crate) fn fit(rows: &mut [(Timestamp, Option<f64>)], step: Duration, threshold_nats: f64) -> Self {
        let phase_ms = i64::try_from(step.max(PHASE).as_millis()).unwrap_or(i64::MAX);
        let [day, week] = [DAY, WEEK].map(|period| Cycles::of(rows, period, phase_ms));
        for (at, nats) in rows.iter_mut() {
            let level = day.level_of_others(*at).max(week.level_of_others(*at));
            *nats = nats.map(|nats| nats / factor(level, threshold_nats));
        }
        let (day, week) = (day.factors(threshold_nats), week.factors(threshold_nats));
        if day.is_empty() && week.is_empty() { Self::default() } else { Self { phase_ms, day, week } }
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        (self.day.capacity() + self.week.capacity()) * size_of::<(u16, f32)>()
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(crate) fn is_consistent(&self) -> bool {
        let is_sound = |factors: &[(u16, f32)]| {
            factors.is_sorted_by(|a, b| a.0 < b.0) && factors.iter().all(|(_, factor)| *factor >= 1.0)
        };
        self.phase_ms >= 0 && is_sound(&self.day) && is_sound(&self.week)
    }

    /// What a row of this moment of local time says, less what recurs.
    pub(crate) fn discounted(&self, at: Timestamp, nats: f64) -> f64 {
        if self.phase_ms == 0 {
            return nats;
        }
        let factor = |factors: &[(u16, f32)], period: &Period| {
            let phase = u16::try_from(phase_of(at, period, self.phase_ms)).unwrap_or(u16::MAX);
            let found = factors.binary_search_by_key(&phase, |(phase, _)| *phase);
            found.ok().and_then(|idx| factors.get(idx)).map_or(1.0, |(_, factor)| f64::from(*factor))
        };
        nats / factor(&self.day, &DAY).max(factor(&self.week, &WEEK))
    }
}

/// By how much more a row must say where this level recurs: [`TIMES`] the level is then what the threshold is elsewhere.
fn factor(level_nats: f64, threshold_nats: f64) -> f64 {
    (TIMES * level_nats / threshold_nats).max(1.0)
}

/// The probability that so many given ones of `n` are there by chance, of each of which this share is, times the number of ways to choose
/// them: a bound from above on "at least so many".
fn chance(n: usize, n_there: usize, share: f64) -> f64 {
    let ways = (1..=n_there).map(|k| ((n - n_there + k) as f64 / k as f64).ln()).sum::<f64>();
    (ways + n_there as f64 * share.ln()).exp()
}

fn length_ms(period: &Period) -> i64 {
    i64::try_from(period.length.as_millis()).unwrap_or(i64::MAX)
}

fn cycle_of(at: Timestamp, period: &Period) -> i64 {
    at.as_millis().div_euclid(length_ms(period))
}

fn phase_of(at: Timestamp, period: &Period, phase_ms: i64) -> usize {
    usize::try_from(at.as_millis().rem_euclid(length_ms(period)) / phase_ms).unwrap_or(0)
}

/// The history folded by a period.
struct Cycles {
    period: Period,
    phase_ms: i64,
    first: i64,
    n_phases: usize,
    /// The highest of each phase and its neighbours, by phase, then by cycle; NaN where nothing was scored.
    highest: Vec<f32>,
    n_cycles: usize,
    /// The level that recurs at each phase.
    levels: Vec<Level>,
}

/// What recurs at one phase.
#[derive(Clone, Copy, Default)]
struct Level {
    nats: f32,
    /// What those cycles that reach the level say without one of them, and without one that doesn't.
    without_high: f32,
    without_low: f32,
}

impl Cycles {
    fn of(rows: &[(Timestamp, Option<f64>)], period: Period, phase_ms: i64) -> Self {
        let n_phases = usize::try_from(length_ms(&period) / phase_ms).unwrap_or(0);
        let first = rows.first().map_or(0, |(at, _)| cycle_of(*at, &period));
        let last = rows.last().map_or(0, |(at, _)| cycle_of(*at, &period));
        let n_cycles = usize::try_from(last - first + 1).unwrap_or(0);
        let mut cycles = Self { period, phase_ms, first, n_phases, highest: Vec::new(), n_cycles, levels: Vec::new() };
        if n_phases < 2 || n_cycles < cycles.period.cycles_min {
            return cycles;
        }
        // In the order of time, so that a phase's neighbours may be of the cycle before or after.
        let mut highest = vec![f32::NAN; n_cycles * n_phases];
        for (at, nats) in rows {
            let (Some(nats), Some(idx)) = (nats, cycles.position(*at)) else { continue };
            if let Some(cell) = highest.get_mut(idx) {
                *cell = cell.max(*nats as f32);
            }
        }
        let near = |idx: usize| {
            let around = &highest[idx.saturating_sub(1)..(idx + 2).min(highest.len())];
            if highest[idx].is_nan() { f32::NAN } else { around.iter().copied().fold(f32::NAN, f32::max) }
        };
        cycles.highest = (0..highest.len()).map(near).collect();
        let mut sorted: Vec<f32> = cycles.highest.iter().copied().filter(|nats| !nats.is_nan()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        cycles.levels = (0..n_phases).map(|phase| cycles.level(phase, &sorted)).collect();
        cycles
    }

    /// Where a moment is in the order of time; `None` before the first cycle and in what is left of a period after its last whole phase.
    fn position(&self, at: Timestamp) -> Option<usize> {
        let cycle = usize::try_from(cycle_of(at, &self.period) - self.first).ok()?;
        let phase = phase_of(at, &self.period, self.phase_ms);
        (cycle < self.n_cycles && phase < self.n_phases).then_some(cycle * self.n_phases + phase)
    }

    /// The highest level that enough cycles reach, and more than would by chance; `sorted` is what all phases of all cycles say, ascending.
    fn level(&self, phase: usize, sorted: &[f32]) -> Level {
        let of_phase = self.highest.iter().skip(phase).step_by(self.n_phases);
        let mut seen: Vec<f32> = of_phase.copied().filter(|nats| !nats.is_nan()).collect();
        if seen.len() < self.period.cycles_min {
            return Level::default();
        }
        seen.sort_by(|a, b| b.total_cmp(a));
        let n_wanted = ((self.period.share_min * seen.len() as f64).ceil() as usize).max(SEEN_MIN);
        let share_above = |nats: f32| {
            let n_above = sorted.len() - sorted.partition_point(|other| *other < nats);
            n_above as f64 / sorted.len().max(1) as f64
        };
        let means_it = |n_cycles: &usize| {
            let share = seen.get(n_cycles - 1).map_or(1.0, |nats| share_above(*nats));
            chance(seen.len(), *n_cycles, share) * (self.n_phases as f64) < BY_CHANCE_MAX
        };
        let Some(n_cycles) = (n_wanted..=seen.len()).find(means_it) else { return Level::default() };
        let at = |idx: usize| seen.get(idx).copied().unwrap_or(0.0);
        // Of one cycle fewer, one fewer is wanted.
        Level { nats: at(n_cycles - 1), without_high: at(n_cycles - 1), without_low: at(n_cycles - 2) }
    }

    /// The level that recurs at the moment's phase by the other cycles' rows.
    fn level_of_others(&self, at: Timestamp) -> f64 {
        let Some(idx) = self.position(at) else { return 0.0 };
        let (Some(own), Some(level)) = (self.highest.get(idx), self.levels.get(idx % self.n_phases)) else {
            return 0.0;
        };
        f64::from(if *own >= level.without_low { level.without_high } else { level.without_low })
    }

    fn factors(&self, threshold_nats: f64) -> Vec<(u16, f32)> {
        let of_level = |level: &Level| factor(f64::from(level.nats), threshold_nats) as f32;
        let by_phase = self.levels.iter().map(of_level).enumerate().filter(|(_, factor)| *factor > 1.0);
        let mut factors: Vec<(u16, f32)> =
            by_phase.filter_map(|(phase, factor)| Some((u16::try_from(phase).ok()?, factor))).collect();
        factors.shrink_to_fit();
        factors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY_ROWS: i64 = 1440;

    /// So many days of minutes in which rows say 1 nat, and what `event` adds at a row.
    fn days(n_days: i64, event: impl Fn(i64) -> f64) -> Vec<(Timestamp, Option<f64>)> {
        (0..n_days * DAY_ROWS).map(|row| (Timestamp::from_secs(60 * row), Some(1.0 + event(row)))).collect()
    }

    fn at_six(row: i64) -> bool {
        (360..370).contains(&(row % DAY_ROWS))
    }

    fn at(day: i64, minute: i64) -> Timestamp {
        Timestamp::from_secs(86_400 * day + 60 * minute)
    }

    #[test]
    fn a_daily_job_counts_little_at_its_time_and_fully_at_another() {
        let mut rows = days(9, |row| if at_six(row) { 40.0 } else { 0.0 });
        let recurrence = Recurrence::fit(&mut rows, MINUTE, 10.0);
        assert!((recurrence.discounted(at(20, 363), 41.0) - 10.0 / TIMES).abs() < 1e-3, "below the threshold");
        assert!(recurrence.discounted(at(20, 363), 140.0) > 10.0, "several times as far is news");
        assert_eq!(recurrence.discounted(at(20, 800), 41.0), 41.0);
        // A minute or two late.
        assert!(recurrence.discounted(at(20, 372), 41.0) < 10.0);
    }

    #[test]
    fn what_was_once_is_an_event_and_stays_one_in_the_history() {
        let once = 4 * DAY_ROWS + 600;
        let mut rows = days(9, |row| if (once..once + 10).contains(&row) { 40.0 } else { 0.0 });
        let recurrence = Recurrence::fit(&mut rows, MINUTE, 10.0);
        assert_eq!(recurrence, Recurrence::default());
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
            recurrence.discounted(at(24, 363), 41.0) < 10.0
        };
        assert_eq!((recurs(14), recurs(7)), (true, false));
        // And on Saturdays it is news.
        let recurrence = Recurrence::fit(&mut days(14, on_sundays), MINUTE, 10.0);
        assert_eq!(recurrence.discounted(at(23, 363), 41.0), 41.0);
    }

    #[test]
    fn peaks_at_any_time_agree_by_chance_and_are_no_habit() {
        // Every other quarter of an hour of each day has a peak, at random.
        let peak = |row: i64| {
            homeostat_core::Seed::new((row / 15) as u64).fork("peak").value().is_multiple_of(2) && row % 15 == 7
        };
        let mut rows = days(14, |row| if peak(row) { 40.0 } else { 0.0 });
        let before = rows.clone();
        assert_eq!(Recurrence::fit(&mut rows, MINUTE, 10.0), Recurrence::default());
        assert_eq!(rows, before);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_ever_made_more_and_more_stays_more(
            nats in proptest::collection::vec(0.0..100.0_f64, 400..1200), threshold in 0.5..50.0_f64, low in 0.0..50.0_f64, more in 0.0..50.0_f64,
        ) {
            let hour = Duration::from_secs(3600);
            let mut rows: Vec<(Timestamp, Option<f64>)> =
                (0..).zip(&nats).map(|(row, nats)| (Timestamp::from_secs(3600 * row), Some(*nats))).collect();
            let recurrence = Recurrence::fit(&mut rows, hour, threshold);
            proptest::prop_assert!(recurrence.is_consistent());
            for ((at, discounted), nats) in rows.iter().zip(&nats) {
                proptest::prop_assert!(discounted.is_some_and(|discounted| discounted <= *nats));
                proptest::prop_assert!(recurrence.discounted(*at, low) <= recurrence.discounted(*at, low + more));
            }
        }
    }
}
