//! When a feature reaches its limit, if it goes on as it does. Not how that is found out: that's the crate `incidents`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::signal::Signal;
use crate::timestamp::Timestamp;

/// When a feature reaches its limit, if its trend goes on: memory its container's limit, a disk its last byte.
///
/// Moments, not waits: a wait grows old in a record, a moment doesn't.
///
/// ```
/// use homeostat_core::{LimitAhead, Signal, Timestamp};
///
/// let at = |minute: i64| Timestamp::from_secs(60 * minute);
/// let memory = LimitAhead {
///     feature: "memory".into(),
///     signal: Signal::Memory,
///     as_of: at(0),
///     expected_at: at(40),
///     earliest_at: at(20),
///     latest_at: at(125),
/// };
/// assert_eq!(
///     memory.to_string(),
///     "memory reaches its limit in about 40 min (20 min to 2 h), at 1970-01-01T00:40:00Z"
/// );
/// let full = LimitAhead { expected_at: at(0), ..memory };
/// assert_eq!(full.to_string(), "memory has reached its limit");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitAhead {
    /// The feature's name.
    pub feature: String,
    /// What it measures.
    pub signal: Signal,
    /// The measurement that this was said at.
    pub as_of: Timestamp,
    /// By the median slope; not after `as_of` if the limit is reached.
    pub expected_at: Timestamp,
    /// By the steepest slope of a 95 % interval.
    pub earliest_at: Timestamp,
    /// By the flattest slope of a 95 % interval.
    pub latest_at: Timestamp,
}

impl LimitAhead {
    /// Without the moment, for where another clock is shown: "memory reaches its limit in about 40 min (20 min to 2 h)".
    pub fn in_words(&self) -> String {
        if self.expected_at <= self.as_of {
            return format!("{} has reached its limit", self.feature);
        }
        let left = |at: Timestamp| About(at.since(self.as_of));
        let (expected, earliest, latest) = (left(self.expected_at), left(self.earliest_at), left(self.latest_at));
        format!("{} reaches its limit in about {expected} ({earliest} to {latest})", self.feature)
    }
}

impl fmt::Display for LimitAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words())?;
        if self.expected_at > self.as_of { write!(f, ", at {}", self.expected_at) } else { Ok(()) }
    }
}

/// A time as people say it: no more digits than a trend deserves.
struct About(Duration);

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_secs_f64() / 60.0;
        match minutes {
            ..1.0 => f.write_str("a minute"),
            1.0..20.0 => write!(f, "{minutes:.0} min"),
            20.0..110.0 => write!(f, "{:.0} min", 5.0 * (minutes / 5.0).round()),
            110.0..2_400.0 => write!(f, "{:.0} h", minutes / 60.0),
            2_400.0..525_600.0 => write!(f, "{:.0} days", minutes / 1_440.0),
            _ => f.write_str("a year or more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_no_more_digits_than_a_trend_deserves() {
        let told = |seconds: u64| About(Duration::from_secs(seconds)).to_string();
        let cases = [
            (0, "a minute"),
            (90, "2 min"),
            (60 * 19, "19 min"),
            (60 * 43, "45 min"),
            (60 * 118, "2 h"),
            (3600 * 39, "39 h"),
            (86_400 * 3, "3 days"),
            (86_400 * 400, "a year or more"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(told(seconds), wanted);
        }
    }
}
