//! Options of DBSCAN's novelty detector, checked.

use homeostat_settings::{Reader, Value};
use serde::Serialize;

use super::{Dbscan, NAME, index};
use crate::detector::TrainError;
use crate::fitted::{TunedSetting, checked, size};

/// Fewest usable rows to find dense regions in.
pub(super) const TRAIN_ROWS_MIN: usize = 32;

/// Most multiplications of clustering: rows × rows × columns. It's half a second; a sample of 2 000 rows may have 250
/// columns (83 features), and 1 000 features are clustered on 577 rows.
const MULTIPLICATIONS_MAX: usize = 1_000_000_000;

/// How far apart two rows of training may be and still be neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Epsilon {
    /// At the knee of the sorted distances from each row to its `min_points`-th (Ester, Kriegel, Sander and Xu 1996,
    /// section 4.2), found as Kneedle does (Satopää, Albrecht, Irwin and Raghavan 2011).
    Knee,
    /// At this quantile of those distances.
    Quantile(f64),
    /// Exactly this, in training deviations, as a Euclidean distance over all columns.
    Deviations(f64),
}

/// Options of the DBSCAN novelty detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DbscanSpec {
    pub(super) epsilon: Epsilon,
    /// `None` is by the number of rows.
    min_points: Option<usize>,
    sample_rows_max: usize,
    pub(super) core_rows_max: usize,
}

impl Default for DbscanSpec {
    /// ε and the number of points from the data; 2 000 rows are clustered and at most 1 000 cores kept.
    fn default() -> Self {
        Self { epsilon: Epsilon::Knee, min_points: None, sample_rows_max: 2_000, core_rows_max: 1_000 }
    }
}

impl DbscanSpec {
    /// Most rows that are clustered: time grows with the square, and 10 000 take seconds.
    pub const SAMPLE_ROWS_MAX: usize = 10_000;

    /// With this ε: a quantile must lie between 0 and 1, a distance must be positive and finite.
    pub fn with_epsilon(self, epsilon: Epsilon) -> Result<Self, TrainError> {
        match epsilon {
            Epsilon::Quantile(quantile) if !(quantile > 0.0 && quantile < 1.0) => {
                bad(format!("the quantile of epsilon must lie between 0 and 1, not {quantile}"))
            }
            Epsilon::Deviations(distance) if !(distance > 0.0 && distance.is_finite()) => {
                bad(format!("epsilon must be a positive distance, not {distance}"))
            }
            Epsilon::Knee | Epsilon::Quantile(_) | Epsilon::Deviations(_) => Ok(Self { epsilon, ..self }),
        }
    }

    /// With this many points within ε making a core, the row itself counted: 2 to 100.
    pub fn with_min_points(self, min_points: usize) -> Result<Self, TrainError> {
        if !(2..=100).contains(&min_points) {
            return bad(format!("min_points must be 2 to 100, not {min_points}"));
        }
        Ok(Self { min_points: Some(min_points), ..self })
    }

    /// With at most `sample_rows_max` rows clustered, 32 to [`Self::SAMPLE_ROWS_MAX`], and at most `core_rows_max` cores
    /// kept, 1 to `sample_rows_max`.
    pub fn with_rows_max(self, sample_rows_max: usize, core_rows_max: usize) -> Result<Self, TrainError> {
        if !(TRAIN_ROWS_MIN..=Self::SAMPLE_ROWS_MAX).contains(&sample_rows_max) {
            let max = Self::SAMPLE_ROWS_MAX;
            return bad(format!("sample_rows_max must be {TRAIN_ROWS_MIN} to {max}, not {sample_rows_max}"));
        }
        if !(1..=sample_rows_max).contains(&core_rows_max) {
            return bad(format!("core_rows_max must be 1 to sample_rows_max, not {core_rows_max}"));
        }
        Ok(Self { sample_rows_max, core_rows_max, ..self })
    }

    /// How many points make a core, given the rows that are clustered: it grows with ln n (Birant and Kut 2007, ST-DBSCAN),
    /// of which two thirds keep rarer regimes and ranked .003 better on labelled data than the whole; at least 4 (Ester et
    /// al. 1996). It's 5 of 2 000.
    pub(super) fn min_points(&self, n_rows: usize) -> usize {
        self.min_points.unwrap_or_else(|| (((n_rows.max(1) as f64).ln() * 2.0 / 3.0).round() as usize).max(4))
    }

    /// How many rows of so many columns are clustered.
    pub(super) fn sample_rows_max(&self, n_columns: usize) -> usize {
        self.sample_rows_max.min((MULTIPLICATIONS_MAX / n_columns.max(1)).isqrt()).max(TRAIN_ROWS_MIN)
    }

    /// Bytes of cores a model of so many features holds at most.
    pub fn core_bytes_max(&self, n_features: usize) -> usize {
        index::bytes_of(self.core_rows_max, super::ROW_CHANNELS.len() * n_features)
    }
}

/// What is worth trying: where ε lies, and how many points make a core.
pub(super) const TUNED: &[TunedSetting] = &[
    (
        "dbscan.epsilon",
        &[
            ("knee", &[]),
            ("quantile .8", &[("detection.dbscan.epsilon", "quantile 0.8")]),
            ("quantile .95", &[("detection.dbscan.epsilon", "quantile 0.95")]),
            ("quantile .99", &[("detection.dbscan.epsilon", "quantile 0.99")]),
        ],
    ),
    (
        "dbscan.min_points",
        &[
            ("auto", &[]),
            ("3", &[("detection.dbscan.min_points", "3")]),
            ("12", &[("detection.dbscan.min_points", "12")]),
        ],
    ),
];

/// Reads `detection.dbscan`.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<DbscanSpec> {
    let default = DbscanSpec::default();
    let epsilon = reader.get("epsilon", epsilon).unwrap_or(default.epsilon);
    let min_points = reader.get("min_points", |value| match value {
        Value::Text(text) if text == "auto" => Ok(None),
        Value::Integer(number) => usize::try_from(*number).map(Some).map_err(|_| format!("{number} is below 0")),
        other => Err(format!("must be `auto` or a whole number, not {}", other.kind())),
    });
    let sample_rows_max = size(reader, "sample_rows_max", default.sample_rows_max);
    let core_rows_max = size(reader, "core_rows_max", default.core_rows_max.min(sample_rows_max));
    let spec = default
        .with_epsilon(epsilon)
        .and_then(|spec| spec.with_rows_max(sample_rows_max, core_rows_max))
        .and_then(|spec| match min_points.flatten() {
            Some(min_points) => spec.with_min_points(min_points),
            None => Ok(spec),
        });
    checked::<Dbscan>(reader, spec)
}

/// `knee`, `quantile 0.95`, or a distance in training deviations.
fn epsilon(value: &Value) -> Result<Epsilon, String> {
    let wanted = "must be `knee`, `quantile 0.95`, or a distance in training deviations";
    match value {
        Value::Text(text) if text == "knee" => Ok(Epsilon::Knee),
        Value::Text(text) => {
            let quantile = text.strip_prefix("quantile ").and_then(|number| number.trim().parse().ok());
            quantile.map(Epsilon::Quantile).ok_or_else(|| format!("{wanted}, not {text:?}"))
        }
        Value::Integer(number) => Ok(Epsilon::Deviations(*number as f64)),
        Value::Float(number) => Ok(Epsilon::Deviations(*number)),
        other => Err(format!("{wanted}, not {}", other.kind())),
    }
}

fn bad(why: String) -> Result<DbscanSpec, TrainError> {
    Err(TrainError::BadOption { detector: NAME, why })
}
