//! A moment, in whole milliseconds of Unix time: Prometheus's own resolution.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. Shown and parsed as RFC 3339 in UTC.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::Timestamp;
///
/// let at: Timestamp = "2026-01-31T12:00:42Z".parse()?;
/// assert_eq!(at.align_down(Duration::from_secs(60)).to_string(), "2026-01-31T12:00:00Z");
/// assert_eq!(at.since(at - Duration::from_secs(5)), Duration::from_secs(5));
/// # Ok::<(), homeostat_core::NotATimestamp>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 moment.
///
/// ```
/// use homeostat_core::Timestamp;
///
/// let refused = "yesterday".parse::<Timestamp>().map_err(|error| error.to_string());
/// assert_eq!(refused, Err(r#"invalid time "yesterday": write it as 2026-01-31T12:00:00Z"#.to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid time {0:?}: write it as 2026-01-31T12:00:00Z")]
pub struct NotATimestamp(String);

impl Timestamp {
    /// From milliseconds of Unix time.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds of Unix time.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds of Unix time.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds of Unix time, as Prometheus writes them.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Time passed since `earlier`; zero when `earlier` is later (a clock that stepped back shortens nothing).
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The latest multiple of `step` at or before this moment. `step` of zero changes nothing.
    pub fn align_down(self, step: Duration) -> Self {
        let step_ms = millis(step);
        if step_ms == 0 { self } else { Self(self.0 - self.0.rem_euclid(step_ms)) }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, rhs: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(rhs)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, rhs: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(rhs)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment}"),
            // Beyond the year 9999 there is no RFC 3339 text; the number still says which moment it is.
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        text.parse::<jiff::Timestamp>()
            .map(|moment| Self(moment.as_millisecond()))
            .map_err(|_| NotATimestamp(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_and_parsed_as_rfc_3339() {
        let moment = Timestamp::from_millis(1_700_000_000_500);
        assert_eq!(moment.to_string(), "2023-11-14T22:13:20.5Z");
        assert_eq!("2023-11-14T22:13:20.5Z".parse(), Ok(moment));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn aligning_goes_down_before_the_epoch_too() {
        let step = Duration::from_secs(60);
        assert_eq!(Timestamp::from_secs(119).align_down(step), Timestamp::from_secs(60));
        assert_eq!(Timestamp::from_secs(-1).align_down(step), Timestamp::from_secs(-60));
    }

    #[test]
    fn a_clock_that_steps_back_passes_no_time() {
        assert_eq!(Timestamp::from_secs(5).since(Timestamp::from_secs(9)), Duration::ZERO);
    }
}
