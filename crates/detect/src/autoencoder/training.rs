//! Trains the net: picks windows from a history, scales them, and runs Adam for a bounded number of steps.
//!
//! Single-threaded and seeded. Matrix products use the processor's widest instructions, so the last bits of a model may
//! differ between kinds of processor, never between two runs on one.

use homeostat_core::Seed;
use ndarray::{Array2, Axis};
use rand::Rng;
use rand::seq::SliceRandom;

use super::export::onnx_bytes;
use super::net::{Adam, Net};
use super::spec::WINDOWS_MIN;
use super::window::{Coverage, clipped, put_row};
use super::{AutoencoderFeature, AutoencoderMeta, AutoencoderSaved, AutoencoderSpec, CHANNEL, INPUTS_MAX, NAME};
use crate::detector::TrainError;
use crate::feature_extractor::ExtractedFeatures;

/// Windows in a mini-batch, fewest and most: large ones spend less on Adam, whose step costs the same for any; a short
/// history gets small ones, so that an epoch still takes many steps.
const BATCH_WINDOWS: (usize, usize) = (64, 128);

/// Steps an epoch should take, if its batches can be made small enough.
const EPOCH_STEPS: usize = 32;

/// Most weights visited in a training, over all windows and epochs: 9 GFlop, a fifth of a second of one core. Four times
/// as much brought no better ranking on labelled series, rather a little worse: what training rows have in common is
/// learnt by then. An epoch on the default 4096 windows of 10 features visits 50 million.
const VISITS_MAX: usize = 1_500_000_000;

/// Fewest epochs, however wide the windows: with fewer, the net hasn't left its random start.
const EPOCHS_MIN: usize = 5;

/// Most cells of the training matrix: 16 MiB of values and as much of weights.
const CELLS_MAX: usize = 4 << 20;

/// A feature's deviation among the detrended, clipped values is never taken as smaller: its cut at ±10 is then at most
/// 200 of its own deviations for the net, and one spike can't throw the others' reconstruction far off.
const SCALE_MIN: f32 = 0.05;

/// How much an error in the newest row counts in training, against one in an older row: only the newest is scored. On
/// labelled series it brought .023 of VUS-PR (mean of four sets of many features; 8 instead of 3 the same).
const NEWEST_WEIGHT: f32 = 3.0;

/// Widths from a window to its code.
struct Architecture {
    n_rows: usize,
    n_hidden: usize,
    n_code: usize,
}

impl Architecture {
    /// One feature has only its own past to be reconstructed from: more rows, a smaller net. Above 512 features fewer
    /// rows fit into the widest input; none if there are no features, or more than its columns.
    fn of(n_features: usize) -> Option<Self> {
        let n_rows_max = INPUTS_MAX.checked_div(n_features).filter(|n_rows| *n_rows > 0)?;
        Some(if n_features == 1 {
            Self { n_rows: 20, n_hidden: 16, n_code: 5 }
        } else {
            Self { n_rows: n_rows_max.min(8), n_hidden: 64, n_code: 16 }
        })
    }
}

/// A trained net with its scaling.
pub(super) struct Trained {
    pub(super) net: Net<f32>,
    pub(super) meta: AutoencoderMeta,
    /// By feature.
    pub(super) scale: Vec<f32>,
    /// Mean squared error, in the net's scale, of the first and of the last epoch.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests ask whether it learned"))]
    pub(super) losses: (f32, f32),
}

impl Trained {
    pub(super) fn onnx_bytes(&self) -> Vec<u8> {
        let n_rows = self.meta.n_rows;
        let mean: Vec<f32> = self.meta.features.iter().map(|feature| feature.mean).collect();
        onnx_bytes(&self.net, &mean.repeat(n_rows), &self.scale.repeat(n_rows))
    }
}

/// Windows as the net reads them.
struct Windows {
    /// Scaled, `(n_windows, n_in)`; 0 in a gap.
    values: Array2<f32>,
    /// How much each cell's error counts, `(n_windows, n_in)`; 0 in a gap.
    weights: Array2<f32>,
}

/// Trains a model on these histories, or fits the user's own to them.
pub(super) fn train(
    spec: &AutoencoderSpec,
    histories: &[&ExtractedFeatures],
    seed: Seed,
) -> Result<AutoencoderSaved, TrainError> {
    let n_features = histories.first().map_or(0, |history| history.n_features());
    if histories.iter().any(|history| history.n_features() != n_features) {
        return Err(bad("subjects that share one must have the same features".to_owned()));
    }
    match spec.own_model() {
        Some(own) => {
            let (features, _) = statistics(histories, n_features);
            let meta = AutoencoderMeta { n_rows: own.n_rows(n_features).map_err(bad)?, features };
            Ok(AutoencoderSaved { onnx: own.onnx().to_vec(), meta })
        }
        None => {
            let trained = trained(spec, histories, n_features, seed.fork(NAME))?;
            Ok(AutoencoderSaved { onnx: trained.onnx_bytes(), meta: trained.meta })
        }
    }
}

fn bad(why: String) -> TrainError {
    TrainError::BadOption { detector: NAME, why }
}

pub(super) fn trained(
    spec: &AutoencoderSpec,
    histories: &[&ExtractedFeatures],
    n_features: usize,
    seed: Seed,
) -> Result<Trained, TrainError> {
    let Some(architecture) = Architecture::of(n_features) else {
        let why = format!(
            "{n_features} features are too many for it, {INPUTS_MAX} are the most: split the subject's queries"
        );
        return Err(TrainError::Failed { detector: NAME, why });
    };
    let n_inputs = architecture.n_rows * n_features;
    let (features, scale) = statistics(histories, n_features);
    let meta = AutoencoderMeta { n_rows: architecture.n_rows, features };
    let windows = windows(spec, histories, &meta, &scale, seed.fork("windows"))?;
    let widths = [n_inputs, architecture.n_hidden, architecture.n_code, architecture.n_hidden, n_inputs];
    let mut net = Net::new(&widths, &mut seed.fork("weights").rng());
    silence_still_inputs(&mut net, &windows);
    let losses = descend(spec, &mut net, &windows, seed.fork("order"));
    if !losses.1.is_finite() {
        let why = "training diverged; try a smaller learning_rate".to_owned();
        return Err(TrainError::Failed { detector: NAME, why });
    }
    Ok(Trained { net, meta, scale, losses })
}

/// Mean and deviation of each feature's clipped residuals.
fn statistics(histories: &[&ExtractedFeatures], n_features: usize) -> (Vec<AutoencoderFeature>, Vec<f32>) {
    let columns = (0..n_features).map(|feature_idx| {
        // What was never measured deviates by nothing, which is no measurement either.
        let measured = histories.iter().filter(move |history| !history.scaler().is_unmeasured(feature_idx));
        let cells = measured.flat_map(move |history| history.channel(CHANNEL).column(feature_idx));
        let present = || cells.clone().filter(|value| !value.is_nan()).map(|value| clipped(*value));
        let n_present = present().count();
        let mean = present().sum::<f64>() / n_present.max(1) as f64;
        let variance = present().map(|value| (value - mean).powi(2)).sum::<f64>() / n_present.max(1) as f64;
        let feature = AutoencoderFeature { mean: mean as f32, seen: n_present > 0 };
        (feature, (variance.sqrt() as f32).max(SCALE_MIN))
    });
    columns.unzip()
}

/// A sample of the histories' windows with enough data in them, in the histories' order.
fn windows(
    spec: &AutoencoderSpec,
    histories: &[&ExtractedFeatures],
    meta: &AutoencoderMeta,
    scale: &[f32],
    seed: Seed,
) -> Result<Windows, TrainError> {
    let n_inputs = meta.n_inputs();
    let mut cells = vec![0.0; n_inputs];
    // Each window by its history and its last row.
    let mut usable = Vec::new();
    for (history_idx, history) in histories.iter().enumerate() {
        let lasts = meta.n_rows.saturating_sub(1)..history.n_rows();
        let lasts = lasts.filter(|last| fill(&mut cells, history, meta, *last).suffices());
        usable.extend(lasts.map(|last| (history_idx, last)));
    }
    if usable.len() < WINDOWS_MIN {
        return Err(TrainError::TooFewRows { detector: NAME, found: usable.len(), needed: WINDOWS_MIN });
    }
    // By chance and not every n-th: a regular choice would see only one phase of an hourly job.
    let n_windows = spec.windows_max().min(CELLS_MAX / n_inputs).max(WINDOWS_MIN).min(usable.len());
    let mut rng = seed.rng();
    for idx in 0..n_windows {
        let other = rng.random_range(idx..usable.len());
        usable.swap(idx, other);
    }
    usable.truncate(n_windows);
    usable.sort_unstable();

    let mut values = Array2::zeros((n_windows, n_inputs));
    let mut weights = Array2::zeros((n_windows, n_inputs));
    let n_features = meta.features.len();
    // With one feature it would be one cell, and the code would learn to hand on just that.
    let newest_weight = if n_features == 1 { 1.0 } else { NEWEST_WEIGHT };
    for (idx, (history_idx, last)) in usable.into_iter().enumerate() {
        let history = histories[history_idx];
        fill(&mut cells, history, meta, last);
        let first = last + 1 - meta.n_rows;
        for (input, cell) in cells.iter().enumerate() {
            let (row, feature) = (input / n_features, input % n_features);
            let is_gap = history.channel(CHANNEL)[[first + row, feature]].is_nan();
            values[[idx, input]] = (cell - meta.features[feature].mean) / scale[feature];
            let weight = if row + 1 == meta.n_rows { newest_weight } else { 1.0 };
            weights[[idx, input]] = if is_gap { 0.0 } else { weight };
        }
    }
    Ok(Windows { values, weights })
}

/// Writes the window that ends with row `last` as the net reads it, before scaling.
fn fill(cells: &mut [f32], extracted: &ExtractedFeatures, meta: &AutoencoderMeta, last: usize) -> Coverage {
    let first = last + 1 - meta.n_rows;
    let mut coverage = Coverage::default();
    for (idx, cells) in cells.chunks_exact_mut(meta.features.len()).enumerate() {
        let row = extracted.channel(CHANNEL).row(first + idx);
        coverage.add(put_row(cells, row, &meta.features), first + idx == last);
    }
    coverage
}

/// An input that never moved in training says nothing about the others: without this, its first movement would reach
/// them through weights that are still as random as at the start.
fn silence_still_inputs(net: &mut Net<f32>, windows: &Windows) {
    let Some(first) = net.layers.first_mut() else { return };
    for (mut weights, values) in first.weights.rows_mut().into_iter().zip(windows.values.columns()) {
        // Centred, so a still input is nothing but rounding.
        if values.iter().all(|value| value.abs() < 1e-4) {
            weights.fill(0.0);
        }
    }
}

/// Runs Adam; mean losses of the first and the last epoch.
fn descend(spec: &AutoencoderSpec, net: &mut Net<f32>, windows: &Windows, seed: Seed) -> (f32, f32) {
    let n_windows = windows.values.nrows();
    let n_affordable = VISITS_MAX / (net.n_parameters() * n_windows).max(1);
    let n_epochs = n_affordable.max(EPOCHS_MIN).min(spec.epochs_max());
    let n_batch = (n_windows / EPOCH_STEPS).clamp(BATCH_WINDOWS.0, BATCH_WINDOWS.1);
    let n_steps = n_epochs * n_windows.div_ceil(n_batch);
    let mut adam = Adam::new(net);
    let mut rng = seed.rng();
    let mut order: Vec<usize> = (0..n_windows).collect();
    let mut losses = Vec::with_capacity(n_epochs);
    let mut step = 0_usize;
    for _ in 0..n_epochs {
        order.shuffle(&mut rng);
        let mut sum = 0.0;
        for batch in order.chunks(n_batch) {
            let values = windows.values.select(Axis(0), batch);
            let weights = windows.weights.select(Axis(0), batch);
            let (loss, gradient) = net.loss_and_gradient(&values, &weights);
            // Large steps to get near, small ones to settle.
            let rate = spec.learning_rate() * (1.0 - 0.9 * step as f64 / n_steps as f64);
            adam.step(net, &gradient, rate as f32);
            sum += loss * batch.len() as f32;
            step += 1;
        }
        losses.push(sum / n_windows as f32);
    }
    (losses.first().copied().unwrap_or(f32::NAN), losses.last().copied().unwrap_or(f32::NAN))
}
