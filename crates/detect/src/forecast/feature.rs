//! One feature's forecast: seasons, a quick level that follows, and a slow one that doesn't follow what is unusual.

use serde::{Deserialize, Serialize};

use super::ForecastSpec;
use super::ets::{Ets, EtsState};
use super::season::{Season, interpolate, seasons};

/// Rows that exponential smoothing is fitted on: the last two days of minutes. 0.1 s a feature; its parameters settle long
/// before, and hold for now rather than for last month.
const ETS_ROWS_MAX: usize = 2_880;

/// Fewest measurements to fit anything but a mean on.
const FIT_ROWS_MIN: usize = 32;

/// Rows whose mean both levels start from; errors of these rows aren't counted.
const START_ROWS: usize = 30;

/// Distances enter the slow level cut at this many deviations. A leak or a step therefore moves it by at most two
/// deviations in 1.4 half-lives: it shows for hours, and a new normal is accepted in days, not never.
const SLOW_CUT: f64 = 2.0;

/// The slow half-life is at most this share of the history: else it would hardly have moved in training.
const SLOW_SHARE_MAX: f64 = 0.25;

/// Deviations are at least this share of the feature's own and of its magnitude: what forecasts itself to the last digit
/// isn't unusual at the next.
const DEVIATION_SHARE_MIN: f64 = 0.01;
const DEVIATION_MAGNITUDE_MIN: f64 = 1e-6;

/// Cycles beyond which a season's own error no longer counts: decomposition weighs about seven together.
const SEASON_CYCLES_COUNTED: usize = 7;

/// What moves from row to row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    quick: EtsState,
    slow: f64,
    /// Rows without data since the last measurement.
    n_holes: u32,
}

/// One feature's model and state. All in the feature's own unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FeatureForecast {
    seasons: Vec<Season>,
    ets: Ets,
    /// Deviation of one-step errors in training.
    quick_deviation: f64,
    /// Deviation from the slow level in training.
    slow_deviation: f64,
    /// Share of a distance that the slow level takes up each row.
    slow_rate: f64,
    /// Where the history began, and where it stands now.
    start: State,
    state: State,
}

/// What a row was expected to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// By seasons and quick level: one step ahead.
    pub(super) quick: f64,
    /// By seasons and slow level.
    pub(super) slow: f64,
    /// Deviation of the distance from `quick`.
    pub(super) quick_deviation: f64,
    /// Deviation of the distance from `slow`.
    pub(super) slow_deviation: f64,
}

impl FeatureForecast {
    /// Fits one raw column, one row each `step_ms` from `start_ms` on; holes are NaN. It can't fail: where nothing can be
    /// fitted, the model is the mean.
    pub(super) fn fit(column: &[f64], start_ms: i64, step_ms: i64, spec: &ForecastSpec) -> Self {
        let (centre, scale) = centre_and_scale(column);
        let magnitude_floor = DEVIATION_MAGNITUDE_MIN * centre.abs().max(1.0);
        let n_present = column.iter().filter(|value| !value.is_nan()).count();
        let rest: Vec<f64> = column.iter().map(|value| (value - centre) / scale).collect();
        let mut seasons = if n_present < FIT_ROWS_MIN || scale <= magnitude_floor {
            Vec::new()
        } else {
            seasons(&rest, start_ms, step_ms, spec.season_cycles_min)
        };
        let rest = less_seasons(rest, &seasons, start_ms, step_ms);
        let ets = if n_present < FIT_ROWS_MIN || scale <= magnitude_floor { None } else { fit_ets(&rest) };

        let half_life_rows = spec.slow_half_life_ms as f64 / step_ms.max(1) as f64;
        let half_life_rows = half_life_rows.min(SLOW_SHARE_MAX * column.len() as f64).max(1.0);
        seasons = seasons.into_iter().map(|season| season.scaled(scale)).collect();
        let floor = magnitude_floor.max(DEVIATION_SHARE_MIN * scale);
        let level = centre + scale * mean(&rest, START_ROWS);
        let slow = centre + scale * mean(&rest, half_life_rows.ceil() as usize);
        let start = State { quick: EtsState { level, slope: 0.0 }, slow, n_holes: 0 };
        let mut fitted = Self {
            ets: ets.unwrap_or(Ets::FLAT),
            quick_deviation: scale.max(floor),
            slow_deviation: scale.max(floor),
            slow_rate: 1.0 - 0.5_f64.powf(1.0 / half_life_rows),
            start,
            state: start,
            seasons,
        };
        fitted.measure(column, start_ms, step_ms, floor);
        fitted
    }

    /// Runs the history twice: once for the deviations, which the cuts need, and once more for the state it leaves.
    fn measure(&mut self, column: &[f64], start_ms: i64, step_ms: i64, floor: f64) {
        let (mut quick, mut slow) = (RootMeanSquare::default(), RootMeanSquare::default());
        let moments = (0_i64..).map(|row| start_ms + row * step_ms);
        for ((row, value), at_ms) in column.iter().enumerate().zip(moments.clone()) {
            let expected = self.step(at_ms, *value);
            if row >= START_ROWS.min(column.len() / 2) && !value.is_nan() {
                quick.add(value - expected.quick);
                slow.add(value - expected.slow);
            }
        }
        // A season learned from n cycles misses the next by more than those: by (n + 1) / (n - 1) in variance.
        let cycles = self.seasons.iter().map(Season::n_cycles).min();
        let unseen = cycles.map_or(1.0, |cycles| {
            let n = cycles.min(SEASON_CYCLES_COUNTED) as f64;
            ((n + 1.0) / (n - 1.0)).sqrt()
        });
        self.quick_deviation = finite(quick.value() * unseen).max(floor);
        self.slow_deviation = finite(slow.value() * unseen).max(floor);
        self.rewind();
        for (value, at_ms) in column.iter().zip(moments) {
            self.step(at_ms, *value);
        }
    }

    /// Back to where the history began.
    pub(super) fn rewind(&mut self) {
        self.state = self.start;
    }

    /// Rows that nobody measured.
    pub(super) fn skip(&mut self, n_rows: u32) {
        self.state.n_holes = self.state.n_holes.saturating_add(n_rows);
    }

    /// What was expected at this moment; then takes the measurement in. NaN is a hole: both levels stay, no slope is drawn
    /// on through silence, and the next one-step forecast is that much less sure.
    pub(super) fn step(&mut self, at_ms: i64, value: f64) -> Expected {
        let seasonal: f64 = self.seasons.iter().map(|season| season.at(at_ms)).sum();
        let quick = self.ets.forecast(self.state.quick);
        let expected = Expected {
            quick: finite(seasonal + quick),
            slow: finite(seasonal + self.state.slow),
            quick_deviation: finite(self.quick_deviation * self.ets.widening(self.state.n_holes)),
            slow_deviation: self.slow_deviation,
        };
        if value.is_nan() {
            self.skip(1);
            return expected;
        }
        let error = finite(value - expected.quick);
        self.state.quick = self.ets.updated_robustly(self.state.quick, error, self.quick_deviation);
        let cut = finite(SLOW_CUT * self.slow_deviation);
        self.state.slow += self.slow_rate * finite(value - expected.slow).clamp(-cut, cut);
        self.state.n_holes = 0;
        expected
    }

    /// The periods of its seasons, in milliseconds.
    pub(super) fn periods_ms(&self) -> impl Iterator<Item = i64> {
        self.seasons.iter().map(Season::period_ms)
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.seasons.capacity() * size_of::<Season>() + self.seasons.iter().map(Season::heap_bytes).sum::<usize>()
    }
}

fn fit_ets(rest: &[f64]) -> Option<Ets> {
    let mut latest = rest[rest.len().saturating_sub(ETS_ROWS_MAX)..].to_vec();
    if latest.iter().filter(|value| !value.is_nan()).count() < FIT_ROWS_MIN || !interpolate(&mut latest) {
        return None;
    }
    // A tail that never moves has no errors to fit.
    if latest.iter().all(|value| *value == latest[0]) { None } else { Ets::fit(&latest) }
}

fn less_seasons(mut values: Vec<f64>, seasons: &[Season], start_ms: i64, step_ms: i64) -> Vec<f64> {
    for (value, row) in values.iter_mut().zip(0_i64..) {
        *value -= seasons.iter().map(|season| season.at(start_ms + row * step_ms)).sum::<f64>();
    }
    values
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

/// Mean and deviation of what is there, worked out relative to the largest magnitude, so that nothing overflows. The
/// deviation of nothing, or of a constant, is 1.
fn centre_and_scale(column: &[f64]) -> (f64, f64) {
    let present = || column.iter().copied().filter(|value| !value.is_nan());
    let largest = present().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // Below the normal numbers a quotient has no digits left.
    if largest < f64::MIN_POSITIVE {
        return (0.0, 1.0);
    }
    let n = present().count() as f64;
    let mean = present().map(|value| value / largest / n).sum::<f64>();
    let square = present().map(|value| (value / largest - mean).powi(2) / n).sum::<f64>();
    let scale = square.sqrt() * largest;
    (mean * largest, if scale > 0.0 { scale } else { 1.0 })
}

/// The largest magnitude for what overflowed.
fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

/// A root mean square that doesn't overflow: kept relative to the largest magnitude so far.
#[derive(Default)]
struct RootMeanSquare {
    largest: f64,
    sum: f64,
    n: usize,
}

impl RootMeanSquare {
    fn add(&mut self, value: f64) {
        let size = finite(value).abs();
        if size > self.largest {
            self.sum *= (self.largest / size).powi(2);
            self.largest = size;
        }
        if self.largest > 0.0 {
            self.sum += (size / self.largest).powi(2);
        }
        self.n += 1;
    }

    fn value(&self) -> f64 {
        if self.n == 0 { 0.0 } else { (self.sum / self.n as f64).sqrt() * self.largest }
    }
}
