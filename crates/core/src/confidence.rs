//! How sure we are that an incident is what we say it is.

use serde::{Deserialize, Serialize};

/// A probability that an incident is real and of the type named, in [0, 1].
///
/// ```
/// use homeostat_core::Confidence;
///
/// assert!(Confidence::new(0.92)? > Confidence::ZERO);
/// assert!(Confidence::new(92.0).is_err(), "it is no percentage");
/// # Ok::<(), homeostat_core::NotAConfidence>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Confidence(f64);

/// A value that is no confidence.
///
/// ```
/// use homeostat_core::Confidence;
///
/// let refused = Confidence::new(92.0).map_err(|error| error.to_string());
/// assert_eq!(refused, Err("invalid confidence 92: it must lie between 0 and 1".to_owned()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("invalid confidence {0}: it must lie between 0 and 1")]
pub struct NotAConfidence(f64);

impl Confidence {
    /// No confidence at all: what missing knowledge counts as.
    pub const ZERO: Self = Self(0.0);

    /// Checks and wraps a number.
    pub fn new(value: f64) -> Result<Self, NotAConfidence> {
        // Ask for what is right: a NaN is in no range.
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(NotAConfidence(value)) }
    }

    /// The number.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Confidence {
    type Error = NotAConfidence;
    fn try_from(value: f64) -> Result<Self, NotAConfidence> {
        Self::new(value)
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> f64 {
        confidence.0
    }
}

/// A confidence with what it rests on.
///
/// ```
/// use homeostat_core::{Calibrated, Confidence};
///
/// // 19 of 20 were as told; so few leave room for doubt.
/// let leak = Calibrated { confidence: Confidence::new(0.95)?, lower: Confidence::new(0.76)?, n_outcomes: 20, n_verdicts: 0 };
/// assert!(leak.lower < leak.confidence);
/// assert_eq!(Calibrated::UNKNOWN.lower, Confidence::ZERO, "what was never labelled allows nothing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// The estimate.
    pub confidence: Confidence,
    /// Lower end of the 95 % interval (Wilson): what gates an action.
    pub lower: Confidence,
    /// How many labelled outcomes of this type stand behind it.
    pub n_outcomes: u32,
    /// How many of them are verdicts of people on incidents of this service.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub n_verdicts: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Calibrated {
    /// Nothing is known.
    pub const UNKNOWN: Self =
        Self { confidence: Confidence::ZERO, lower: Confidence::ZERO, n_outcomes: 0, n_verdicts: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_to_one() {
        for value in [f64::NAN, -0.1, 1.000_001, f64::INFINITY] {
            assert!(Confidence::new(value).is_err(), "{value}");
            assert!(serde_json::from_str::<Confidence>("1.5").is_err());
        }
        assert_eq!(Confidence::new(1.0).map(Confidence::value), Ok(1.0));
    }
}
