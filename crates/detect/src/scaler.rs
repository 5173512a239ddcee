//! Training statistics: what "far" means for each feature and channel.

use std::sync::Arc;

use homeostat_core::{Direction, Feature, Schema, Signal, Window};
use serde::{Deserialize, Serialize};

use crate::row_buffer::{CHANNELS, Channel};

/// Deviations are cut off here: beyond 200 training deviations more says nothing more, and squares stay tame.
pub(crate) const CLIP: f64 = 200.0;

/// A feature that hardly moved in training gets this share of its magnitude as its deviation, so that its first
/// movement beyond `deviation_min` is far, and finite.
const SCALE_FLOOR_RELATIVE: f64 = 1e-6;

/// One that never moved at all, and isn't 0, gets this share. How exact it is measured is unknown, and one page more than half a
/// gigabyte isn't far, as a single replica more than three is.
const CONSTANT_FLOOR_RELATIVE: f64 = 1e-3;

/// Mean and deviation of each feature, and of its residuals, in training.
///
/// Standard deviations, not quantile ranges: on labelled data the latter cost .03 to .13 of VUS-PR.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
/// # type Any = Box<dyn std::error::Error>;
/// # /// Latency and traffic of a service: noise, from row `from` of all time.
/// # fn window(name: &str, from: usize, n_rows: usize) -> Result<Window, Any> {
/// #     let feature = |name: &str, signal| Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 };
/// #     let schema = Schema::new(vec![feature("latency", Signal::Latency), feature("traffic", Signal::Traffic)])?;
/// #     let grid = Grid::new(Timestamp::from_secs(60 * from as i64), Duration::from_secs(60), n_rows)?;
/// #     let noise = |row: usize, column: usize| Seed::new((2 * row + column) as u64).fork(name).value() as f64 / u64::MAX as f64;
/// #     let values = ndarray::Array2::from_shape_fn((n_rows, 2), |(row, column)| 1.0 + noise(from + row, column));
/// #     Ok(Window::new(Subject::deployment("shop", name), grid, Arc::new(schema), values)?)
/// # }
/// use homeostat_detect::{Channel, Scaler};
///
/// let scaler = Scaler::fit(&window("cart", 0, 400)?);
/// assert!((scaler.mean(0) - 1.5).abs() < 0.1, "noise from 1 to 2");
/// assert!((scaler.scaled(0, Channel::Level, scaler.deviation(0, Channel::Level)) - 1.0).abs() < 1e-9);
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// Shared by the clones: a subject's extractor and its forecast need the same.
    features: Arc<[FeatureScale]>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FeatureScale {
    mean: f64,
    /// Deviation by channel; the entry of [`Channel::Raw`] is 1 and unused.
    deviation: [f64; CHANNELS.len()],
    direction: Direction,
    deviation_min: f64,
    /// Whether it never moved, and nobody has said how far is far.
    has_no_unit: bool,
}

impl Scaler {
    /// Statistics of one subject's training window; gaps are left out. A feature with no measurement at all gets a
    /// mean of 0 and a deviation of 1 in every channel, which is how [`Scaler::is_unmeasured`] knows it.
    pub fn fit(window: &Window) -> Self {
        let features = window.schema().features().iter().enumerate().map(|(idx, feature)| {
            let column: Vec<f64> = window.values().column(idx).to_vec();
            let (mean, level) = mean_and_deviation(column.iter().copied());
            let never_moved = level <= f64::EPSILON * mean.abs();
            let constant_floor = if never_moved { CONSTANT_FLOOR_RELATIVE * mean.abs() } else { 0.0 };
            let floor = constant_floor.max(SCALE_FLOOR_RELATIVE * mean.abs().max(1.0));
            let deviation = CHANNELS.map(|channel| match channel {
                Channel::Raw => 1.0,
                _ if column.iter().all(|value| value.is_nan()) => 1.0,
                Channel::Level => level.max(floor),
                Channel::Residual1 | Channel::Residual3 | Channel::Residual5 | Channel::Residual20 => {
                    let rows = channel.look_back().unwrap_or(1);
                    let residuals = (0..column.len()).filter_map(|at| residual(&column[..at], column[at], rows));
                    mean_and_deviation(residuals).1.max(floor)
                }
            });
            let Feature { signal, direction, deviation_min, .. } = *feature;
            let is_measured = column.iter().any(|value| !value.is_nan());
            let has_no_unit = is_measured && level == 0.0 && signal == Signal::Other && deviation_min == 0.0;
            FeatureScale { mean, deviation, direction, deviation_min, has_no_unit }
        });
        Self { features: features.collect() }
    }

    /// Whether it was made for this schema: same number of features, same directions and dead zones.
    pub fn fits(&self, schema: &Schema) -> bool {
        self.features.len() == schema.n_features()
            && self.features.iter().zip(schema.features()).all(|(scale, feature)| {
                scale.direction == feature.direction && scale.deviation_min == feature.deviation_min
            })
    }

    /// Holds its statistics together with `other`, if they are the same: what was restored from a file was shared before.
    pub(crate) fn share_with(&mut self, other: &Self) {
        if self == other {
            self.features = Arc::clone(&other.features);
        }
    }

    /// How many hold these statistics.
    #[cfg(test)]
    pub(crate) fn n_holders(&self) -> usize {
        Arc::strong_count(&self.features)
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.features.len()
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.features.len() * size_of::<FeatureScale>()
    }

    /// Whether nothing was measured of a feature in training: a query that found nothing, an exporter that this workload hasn't
    /// got. Nothing is known of it, so it says nothing about a row. A measured feature never looks like that: one that
    /// stands still at 0 has the smallest deviation there is, and one that moves has another in each channel.
    pub fn is_unmeasured(&self, feature_idx: usize) -> bool {
        let scale = &self.features[feature_idx];
        scale.mean == 0.0 && scale.deviation.iter().all(|deviation| *deviation == 1.0)
    }

    /// Features that never moved in training and of which nobody has said how far is far, each with the value that it always had.
    pub(crate) fn constants_without_unit(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let features = self.features.iter().enumerate().filter(|(_, scale)| scale.has_no_unit);
        features.map(|(idx, scale)| (idx, scale.mean))
    }

    /// A feature's training mean, in its own unit.
    pub fn mean(&self, feature_idx: usize) -> f64 {
        self.features[feature_idx].mean
    }

    /// A feature's training deviation in a channel, in its own unit; never zero.
    pub fn deviation(&self, feature_idx: usize, channel: Channel) -> f64 {
        self.features[feature_idx].deviation[channel.index()]
    }

    /// A difference in the feature's own unit as training deviations of this channel: the direction that doesn't matter
    /// and everything within `deviation_min` become 0, and it is cut at ±`CLIP`. NaN stays NaN.
    pub fn scaled(&self, feature_idx: usize, channel: Channel, difference: f64) -> f64 {
        let deviation = self.features[feature_idx].deviation[channel.index()];
        (self.shrunk(feature_idx, difference) / deviation).clamp(-CLIP, CLIP)
    }

    /// The finite differences that don't matter, from the least to the greatest, in the feature's own unit: of others only what
    /// is beyond counts. What [`Scaler::shrunk`] leaves, as a range.
    pub(crate) fn dead_zone(&self, feature_idx: usize) -> (f64, f64) {
        let scale = &self.features[feature_idx];
        match scale.direction {
            Direction::Up => (f64::NEG_INFINITY, scale.deviation_min),
            Direction::Down => (-scale.deviation_min, f64::INFINITY),
            Direction::Both => (-scale.deviation_min, scale.deviation_min),
        }
    }

    /// The part of a difference that matters, in the feature's own unit: the direction that doesn't matter and
    /// everything within `deviation_min` become 0, and what is beyond loses `deviation_min`. NaN stays NaN.
    #[inline]
    pub fn shrunk(&self, feature_idx: usize, difference: f64) -> f64 {
        let scale = &self.features[feature_idx];
        let directed = match scale.direction {
            Direction::Up => {
                if difference < 0.0 {
                    0.0
                } else {
                    difference
                }
            }
            Direction::Down => {
                if difference > 0.0 {
                    0.0
                } else {
                    difference
                }
            }
            Direction::Both => difference,
        };
        // Shrunk, not cut to zero, so that a slightly larger fault never scores far higher by a jump.
        if directed.abs() <= scale.deviation_min {
            directed * 0.0
        } else {
            directed - scale.deviation_min.copysign(directed)
        }
    }
}

/// `value` less the mean of the up to `rows` values before it, if at least half of them are there; gaps are NaN.
pub(crate) fn residual(before: &[f64], value: f64, rows: usize) -> Option<f64> {
    if value.is_nan() {
        return None;
    }
    let recent = &before[before.len().saturating_sub(rows)..];
    let (sum, n) =
        recent.iter().filter(|other| !other.is_nan()).fold((0.0, 0_usize), |(sum, n), other| (sum + other, n + 1));
    if n == 0 || 2 * n < rows { None } else { Some(value - sum / n as f64) }
}

/// Mean and population standard deviation of what is there (Welford 1962), `(0, 1)` of nothing.
fn mean_and_deviation(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values.filter(|value| !value.is_nan()) {
        n += 1.0;
        let from_old = value - mean;
        mean += from_old / n;
        squares += from_old * (value - mean);
    }
    if n == 0.0 { (0.0, 1.0) } else { (mean, (squares / n).sqrt()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_rows_before_must_be_there() {
        assert_eq!(residual(&[1.0, f64::NAN, 3.0], 5.0, 3), Some(3.0));
        assert_eq!(residual(&[f64::NAN, f64::NAN, 3.0], 5.0, 3), None);
        assert_eq!(residual(&[], 5.0, 1), None);
        assert_eq!(residual(&[1.0], f64::NAN, 1), None);
    }

    proptest::proptest! {
        #[test]
        fn beyond_the_dead_zone_is_what_shrinking_leaves(difference in -1e9_f64..1e9, deviation_min in 0.0_f64..1e9) {
            for direction in [Direction::Up, Direction::Down, Direction::Both] {
                let scale = FeatureScale { mean: 0.0, deviation: [1.0; CHANNELS.len()], direction, deviation_min, has_no_unit: false };
                let scaler = Scaler { features: vec![scale].into() };
                let (low, high) = scaler.dead_zone(0);
                proptest::prop_assert_eq!(difference - difference.clamp(low, high), scaler.shrunk(0, difference));
            }
        }
    }

    #[test]
    fn a_page_more_is_not_far_from_a_constant_and_a_replica_more_is() {
        let deviations = |level: f64, more: f64| {
            let schema = homeostat_core::Schema::new(vec![homeostat_core::Feature {
                name: "x".into(),
                signal: homeostat_core::Signal::Other,
                direction: Direction::Both,
                deviation_min: 0.0,
            }]);
            let minute = std::time::Duration::from_secs(60);
            let grid = homeostat_core::Grid::new(homeostat_core::Timestamp::from_secs(0), minute, 200).expect("a grid");
            let subject = homeostat_core::Subject::deployment("shop", "cart");
            let values = ndarray::Array2::from_elem((200, 1), level);
            let schema = std::sync::Arc::new(schema.expect("a schema"));
            let scaler = Scaler::fit(&Window::new(subject, grid, schema, values).expect("a window"));
            scaler.scaled(0, Channel::Level, more)
        };
        assert!(deviations(536_870_912.0, 4096.0) < 0.1);
        assert!(deviations(3.0, 1.0) > 100.0);
        assert!(deviations(0.0, 0.001) > 100.0, "of what was always 0 the first is far");
    }

    #[test]
    fn huge_values_overflow_to_nothing_worse_than_a_number() {
        let (mean, deviation) = mean_and_deviation([1e300, -1e300, 1e300].into_iter());
        assert!(mean.is_finite() && !deviation.is_nan());
    }
}
