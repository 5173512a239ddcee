//! Which features a window has, in order.

use serde::{Deserialize, Serialize};

use crate::signal::{Direction, Signal};

/// One column of a window.
///
/// ```
/// use homeostat_core::{Direction, Feature, Signal};
///
/// let requests: Feature = serde_json::from_str(r#"{"name":"requests","signal":"traffic"}"#)?;
/// assert_eq!(requests.signal, Signal::Traffic);
/// assert_eq!((requests.direction, requests.deviation_min), (Direction::Both, 0.0), "where nothing is said");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// The query's name in the config; unique within a schema.
    pub name: String,
    /// What it measures.
    pub signal: Signal,
    /// Which deviations matter.
    #[serde(default)]
    pub direction: Direction,
    /// A deviation from what is expected smaller than this, in the feature's own unit, is never unusual.
    /// It keeps a feature that was constant in training from alarming at its first twitch.
    #[serde(default)]
    pub deviation_min: f64,
}

/// The features of a window: at least one, names unique.
///
/// ```
/// use homeostat_core::{Direction, Feature, Schema, Signal};
///
/// let latency = Feature {
///     name: "latency-s".into(),
///     signal: Signal::Latency,
///     direction: Direction::Up,
///     deviation_min: 0.01, // below 10 ms nobody cares
/// };
/// let schema = Schema::new(vec![latency.clone()])?;
/// assert_eq!((schema.n_features(), schema.position("latency-s")), (1, Some(0)));
/// assert!(Schema::new(vec![latency.clone(), latency]).is_err(), "names must differ");
/// # Ok::<(), homeostat_core::SchemaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Feature>", into = "Vec<Feature>")]
pub struct Schema(Vec<Feature>);

/// Why a list of features is no schema.
///
/// ```
/// use homeostat_core::{Direction, Feature, Schema, SchemaError, Signal};
///
/// assert_eq!(Schema::new(vec![]), Err(SchemaError::Empty));
/// let cpu = Feature { name: "cpu".into(), signal: Signal::Cpu, direction: Direction::Up, deviation_min: 0.0 };
/// let below_zero = Feature { deviation_min: -1.0, ..cpu.clone() };
/// assert_eq!(Schema::new(vec![cpu.clone(), cpu]), Err(SchemaError::Duplicate("cpu".into())));
/// assert!(matches!(Schema::new(vec![below_zero]), Err(SchemaError::DeviationMin { value: -1.0, .. })));
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SchemaError {
    /// There is no feature.
    #[error("a window needs at least one feature; add a query")]
    Empty,
    /// Two features have the same name.
    #[error("two features are named {0:?}; names must differ")]
    Duplicate(String),
    /// `deviation_min` is negative or not a number.
    #[error("feature {name:?}: deviation_min must be 0 or more, not {value}")]
    DeviationMin {
        /// The feature.
        name: String,
        /// What was given.
        value: f64,
    },
}

impl Schema {
    /// Checks and wraps a list of features.
    pub fn new(features: Vec<Feature>) -> Result<Self, SchemaError> {
        if features.is_empty() {
            return Err(SchemaError::Empty);
        }
        for (idx, feature) in features.iter().enumerate() {
            if features[..idx].iter().any(|earlier| earlier.name == feature.name) {
                return Err(SchemaError::Duplicate(feature.name.clone()));
            }
            if !(feature.deviation_min >= 0.0 && feature.deviation_min.is_finite()) {
                return Err(SchemaError::DeviationMin { name: feature.name.clone(), value: feature.deviation_min });
            }
        }
        Ok(Self(features))
    }

    /// The features, in column order.
    pub fn features(&self) -> &[Feature] {
        &self.0
    }

    /// Number of columns.
    pub fn n_features(&self) -> usize {
        self.0.len()
    }

    /// The column of the feature with this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|feature| feature.name == name)
    }
}

impl TryFrom<Vec<Feature>> for Schema {
    type Error = SchemaError;
    fn try_from(features: Vec<Feature>) -> Result<Self, SchemaError> {
        Self::new(features)
    }
}

impl From<Schema> for Vec<Feature> {
    fn from(schema: Schema) -> Self {
        schema.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str, deviation_min: f64) -> Feature {
        Feature { name: name.into(), signal: Signal::Other, direction: Direction::Both, deviation_min }
    }

    #[test]
    fn empty_double_and_nan_are_refused() {
        assert_eq!(Schema::new(vec![]), Err(SchemaError::Empty));
        assert_eq!(Schema::new(vec![feature("a", 0.0), feature("a", 0.0)]), Err(SchemaError::Duplicate("a".into())));
        assert!(matches!(Schema::new(vec![feature("a", f64::NAN)]), Err(SchemaError::DeviationMin { .. })));
        assert!(matches!(Schema::new(vec![feature("a", -1.0)]), Err(SchemaError::DeviationMin { .. })));
    }
}
