//! Which seasons a feature has, and what they look like.

use augurs::Fit;
use augurs::mstl::MSTLModel;
use serde::{Deserialize, Serialize};

/// The seasons looked for, in milliseconds: an hour, a day, a week. Timestamps are UTC, and so are these.
const PERIODS_MS: [i64; 3] = [3_600_000, 86_400_000, 604_800_000];

/// Most points that are decomposed: a week of minutes. MSTL takes half a second for them. Longer histories are averaged
/// over blocks of rows first.
const POINTS_MAX: usize = 10_080;

/// A profile of fewer points is no shape.
const PERIOD_POINTS_MIN: usize = 12;

/// A season's test looks at this many bins a cycle at most, so that noise within a bin averages out.
const TEST_BINS_MAX: usize = 48;

/// The least share of the variance within a cycle that the other cycles must explain. Noise explains less than nothing;
/// a random walk over three cycles rarely this much.
const EXPLAINED_MIN: f64 = 0.3;

/// A course within cycles smaller than a hundredth of the feature's deviation is rounding, or doesn't matter.
const VARIANCE_MIN: f64 = 1e-4;

/// A profile is the mean over this many of the latest cycles: recent, but not one day's accidents.
const PROFILE_CYCLES: usize = 3;

/// The usual course over one period, in the feature's own unit, around zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    period_ms: i64,
    /// Time between the moments of two rows.
    step_ms: i64,
    /// One value a block of rows; block `i` begins at `i · period / n` after a multiple of the period.
    profile: Vec<f64>,
    /// Cycles in the history it was learned from.
    n_cycles: usize,
}

impl Season {
    /// The season's part at a moment, between the middles of two blocks on the line that joins them.
    pub(super) fn at(&self, at_ms: i64) -> f64 {
        let n = self.profile.len();
        let block_ms = self.period_ms as f64 / n as f64;
        // A block's rows begin with it and end one step before the next: its middle is half of that.
        let middle_ms = (block_ms - self.step_ms as f64) / 2.0;
        let position = (at_ms.rem_euclid(self.period_ms) as f64 - middle_ms) / block_ms;
        let before = position.floor();
        let share = position - before;
        let idx = (before as i64).rem_euclid(n as i64) as usize;
        self.profile[idx] * (1.0 - share) + self.profile[(idx + 1) % n] * share
    }

    /// Cycles in the history it was learned from.
    pub(super) fn n_cycles(&self) -> usize {
        self.n_cycles
    }

    /// The period, in milliseconds.
    pub(super) fn period_ms(&self) -> i64 {
        self.period_ms
    }

    /// The same in another unit.
    pub(super) fn scaled(mut self, scale: f64) -> Self {
        self.profile.iter_mut().for_each(|value| *value *= scale);
        self
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.profile.capacity() * size_of::<f64>()
    }
}

/// A history averaged over blocks of rows that tile the periods.
struct Blocks {
    values: Vec<f64>,
    start_ms: i64,
    block_ms: i64,
}

/// The seasons of a standardised column; holes are NaN. A period counts if it fits `cycles_min` times into the history and
/// the other cycles explain enough of each: see [`explained`]. The shapes are those of MSTL (Bandara, Hyndman and
/// Bergmeir 2021).
pub(super) fn seasons(column: &[f64], start_ms: i64, step_ms: i64, cycles_min: usize) -> Vec<Season> {
    let Some(blocks) = blocks(column, start_ms, step_ms) else { return Vec::new() };
    let mut rest = detrended(&blocks.values);
    let mut periods = Vec::new();
    for period_ms in PERIODS_MS {
        let period = usize::try_from(period_ms / blocks.block_ms).unwrap_or(usize::MAX);
        let tiled = period_ms % blocks.block_ms == 0;
        if !tiled || period < PERIOD_POINTS_MIN || rest.len() / period < cycles_min {
            continue;
        }
        if explained(&rest, period) >= EXPLAINED_MIN {
            // A week must show something that the day doesn't.
            let profile = mean_profile(&rest, period);
            rest.iter_mut().zip(profile.iter().cycle()).for_each(|(value, usual)| *value -= usual);
            periods.push((period_ms, period));
        }
    }
    if periods.is_empty() {
        return Vec::new();
    }
    let lengths: Vec<usize> = periods.iter().map(|(_, period)| *period).collect();
    // A history that MSTL refuses has no seasons that could be told apart.
    let Ok(decomposed) = MSTLModel::naive(lengths).fit(&blocks.values) else { return Vec::new() };
    let components = decomposed.fit().seasonal();
    periods
        .iter()
        .zip(components)
        .map(|((period_ms, period), component)| Season {
            period_ms: *period_ms,
            step_ms,
            profile: profile(component, *period, blocks.start_ms.rem_euclid(*period_ms) / blocks.block_ms),
            n_cycles: blocks.values.len() / period,
        })
        .filter(|season| season.profile.iter().all(|value| value.is_finite()))
        .collect()
}

/// Averages over the least number of rows that brings the history down to [`POINTS_MAX`] points and tiles an hour, or
/// at least a day. `None` where no such number exists: the step divides neither.
fn blocks(column: &[f64], start_ms: i64, step_ms: i64) -> Option<Blocks> {
    if step_ms < 1 {
        return None;
    }
    let rows_min = i64::try_from(column.len().div_ceil(POINTS_MAX)).ok()?.max(1);
    let tiles = |period_ms: i64| (rows_min..=4 * rows_min).find(|rows| period_ms % (rows * step_ms) == 0);
    let rows = tiles(PERIODS_MS[0]).or_else(|| tiles(PERIODS_MS[1]))?;
    let block_ms = rows * step_ms;
    // Blocks begin at multiples of their length, so that they tile each period in the same way.
    let skipped = usize::try_from((-start_ms).rem_euclid(block_ms) / step_ms).ok()?;
    let rows = usize::try_from(rows).ok()?;
    let mut values: Vec<f64> = column.get(skipped..)?.chunks_exact(rows).map(mean_present).collect();
    if !interpolate(&mut values) {
        return None;
    }
    let start_ms = start_ms + i64::try_from(skipped).ok()? * step_ms;
    Some(Blocks { values, start_ms, block_ms })
}

fn mean_present(values: &[f64]) -> f64 {
    let (sum, n) =
        values.iter().filter(|value| !value.is_nan()).fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    if n == 0 { f64::NAN } else { sum / n as f64 }
}

/// Fills holes on the line between their neighbours, and at the ends with the nearest value; false if nothing is there.
/// Only for fitting: what was a hole is never scored nor counted as an error.
pub(super) fn interpolate(values: &mut [f64]) -> bool {
    let mut last: Option<usize> = None;
    for idx in 0..values.len() {
        if values[idx].is_nan() {
            continue;
        }
        let (to, from) = (values[idx], last.map_or(values[idx], |last| values[last]));
        let first = last.map_or(0, |last| last + 1);
        let span = (idx - last.unwrap_or(0)).max(1) as f64;
        for (i, value) in values[first..idx].iter_mut().enumerate() {
            *value = from + (to - from) * (i + 1) as f64 / span;
        }
        last = Some(idx);
    }
    match last {
        None => false,
        Some(last) => {
            let value = values[last];
            values[last + 1..].fill(value);
            true
        }
    }
}

/// Less the straight line of least squares: a trend is no season.
fn detrended(values: &[f64]) -> Vec<f64> {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (mut with, mut own) = (0.0, 0.0);
    for (idx, value) in values.iter().enumerate() {
        let x = idx as f64 - middle;
        with += x * (value - mean);
        own += x * x;
    }
    let slope = if own > 0.0 { with / own } else { 0.0 };
    values.iter().enumerate().map(|(idx, value)| value - mean - slope * (idx as f64 - middle)).collect()
}

/// The share of the variance within cycles that the mean of the *other* cycles explains: 1 for the same course in each,
/// below 0 for noise, 0 where there is next to none. It is an autocorrelation at the period over all cycles at once.
fn explained(values: &[f64], period: usize) -> f64 {
    let bin = period.div_ceil(TEST_BINS_MAX);
    let cycles: Vec<Vec<f64>> = values
        .chunks_exact(period)
        .map(|cycle| {
            let mean = cycle.iter().sum::<f64>() / period as f64;
            cycle.chunks(bin).map(|bin| mean_present(bin) - mean).collect()
        })
        .collect();
    let n = cycles.len() as f64;
    if cycles.len() < 2 {
        return 0.0;
    }
    let (mut missed, mut total) = (0.0, 0.0);
    for bin_idx in 0..cycles[0].len() {
        let sum: f64 = cycles.iter().map(|cycle| cycle[bin_idx]).sum();
        for cycle in &cycles {
            let others = (sum - cycle[bin_idx]) / (n - 1.0);
            missed += (cycle[bin_idx] - others).powi(2);
            total += cycle[bin_idx].powi(2);
        }
    }
    let n_bins = n * cycles[0].len() as f64;
    if total / n_bins > VARIANCE_MIN { 1.0 - missed / total } else { 0.0 }
}

/// The mean course over all whole cycles, from the first value's phase on.
fn mean_profile(values: &[f64], period: usize) -> Vec<f64> {
    let cycles = (values.len() / period).max(1) as f64;
    let mut profile = vec![0.0; period];
    for cycle in values.chunks_exact(period) {
        profile.iter_mut().zip(cycle).for_each(|(sum, value)| *sum += value / cycles);
    }
    profile
}

/// The mean over the latest cycles of a seasonal component, turned so that it begins with the period, around zero.
fn profile(component: &[f32], period: usize, first_phase: i64) -> Vec<f64> {
    let n_rows = period * (component.len() / period).min(PROFILE_CYCLES);
    let from = component.len() - n_rows;
    let latest: Vec<f64> = component[from..].iter().copied().map(f64::from).collect();
    let mut profile = mean_profile(&latest, period);
    let phase = (usize::try_from(first_phase).unwrap_or(0) + from) % period;
    profile.rotate_right(phase);
    let mean = profile.iter().sum::<f64>() / period as f64;
    profile.iter_mut().for_each(|value| *value -= mean);
    profile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::noise;
    use homeostat_core::Seed;

    const MINUTE_MS: i64 = 60_000;

    /// `n` rows of noise on a wave of this period and amplitude.
    fn wave(n: usize, start_ms: i64, step_ms: i64, period_ms: i64, amplitude: f64) -> Vec<f64> {
        let noise = noise(n, 1, Seed::new(8));
        (0..n)
            .map(|row| {
                let phase = (start_ms + row as i64 * step_ms) as f64 / period_ms as f64;
                0.3 * noise[[row, 0]] + amplitude * (std::f64::consts::TAU * phase).sin()
            })
            .collect()
    }

    #[test]
    fn a_day_is_found_and_its_course_learned() {
        // Starts at an odd moment, so that a profile turned the wrong way shows.
        let start_ms = 7 * 3_600_000;
        let column = wave(5 * 1440, start_ms, MINUTE_MS, PERIODS_MS[1], 2.0);
        let found = seasons(&column, start_ms, MINUTE_MS, 3);
        assert_eq!(found.iter().map(|season| season.period_ms).collect::<Vec<_>>(), vec![PERIODS_MS[1]]);
        assert_eq!(found[0].n_cycles(), 5);
        let worst = (0..24)
            .map(|hour| {
                let at_ms = 100 * PERIODS_MS[1] + hour * 3_600_000;
                (found[0].at(at_ms) - 2.0 * (std::f64::consts::TAU * hour as f64 / 24.0).sin()).abs()
            })
            .fold(0.0, f64::max);
        assert!(worst < 0.8, "{worst}");
    }

    #[test]
    fn a_step_so_small_that_a_day_is_long_is_averaged_and_still_lines_up() {
        let column = wave(4 * 5760, 0, 15_000, PERIODS_MS[1], 2.0);
        let found = seasons(&column, 0, 15_000, 3);
        assert_eq!(found.len(), 1);
        assert!(found[0].profile.len() <= 2880);
        let at_six = found[0].at(6 * 3_600_000);
        assert!((1.4..2.6).contains(&at_six), "{at_six}");
    }

    #[test]
    fn noise_trends_and_short_histories_have_no_season() {
        assert!(seasons(&wave(4 * 1440, 0, MINUTE_MS, PERIODS_MS[1], 0.0), 0, MINUTE_MS, 3).is_empty());
        let trend: Vec<f64> = (0..4 * 1440).map(|row| row as f64 * 1e-3).collect();
        assert!(seasons(&trend, 0, MINUTE_MS, 3).is_empty());
        assert!(seasons(&wave(2 * 1440, 0, MINUTE_MS, PERIODS_MS[1], 2.0), 0, MINUTE_MS, 3).is_empty());
        assert!(seasons(&[], 0, MINUTE_MS, 3).is_empty());
        assert!(seasons(&[f64::NAN; 500], 0, MINUTE_MS, 3).is_empty());
    }

    #[test]
    fn a_step_that_divides_no_day_has_no_season_and_no_panic() {
        assert!(seasons(&wave(20_000, 0, 7_001, 3_600_000, 2.0), 0, 7_001, 3).is_empty());
    }

    #[test]
    fn an_hour_is_found_through_holes() {
        let mut column = wave(10 * 60, 0, MINUTE_MS, PERIODS_MS[0], 1.0);
        column[130..170].fill(f64::NAN);
        let found = seasons(&column, 0, MINUTE_MS, 3);
        assert_eq!(found.iter().map(|season| season.period_ms).collect::<Vec<_>>(), vec![PERIODS_MS[0]]);
    }

    #[test]
    fn holes_are_filled_on_a_line_and_at_the_ends_with_the_nearest() {
        let mut values = [f64::NAN, 1.0, f64::NAN, f64::NAN, 4.0, f64::NAN];
        assert!(interpolate(&mut values));
        assert_eq!(values, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert!(!interpolate(&mut [f64::NAN]));
    }
}
