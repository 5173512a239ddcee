//! One season's usual course, with a clock that turns by a row at a time.
//!
//! It knows nothing of how the course was found; values are in standardised units (deviations of the feature).

use serde::{Deserialize, Serialize};

use crate::look_ahead::look_ahead;

/// The usual course over one period: a line through evenly spaced knots, each a 16-bit multiple of [`QUANTUM`]. A day of
/// minutes is 2.8 KiB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile {
    period_ms: i64,
    /// At least one; knot `i` stands at row `i * rows_per_knot` of the period.
    knots: Vec<i16>,
    rows_per_knot: u32,
    /// Where the next row falls: this knot or up to `rows_per_knot - 1` rows after it.
    knot_idx: u32,
    row_in_knot: u32,
    /// Share of an error that a knot takes up a row.
    rate: f32,
    per_row: f32,
    /// Cycles in the history it was learned from.
    n_cycles: u32,
}

impl Profile {
    /// A flat course of `period_ms` with at most `knots_max` knots; `None` where rows or knots don't tile the period.
    pub(super) fn flat(period_ms: i64, step_ms: i64, knots_max: usize, n_cycles: usize, gain: f64) -> Option<Self> {
        if step_ms < 1 || period_ms % step_ms != 0 {
            return None;
        }
        let n_rows = usize::try_from(period_ms / step_ms).ok()?;
        let rows_per_knot = (1..=n_rows).find(|rows| n_rows % rows == 0 && n_rows / rows <= knots_max)?;
        Some(Self {
            period_ms,
            knots: vec![0; n_rows / rows_per_knot],
            rows_per_knot: u32::try_from(rows_per_knot).ok()?,
            knot_idx: 0,
            row_in_knot: 0,
            rate: (gain / rows_per_knot as f64) as f32,
            per_row: 1.0 / rows_per_knot as f32,
            n_cycles: u32::try_from(n_cycles).unwrap_or(u32::MAX),
        })
    }

    /// Turns the clock to a moment.
    pub(super) fn seek(&mut self, at_ms: i64, step_ms: i64) {
        let row = u64::try_from(at_ms.rem_euclid(self.period_ms) / step_ms.max(1)).unwrap_or(0);
        let per_knot = u64::from(self.rows_per_knot.max(1));
        let knot_idx = (row / per_knot) % (self.knots.len().max(1) as u64);
        self.knot_idx = u32::try_from(knot_idx).unwrap_or(0);
        self.row_in_knot = u32::try_from(row % per_knot).unwrap_or(0);
    }

    /// The course at the next row.
    #[inline]
    pub(super) fn at(&self) -> f64 {
        let (before, after, share) = self.place();
        let (before, after) = (f32::from(self.knots[before]), f32::from(self.knots[after]));
        f64::from((before + (after - before) * share) * QUANTUM)
    }

    /// The course so many rows after the next one.
    pub(super) fn at_rows_after(&self, rows: i64) -> f64 {
        let per_knot = i64::from(self.rows_per_knot.max(1));
        let n_rows = per_knot * i64::try_from(self.knots.len()).unwrap_or(1);
        let row = (i64::from(self.knot_idx) * per_knot + i64::from(self.row_in_knot) + rows).rem_euclid(n_rows.max(1));
        let knot =
            |idx: i64| self.knots.get(usize::try_from(idx).unwrap_or(0)).or(self.knots.first()).copied().unwrap_or(0);
        let (before, after) = (f32::from(knot(row / per_knot)), f32::from(knot(row / per_knot + 1)));
        f64::from((before + (after - before) * (row % per_knot) as f32 * self.per_row) * QUANTUM)
    }

    /// Takes up its part of an error at the next row, and turns the clock on by a row.
    #[inline]
    pub(super) fn learn_and_advance(&mut self, error: f64) {
        let (before, after, share) = self.place();
        let part = self.rate * error as f32 / QUANTUM;
        self.knots[before] = nearest(f32::from(self.knots[before]) + part * (1.0 - share));
        if share > 0.0 {
            self.knots[after] = nearest(f32::from(self.knots[after]) + part * share);
        }
        self.advance();
    }

    /// Turns the clock on by a row.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.row_in_knot += 1;
        if self.row_in_knot == self.rows_per_knot {
            self.row_in_knot = 0;
            self.knot_idx += 1;
            if self.knot_idx as usize == self.knots.len() {
                self.knot_idx = 0;
            }
        }
    }

    /// Asks for the knots around the next row.
    pub(super) fn look_ahead(&self) {
        let from = self.knots.len().min(self.knot_idx as usize);
        look_ahead(&self.knots[from..self.knots.len().min(from + 2)]);
    }

    /// The knots around the next row, and how far it is from the first to the second.
    #[inline]
    fn place(&self) -> (usize, usize, f32) {
        let before = self.knot_idx as usize;
        let after = if before + 1 == self.knots.len() { 0 } else { before + 1 };
        (before, after, self.row_in_knot as f32 * self.per_row)
    }

    /// Adds to the course, knot by knot: the means of the given rows around each knot, of which the first is at `start_ms`.
    /// Later cycles weigh more: a weight falls by [`CYCLE_DECAY`] a cycle. NaN is a gap.
    pub(super) fn sharpen(&mut self, rows: &[f64], start_ms: i64, step_ms: i64) {
        let n_rows = self.knots.len() * self.rows_per_knot as usize;
        let (mut sums, mut weights) = (vec![0.0; self.knots.len()], vec![0.0; self.knots.len()]);
        self.seek(start_ms, step_ms);
        for (row, value) in rows.iter().enumerate() {
            let (before, after, share) = self.place();
            if !value.is_nan() {
                let cycles_ago = ((rows.len() - 1 - row) / n_rows.max(1)).min(CYCLES_MAX);
                let weight = CYCLE_DECAY.powi(i32::try_from(cycles_ago).unwrap_or(0));
                let share = f64::from(share);
                sums[before] += weight * (1.0 - share) * value;
                weights[before] += weight * (1.0 - share);
                sums[after] += weight * share * value;
                weights[after] += weight * share;
            }
            self.advance();
        }
        let added =
            sums.iter().zip(&weights).map(|(sum, weight)| if *weight > 0.0 { (sum / weight) as f32 } else { 0.0 });
        let heights: Vec<f32> =
            self.knots.iter().map(|before| height(*before)).zip(added).map(|(a, b)| a + b).collect();
        let mean = heights.iter().sum::<f32>() / heights.len().max(1) as f32;
        self.knots.iter_mut().zip(heights).for_each(|(cell, height)| *cell = knot(height - mean));
    }

    /// Cycles in the history it was learned from.
    pub(super) fn n_cycles(&self) -> usize {
        self.n_cycles as usize
    }

    /// The period, in milliseconds.
    pub(super) fn period_ms(&self) -> i64 {
        self.period_ms
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.knots.capacity() * size_of::<i16>()
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(super) fn is_consistent(&self, step_ms: i64) -> bool {
        let n_rows = i64::try_from(self.knots.len()).unwrap_or(i64::MAX).saturating_mul(i64::from(self.rows_per_knot));
        self.period_ms > 0
            && !self.knots.is_empty()
            && n_rows.saturating_mul(step_ms) == self.period_ms
            && (self.knot_idx as usize) < self.knots.len()
            && self.row_in_knot < self.rows_per_knot
            && (0.0..=1.0).contains(&self.rate)
            && (0.0..=1.0).contains(&self.per_row)
    }
}

/// The step between two heights, in deviations. A 500th is far finer than a course is known, and 64 deviations, the farthest
/// a knot reaches, is more than a row a day can be away from the mean of its 1 440.
const QUANTUM: f32 = 1.0 / 512.0;

#[inline]
fn height(knot: i16) -> f32 {
    f32::from(knot) * QUANTUM
}

/// The knot nearest to a height.
fn knot(height: f32) -> i16 {
    nearest(height / QUANTUM)
}

/// The nearest integer that a knot can hold. Added to one and a half times 2^23, a number's integer is in the last bits of its
/// fraction: that is three instructions, where a cast that saturates is eight.
#[inline]
fn nearest(knot: f32) -> i16 {
    const LIMIT: f32 = i16::MAX as f32;
    const SHIFT: f32 = 12_582_912.0;
    let knot = if knot < -LIMIT { -LIMIT } else { knot };
    let knot = if knot > LIMIT { LIMIT } else { knot };
    (knot + SHIFT).to_bits() as i16
}

/// What a cycle weighs against the one after it: about the last five count.
const CYCLE_DECAY: f64 = 0.8;

/// Weights fall no further: 0.8^40 is a ten-thousandth.
const CYCLES_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const MINUTE_MS: i64 = 60_000;

    #[test]
    fn the_clock_turns_row_by_row_as_it_seeks() {
        let mut walked = Profile::flat(HOUR_MS, MINUTE_MS, 12, 3, 0.1).expect("a profile");
        let mut sought = walked.clone();
        walked.seek(57 * MINUTE_MS, MINUTE_MS);
        for row in 57..200 {
            sought.seek(row * MINUTE_MS, MINUTE_MS);
            assert_eq!(walked, sought, "row {row}");
            walked.advance();
        }
    }

    #[test]
    fn between_knots_it_is_a_line_and_the_last_joins_the_first() {
        let mut profile = Profile::flat(HOUR_MS, MINUTE_MS, 4, 3, 0.1).expect("a profile");
        profile.knots = [0.0, 15.0, 0.0, -15.0].map(knot).to_vec();
        let at = |profile: &mut Profile, minute: i64| {
            profile.seek(minute * MINUTE_MS, MINUTE_MS);
            profile.at()
        };
        for (minute, value) in [(0, 0.0), (5, 5.0), (20, 10.0), (45, -15.0), (50, -10.0), (59, -1.0)] {
            assert!((at(&mut profile, minute) - value).abs() < 1e-5, "{minute}");
        }
    }

    #[test]
    fn knots_are_the_nearest_integers_within_their_range() {
        for (value, wanted) in
            [(0.0, 0), (0.4, 0), (-0.6, -1), (7.51, 8), (-7.49, -7), (32_766.6, 32_767), (-32_766.6, -32_767)]
        {
            assert_eq!(nearest(value), wanted, "{value}");
        }
        for (value, wanted) in [(1e9, 32_767), (-1e30, -32_767), (f32::INFINITY, 32_767), (f32::NAN, 0)] {
            assert_eq!(nearest(value), wanted, "{value}");
        }
    }

    #[test]
    fn what_does_not_tile_the_period_is_no_profile() {
        assert!(Profile::flat(HOUR_MS, 7_001, 60, 3, 0.1).is_none());
        assert!(Profile::flat(HOUR_MS, 0, 60, 3, 0.1).is_none());
        let fits = Profile::flat(86_400_000, 300_000, 288, 3, 0.1).expect("a profile");
        assert_eq!((fits.knots.len(), fits.rows_per_knot), (288, 1));
        let odd = Profile::flat(7 * 60_000, 60_000, 4, 3, 0.1).expect("a profile");
        assert_eq!(odd.knots.len(), 1, "seven rows tile as seven or one");
    }

    #[test]
    fn an_error_that_returns_each_cycle_is_learned_at_its_gain() {
        let mut profile = Profile::flat(HOUR_MS, MINUTE_MS, 60, 3, 0.25).expect("a profile");
        for row in 0..60 * 20 {
            let wanted = if row % 60 == 7 { 1.0 } else { 0.0 };
            let error = wanted - profile.at();
            profile.learn_and_advance(error);
        }
        profile.seek(7 * MINUTE_MS, MINUTE_MS);
        assert!((profile.at() - (1.0 - 0.75_f64.powi(20))).abs() < 0.01, "{}", profile.at());
    }

    #[test]
    fn a_file_with_parts_that_do_not_fit_is_not_consistent() {
        let good = Profile::flat(HOUR_MS, MINUTE_MS, 60, 3, 0.25).expect("a profile");
        assert!(good.is_consistent(MINUTE_MS) && !good.is_consistent(2 * MINUTE_MS));
        for spoil in [
            |profile: &mut Profile| profile.knots.clear(),
            |profile: &mut Profile| profile.knot_idx = 60,
            |profile: &mut Profile| profile.row_in_knot = 1,
            |profile: &mut Profile| profile.rate = f32::INFINITY,
        ] {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(!bad.is_consistent(MINUTE_MS), "{bad:?}");
        }
    }
}
