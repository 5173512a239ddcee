//! A rule that a person wrote: a metric beyond a threshold for a time is an incident, whatever the detectors say.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::prom_duration::format_duration;

/// How a measurement is compared with a threshold.
///
/// ```
/// use homeostat_core::Comparison;
///
/// assert_eq!(">=".parse(), Ok(Comparison::AtLeast));
/// assert_eq!("greater_than".parse(), Ok(Comparison::Above));
/// assert_eq!(Comparison::Below.to_string(), "<");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

/// A text that names no comparison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown operator {0:?}; use one of >, >=, <, <=")]
pub struct NotAComparison(String);

impl Comparison {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }

    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.symbol())
    }
}

impl FromStr for Comparison {
    type Err = NotAComparison;

    /// Symbols, and the words that are in use elsewhere: `gt`, `greater_than`, `GreaterThan` …
    fn from_str(text: &str) -> Result<Self, NotAComparison> {
        let word: String = text.chars().filter(char::is_ascii_alphabetic).collect();
        match (text.trim(), word.to_ascii_lowercase().as_str()) {
            (">", _) | (_, "gt" | "greaterthan" | "above") => Ok(Self::Above),
            (">=", _) | (_, "gte" | "ge" | "greaterthanorequal" | "atleast") => Ok(Self::AtLeast),
            ("<", _) | (_, "lt" | "lessthan" | "below") => Ok(Self::Below),
            ("<=", _) | (_, "lte" | "le" | "lessthanorequal" | "atmost") => Ok(Self::AtMost),
            _ => Err(NotAComparison(text.to_owned())),
        }
    }
}

/// A metric beyond a threshold, in every row of a window.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::{Comparison, ThresholdRule};
///
/// let rule = ThresholdRule {
///     metric: "cpu".into(),
///     comparison: Comparison::Above,
///     threshold: 0.8,
///     window: Duration::from_secs(300),
/// };
/// assert_eq!(rule.to_string(), "cpu > 0.8 for 5m");
/// assert_eq!(rule.condition(), "cpu > 0.8");
/// assert!(rule.holds(0.9) && !rule.holds(0.8));
/// assert!(!rule.holds(f64::NAN), "what wasn't measured is beyond nothing");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdRule {
    /// The name of a query of the config.
    pub metric: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what, in the query's own unit.
    pub threshold: f64,
    /// For how long it must hold.
    pub window: Duration,
}

impl ThresholdRule {
    /// Whether a measurement is beyond the threshold.
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.threshold)
    }

    /// The condition without its window: also the name of the signal that says whether it holds.
    pub fn condition(&self) -> String {
        format!("{} {} {}", self.metric, self.comparison, self.threshold)
    }
}

impl fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}", self.condition(), format_duration(self.window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_read_as_symbols_and_as_words() {
        for (texts, expected) in [
            ([">", "gt", "GreaterThan", "greater_than"], Comparison::Above),
            ([">=", "gte", "GreaterThanOrEqual", "greater-than-or-equal"], Comparison::AtLeast),
            (["<", "lt", "LessThan", "below"], Comparison::Below),
            (["<=", "lte", "less_than_or_equal", "le"], Comparison::AtMost),
        ] {
            for text in texts {
                assert_eq!(text.parse(), Ok(expected), "{text}");
            }
            assert_eq!(expected.to_string().parse(), Ok(expected));
        }
        for text in ["", "=", "==", "!=", "=>", "greater", "> 5"] {
            assert!(text.parse::<Comparison>().is_err(), "{text}");
        }
    }
}
