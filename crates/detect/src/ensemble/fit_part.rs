//! The part of a history that models are fitted on; what is left calibrates.

use homeostat_core::Window;

use crate::detector::TrainError;
use crate::feature_extractor::ExtractedFeatures;
use crate::scaler::Scaler;

/// The part of the history detectors are fitted on, in thirds; the rest calibrates. Two thirds: a third still shows
/// enough unusual rows to fit a tail, and a model loses little with the last third of its data.
pub(super) const FIT_THIRDS: usize = 2;

/// The shortest history: 80 rows to fit and 40 to calibrate. It is enough to try things out; a week is better.
const HISTORY_ROWS_MIN: usize = 120;

/// What the ensemble's own errors go by.
pub(super) const NAME: &str = "ensemble";

/// The part of a history that models are fitted on: its number of steps, its scales, and itself in these scales.
pub(super) fn fit_part(history: &Window) -> Result<(usize, Scaler, ExtractedFeatures), TrainError> {
    let n_rows = (0..history.grid().n_steps()).filter(|idx| has_data(history, *idx)).count();
    let too_few = TrainError::TooFewRows { detector: NAME, found: n_rows, needed: HISTORY_ROWS_MIN };
    if n_rows < HISTORY_ROWS_MIN {
        return Err(too_few);
    }
    let n_fit = history.grid().n_steps() * FIT_THIRDS / 3;
    let fit = history.slice_steps(0, n_fit).ok_or(too_few)?;
    let scaler = Scaler::fit(&fit);
    let extracted = ExtractedFeatures::new(&fit, &scaler);
    Ok((n_fit, scaler, extracted))
}

/// From one end of a history so many rows of it, as one of this number, may be without any data: a rate has none in its first
/// minutes. With more, the subject began or ended within the history, and two thirds of its own time are what it is fitted on, not
/// two thirds of everybody's, in which it may hardly have been there.
const EMPTY_SHARE_MAX: usize = 10;

/// The part of a history in which the subject was measured, where that is clearly less than all of it.
pub(super) fn measured_part(history: &Window) -> Option<Window> {
    let n_steps = history.grid().n_steps();
    let first = (0..n_steps).find(|idx| has_data(history, *idx))?;
    let end = (0..n_steps).rev().find(|idx| has_data(history, *idx))? + 1;
    let empty_max = n_steps / EMPTY_SHARE_MAX;
    (first > empty_max || n_steps - end > empty_max).then(|| history.slice_steps(first, end))?
}

pub(super) fn has_data(window: &Window, step_idx: usize) -> bool {
    window.row(step_idx).iter().any(|value| !value.is_nan())
}
