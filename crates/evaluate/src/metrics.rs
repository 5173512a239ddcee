//! Measures of detection quality: labels and scores in, numbers out. Nothing here knows where either comes from.
//!
//! Every measure agrees with the dataset's independent judge (a Python program) to 1e-6; the fixtures under `fixtures/` hold
//! its answers. No measure adjusts points: a row scored low inside an anomaly stays scored low.

mod auc_pr;
mod confidence;
mod events;
mod period;
mod runs;
mod vus_pr;

pub use auc_pr::auc_pr;
pub use confidence::{ALERT_BINS, ROW_BINS, brier, expected_calibration_error};
pub use events::{EventCounts, EventRule, EventTotals, threshold_for_budget};
pub use period::{PERIOD_DEFAULT, period_rows};
pub use runs::Run;
pub use vus_pr::vus_pr;

/// What a score that isn't finite counts as: below (NaN, −∞) or above (+∞) every other.
const SCORE_LIMIT: f64 = 1e300;

/// The scores with every value finite: a row that was not scored ranks below all others.
pub fn ranked(scores: &[f64]) -> Vec<f64> {
    let finite = |score: &f64| {
        if score.is_finite() {
            *score
        } else if *score == f64::INFINITY {
            SCORE_LIMIT
        } else {
            -SCORE_LIMIT
        }
    };
    scores.iter().map(finite).collect()
}

#[cfg(test)]
mod tests;
