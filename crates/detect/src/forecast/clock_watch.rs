//! Whether the day comes an hour earlier or later than it did: a clock that was changed, where nobody has named a time zone.
//!
//! Of a day that came an hour earlier, every slope comes an hour earlier, those that rise and those that fall. A fault explains one of
//! them at most.

use serde::{Deserialize, Serialize};

/// By how much clocks are changed.
const HOUR_S: i32 = 3_600;

/// What is tried: a day that comes an hour earlier, or later. In seconds to be added to the time of the day.
const CHANGES_S: [i32; 2] = [HOUR_S, -HOUR_S];

/// Rows so far apart are looked at: slopes last for longer.
const EVERY_MS: i64 = 300_000;

/// Half-life of the evidence. After a quarter of a day, yesterday's slope of the same kind counts a sixteenth of today's.
const HALF_LIFE_MS: i64 = 6 * 3_600_000;

/// Each kind of slope must be explained to so much. Where nothing has changed it is -1, where all is explained 1.
const EXPLAINED_MIN: f64 = 0.6;

/// The evidence must go on for so long: one job that ran an hour late rises and falls within an hour.
const SPAN_MS: i64 = 6 * 3_600_000;

/// How much larger than the variance of a row the squares of the differences must be in all, before noise can't pass for evidence.
const NOISE_TIMES: f64 = 60.0;

/// One row counts at most so many deviations.
const DEVIATIONS_MAX: f64 = 5.0;

/// The evidence for a day that comes earlier, and for one that comes later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ClockWatch {
    changes: [Evidence; CHANGES_S.len()],
}

/// How much better the day that was moved explains the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Evidence {
    rising: Slope,
    falling: Slope,
    /// The mean square of what the moved day leaves, over the same rows.
    noise: f32,
    /// Since when it has explained them better.
    since_ms: Option<i64>,
}

/// The rows in which the moved day lies above the usual one, or below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slope {
    /// Squares of errors that the moved day saves.
    saved: f32,
    /// Squares of the differences between both: what it saves if it is right, and costs if it isn't.
    difference: f32,
}

/// What one row says of a moved day: squares as in [`Slope`], and what the moved day leaves.
#[derive(Clone, Copy, Default)]
struct Row {
    rising: SlopeOfRow,
    falling: SlopeOfRow,
    left: f64,
}

#[derive(Clone, Copy, Default)]
struct SlopeOfRow {
    saved: f64,
    difference: f64,
}

impl Row {
    /// Adds a feature's error, and how far the expectation of the moved day is from the usual one, in deviations.
    fn add(&mut self, error: f64, difference: f64) {
        let left = error - difference;
        let slope = if difference > 0.0 { &mut self.rising } else { &mut self.falling };
        slope.saved += error * error - left * left;
        slope.difference += difference * difference;
        self.left += left * left;
    }
}

impl Slope {
    fn take(&mut self, kept: f64, row: SlopeOfRow) {
        self.saved = (kept * f64::from(self.saved) + row.saved) as f32;
        self.difference = (kept * f64::from(self.difference) + row.difference) as f32;
    }

    fn is_explained(self, noise: f64) -> bool {
        let (saved, difference) = (f64::from(self.saved), f64::from(self.difference));
        difference > NOISE_TIMES * noise && saved > EXPLAINED_MIN * difference
    }
}

impl ClockWatch {
    /// Whether a row of this moment is looked at.
    pub(super) fn looks_at(at_ms: i64, step_ms: i64) -> bool {
        at_ms.rem_euclid(EVERY_MS) < step_ms
    }

    /// What is tried, in rows.
    pub(super) fn changes_rows(step_ms: i64) -> [i64; CHANGES_S.len()] {
        CHANGES_S.map(|change_s| 1_000 * i64::from(change_s) / step_ms.max(1))
    }

    /// Takes a row, one that it looks at: for each feature how far it was from what was expected, and how far the expectation of each moved day
    /// is from that, in deviations; NaN is a gap. Gives the change that it has shown, once: seconds to be added to the time of the day.
    pub(super) fn take(
        &mut self,
        at_ms: i64,
        step_ms: i64,
        features: impl Iterator<Item = (f64, [f64; CHANGES_S.len()])>,
    ) -> Option<i32> {
        let mut rows = [Row::default(); CHANGES_S.len()];
        let mut n_features = 0_u32;
        let cut = |deviations: f64| deviations.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX);
        for (error, differences) in features.filter(|(error, _)| !error.is_nan()) {
            n_features += 1;
            rows.iter_mut().zip(differences).for_each(|(row, difference)| row.add(cut(error), cut(difference)));
        }
        if n_features == 0 {
            return None;
        }
        let kept = (-(step_ms.max(EVERY_MS) as f64) / HALF_LIFE_MS as f64).exp2();
        let mut change_s = None;
        for ((evidence, row), tried_s) in self.changes.iter_mut().zip(rows).zip(CHANGES_S) {
            evidence.take(at_ms, kept, row, n_features);
            if evidence.is_enough(at_ms, row.rising.saved + row.falling.saved) {
                change_s = Some(tried_s);
            }
        }
        if change_s.is_some() {
            self.changes = Default::default();
        }
        change_s
    }

    /// Whether it is one that could have been saved.
    pub(super) fn is_consistent(&self) -> bool {
        self.changes.iter().all(|evidence| {
            let numbers = [evidence.rising, evidence.falling].map(|slope| slope.saved + slope.difference);
            numbers.iter().chain([&evidence.noise]).all(|number| number.is_finite())
        })
    }
}

impl Evidence {
    fn take(&mut self, at_ms: i64, kept: f64, row: Row, n_features: u32) {
        self.rising.take(kept, row.rising);
        self.falling.take(kept, row.falling);
        let per_feature = row.left / f64::from(n_features);
        self.noise = (kept * f64::from(self.noise) + (1.0 - kept) * per_feature) as f32;
        if self.rising.saved + self.falling.saved <= 0.0 {
            self.since_ms = None;
        } else if self.since_ms.is_none() {
            self.since_ms = Some(at_ms);
        }
    }

    /// Whether both kinds of slope say so, for long enough, and this row as well.
    fn is_enough(&self, at_ms: i64, saved_now: f64) -> bool {
        let noise = f64::from(self.noise);
        let lasts = self.since_ms.is_some_and(|since_ms| at_ms - since_ms >= SPAN_MS);
        lasts && saved_now > 0.0 && self.rising.is_explained(noise) && self.falling.is_explained(noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_MS: i64 = 300_000;
    const DAY_ROWS: i64 = 288;

    /// High from eight to six.
    fn office(row: i64) -> f64 {
        if (96..216).contains(&row.rem_euclid(DAY_ROWS)) { 1.0 } else { -1.0 }
    }

    fn noise(row: i64) -> f64 {
        let hashed = homeostat_core::Seed::new(row.unsigned_abs()).fork("noise").value();
        hashed as f64 / u64::MAX as f64 - 0.5
    }

    /// When it says that clocks were changed, and by how much, while rows are these and `usual` is expected.
    fn changes(n_days: i64, usual: impl Fn(i64) -> f64, actual: impl Fn(i64) -> f64) -> Vec<(i64, i32)> {
        let (mut watch, mut changed_rows) = (ClockWatch::default(), 0);
        let mut found = Vec::new();
        for row in 0..n_days * DAY_ROWS {
            let expected = |later: i64| usual(row + changed_rows + later);
            let differences = ClockWatch::changes_rows(STEP_MS).map(|rows| expected(rows) - expected(0));
            let of_row = std::iter::once((actual(row) - expected(0), differences));
            if let Some(change_s) = watch.take(row * STEP_MS, STEP_MS, of_row) {
                found.push((row, change_s));
                changed_rows += i64::from(change_s) * 1_000 / STEP_MS;
            }
        }
        found
    }

    #[test]
    fn a_day_that_comes_an_hour_earlier_or_later_is_seen_at_its_second_slope() {
        let moved = |by_rows: i64| {
            let actual = |row: i64| office(if row < 3 * DAY_ROWS { row } else { row + by_rows }) + 0.1 * noise(row);
            changes(4, office, actual)
        };
        for (by_rows, evening, change_s) in [(12, 204, HOUR_S), (-12, 216, -HOUR_S)] {
            let found = moved(by_rows);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!((3 * DAY_ROWS + evening..3 * DAY_ROWS + evening + 12).contains(&found[0].0), "{found:?}");
            assert_eq!(found[0].1, change_s);
        }
        assert!(moved(0).is_empty() && moved(36).is_empty(), "three hours are no change of clocks");
    }

    #[test]
    fn no_fault_passes_for_a_change_of_clocks() {
        let on_day_three = |row: i64, fault: f64, hours: std::ops::Range<i64>| {
            if hours.contains(&((row - 3 * DAY_ROWS) / 12)) && row >= 3 * DAY_ROWS { fault } else { office(row) }
        };
        // No morning; a morning that begins too early; an evening without an end; a day that is as a Sunday; nothing but noise.
        for (fault, hours) in [(-1.0, 8..12), (1.0, 6..8), (1.0, 18..21), (-1.0, 0..24), (1.0, 0..24), (9.0, 7..8)] {
            let found = changes(6, office, |row| on_day_three(row, fault, hours.clone()));
            assert!(found.is_empty(), "{fault} {hours:?}: {found:?}");
        }
        assert!(changes(60, |row| 0.05 * office(row), |row| 3.0 * noise(row)).is_empty());
    }

    #[test]
    fn one_job_an_hour_late_is_late_and_two_nights_running_it_has_moved() {
        let job = |row: i64| if (24..28).contains(&row.rem_euclid(DAY_ROWS)) { 3.0 } else { 0.0 };
        let late = |nights: std::ops::Range<i64>| {
            changes(8, job, |row| job(if nights.contains(&(row / DAY_ROWS)) { row - 12 } else { row }))
        };
        assert!(late(4..5).is_empty());
        let found = late(4..8);
        assert!(found.len() == 1 && found[0].0 / DAY_ROWS == 5, "{found:?}");
    }

    #[test]
    fn rows_are_looked_at_five_minutes_apart_or_all_of_them() {
        let looked_at = |step_ms: i64| (0..60).filter(|row| ClockWatch::looks_at(row * step_ms, step_ms)).count();
        assert_eq!((looked_at(60_000), looked_at(300_000), looked_at(15_000)), (12, 60, 3));
    }
}
