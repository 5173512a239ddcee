//! What a row means for an incident.

use homeostat_core::{Score, Timestamp};

/// What the next row means for an incident, beside what it measures.
pub(super) struct RowMeans {
    /// Its score, or that of what has added up; `None` without one.
    pub(super) score: Option<Score>,
    /// It would open an incident if there were none.
    pub(super) alarms: bool,
    /// What has added up is news by itself.
    pub(super) adds_up: bool,
    /// There were enough calm rows to close one.
    pub(super) calm: bool,
    /// No gap in the subject's data is near enough to matter.
    pub(super) is_whole: bool,
    /// The moment at which the row is looked at: later than its own where data lags.
    pub(super) as_of: Timestamp,
}
