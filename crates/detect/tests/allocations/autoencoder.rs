//! Scoring a batch allocates nothing of its own, once it has seen a batch of that size.
//!
//! A backend allocates within a run; so a whole batch is held against a bare run of as many windows. Both are counted
//! on this thread only, after warming up.

use std::path::Path;
use std::time::Duration;

use homeostat_core::{Scoring, Seed};
use homeostat_detect::{
    Autoencoder, AutoencoderSpec, Detector, ExtractedFeatures, FeatureExtractor, OnnxRuntime, RowBuffer, Scaler,
};

use crate::counting::counted;
use crate::window::window;

const N_FEATURES: usize = 4;
const N_SUBJECTS: usize = 100;
const STEP: Duration = Duration::from_secs(60);

/// A trained detector, and subjects at different moments of the history.
fn setup() -> (Autoencoder, Vec<FeatureExtractor>) {
    let window = window(STEP, (300, N_FEATURES), |(row, feature)| (row as f64 / (3.0 + feature as f64)).sin());
    let grid = *window.grid();
    let scaler = Scaler::fit(&window);
    let extracted = ExtractedFeatures::new(&window, &scaler);
    let spec = AutoencoderSpec::new(1, 120, 1e-3).expect("a spec");
    let detector = Autoencoder::train(&spec, &extracted, Seed::new(1)).expect("it trains");
    let subject = |subject_idx: usize| {
        let mut extractor = FeatureExtractor::new(scaler.clone(), STEP);
        for row in 0..100 + subject_idx {
            extractor.push(grid.at(row), window.row(row).iter().copied());
        }
        extractor
    };
    (detector, (0..N_SUBJECTS).map(subject).collect())
}

#[test]
fn a_batch_allocates_no_more_than_the_bare_runs_of_the_model() {
    let native = std::env::var_os("ORT_DYLIB_PATH")
        .map(|path| OnnxRuntime::native(Path::new(&path)).expect("ORT_DYLIB_PATH names a library"));
    let (trained, subjects) = setup();
    for runtime in [OnnxRuntime::embedded()].into_iter().chain(native) {
        let mut detector = Autoencoder::load(trained.saved(), &runtime).expect("it loads");
        let n_columns = detector.model().n_inputs();
        let mut session = runtime.session(detector.model().onnx(), n_columns).expect("it loads");
        let input = vec![0.5; 64 * n_columns];
        let mut out = Vec::new();
        let mut bare = |n_rows: usize| {
            let mut run = || session.run(&input[..n_rows * n_columns], n_rows, &mut out).expect("it runs");
            run();
            counted(run)
        };
        // 100 subjects are a run of 64 and one of 36.
        let wanted = (bare(64) + bare(36), bare(1));
        let mut batch = || {
            let scorings = detector.score_batch(subjects.iter().map(FeatureExtractor::row_buffer));
            assert!(scorings.len() == N_SUBJECTS && scorings.iter().all(|one| matches!(one, Ok(Scoring::Scored(_)))));
        };
        batch();
        let found = counted(&mut batch);
        assert_eq!(found, wanted.0, "{}: a batch of {N_SUBJECTS}", runtime.backend());
        let mut single = || {
            let scoring = detector.score(subjects[0].row_buffer());
            assert!(matches!(scoring, Ok(Scoring::Scored(_))));
        };
        single();
        assert_eq!(counted(single), wanted.1, "{}: one row", runtime.backend());
        eprintln!("{}: {} allocations in a run of 64", runtime.backend(), bare(64));
    }
}

#[test]
fn rows_that_arent_ready_cost_no_allocation_at_all() {
    let (mut detector, _) = setup();
    let empty: Vec<RowBuffer> = (0..N_SUBJECTS).map(|_| RowBuffer::new(N_FEATURES)).collect();
    let mut batch = || {
        let scorings = detector.score_batch(&empty);
        assert!(scorings.iter().all(|one| matches!(one, Ok(Scoring::NotReady(_)))));
    };
    batch();
    assert_eq!(counted(batch), 0);
}
