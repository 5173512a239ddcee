//! What an ensemble will hold in memory, told before it is trained: from its options, by each detector's own formula.
//!
//! It measures nothing; [`Ensemble::memory_bytes`] says what a trained ensemble holds, and a test with a counting allocator
//! holds both to the truth.

use std::time::Duration;

use crate::ensemble::EnsembleSpec;
use crate::fitted::{DetectorBytes, HistoryShape};
use crate::row_buffer::{BUFFER_ROWS_MAX, CHANNEL_ROWS};

const F64: usize = size_of::<f64>();

/// Each knot of a tail is two floats, and it keeps this many: see `tail`.
const TAIL_KNOTS: usize = 64;

/// What an ensemble is expected to hold, by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    n_features: usize,
    parts: Vec<(&'static str, usize)>,
    shared_bytes: usize,
}

impl MemoryEstimate {
    /// Bytes by part: `rows` (rows, scales and the last assessment), then each detector with its calibration.
    pub fn parts(&self) -> &[(&'static str, usize)] {
        &self.parts
    }

    /// Bytes of one subject that shares nothing.
    pub fn subject_bytes(&self) -> usize {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The part of [`Self::subject_bytes`] that is there once for all subjects of a group that share models
    /// ([`crate::groups`]).
    pub fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    /// Bytes of a group of so many subjects that share models.
    pub fn group_bytes(&self, n_subjects: usize) -> usize {
        (self.subject_bytes() - self.shared_bytes).saturating_mul(n_subjects).saturating_add(self.shared_bytes)
    }

    /// What one more subject of a group takes, divided by its features: each is one series.
    pub fn series_bytes(&self) -> usize {
        (self.subject_bytes() - self.shared_bytes) / self.n_features.max(1)
    }
}

/// Estimates what an ensemble of `n_features` features holds once it is trained on `history`, one row each `step`.
///
/// It takes the data's part to be as large as it usually is: every season that fits into the history is found, DBSCAN keeps as
/// many cores as it may. On other data it holds less.
///
/// ```
/// use std::time::Duration;
/// use homeostat_detect::{EnsembleSpec, estimate};
///
/// let (minute, week) = (Duration::from_secs(60), Duration::from_secs(7 * 86_400));
/// let estimate = estimate(&EnsembleSpec::default(), 8, minute, week);
/// assert_eq!(estimate.group_bytes(1), estimate.subject_bytes());
/// // A group shares its largest models.
/// assert!(estimate.group_bytes(10) < 5 * estimate.subject_bytes());
/// assert_eq!(estimate.parts()[0].0, "rows");
/// ```
pub fn estimate(spec: &EnsembleSpec, n_features: usize, step: Duration, history: Duration) -> MemoryEstimate {
    let step_ms = usize::try_from(step.as_millis()).unwrap_or(usize::MAX).max(1);
    let n_rows = usize::try_from(history.as_millis()).unwrap_or(usize::MAX) / step_ms;
    // Fitted on two thirds of it.
    let shape = HistoryShape { n_features, n_rows: n_rows.saturating_mul(2) / 3, step_ms };
    let tail = TAIL_KNOTS.min(n_rows / 3) * 2 * F64;
    let mut parts = vec![("rows", row_buffer_bytes(n_features))];
    let mut shared_bytes = 0;
    for detector in &spec.detectors {
        let DetectorBytes { own, shared } = detector.estimated_bytes(shape);
        parts.push((detector.name(), own + shared + tail));
        shared_bytes += shared;
    }
    MemoryEstimate { n_features, parts, shared_bytes }
}

/// The row buffer's cells and stamps, and the last assessment.
fn row_buffer_bytes(n_features: usize) -> usize {
    let cells = CHANNEL_ROWS * n_features * F64;
    let stamps = BUFFER_ROWS_MAX * size_of::<i64>();
    // Scales, deviations and what was expected of each feature: some 25 floats.
    cells + stamps + n_features * 25 * F64
}
