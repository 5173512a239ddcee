//! Which seasons a feature has, and what they look like.
//!
//! Found by the data: a period counts only if cycles that weren't used foretell the others. Decomposed by MSTL on blocks of
//! rows, and sharpened on the rows themselves.

use augurs::Fit;
use augurs::mstl::MSTLModel;

use super::profile::Profile;

/// A period that is looked for.
struct Candidate {
    /// A day and a week of local time.
    period_ms: i64,
    /// Most knots of its profile, of two bytes. A day has one for each minute: on server machines, whose jobs start at the
    /// same minute each day, five minutes a knot missed a third more of the next day's variance (docs/decisions/0012).
    knots_max: usize,
    /// Share of a course's error that is learned a cycle.
    gain: f64,
}

/// Most seasons of a feature.
pub(super) const SEASONS_MAX: usize = 3;

/// A day and a week on blocks of the whole history; then an hour on what they leave of the latest rows. Old habits fade with
/// a half-life of about a day, a week and a month.
const LONG: [Candidate; 2] = [
    Candidate { period_ms: 86_400_000, knots_max: 1_440, gain: 0.1 },
    Candidate { period_ms: 604_800_000, knots_max: 168, gain: 0.15 },
];
const SHORT: [Candidate; 1] = [Candidate { period_ms: 3_600_000, knots_max: 60, gain: 0.03 }];

/// Bytes of a feature's seasons, if it has every one that fits into `n_rows` rows often enough.
pub(super) fn bytes_max(n_rows: usize, step_ms: usize, cycles_min: usize) -> usize {
    let bytes = |candidate: &Candidate| {
        let n_period = usize::try_from(candidate.period_ms).unwrap_or(usize::MAX) / step_ms.max(1);
        let fits = n_period >= PERIOD_POINTS_MIN && n_rows / n_period >= cycles_min;
        let knots = n_period.min(candidate.knots_max) * size_of::<i16>();
        if fits { size_of::<Profile>() + knots } else { 0 }
    };
    LONG.iter().chain(&SHORT).map(bytes).sum()
}

/// Most points that are decomposed: two weeks of five minutes. MSTL's time grows with them; what finer rows say is added
/// afterwards.
const POINTS_MAX: usize = 4_032;

/// A profile of fewer points is no shape.
const PERIOD_POINTS_MIN: usize = 12;

/// A season's test looks at this many bins a cycle at most, so that noise within a bin averages out.
const TEST_BINS_MAX: usize = 48;

/// The least share of the variance within a cycle that the other cycles must explain. Noise explains less than nothing;
/// a random walk over three cycles rarely this much.
const EXPLAINED_MIN: f64 = 0.3;

/// A course within cycles smaller than a hundredth of the feature's deviation is rounding, or doesn't matter.
const VARIANCE_MIN: f64 = 1e-4;

/// The seasons of a standardised column; gaps are NaN.
pub(super) fn seasons(column: &[f64], start_ms: i64, step_ms: i64, cycles_min: usize) -> Vec<Profile> {
    let mut found = decomposed(column, start_ms, step_ms, cycles_min, &LONG);
    let rest = less_seasons(column, &found, start_ms, step_ms);
    let latest = rest.len().saturating_sub(POINTS_MAX);
    let latest_ms = start_ms + i64::try_from(latest).unwrap_or(0) * step_ms;
    found.extend(decomposed(&rest[latest..], latest_ms, step_ms, cycles_min, &SHORT));
    found.shrink_to_fit();
    sharpen(&mut found, column, start_ms, step_ms);
    found
}

/// A column less its seasons.
pub(super) fn less_seasons(column: &[f64], seasons: &[Profile], start_ms: i64, step_ms: i64) -> Vec<f64> {
    let mut seasons = seasons.to_vec();
    seasons.iter_mut().for_each(|season| season.seek(start_ms, step_ms));
    let less = |value: &f64| {
        let seasonal: f64 = seasons.iter().map(Profile::at).sum();
        seasons.iter_mut().for_each(Profile::advance);
        value - seasonal
    };
    column.iter().map(less).collect()
}

/// The seasons among the candidates. A period counts if it fits `cycles_min` times into the history and the other cycles
/// explain enough of each ([`explained`]), the last one by those before it, too. The shapes are those of MSTL (Bandara,
/// Hyndman and Bergmeir 2021).
fn decomposed(column: &[f64], start_ms: i64, step_ms: i64, cycles_min: usize, among: &[Candidate]) -> Vec<Profile> {
    let Some(blocks) = among.first().and_then(|first| blocks(column, start_ms, step_ms, first.period_ms)) else {
        return Vec::new();
    };
    let mut rest = detrended(&blocks.values);
    let mut periods = Vec::new();
    for candidate in among {
        let period = usize::try_from(candidate.period_ms / blocks.block_ms).unwrap_or(usize::MAX);
        let tiled = candidate.period_ms % blocks.block_ms == 0;
        if !tiled || period < PERIOD_POINTS_MIN || rest.len() / period < cycles_min {
            continue;
        }
        if explained(&rest, period) >= EXPLAINED_MIN && foretold(&rest, period) > 0.0 {
            // A week must show something that the day doesn't.
            let profile = mean_profile(&rest, period);
            rest.iter_mut().zip(profile.iter().cycle()).for_each(|(value, usual)| *value -= usual);
            periods.push((candidate, period));
        }
    }
    if periods.is_empty() {
        return Vec::new();
    }
    let lengths: Vec<usize> = periods.iter().map(|(_, period)| *period).collect();
    // A history that MSTL refuses has no seasons that could be told apart.
    let Ok(decomposed) = MSTLModel::naive(lengths).fit(&blocks.values) else { return Vec::new() };
    let components = decomposed.fit().seasonal();
    let profile = |((candidate, period), component): (&(&Candidate, usize), &Vec<f32>)| {
        if component.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let n_cycles = blocks.values.len() / period;
        let mut profile = Profile::flat(candidate.period_ms, step_ms, candidate.knots_max, n_cycles, candidate.gain)?;
        let rows: Vec<f64> =
            component.iter().flat_map(|value| std::iter::repeat_n(f64::from(*value), blocks.rows)).collect();
        profile.sharpen(&rows, blocks.start_ms, step_ms);
        Some(profile)
    };
    periods.iter().zip(components).filter_map(profile).collect()
}

/// Adds to each course what the rows themselves show of it, over blocks: the mean of what all seasons leave, less the mean
/// of its cycle.
fn sharpen(seasons: &mut [Profile], column: &[f64], start_ms: i64, step_ms: i64) {
    for idx in 0..seasons.len() {
        let mut rest = less_seasons(column, seasons, start_ms, step_ms);
        let n_rows = usize::try_from(seasons[idx].period_ms() / step_ms.max(1)).unwrap_or(usize::MAX).max(1);
        for cycle in rest.chunks_mut(n_rows) {
            let mean = mean_present(cycle);
            cycle.iter_mut().for_each(|value| *value -= mean);
        }
        seasons[idx].sharpen(&rest, start_ms, step_ms);
    }
}

/// A history averaged over blocks of rows that tile the periods.
struct Blocks {
    values: Vec<f64>,
    start_ms: i64,
    block_ms: i64,
    /// Rows of a block.
    rows: usize,
}

/// Averages over the least number of rows that brings the history down to [`POINTS_MAX`] points and tiles a period. `None`
/// where no such number exists: the step doesn't divide the period.
fn blocks(column: &[f64], start_ms: i64, step_ms: i64, period_ms: i64) -> Option<Blocks> {
    if step_ms < 1 {
        return None;
    }
    let rows_min = i64::try_from(column.len().div_ceil(POINTS_MAX)).ok()?.max(1);
    let rows = (rows_min..=4 * rows_min).find(|rows| period_ms % (rows * step_ms) == 0)?;
    let block_ms = rows * step_ms;
    // Blocks begin at multiples of their length, so that they tile each period in the same way.
    let skipped = usize::try_from((-start_ms).rem_euclid(block_ms) / step_ms).ok()?;
    let rows = usize::try_from(rows).ok()?;
    let mut values: Vec<f64> = column.get(skipped..)?.chunks_exact(rows).map(mean_present).collect();
    if !interpolate(&mut values) {
        return None;
    }
    let start_ms = start_ms + i64::try_from(skipped).ok()? * step_ms;
    Some(Blocks { values, start_ms, block_ms, rows })
}

fn mean_present(values: &[f64]) -> f64 {
    let (sum, n) =
        values.iter().filter(|value| !value.is_nan()).fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    if n == 0 { f64::NAN } else { sum / n as f64 }
}

/// Fills gaps on the line between their neighbours, and at the ends with the nearest value; false if nothing is there.
/// Only for fitting: what was a gap is never scored nor counted as an error.
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

/// The share of the last whole cycle's variance that the mean of the cycles before it explains: what a forecast would have
/// had. Below 0, it would have been better without.
fn foretold(values: &[f64], period: usize) -> f64 {
    let n_before = (values.len() / period).saturating_sub(1) * period;
    let usual = mean_profile(&values[..n_before], period);
    let last = &values[n_before..n_before + period];
    let (usual_mean, last_mean) = (mean_present(&usual), mean_present(last));
    let (mut missed, mut total) = (0.0, 0.0);
    for (value, usual) in last.iter().zip(usual) {
        missed += (value - last_mean - (usual - usual_mean)).powi(2);
        total += (value - last_mean).powi(2);
    }
    if total > 0.0 { 1.0 - missed / total } else { 0.0 }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::noise;
    use homeostat_core::Seed;

    const MINUTE_MS: i64 = 60_000;
    const HOUR_MS: i64 = 60 * MINUTE_MS;
    const DAY_MS: i64 = 24 * HOUR_MS;

    fn periods(found: &[Profile]) -> Vec<i64> {
        found.iter().map(Profile::period_ms).collect()
    }

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
        let column = wave(5 * 1440, start_ms, MINUTE_MS, DAY_MS, 2.0);
        let mut found = seasons(&column, start_ms, MINUTE_MS, 3);
        assert_eq!(periods(&found), vec![DAY_MS]);
        assert_eq!(found[0].n_cycles(), 5);
        let worst = (0..24)
            .map(|hour| {
                let at_ms = 100 * DAY_MS + hour * 3_600_000;
                found[0].seek(at_ms, MINUTE_MS);
                (found[0].at() - 2.0 * (std::f64::consts::TAU * hour as f64 / 24.0).sin()).abs()
            })
            .fold(0.0, f64::max);
        assert!(worst < 0.8, "{worst}");
    }

    #[test]
    fn a_step_so_small_that_a_day_is_long_is_averaged_and_still_lines_up() {
        let column = wave(4 * 5760, 0, 15_000, DAY_MS, 2.0);
        let mut found = seasons(&column, 0, 15_000, 3);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].heap_bytes(), 1_440 * 2);
        found[0].seek(6 * HOUR_MS, 15_000);
        let at_six = found[0].at();
        assert!((1.4..2.6).contains(&at_six), "{at_six}");
    }

    #[test]
    fn noise_trends_and_short_histories_have_no_season() {
        assert!(seasons(&wave(4 * 1440, 0, MINUTE_MS, DAY_MS, 0.0), 0, MINUTE_MS, 3).is_empty());
        let trend: Vec<f64> = (0..4 * 1440).map(|row| row as f64 * 1e-3).collect();
        assert!(seasons(&trend, 0, MINUTE_MS, 3).is_empty());
        assert!(seasons(&wave(2 * 1440, 0, MINUTE_MS, DAY_MS, 2.0), 0, MINUTE_MS, 3).is_empty());
        assert!(seasons(&[], 0, MINUTE_MS, 3).is_empty());
        assert!(seasons(&[f64::NAN; 500], 0, MINUTE_MS, 3).is_empty());
    }

    #[test]
    fn a_step_that_divides_no_day_has_no_season_and_no_panic() {
        assert!(seasons(&wave(20_000, 0, 7_001, 3_600_000, 2.0), 0, 7_001, 3).is_empty());
    }

    #[test]
    fn an_hour_is_found_through_gaps() {
        let mut column = wave(10 * 60, 0, MINUTE_MS, HOUR_MS, 1.0);
        column[130..170].fill(f64::NAN);
        let found = seasons(&column, 0, MINUTE_MS, 3);
        assert_eq!(periods(&found), vec![HOUR_MS]);
    }

    #[test]
    fn gaps_are_filled_on_a_line_and_at_the_ends_with_the_nearest() {
        let mut values = [f64::NAN, 1.0, f64::NAN, f64::NAN, 4.0, f64::NAN];
        assert!(interpolate(&mut values));
        assert_eq!(values, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
        assert!(!interpolate(&mut [f64::NAN]));
    }

    #[test]
    fn a_week_is_found_beside_the_day_and_an_hour_beside_both() {
        let n = 4 * 7 * 288;
        let step_ms = 5 * MINUTE_MS;
        let column: Vec<f64> = (0..n as i64)
            .zip(noise(n, 1, Seed::new(12)).iter())
            .map(|(row, noise)| {
                let at_ms = row * step_ms;
                let weekend = if at_ms.rem_euclid(7 * DAY_MS) >= 5 * DAY_MS { -2.0 } else { 0.0 };
                let daily = (std::f64::consts::TAU * at_ms as f64 / DAY_MS as f64).sin();
                let cron = if at_ms.rem_euclid(HOUR_MS) == 0 { 3.0 } else { 0.0 };
                weekend + daily + cron + 0.2 * noise
            })
            .collect();
        assert_eq!(periods(&seasons(&column, 0, step_ms, 3)), vec![DAY_MS, 7 * DAY_MS, HOUR_MS]);
    }

    #[test]
    fn what_the_last_cycle_no_longer_shows_is_no_season() {
        let mut column = wave(4 * 1440, 0, MINUTE_MS, DAY_MS, 2.0);
        let flat = wave(1440, 0, MINUTE_MS, DAY_MS, 0.0);
        column[3 * 1440..].copy_from_slice(&flat);
        assert!(seasons(&column, 0, MINUTE_MS, 3).is_empty());
    }
}
