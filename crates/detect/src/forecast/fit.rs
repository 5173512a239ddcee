//! Fits one feature's forecast on its column of the history.

use super::conformal::Conformal;
use super::ets::{Ets, EtsState};
use super::feature::FeatureForecast;
use super::history_rows::HistoryRows;
use super::pace::Pace;
use super::profile::Profile;
use super::season::{interpolate, less_seasons, seasons};
use super::spread::Spread;
use crate::known_effect::KnownEffect;

/// Rows that exponential smoothing is fitted on: the last day of minutes. Its parameters settle long before, and hold for
/// now rather than for last month.
const ETS_ROWS_MAX: usize = 1_440;

/// Fewest measurements to fit anything but a mean on.
const FIT_ROWS_MIN: usize = 32;

/// Rows whose mean the levels start from; errors of these rows aren't counted.
const START_ROWS: usize = 30;

/// Deviations are at least this share of the feature's own and of its magnitude: what forecasts itself to the last digit
/// isn't unusual at the next.
const DEVIATION_SHARE_MIN: f64 = 0.01;
const DEVIATION_MAGNITUDE_MIN: f64 = 1e-6;

/// Cycles beyond which a season's own error no longer counts: later cycles weigh more, about seven together.
const SEASON_CYCLES_COUNTED: usize = 7;

/// Fits one raw column, whose rows have these moments; gaps are NaN. It can't fail: where nothing can be fitted, the model is the mean.
pub(super) fn fit(column: &[f64], rows: &HistoryRows<'_>, cycles_min: usize, pace: &Pace) -> FeatureForecast {
    let (centre, scale) = centre_and_scale(column);
    let magnitude_floor = DEVIATION_MAGNITUDE_MIN * centre.abs().max(1.0);
    let n_present = column.iter().filter(|value| !value.is_nan()).count();
    let moves = n_present >= FIT_ROWS_MIN && scale > magnitude_floor;
    let standardised: Vec<f64> = column.iter().map(|value| (value - centre) / scale).collect();
    let seasons = if moves {
        let (local, start_ms) = rows.by_the_clock(&standardised);
        seasons(&local, start_ms, rows.step_ms, cycles_min)
    } else {
        Vec::new()
    };
    let rest: Vec<f64> = rows
        .stretches(standardised.len())
        .flat_map(|(start_ms, idxs)| less_seasons(&standardised[idxs], &seasons, start_ms, rows.step_ms))
        .collect();
    let ets = if moves { fit_ets(&rest) } else { None };
    let level = mean(&rest, START_ROWS);
    let slow = mean(&rest, pace.slow_half_life_rows().ceil() as usize);
    let floor = (magnitude_floor / scale).max(DEVIATION_SHARE_MIN);
    let first = Spread::new(floor.max(1.0), std::iter::empty());
    let mut fitted = FeatureForecast {
        centre,
        scale,
        inverse_scale: 1.0 / scale,
        seasons,
        ets: ets.unwrap_or(Ets::FLAT),
        start_quick: level,
        start_slow: slow,
        quick: EtsState { level, slope: 0.0 },
        middle: level,
        slow,
        quick_spread: first,
        middle_spread: first,
        slow_spread: first,
        conformal: Conformal::fit(Vec::new(), 1.0),
        absorbed: 0.0,
        n_gaps: 0,
        away_rows: 0,
        extreme_rows: 0,
    };
    measure(&mut fitted, column, rows, floor, &pace.fitting());
    fitted
}

/// Runs the history three times: for the deviations, which the cuts need; for the shape of the errors in them; and for the
/// state it leaves.
fn measure(fitted: &mut FeatureForecast, column: &[f64], rows: &HistoryRows<'_>, floor: f64, pace: &Pace) {
    // A season learned from n cycles misses the next by more than those: by (n + 1) / (n - 1) in variance.
    let cycles = fitted.seasons.iter().map(Profile::n_cycles).min();
    let unseen = cycles.map_or(1.0, |cycles| {
        let n = cycles.clamp(2, SEASON_CYCLES_COUNTED) as f64;
        ((n + 1.0) / (n - 1.0)).sqrt()
    });
    let errors = run(fitted, column, rows, pace);
    let deviations = errors.each_ref().map(|errors| root_mean_square(errors).max(floor));
    set_spreads(fitted, deviations, &errors);
    let errors = run(fitted, column, rows, pace);
    let deviations = errors.each_ref().map(|errors| root_mean_square(errors).max(floor));
    fitted.conformal = Conformal::fit(errors[0].iter().map(|error| error / deviations[0]).collect(), 1.0);
    set_spreads(fitted, deviations.map(|deviation| deviation * unseen), &errors);
    run(fitted, column, rows, pace);
}

fn set_spreads(fitted: &mut FeatureForecast, deviations: [f64; 3], errors: &[Vec<f64>; 3]) {
    let spread = |idx: usize| {
        let deviation = root_mean_square(&errors[idx]).max(f64::MIN_POSITIVE);
        Spread::new(deviations[idx], errors[idx].iter().map(move |error| error / deviation))
    };
    (fitted.quick_spread, fitted.middle_spread, fitted.slow_spread) = (spread(0), spread(1), spread(2));
}

/// The errors of the quick, middle and slow level over the history, from its beginning, without the rows they start from.
fn run(fitted: &mut FeatureForecast, column: &[f64], rows: &HistoryRows<'_>, pace: &Pace) -> [Vec<f64>; 3] {
    fitted.rewind();
    let mut errors: [Vec<f64>; 3] = std::array::from_fn(|_| Vec::with_capacity(column.len()));
    for (start_ms, idxs) in rows.stretches(column.len()) {
        fitted.seek(start_ms, rows.step_ms);
        for row in idxs {
            let step = fitted.step(column[row], KnownEffect::None, pace);
            if row >= START_ROWS.min(column.len() / 2) && !column[row].is_nan() {
                errors.iter_mut().zip(step.errors).for_each(|(errors, error)| errors.push(error));
            }
        }
    }
    errors
}

fn fit_ets(rest: &[f64]) -> Option<Ets> {
    let mut latest = rest[rest.len().saturating_sub(ETS_ROWS_MAX)..].to_vec();
    if latest.iter().filter(|value| !value.is_nan()).count() < FIT_ROWS_MIN || !interpolate(&mut latest) {
        return None;
    }
    // A tail that never moves has no errors to fit.
    if latest.iter().all(|value| *value == latest[0]) { None } else { Ets::fit(&latest) }
}

/// The mean of the first `n` values that are there, 0 of none.
fn mean(values: &[f64], n: usize) -> f64 {
    let (sum, n) = values
        .iter()
        .filter(|value| !value.is_nan())
        .take(n)
        .fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    if n == 0 { 0.0 } else { sum / n as f64 }
}

/// Of standardised errors, whose squares don't overflow; 0 of none.
fn root_mean_square(errors: &[f64]) -> f64 {
    let n = errors.len().max(1) as f64;
    (errors.iter().map(|error| error * error / n).sum::<f64>()).sqrt()
}

/// Mean and deviation of what is there, worked out relative to the largest magnitude, so that nothing overflows. The
/// deviation of nothing, or of a constant, is 1.
fn centre_and_scale(column: &[f64]) -> (f64, f64) {
    let present = || column.iter().copied().filter(|value| !value.is_nan());
    let largest = present().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // A constant is its own mean to the last digit: a rounding error would score, and its score could drift.
    if let Some(first) = present().next().filter(|first| present().all(|value| value == *first)) {
        return (first, 1.0);
    }
    // Below the normal numbers a quotient has no digits left.
    if largest < f64::MIN_POSITIVE {
        return (0.0, 1.0);
    }
    let n = present().count() as f64;
    let mean = present().map(|value| value / largest / n).sum::<f64>();
    let square = present().map(|value| (value / largest - mean).powi(2) / n).sum::<f64>();
    let scale = square.sqrt() * largest;
    (mean * largest, if scale > f64::MIN_POSITIVE { scale } else { 1.0 })
}
