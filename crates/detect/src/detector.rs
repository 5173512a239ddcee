//! The contract of every detector.

use homeostat_core::Scoring;

use crate::row_buffer::RowBuffer;

/// Scores the newest row of a row buffer.
///
/// Every detector is NaN-safe, deterministic under a seed, bounded in memory, and gives the same next score after
/// save and load, bit for bit; a larger fault never scores lower. One contract test runs on all of them.
pub trait Detector: Send {
    /// Its stable name: in votes, metrics and config.
    fn name(&self) -> &'static str;

    /// Scores the row buffer's newest row. Called once for each row, in order: a detector may keep state from row to row.
    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError>;
}

/// Why a detector couldn't score. It becomes a failed vote; the service goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScoreError {
    /// The row buffer has another number of features than the detector was trained on: train again, or fix the queries.
    #[error(
        "the window has {found} features, the detector was trained on {wanted}: train again after changing queries"
    )]
    Shape {
        /// Features of the row buffer.
        found: usize,
        /// Features in training.
        wanted: usize,
    },
    /// The model itself failed; the next row may work.
    #[error("the model failed: {why}")]
    Model {
        /// The whole chain of causes.
        why: String,
    },
}

/// Why a detector couldn't be trained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// Wait, or pull more history.
    #[error(
        "{detector}: {found} usable rows in the history, {needed} are needed: pull a longer history, or one with fewer gaps"
    )]
    TooFewRows {
        /// The detector.
        detector: &'static str,
        /// Rows without too many gaps.
        found: usize,
        /// Fewest that make a model.
        needed: usize,
    },
    /// An option is out of range: fix the config.
    #[error("{detector}: {why}")]
    BadOption {
        /// The detector.
        detector: &'static str,
        /// Which, and what it may be.
        why: String,
    },
    /// The library underneath failed on this history: leave the detector out for this subject.
    #[error("{detector}: {why}")]
    Failed {
        /// The detector.
        detector: &'static str,
        /// The whole chain of causes.
        why: String,
    },
}
