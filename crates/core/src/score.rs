//! Numbers that scoring passes on, each refusing what it can't mean.

use serde::{Deserialize, Serialize};

/// A value that is no score.
///
/// ```
/// use homeostat_core::Score;
///
/// let refused = Score::new(-1.0).map_err(|error| error.to_string());
/// assert_eq!(refused, Err("invalid score -1: it must be finite and not negative".to_owned()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("invalid score {0}: it must be finite and not negative")]
pub struct NotAScore(f64);

macro_rules! non_negative {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Nothing unusual at all.
            pub const ZERO: Self = Self(0.0);

            /// Checks and wraps a number: finite and not negative.
            pub fn new(value: f64) -> Result<Self, NotAScore> {
                if value >= 0.0 && value.is_finite() { Ok(Self(value)) } else { Err(NotAScore(value)) }
            }

            /// The number.
            pub const fn value(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = NotAScore;
            fn try_from(value: f64) -> Result<Self, NotAScore> {
                Self::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(score: $name) -> f64 {
                score.0
            }
        }
    };
}

non_negative! {
    /// One detector's own measure of how unusual a row is: higher is more unusual, the scale is the detector's.
    ///
    /// ```
    /// use homeostat_core::RawScore;
    ///
    /// assert!(RawScore::new(3.5)? > RawScore::ZERO);
    /// assert!(RawScore::new(f64::INFINITY).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    RawScore
}

non_negative! {
    /// How unusual a row is, all detectors together. 1.0 is the alarm threshold.
    ///
    /// ```
    /// use homeostat_core::Score;
    ///
    /// assert!(Score::new(1.3)?.is_alarming());
    /// assert!(Score::new(f64::NAN).is_err());
    /// # Ok::<(), homeostat_core::NotAScore>(())
    /// ```
    Score
}

impl Score {
    /// The alarm threshold.
    pub const THRESHOLD: Score = Score(1.0);

    /// Whether the threshold is reached.
    pub fn is_alarming(self) -> bool {
        self >= Self::THRESHOLD
    }
}

/// The probability that a normal row is at least as unusual: in (0, 1].
///
/// Kept as `-ln p`, because far tails underflow as probabilities long before they stop meaning something.
///
/// ```
/// use homeostat_core::TailProbability;
///
/// let one_in_a_thousand = TailProbability::from_surprisal(1000_f64.ln())?;
/// assert!((one_in_a_thousand.probability() - 0.001).abs() < 1e-12);
/// // Far beyond what a probability could hold, and still comparable.
/// assert!(TailProbability::from_surprisal(2_000.0)? > TailProbability::from_surprisal(1_000.0)?);
/// # Ok::<(), homeostat_core::NotAScore>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct TailProbability {
    surprisal_nats: f64,
}

impl TailProbability {
    /// Nothing unusual: p is 1.
    pub const CERTAIN: Self = Self { surprisal_nats: 0.0 };

    /// From `-ln p`: finite and not negative.
    pub fn from_surprisal(surprisal_nats: f64) -> Result<Self, NotAScore> {
        RawScore::new(surprisal_nats).map(|checked| Self { surprisal_nats: checked.value() })
    }

    /// `-ln p`, in nats.
    pub const fn surprisal_nats(self) -> f64 {
        self.surprisal_nats
    }

    /// `p`; zero where it is too small for a float.
    pub fn probability(self) -> f64 {
        (-self.surprisal_nats).exp()
    }
}

impl TryFrom<f64> for TailProbability {
    type Error = NotAScore;
    fn try_from(surprisal_nats: f64) -> Result<Self, NotAScore> {
        Self::from_surprisal(surprisal_nats)
    }
}

impl From<TailProbability> for f64 {
    fn from(tail: TailProbability) -> f64 {
        tail.surprisal_nats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_negative_and_infinite_are_no_scores() {
        for value in [f64::NAN, -1e-9, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Score::new(value).is_err(), "{value}");
            assert!(RawScore::new(value).is_err(), "{value}");
            assert!(TailProbability::from_surprisal(value).is_err(), "{value}");
        }
    }

    #[test]
    fn the_boundary_itself_alarms() {
        assert!(Score::THRESHOLD.is_alarming());
        assert!(!Score::ZERO.is_alarming());
    }
}
