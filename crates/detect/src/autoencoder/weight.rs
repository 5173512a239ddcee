//! How much each feature's error counts: learnt from what a finished model, trained here or the user's own, makes of the
//! history it is to be used on.

use super::CHANNEL;
use super::model::AutoencoderModel;
use super::training::fill;
use super::window::clipped;
use crate::enricher::Enriched;
use crate::onnx::OnnxSession;

/// Windows looked at, evenly over the histories: a mean over so many is steady within a few per cent.
const WINDOWS_MAX: usize = 2048;

/// A feature's mean error is never taken as smaller: one that always came back to a hair, because it hardly moves, would
/// own the score.
const ERROR_MIN: f64 = 0.01;

/// By feature, 1 on average over those seen in training; why the model failed, if it did.
///
/// By the root of the mean error: on labelled series weighting by the error itself made as much worse as better, and
/// no weights at all hid faults behind features that are noise.
pub(super) fn weights(
    model: &AutoencoderModel,
    session: &mut dyn OnnxSession,
    histories: &[&Enriched],
) -> Result<Vec<f32>, String> {
    let errors = mean_errors(model, session, histories)?;
    let features = || model.meta().features.iter().zip(&errors).filter(|(feature, _)| feature.seen);
    let raw = |error: f64| 1.0 / error.max(ERROR_MIN).sqrt();
    let mean = features().map(|(_, error)| raw(*error)).sum::<f64>() / features().count().max(1) as f64;
    // Nothing seen at all: no feature counts, so any weight does.
    let mean = if mean > 0.0 { mean } else { 1.0 };
    Ok(errors.iter().map(|error| (raw(*error) / mean) as f32).collect())
}

/// Each feature's mean squared error in the windows' newest rows, 1 where there is none.
fn mean_errors(
    model: &AutoencoderModel,
    session: &mut dyn OnnxSession,
    histories: &[&Enriched],
) -> Result<Vec<f64>, String> {
    let (meta, n_features) = (model.meta(), model.n_features());
    let first_last = meta.n_rows - 1;
    let n_rows: usize = histories.iter().map(|history| history.n_rows().saturating_sub(first_last)).sum();
    let stride = n_rows.div_ceil(WINDOWS_MAX).max(1);
    let mut cells = vec![0.0; model.n_inputs()];
    let mut output = Vec::new();
    let (mut sums, mut counts) = (vec![0.0; n_features], vec![0_usize; n_features]);
    for history in histories {
        for last in (first_last..history.n_rows()).step_by(stride) {
            if !fill(&mut cells, history, meta, last).suffices() {
                continue;
            }
            session.run(&cells, 1, &mut output).map_err(|error| error.to_string())?;
            let newest = &output[model.n_inputs() - n_features..];
            for (idx, value) in history.channel(CHANNEL).row(last).iter().enumerate() {
                if !value.is_nan() && meta.features[idx].seen {
                    sums[idx] += (clipped(*value) - f64::from(newest[idx])).powi(2);
                    counts[idx] += 1;
                }
            }
        }
    }
    let mean = |(sum, count): (&f64, &usize)| if *count > 0 { sum / *count as f64 } else { 1.0 };
    Ok(sums.iter().zip(&counts).map(mean).collect())
}
