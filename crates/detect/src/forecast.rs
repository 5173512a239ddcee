//! Forecasting as a detector: how far each feature is from what its own past says.

mod ets;
mod feature;
mod season;
#[cfg(test)]
mod tests;

use std::time::Duration;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::enricher::Enriched;
use crate::scaler::Scaler;
use crate::trail::{Channel, Trail};
use feature::{Expected, FeatureForecast};

const NAME: &str = "forecast";

/// Fewest rows with at least half of their measurements.
const TRAIN_ROWS_MIN: usize = 32;

/// A distance counts at most this many deviations: one feature must not drown the others.
const DISTANCE_CLIP: f64 = 20.0;

/// Options of the forecasting detector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForecastSpec {
    season_cycles_min: usize,
    slow_half_life_ms: u64,
}

impl Default for ForecastSpec {
    /// A season must fit three times into the history: from two cycles, chance can't be told from habit. The slow level
    /// has a half-life of six hours: a leak over an hour or a night stands out, a working week doesn't.
    fn default() -> Self {
        Self { season_cycles_min: 3, slow_half_life_ms: 6 * 3_600_000 }
    }
}

impl ForecastSpec {
    /// `season_cycles_min` in 2 to 100; `slow_half_life` from a minute to 30 days.
    pub fn new(season_cycles_min: usize, slow_half_life: Duration) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(2..=100).contains(&season_cycles_min) {
            return bad(format!("season_cycles_min must be 2 to 100, not {season_cycles_min}"));
        }
        let (min, max) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
        if !(min..=max).contains(&slow_half_life) {
            return bad(format!("slow_half_life must be 1m to 30d, not {}s", slow_half_life.as_secs_f64()));
        }
        let slow_half_life_ms = u64::try_from(slow_half_life.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { season_cycles_min, slow_half_life_ms })
    }

    /// How often a season must fit into the history.
    pub fn season_cycles_min(&self) -> usize {
        self.season_cycles_min
    }
}

/// Seasons and exponential smoothing for each feature, updated in constant time a row.
///
/// A one-step forecast follows a slow leak and so never sees it. Therefore each feature is held against two references,
/// both on top of its seasons (hour, day, week: those the history shows):
///
/// - the **quick** one: exponential smoothing, one step ahead. It sees jumps.
/// - the **slow** one: an average with a half-life of hours that takes distances in only up to two deviations, so it hardly
///   follows what is unusual. It sees leaks, and steps for as long as they last.
///
/// The raw score is the mean over features of `(min(q, 20)² + min(s, 20)²) / 2`, where `q` and `s` are the distances from
/// the two in deviations of their own training errors, without the direction that doesn't matter and without
/// `deviation_min`. Normal rows score about 1.
///
/// Rows come in order. A row older than the last one starts over from where the training history began, so that the
/// history itself can be replayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    features: Vec<FeatureForecast>,
    scaler: Scaler,
    step_ms: i64,
    /// The moment of the last row taken in.
    last_ms: i64,
    expected: Vec<f64>,
}

impl Forecast {
    /// Fits each feature on its raw column. A feature on which nothing can be fitted (constant, mostly holes) is held
    /// against its mean. Draws nothing from `seed`: fitting is deterministic.
    pub fn train(spec: &ForecastSpec, history: &Enriched, _seed: Seed) -> Result<Self, TrainError> {
        let raw = history.channel(Channel::Raw);
        let usable =
            |row: &ndarray::ArrayView1<'_, f64>| 2 * row.iter().filter(|value| !value.is_nan()).count() >= row.len();
        let found = raw.rows().into_iter().filter(usable).count();
        if found < TRAIN_ROWS_MIN {
            return Err(TrainError::TooFewRows { detector: NAME, found, needed: TRAIN_ROWS_MIN });
        }
        let start_ms = history.start().as_millis();
        let step_ms = i64::try_from(history.step().as_millis()).unwrap_or(i64::MAX).max(1);
        let fit =
            |column: ndarray::ArrayView1<'_, f64>| FeatureForecast::fit(&column.to_vec(), start_ms, step_ms, spec);
        let features: Vec<FeatureForecast> = raw.columns().into_iter().map(fit).collect();
        let n_steps = i64::try_from(history.n_rows()).unwrap_or(i64::MAX) - 1;
        let last_ms = start_ms.saturating_add(n_steps.saturating_mul(step_ms));
        let expected = (0..features.len()).map(|idx| history.scaler().mean(idx)).collect();
        Ok(Self { features, scaler: history.scaler().clone(), step_ms, last_ms, expected })
    }

    /// What was expected of each feature at the newest row, `(n_features)`, in its own unit: by the reference that it is
    /// farther from. Before the first row, the training means.
    pub fn expected(&self) -> &[f64] {
        &self.expected
    }

    /// The periods of a feature's seasons.
    pub fn periods(&self, feature_idx: usize) -> impl Iterator<Item = Duration> {
        let features = self.features.get(feature_idx).into_iter();
        features.flat_map(|feature| feature.periods_ms().map(|ms| Duration::from_millis(ms.unsigned_abs())))
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.features.capacity() * size_of::<FeatureForecast>()
            + self.features.iter().map(FeatureForecast::heap_bytes).sum::<usize>()
            + self.expected.capacity() * size_of::<f64>()
            + self.scaler.heap_bytes()
    }

    /// Brings the states to the row before `at_ms`.
    fn advance_to(&mut self, at_ms: i64) {
        if at_ms < self.last_ms {
            self.features.iter_mut().for_each(FeatureForecast::rewind);
        } else {
            let missed = (at_ms.saturating_sub(self.last_ms) / self.step_ms - 1).max(0);
            let missed = u32::try_from(missed).unwrap_or(u32::MAX);
            self.features.iter_mut().for_each(|feature| feature.skip(missed));
        }
        self.last_ms = at_ms;
    }

    /// Distances from the quick and the slow reference, in deviations, cut at ±[`DISTANCE_CLIP`].
    fn distances(&self, feature_idx: usize, value: f64, expected: Expected) -> [f64; 2] {
        let references = [(expected.quick, expected.quick_deviation), (expected.slow, expected.slow_deviation)];
        references.map(|(reference, deviation)| {
            let difference = (value - reference).clamp(f64::MIN, f64::MAX);
            (self.scaler.shrunk(feature_idx, difference) / deviation).clamp(-DISTANCE_CLIP, DISTANCE_CLIP)
        })
    }
}

impl Detector for Forecast {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, trail: &Trail) -> Result<Scoring, ScoreError> {
        let n_features = self.features.len();
        if trail.n_features() != n_features {
            return Err(ScoreError::Shape { found: trail.n_features(), wanted: n_features });
        }
        let (Some(at), Some(row)) = (trail.newest_at(), trail.row(0, Channel::Raw)) else {
            return Ok(Scoring::NotReady(NotReady::TooFewSteps));
        };
        self.advance_to(at.as_millis());
        let (mut energy, mut n_present) = (0.0, 0_usize);
        for (idx, value) in row.iter().copied().enumerate() {
            let expected = self.features[idx].step(at.as_millis(), value);
            self.expected[idx] = expected.slow;
            if value.is_nan() {
                continue;
            }
            let [quick, slow] = self.distances(idx, value, expected);
            if quick.abs() > slow.abs() {
                self.expected[idx] = expected.quick;
            }
            energy += (quick * quick + slow * slow) / 2.0;
            n_present += 1;
        }
        if 2 * n_present < n_features || n_present == 0 {
            return Ok(Scoring::NotReady(NotReady::TooManyHoles));
        }
        RawScore::new(energy / n_present as f64)
            .map(Scoring::Scored)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
    }
}
