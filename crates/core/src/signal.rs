//! What a feature measures, and which way is bad.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a feature of a window measures; typing incidents depends on it, detectors don't.
///
/// ```
/// use homeostat_core::Signal;
///
/// assert_eq!("error-ratio".parse(), Ok(Signal::ErrorRatio));
/// assert_eq!(Signal::OomKills.name(), "oom-kills");
/// assert!(Signal::ALL.contains(&Signal::Other));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// Working set over limit (ratio), or bytes.
    Memory,
    /// CPU used, cores.
    Cpu,
    /// Share of periods throttled.
    CpuThrottling,
    /// Container restarts in the last minutes.
    Restarts,
    /// Containers killed for memory in the last minutes.
    OomKills,
    /// Share of requests that failed.
    ErrorRatio,
    /// Request latency (a high quantile), seconds.
    Latency,
    /// Requests a second.
    Traffic,
    /// Replicas wanted but not available.
    ReplicasUnavailable,
    /// Work waiting in a queue.
    QueueLag,
    /// Anything else; it's scored, and explains, but types nothing.
    Other,
}

/// A text that names no signal.
///
/// ```
/// use homeostat_core::Signal;
///
/// let refused = "memry".parse::<Signal>().map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("known are: memory, cpu")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown signal {0:?}; known are: {known}", known = Signal::ALL.map(Signal::name).join(", "))]
pub struct UnknownSignal(String);

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 11] = [
        Self::Memory,
        Self::Cpu,
        Self::CpuThrottling,
        Self::Restarts,
        Self::OomKills,
        Self::ErrorRatio,
        Self::Latency,
        Self::Traffic,
        Self::ReplicasUnavailable,
        Self::QueueLag,
        Self::Other,
    ];

    /// The stable name used in config, metrics and ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::CpuThrottling => "cpu-throttling",
            Self::Restarts => "restarts",
            Self::OomKills => "oom-kills",
            Self::ErrorRatio => "error-ratio",
            Self::Latency => "latency",
            Self::Traffic => "traffic",
            Self::ReplicasUnavailable => "replicas-unavailable",
            Self::QueueLag => "queue-lag",
            Self::Other => "other",
        }
    }

    /// The deviation up to which a feature of this signal is never unusual, in the signal's usual unit, where nobody set one: half a
    /// percent of requests that fail, a single restart, a twentieth of the periods throttled. 0 where the unit may be anything.
    ///
    /// ```
    /// use homeostat_core::Signal;
    ///
    /// assert_eq!(Signal::ErrorRatio.deviation_min(), 0.005);
    /// assert_eq!(Signal::Latency.deviation_min(), 0.0, "seconds or milliseconds: nobody knows");
    /// ```
    pub const fn deviation_min(self) -> f64 {
        match self {
            Self::ErrorRatio => 0.005,
            Self::Restarts => 1.0,
            Self::CpuThrottling => 0.05,
            // One is one too many.
            Self::OomKills | Self::ReplicasUnavailable => 0.0,
            Self::Memory | Self::Cpu | Self::Latency | Self::Traffic | Self::QueueLag | Self::Other => 0.0,
        }
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        Self::ALL.into_iter().find(|signal| signal.name() == text).ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}

/// Which deviations of a feature matter.
///
/// ```
/// use homeostat_core::Direction;
///
/// assert_eq!(Direction::default(), Direction::Both);
/// assert_eq!(serde_json::to_value(Direction::Up)?, "up");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Only higher than expected (errors, latency).
    Up,
    /// Only lower than expected (availability).
    Down,
    /// Either (traffic).
    #[default]
    Both,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_form_and_read_back() {
        for signal in Signal::ALL {
            assert_eq!(serde_json::to_string(&signal).ok(), Some(format!("\"{}\"", signal.name())));
            assert_eq!(signal.name().parse(), Ok(signal));
        }
        assert!("memori".parse::<Signal>().is_err());
    }
}
