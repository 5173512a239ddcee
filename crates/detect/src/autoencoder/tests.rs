use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, NotReady, Schema, Signal, Subject, Timestamp, Window};
use ndarray::Array2;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::*;
use crate::feature_extractor::FeatureExtractor;
use crate::row_buffer::BUFFER_ROWS_MAX;
use crate::scaler::Scaler;

const STEP: Duration = Duration::from_secs(60);

/// Correlated features: two hidden causes, one slow and one fast, plus a little noise.
fn history(n_rows: usize, n_features: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed::new(seed).rng();
    let mut fast = 0.0;
    let mut values = Array2::zeros((n_rows, n_features));
    for row in 0..n_rows {
        fast = 0.7 * fast + rng.random::<f64>() - 0.5;
        let slow = (row as f64 / 40.0).sin();
        for feature in 0..n_features {
            let weight = feature as f64 / n_features as f64;
            let noise = 0.05 * (rng.random::<f64>() - 0.5);
            values[[row, feature]] = 10.0 + weight * slow + (1.0 - weight) * 3.0 * fast + noise;
        }
    }
    values
}

fn window(values: Array2<f64>) -> Window {
    let features = (0..values.ncols()).map(|idx| Feature {
        name: format!("f{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    });
    let schema = Schema::new(features.collect()).expect("a schema");
    let grid = Grid::new(Timestamp::from_secs(0), STEP, values.nrows()).expect("a grid");
    Window::new(Subject::deployment("shop", "cart"), grid, Arc::new(schema), values).expect("a window")
}

/// A quick spec: tests run on an unoptimised build.
fn spec() -> AutoencoderSpec {
    AutoencoderSpec::new(15, 4096, 3e-3).expect("a spec")
}

fn trained(n_features: usize) -> (Autoencoder, Scaler) {
    let window = window(history(600, n_features, 1));
    let scaler = Scaler::fit(&window);
    let extracted = ExtractedFeatures::new(&window, &scaler);
    (Autoencoder::train(&spec(), &extracted, Seed::new(7)).expect("it trains"), scaler)
}

/// The score of every row.
fn scorings(detector: &mut Autoencoder, scaler: &Scaler, values: &Array2<f64>) -> Vec<Scoring> {
    let mut extractor = FeatureExtractor::new(scaler.clone(), STEP);
    let rows = values.rows().into_iter().enumerate();
    rows.map(|(idx, row)| {
        extractor.push(Timestamp::from_secs(60 * idx as i64), row.iter().copied());
        detector.score(extractor.row_buffer()).expect("it scores")
    })
    .collect()
}

fn raw(scoring: &Scoring) -> f64 {
    match scoring {
        Scoring::Scored(raw) => raw.value(),
        Scoring::NotReady(why) => panic!("{why}"),
    }
}

#[test]
fn it_learns_to_reconstruct_and_a_broken_relation_stands_out() {
    for n_features in [1, 4] {
        let (mut detector, scaler) = trained(n_features);
        let mut values = history(300, n_features, 2);
        let last = values.nrows() - 1;
        let normal: Vec<f64> = scorings(&mut detector, &scaler, &values)[50..].iter().map(raw).collect();
        let mut sorted = normal.clone();
        sorted.sort_by(f64::total_cmp);
        values[[last, 0]] += 12.0;
        let broken = raw(&scorings(&mut detector, &scaler, &values)[last]);
        let largest = sorted[sorted.len() - 1];
        assert!(broken > 2.0 * largest, "{n_features} features: {broken} against at most {largest}");
        if n_features > 1 {
            let errors = detector.errors();
            let largest = errors.iter().flatten().copied().fold(0.0, f64::max);
            assert_eq!(errors[0], Some(largest), "the feature that broke explains it: {errors:?}");
        }
    }
}

#[test]
fn training_lowers_the_error_well_below_the_variance() {
    let window = window(history(600, 4, 1));
    let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
    let trained = training::trained(&AutoencoderSpec::default(), &[&extracted], 4, Seed::new(7)).expect("it trains");
    let (first, last) = trained.losses;
    // Everything reconstructed as its mean would have an error of 1.
    assert!(last < 0.5 * first && last < 0.3, "{first} → {last}");
}

#[test]
fn the_same_history_and_seed_give_the_same_bytes_and_another_seed_others() {
    let window = window(history(300, 3, 1));
    let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
    let saved = |seed| Autoencoder::train(&spec(), &extracted, Seed::new(seed)).expect("it trains").saved();
    assert_eq!(saved(7), saved(7));
    assert_ne!(saved(7), saved(8));
}

#[test]
fn the_next_score_is_the_same_after_save_and_load_bit_for_bit() {
    let (mut detector, scaler) = trained(4);
    let values = history(120, 4, 3);
    let written = serde_json::to_vec(&detector.saved()).expect("it is written");
    let read = serde_json::from_slice(&written).expect("it is read");
    let mut loaded = Autoencoder::load(read, &OnnxRuntime::embedded()).expect("it loads");
    let mut cloned = detector.clone();
    let before = scorings(&mut detector, &scaler, &values);
    assert_eq!(before, scorings(&mut loaded, &scaler, &values));
    assert_eq!(before, scorings(&mut cloned, &scaler, &values));
    assert_eq!(loaded.errors(), detector.errors());
}

#[test]
fn a_larger_fault_never_scores_lower() {
    for n_features in [1, 4] {
        let (mut detector, scaler) = trained(n_features);
        let calm = history(200, n_features, 4);
        for feature in 0..n_features {
            let mut before = 0.0;
            for size in [4.0, 8.0, 16.0, 32.0, 64.0, 1e3, 1e9] {
                let mut values = calm.clone();
                values[[199, feature]] += size;
                let score = raw(&scorings(&mut detector, &scaler, &values)[199]);
                assert!(score >= before, "feature {feature} of {n_features}, size {size}: {score} after {before}");
                before = score;
            }
        }
    }
}

#[test]
fn too_few_rows_and_too_many_gaps_are_not_ready() {
    let (mut detector, scaler) = trained(4);
    let mut values = history(60, 4, 5);
    values.slice_mut(ndarray::s![30..40, ..]).fill(f64::NAN);
    values.slice_mut(ndarray::s![50, 0..3]).fill(f64::NAN);
    let scorings = scorings(&mut detector, &scaler, &values);
    assert_eq!(scorings[0], Scoring::NotReady(NotReady::TooFewSteps));
    assert_eq!(scorings[8], Scoring::NotReady(NotReady::TooManyGaps), "residuals need rows before them");
    assert_eq!(scorings[35], Scoring::NotReady(NotReady::TooManyGaps));
    assert_eq!(scorings[50], Scoring::NotReady(NotReady::TooManyGaps), "one of four measurements isn't enough");
    assert!(matches!(scorings[29], Scoring::Scored(_)) && matches!(scorings[59], Scoring::Scored(_)));
}

#[test]
fn a_gap_has_no_error_and_a_feature_never_seen_in_training_doesnt_count() {
    let mut values = history(600, 3, 1);
    values.column_mut(2).fill(f64::NAN);
    let training = window(values);
    let scaler = Scaler::fit(&training);
    let extracted = ExtractedFeatures::new(&training, &scaler);
    let mut detector = Autoencoder::train(&spec(), &extracted, Seed::new(7)).expect("it trains");
    let mut values = history(60, 3, 2);
    values[[59, 1]] = f64::NAN;
    let scored = scorings(&mut detector, &scaler, &values);
    assert!(detector.errors()[0].is_some());
    assert_eq!(detector.errors()[1..], [None, None]);
    assert_eq!(Some(raw(&scored[59])), detector.errors()[0]);
}

#[test]
fn too_short_a_history_and_bad_options_are_refused() {
    let short = window(history(120, 2, 1));
    let extracted = ExtractedFeatures::new(&short, &Scaler::fit(&short));
    let error = Autoencoder::train(&spec(), &extracted, Seed::new(1)).expect_err("too short");
    assert!(matches!(error, TrainError::TooFewRows { needed: 120, .. }), "{error}");
    for (epochs_max, windows_max, learning_rate) in [
        (0, 4096, 1e-3),
        (1001, 4096, 1e-3),
        (10, 10, 1e-3),
        (10, 100_001, 1e-3),
        (10, 4096, 0.0),
        (10, 4096, 1.0),
        (10, 4096, f64::NAN),
    ] {
        let error = AutoencoderSpec::new(epochs_max, windows_max, learning_rate).expect_err("a bad option");
        assert!(matches!(error, TrainError::BadOption { .. }), "{error}");
    }
}

#[test]
fn a_thousand_features_get_shorter_windows_and_more_than_its_inputs_leave_it_out() {
    let training = window(history(200, 1000, 1));
    let scaler = Scaler::fit(&training);
    let extracted = ExtractedFeatures::new(&training, &scaler);
    let quick = AutoencoderSpec::new(1, 120, 1e-3).expect("a spec");
    let mut detector = Autoencoder::train(&quick, &extracted, Seed::new(1)).expect("it trains");
    assert_eq!(detector.model().meta().n_rows, 4);
    let scored = scorings(&mut detector, &scaler, &history(40, 1000, 2));
    assert!(matches!(scored[39], Scoring::Scored(_)));
    assert_eq!(detector.errors().len(), 1000);

    let wide = window(Array2::zeros((2, INPUTS_MAX + 1)));
    let extracted = ExtractedFeatures::new(&wide, &Scaler::fit(&wide));
    let error = Autoencoder::train(&spec(), &extracted, Seed::new(1)).expect_err("too wide");
    assert!(matches!(error, TrainError::Failed { .. }), "the other detectors can still do: {error}");
    assert!(error.to_string().contains("4097 features are too many"), "{error}");
}

/// A detector, and subjects of all kinds: more than a run takes, some not ready, one of another shape.
fn crowd() -> (Autoencoder, Vec<RowBuffer>) {
    let (detector, scaler) = trained(4);
    let values = history(400, 4, 6);
    let subject = |subject_idx: usize| {
        if subject_idx == 70 {
            return RowBuffer::new(3);
        }
        let mut extractor = FeatureExtractor::new(scaler.clone(), STEP);
        for row in 0..(3 * subject_idx) {
            let cells = values.row(row).to_vec();
            let gap = row % 40 == 1;
            let cells = cells.into_iter().enumerate();
            let cells: Vec<f64> = cells.map(|(idx, value)| if gap && idx > 0 { f64::NAN } else { value }).collect();
            extractor.push(Timestamp::from_secs(60 * row as i64), cells.into_iter());
        }
        extractor.row_buffer().clone()
    };
    (detector, (0..131).map(subject).collect())
}

#[test]
fn a_batch_says_of_each_subject_what_a_single_score_says() {
    let (mut detector, row_buffers) = crowd();
    let mut single = detector.clone();
    let scorings = detector.score_batch(&row_buffers).to_vec();
    assert_eq!(scorings.len(), row_buffers.len());
    let (mut n_scored, mut n_not_ready) = (0, 0);
    for (idx, (found, row_buffer)) in scorings.iter().zip(&row_buffers).enumerate() {
        let wanted = single.score(row_buffer);
        match (found, &wanted) {
            (Ok(Scoring::Scored(found)), Ok(Scoring::Scored(wanted))) => {
                // The model's outputs agree within 1e-5, so do their distances from values up to 10.
                let (found, wanted) = (found.value(), wanted.value());
                assert!((found - wanted).abs() <= 1e-4 * (1.0 + wanted), "subject {idx}: {found} against {wanted}");
                let errors = detector.errors_of(idx).iter().zip(single.errors());
                assert!(errors.into_iter().all(|(a, b)| a.is_some() == b.is_some()));
                n_scored += 1;
            }
            (found, wanted) => {
                assert_eq!(found, wanted, "subject {idx}");
                assert!(detector.errors_of(idx).iter().all(Option::is_none));
                n_not_ready += 1;
            }
        }
    }
    assert!(n_scored > 100 && n_not_ready > 5, "{n_scored} {n_not_ready}");
    assert_eq!(scorings[70], Err(ScoreError::Shape { found: 3, wanted: 4 }));
    assert!(detector.errors_of(row_buffers.len()).is_empty());
}

#[test]
fn the_same_batch_gives_the_same_bits_again_and_an_empty_one_nothing() {
    let (mut detector, row_buffers) = crowd();
    let first = detector.score_batch(&row_buffers).to_vec();
    assert!(detector.score_batch(&[]).is_empty() && detector.errors().is_empty());
    let bytes = detector.memory_bytes();
    assert_eq!(detector.score_batch(&row_buffers), first);
    assert_eq!(detector.clone().score_batch(&row_buffers), first);
    assert_eq!(detector.memory_bytes(), bytes, "buffers serve again");
}

#[test]
fn clones_share_the_model_and_own_only_buffers() {
    let (detector, row_buffers) = crowd();
    let mut other = detector.clone();
    assert!(Arc::ptr_eq(detector.model(), other.model()));
    other.score(&row_buffers[100]).expect("it scores");
    assert!(other.own_bytes() < 2_000 && detector.model().memory_bytes() > 20_000, "{}", other.own_bytes());
}

#[test]
fn one_model_for_several_subjects_knows_what_is_usual_for_each() {
    let windows: Vec<Window> = (1..=3).map(|seed| window(history(400, 3, seed))).collect();
    // The third is the first in another unit: in training deviations they are alike.
    let scaled = window(history(400, 3, 1).mapv(|value| 1e6 * value));
    let scalers: Vec<Scaler> = windows.iter().chain([&scaled]).map(Scaler::fit).collect();
    let extracted: Vec<ExtractedFeatures> = windows
        .iter()
        .chain([&scaled])
        .zip(&scalers)
        .map(|(window, scaler)| ExtractedFeatures::new(window, scaler))
        .collect();
    let histories: Vec<&ExtractedFeatures> = extracted.iter().collect();
    let mut shared = Autoencoder::train_shared(&spec(), &histories, Seed::new(7)).expect("it trains");
    for (scaler, unit) in scalers.iter().zip([1.0, 1.0, 1.0, 1e6]) {
        let mut values = history(200, 3, 9).mapv(|value| unit * value);
        let calm = scorings(&mut shared, scaler, &values);
        let largest = calm[50..].iter().map(raw).fold(0.0, f64::max);
        values[[199, 1]] += 15.0 * unit;
        let broken = raw(&scorings(&mut shared, scaler, &values)[199]);
        assert!(broken > 2.0 * largest, "{broken} against at most {largest}");
    }
    let other = window(history(400, 2, 1));
    let other = ExtractedFeatures::new(&other, &Scaler::fit(&other));
    let error = Autoencoder::train_shared(&spec(), &[&extracted[0], &other], Seed::new(7)).expect_err("other features");
    assert!(matches!(error, TrainError::BadOption { .. }), "{error}");
    Autoencoder::train_shared(&spec(), &[], Seed::new(7)).expect_err("no history");
}

#[test]
fn both_backends_agree_on_what_training_was_like() {
    let Some(path) = std::env::var_os("ORT_DYLIB_PATH") else {
        eprintln!("SKIP native backend: ORT_DYLIB_PATH isn't set");
        return;
    };
    let native = OnnxRuntime::native(std::path::Path::new(&path)).expect("ORT_DYLIB_PATH names a library");
    let (detector, row_buffers) = crowd();
    let model = detector.model();
    let mut sessions = [OnnxRuntime::embedded(), native]
        .map(|runtime| runtime.session(model.onnx(), model.n_inputs()).expect("it loads"));
    let mut windows = Vec::new();
    for row_buffer in row_buffers.iter().filter(|row_buffer| row_buffer.n_features() == 4 && row_buffer.n_rows() > 40) {
        for back in (0..model.meta().n_rows).rev() {
            let row = row_buffer.row(back, CHANNEL).expect("a row");
            windows.extend(row.iter().map(|value| if value.is_nan() { 0.0 } else { *value as f32 }));
        }
    }
    let n_windows = windows.len() / model.n_inputs();
    assert!(n_windows > 64);
    let [embedded, native] = sessions.each_mut().map(|session| {
        let mut out = Vec::new();
        session.run(&windows, n_windows, &mut out).expect("it runs");
        out
    });
    for (a, b) in embedded.iter().zip(&native) {
        assert!((a - b).abs() <= 1e-5 * (1.0 + b.abs()), "{a} against {b}");
    }
}

#[test]
fn a_trail_of_other_features_is_an_error() {
    let (mut detector, _) = trained(4);
    let error = detector.score(&RowBuffer::new(3)).expect_err("another shape");
    assert_eq!(error, ScoreError::Shape { found: 3, wanted: 4 });
}

#[test]
fn a_description_that_doesnt_fit_the_model_is_refused() {
    let saved = trained(2).0.saved();
    let feature = saved.meta.features[0];
    for meta in [
        AutoencoderMeta { n_rows: 0, ..saved.meta.clone() },
        AutoencoderMeta { n_rows: 9, ..saved.meta.clone() },
        AutoencoderMeta { n_rows: BUFFER_ROWS_MAX + 1, ..saved.meta.clone() },
        AutoencoderMeta { features: vec![], ..saved.meta.clone() },
        AutoencoderMeta { features: vec![feature; 3], ..saved.meta.clone() },
        AutoencoderMeta { features: vec![feature; 100_000], ..saved.meta.clone() },
        AutoencoderMeta { features: vec![AutoencoderFeature { mean: f32::NAN, ..feature }; 2], ..saved.meta.clone() },
    ] {
        let saved = AutoencoderSaved { meta, ..saved.clone() };
        let error = Autoencoder::load(saved, &OnnxRuntime::embedded()).expect_err("it doesn't fit");
        assert!(matches!(error, OnnxError::Model { .. }), "{error}");
    }
}

#[test]
fn training_on_stuck_features_gives_a_score_for_the_first_movement() {
    let mut values = history(400, 3, 1);
    values.column_mut(1).fill(5.0);
    let training = window(values);
    let scaler = Scaler::fit(&training);
    let extracted = ExtractedFeatures::new(&training, &scaler);
    let mut detector = Autoencoder::train(&spec(), &extracted, Seed::new(7)).expect("it trains");
    let mut values = history(80, 3, 2);
    values.column_mut(1).fill(5.0);
    let calm = scorings(&mut detector, &scaler, &values);
    let calm_errors = detector.errors().to_vec();
    values[[79, 1]] = 6.0;
    let moved = scorings(&mut detector, &scaler, &values);
    assert!(raw(&moved[79]) > raw(&calm[79]) + 20.0);
    assert_eq!(detector.errors()[0], calm_errors[0], "it says nothing of the others");
}

fn rows_of(
    value: impl proptest::strategy::Strategy<Value = f64>,
) -> impl proptest::strategy::Strategy<Value = Vec<Vec<f64>>> {
    proptest::collection::vec(proptest::collection::vec(value, 3), 30)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_row_makes_it_fail_and_any_finite_row_is_scored(
        // Half of the cases with NaN and infinities, half without.
        rows in proptest::prop_oneof![rows_of(proptest::num::f64::ANY), rows_of(proptest::num::f64::NORMAL)]
    ) {
        // Trained once for all cases.
        static TRAINED: std::sync::LazyLock<(AutoencoderSaved, Scaler)> = std::sync::LazyLock::new(|| {
            let (detector, scaler) = trained(3);
            (detector.saved(), scaler)
        });
        let (saved, scaler) = &*TRAINED;
        let mut detector = Autoencoder::load(saved.clone(), &OnnxRuntime::embedded()).expect("it loads");
        let values = Array2::from_shape_fn((30, 3), |(row, feature)| rows[row][feature]);
        for (row, scoring) in scorings(&mut detector, scaler, &values).iter().enumerate() {
            if row >= 18 && rows.iter().flatten().all(|value| value.is_finite()) {
                proptest::prop_assert!(matches!(scoring, Scoring::Scored(_)));
            }
        }
    }
}

/// As a bundle saves and loads it, for the contract.
impl Serialize for Autoencoder {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.saved().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Autoencoder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = AutoencoderSaved::deserialize(deserializer)?;
        Self::load(saved, &OnnxRuntime::embedded()).map_err(serde::de::Error::custom)
    }
}
