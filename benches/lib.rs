//! Shared set-up of the benches: seeded histories, and a digest that shows when faster became different.

#[path = "ingest_answer.rs"]
pub mod ingest;

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Direction, Feature, Grid, Schema, Scoring, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{Detector, ExtractedFeatures, FeatureExtractor, Scaler};
use ndarray::Array2;

/// Time between rows.
pub const STEP: Duration = Duration::from_secs(60);

/// The seed of everything the benches draw.
pub const SEED: Seed = Seed::new(42);

/// A training history, and the row buffers of the rows that follow it.
pub struct Setup {
    /// What detectors are trained on.
    pub extracted: ExtractedFeatures,
    /// An extractor at the end of the history.
    pub extractor: FeatureExtractor,
    /// The rows that follow, `(n_rows, n_features)`.
    pub next: Array2<f64>,
}

/// A pseudo-random walk around a daily wave, `(n_rows, n_features)`, the same on every machine: a linear congruential
/// generator (Knuth's MMIX constants), so that the benches don't hang on a generator crate's version.
pub fn values(n_rows: usize, n_features: usize) -> Array2<f64> {
    let mut state = SEED.fork("bench").value();
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    Array2::from_shape_fn((n_rows, n_features), |(row, feature_idx)| {
        let phase = row as f64 / 1_440.0 + feature_idx as f64 / 7.0;
        10.0 + (phase * std::f64::consts::TAU).sin() + draw() + draw() + draw()
    })
}

/// A history of `n_rows` rows, and 2 000 more to score.
pub fn setup(n_rows: usize, n_features: usize) -> Option<Setup> {
    let all = values(n_rows + 2_000, n_features);
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Arc::new(Schema::new((0..n_features).map(feature).collect()).ok()?);
    let grid = Grid::new(Timestamp::from_secs(0), STEP, n_rows).ok()?;
    let history = all.slice(ndarray::s![..n_rows, ..]).to_owned();
    let window = Window::new(Subject::deployment("shop", "cart"), grid, schema, history).ok()?;
    let scaler = Scaler::fit(&window);
    let extracted = ExtractedFeatures::new(&window, &scaler);
    let mut extractor = FeatureExtractor::new(scaler, STEP);
    for step_idx in n_rows.saturating_sub(100)..n_rows {
        extractor.push(grid.at(step_idx), window.row(step_idx).iter().copied());
    }
    Some(Setup { extracted, extractor, next: all.slice(ndarray::s![n_rows.., ..]).to_owned() })
}

/// The sum of a detector's scores over the rows that follow. Two builds that score alike agree on it.
pub fn checksum(detector: &mut impl Detector, setup: &Setup) -> f64 {
    let mut extractor = setup.extractor.clone();
    let mut sum = 0.0;
    for row in setup.next.rows() {
        let at = extractor.row_buffer().newest_at().map_or(Timestamp::from_secs(0), |newest| newest + STEP);
        extractor.push(at, row.iter().copied());
        if let Ok(Scoring::Scored(raw)) = detector.score(extractor.row_buffer()) {
            sum += raw.value();
        }
    }
    sum
}
