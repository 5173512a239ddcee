//! How fast levels, deviations and habits follow, in rows: half-lives are set in time, and steps differ.

use serde::{Deserialize, Serialize};

/// Half-life of the middle level, in rows: about the mean of the last 20, whose residual ranked best on labelled data.
const MIDDLE_HALF_LIFE_ROWS: f64 = 10.0;

/// Half-life of deviations: a lasting change of the noise is followed in days, an incident of hours hardly.
const SPREAD_HALF_LIFE_MS: f64 = 3.0 * 86_400_000.0;

/// Half-life with which the slow level moves while a roll-out settles.
const ROLLOUT_HALF_LIFE_MS: f64 = 5.0 * 60_000.0;

/// The slow half-life is at most this share of the history: else it would hardly have moved in training.
const SLOW_SHARE_MAX: f64 = 0.25;

/// A level isn't new before it has lasted so many rows, however long a step is.
const ACCEPT_ROWS_MIN: u32 = 24;

/// Shares a row, and the patience in rows; all features of a subject share one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    pub(super) middle_rate: f64,
    pub(super) slow_rate: f64,
    pub(super) spread_rate: f64,
    pub(super) rollout_rate: f64,
    pub(super) accept_rows: u32,
    /// Whether habits, deviations and intervals are learned. Not while a history is run through the model fitted on it:
    /// errors there are too small.
    pub(super) learns: bool,
}

impl Pace {
    /// For rows `step_ms` apart; `n_rows` is the length of the history.
    pub(super) fn new(slow_half_life_ms: u64, accept_ms: u64, step_ms: i64, n_rows: usize) -> Self {
        let step = step_ms.max(1) as f64;
        let rows = |half_life_ms: f64| (half_life_ms / step).max(1.0);
        Self {
            middle_rate: rate(MIDDLE_HALF_LIFE_ROWS),
            slow_rate: rate(rows(slow_half_life_ms as f64).min((SLOW_SHARE_MAX * n_rows as f64).max(1.0))),
            spread_rate: rate(rows(SPREAD_HALF_LIFE_MS)),
            rollout_rate: rate(rows(ROLLOUT_HALF_LIFE_MS)),
            accept_rows: ((accept_ms as f64 / step) as u32).max(ACCEPT_ROWS_MIN),
            learns: true,
        }
    }

    /// The same without learning.
    pub(super) fn fitting(self) -> Self {
        Self { learns: false, ..self }
    }

    /// The slow level's half-life, in rows.
    pub(super) fn slow_half_life_rows(&self) -> f64 {
        std::f64::consts::LN_2 / -(1.0 - self.slow_rate).ln()
    }

    /// Whether it is one of ours; one that was read from a file may not be.
    pub(super) fn is_consistent(&self) -> bool {
        let rates = [self.middle_rate, self.slow_rate, self.spread_rate, self.rollout_rate];
        rates.iter().all(|rate| *rate > 0.0 && *rate <= 0.5) && self.accept_rows >= ACCEPT_ROWS_MIN
    }
}

/// The share a row that leaves half after so many rows, at least one.
fn rate(half_life_rows: f64) -> f64 {
    1.0 - (-1.0 / half_life_rows.max(1.0)).exp2()
}
