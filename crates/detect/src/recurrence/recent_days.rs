//! What the last days had in common at each time of the day: a habit that is younger than the models.

use std::time::Duration;

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// What was there on so many days running is expected on the next. Two would do for half as many calls of a new job, and two nights of the same
/// incident would hide the third.
const DAYS: usize = 3;

/// As fine as what the history is folded by: stretches of ten minutes took a tenth off the event F1 of labelled series (decision 112).
const PHASE: Duration = Duration::from_secs(300);

/// Steps of a level: a twentieth of ln(1 + nats), so that a byte reaches beyond any threshold.
const STEPS_PER_E: f64 = 20.0;

/// The highest surprisal of each stretch of the day, today and on the days before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RecentDays {
    phase_ms: i64,
    /// Days since the epoch, of the newest row.
    today: i64,
    /// By day, today first, then by phase; 0 where nothing was scored.
    highest: Vec<u8>,
}

impl RecentDays {
    /// Nothing seen yet, for rows one a `step`.
    pub(super) fn new(step: Duration) -> Self {
        let phase_ms = i64::try_from(step.max(PHASE).as_millis()).unwrap_or(i64::MAX);
        let n_phases = usize::try_from(DAY_MS / phase_ms).unwrap_or(0);
        Self { phase_ms, today: 0, highest: vec![0; n_phases * (DAYS + 1)] }
    }

    /// Takes a row, and gives the level that each of the last three days reached at this time, in nats; 0 if one of them didn't, or nobody knows.
    pub(super) fn push(&mut self, at: Timestamp, nats: f64) -> f64 {
        let n_phases = self.highest.len() / (DAYS + 1);
        if n_phases == 0 {
            return 0.0;
        }
        let day = at.as_millis().div_euclid(DAY_MS);
        let phase = usize::try_from(at.as_millis().rem_euclid(DAY_MS) / self.phase_ms).unwrap_or(0).min(n_phases - 1);
        let n_new = usize::try_from(day - self.today).unwrap_or(0).min(DAYS + 1);
        if n_new > 0 {
            self.highest.rotate_right(n_new * n_phases);
            self.highest[..n_new * n_phases].fill(0);
            self.today = day;
        }
        let mut days = self.highest.chunks_mut(n_phases);
        if let Some(own) = days.next().and_then(|today| today.get_mut(phase)) {
            *own = (*own).max(steps(nats));
        }
        let around = phase.saturating_sub(1)..(phase + 2).min(n_phases);
        let of_day = |day: &mut [u8]| day.get(around.clone()).and_then(|near| near.iter().max()).copied().unwrap_or(0);
        let common = days.map(of_day).min().unwrap_or(0);
        (f64::from(common) / STEPS_PER_E).exp_m1()
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.highest.capacity()
    }

    /// Whether it is one that could have been saved.
    pub(super) fn is_consistent(&self) -> bool {
        self.highest.is_empty() || self.phase_ms > 0 && self.highest.len().is_multiple_of(DAYS + 1)
    }
}

/// The level as a byte, rounded down: what isn't known isn't usual.
fn steps(nats: f64) -> u8 {
    (STEPS_PER_E * nats.max(0.0).ln_1p()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// What three days in common have at a minute of the day after `n_days` on which `nats` were said there.
    fn level_after(n_days: i64, minute: i64, nats: impl Fn(i64, i64) -> f64) -> f64 {
        let mut recent = RecentDays::new(MINUTE);
        for row in 0..n_days * 1440 {
            recent.push(Timestamp::from_secs(60 * row), nats(row / 1440, row % 1440));
        }
        recent.push(Timestamp::from_secs(60 * (n_days * 1440 + minute)), 0.0)
    }

    fn at_six(_: i64, minute: i64) -> f64 {
        if (360..370).contains(&minute) { 40.0 } else { 0.1 }
    }

    #[test]
    fn the_third_day_running_makes_a_habit_at_that_time_only() {
        assert!(level_after(2, 363, at_six) < 0.2);
        let level = level_after(3, 363, at_six);
        assert!((38.0..=40.0).contains(&level), "{level}");
        assert!(level_after(3, 800, at_six) < 0.2);
    }

    #[test]
    fn a_day_without_it_ends_the_habit() {
        let but_for_one = |day: i64, minute: i64| if day == 4 { 0.1 } else { at_six(day, minute) };
        assert!(level_after(4, 363, but_for_one) > 30.0 && level_after(5, 363, but_for_one) < 0.2);
    }

    #[test]
    fn days_without_rows_are_no_habit() {
        let mut recent = RecentDays::new(MINUTE);
        for day in [0, 1, 2, 9] {
            assert_eq!(recent.push(Timestamp::from_secs(86_400 * day), 50.0), 0.0);
        }
    }
}
