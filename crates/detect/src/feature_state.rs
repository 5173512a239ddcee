//! Where each feature stands at the newest row: the explanation, and what recovery is measured by.
//!
//! Nothing here depends on a detector's verdict: a row can score low because everybody got used to the fault, while the
//! memory is still three times its normal.

use serde::{Deserialize, Serialize};

use crate::feature_extractor::FeatureExtractor;
use crate::fitted::Expectations;
use crate::row_buffer::{CHANNELS, Channel, RowBuffer};

/// A feature within so many training deviations of its training mean is back to normal. Not 3: of the noise of a healthy
/// service, one row in several hundred lies beyond 3, and several features must be normal at the same time.
pub const NORMAL_DEVIATIONS_MAX: f64 = 4.0;

/// Rows whose mean stands in for a forecast.
const EXPECTED_ROWS: usize = 20;

/// One feature at the newest row.
///
/// ```
/// use homeostat_detect::{FeatureState, NORMAL_DEVIATIONS_MAX};
///
/// // Everybody got used to it: usual, and still far from normal.
/// let latency = FeatureState { value: Some(0.9), expected: Some(0.9), deviation: Some(12.0), normal: false, usual: true };
/// assert!(latency.usual && !latency.normal);
/// assert!(latency.deviation.is_some_and(|deviation| deviation > NORMAL_DEVIATIONS_MAX));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureState {
    /// What was measured; `None` is a gap.
    pub value: Option<f64>,
    /// What was expected of this row, in the feature's own unit: the forecast where there is one, else the mean of the up to
    /// 20 rows before.
    pub expected: Option<f64>,
    /// How far it is from its training mean, in training deviations, signed. It stays large for as long as the feature is
    /// away, however long that is. The direction that doesn't matter and everything within `deviation_min` are 0.
    pub deviation: Option<f64>,
    /// Whether it is there and within [`NORMAL_DEVIATIONS_MAX`]. A gap is not normal: missing data is never recovery (I13).
    pub normal: bool,
    /// Whether the forecast takes it for usual: it lies within three deviations of the slow level, which accepts a lasting new
    /// level after a day. Not so of a gap, and of nothing without a forecast.
    #[serde(default)]
    pub usual: bool,
}

/// All features at the newest row, into `states`. `forecast` has seen that row.
pub(crate) fn feature_states(
    extractor: &FeatureExtractor,
    forecast: Option<&dyn Expectations>,
    states: &mut Vec<FeatureState>,
) {
    let row_buffer = extractor.row_buffer();
    states.clear();
    states.extend((0..row_buffer.n_features()).map(|idx| {
        let deviation = cell(row_buffer, 0, Channel::Level, idx);
        FeatureState {
            value: cell(row_buffer, 0, Channel::Raw, idx),
            expected: forecast.and_then(|forecast| forecast.expected(idx)).or_else(|| mean_before(row_buffer, idx)),
            deviation,
            normal: cell(row_buffer, 0, Channel::Raw, idx).is_some()
                && deviation.is_some_and(|deviation| deviation.abs() <= NORMAL_DEVIATIONS_MAX),
            usual: forecast.is_some_and(|forecast| forecast.is_usual(idx)),
        }
    }));
}

/// For each feature the deviation farthest from 0 among its level and its residuals at the newest row, signed: a sudden
/// fault shows in a residual first, a slow one in the level.
pub(crate) fn strongest_deviations(row_buffer: &RowBuffer, deviations: &mut Vec<Option<f64>>) {
    deviations.clear();
    deviations.extend((0..row_buffer.n_features()).map(|idx| {
        CHANNELS
            .into_iter()
            .filter(|channel| *channel != Channel::Raw)
            .filter_map(|channel| cell(row_buffer, 0, channel, idx))
            // Of equals the first, the level: where all of them are cut at the same bound, a residual may point the other way.
            .reduce(|farthest, next| if next.abs() > farthest.abs() { next } else { farthest })
    }));
}

fn mean_before(row_buffer: &RowBuffer, idx: usize) -> Option<f64> {
    let values = (1..=EXPECTED_ROWS).filter_map(|back| cell(row_buffer, back, Channel::Raw, idx));
    // A running mean: a sum of huge values would overflow.
    values
        .fold(None, |mean: Option<(f64, f64)>, value| match mean {
            None => Some((value, 1.0)),
            Some((mean, n)) => Some((mean + (value - mean) / (n + 1.0), n + 1.0)),
        })
        .map(|(mean, _)| mean)
        .filter(|mean| mean.is_finite())
}

fn cell(row_buffer: &RowBuffer, back: usize, channel: Channel, idx: usize) -> Option<f64> {
    row_buffer.row(back, channel).map(|row| row[idx]).filter(|value| value.is_finite())
}
