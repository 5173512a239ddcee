//! What is measured of a subject, as its models judge it: the input of verification, and of what asks whether a fault goes on.

use std::time::Duration;

use homeostat_core::{Signal, Timestamp};

/// A feature's newest point may be this old when something is concluded from it: Prometheus's own look-back. Beyond it the series
/// has ended, and a series that ended normal is not a workload that is well.
pub(crate) const NEWEST_AGE_MAX: Duration = Duration::from_secs(300);

/// One feature at one moment, judged by the detectors.
///
/// ```
/// use homeostat_core::{Signal, Timestamp};
/// use homeostat_remediate::Observation;
///
/// let at = Timestamp::from_secs(60);
/// let gap = Observation { feature: "memory".into(), signal: Signal::Memory, at, value: None, deviation: None, normal: false };
/// assert!(!gap.normal, "what wasn't measured is never taken for normal");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The feature's name.
    pub feature: String,
    /// What it measures.
    pub signal: Signal,
    /// The moment.
    pub at: Timestamp,
    /// The measurement; `None` is a gap.
    pub value: Option<f64>,
    /// How far it is from its training mean, in training deviations, signed; 0 in a direction that doesn't matter.
    pub deviation: Option<f64>,
    /// Whether the measurement is what is expected.
    pub normal: bool,
}

/// A whole row at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowScore {
    /// The moment.
    pub at: Timestamp,
    /// Whether the row counts towards closing an incident: it was scored, and below what the tracker closes incidents at.
    pub is_calm: bool,
    /// Whether the row would open an incident by itself, so far is it from usual.
    pub opens_at_once: bool,
}

/// Oldest first; the same moment twice is one measurement.
pub(crate) fn by_moment(points: &mut Vec<&Observation>) {
    points.sort_by_key(|seen| seen.at);
    points.dedup_by_key(|seen| seen.at);
}
