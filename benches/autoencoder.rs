//! The autoencoder: training, and scoring by each ONNX backend.
//!
//! `ORT_DYLIB_PATH` names the native library; without it only the embedded backend is measured. `score/…/batchN` is one
//! run of N windows; `score/…/row` is a whole detector step: filling the window, running the model, the error.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{
    Autoencoder, AutoencoderSpec, Detector, ExtractedFeatures, FeatureExtractor, OnnxRuntime, Scaler,
};
use ndarray::Array2;

/// More history than a training takes windows from.
const ROWS: usize = 5000;

/// Waves of different lengths: something to learn, the same on every machine.
fn window(n_features: usize) -> Window {
    let features = (0..n_features).map(|idx| Feature {
        name: format!("f{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    });
    let schema = Arc::new(Schema::new(features.collect()).expect("a schema"));
    let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), ROWS).expect("a grid");
    let values = Array2::from_shape_fn((ROWS, n_features), |(row, feature)| {
        let phase = row as f64 / (3.0 + (feature % 7) as f64);
        phase.sin() + 0.3 * (phase * 1.7).cos() * (1.0 + feature as f64 / n_features as f64)
    });
    Window::new(Subject::deployment("bench", "subject"), grid, schema, values).expect("a window")
}

/// 1, 8 and 38 features are common sizes; 75 make the 600-64-16-64-600 of published comparisons.
fn shape(n_features: usize) -> &'static str {
    match n_features {
        1 => "20-16-5-16-20",
        8 => "64-64-16-64-64",
        38 => "304-64-16-64-304",
        _ => "600-64-16-64-600",
    }
}

fn trained(window: &Window, scaler: &Scaler) -> Autoencoder {
    let extracted = ExtractedFeatures::new(window, scaler);
    Autoencoder::train(&AutoencoderSpec::default(), &extracted, Seed::new(1)).expect("it trains")
}

fn train(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("train/autoencoder");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for n_features in [1, 8, 38, 75] {
        let window = window(n_features);
        let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
        group.bench_function(BenchmarkId::new(shape(n_features), ROWS), |bencher| {
            bencher.iter(|| Autoencoder::train(&AutoencoderSpec::default(), black_box(&extracted), Seed::new(1)));
        });
    }
    group.finish();
}

fn runtimes() -> Vec<OnnxRuntime> {
    let native = std::env::var_os("ORT_DYLIB_PATH")
        .map(|path| OnnxRuntime::native(Path::new(&path)).expect("ORT_DYLIB_PATH names a library"));
    [OnnxRuntime::embedded()].into_iter().chain(native).collect()
}

fn score(criterion: &mut Criterion) {
    for n_features in [8, 75] {
        let window = window(n_features);
        let scaler = Scaler::fit(&window);
        let saved = trained(&window, &scaler).saved();
        let mut group = criterion.benchmark_group(format!("score/autoencoder/{}", shape(n_features)));
        for runtime in runtimes() {
            let n_columns = 8 * n_features;
            let mut session = runtime.session(&saved.onnx, n_columns).expect("it loads");
            let mut out = Vec::new();
            for n_rows in [1, 64] {
                let batch: Vec<f32> = (0..n_rows * n_columns).map(|idx| (idx as f32 / 9.0).sin()).collect();
                session.run(&batch, n_rows, &mut out).expect("it runs");
                assert!(out.len() == batch.len() && out.iter().all(|value| value.is_finite()));
                group.throughput(Throughput::Elements(n_rows as u64));
                group.bench_function(BenchmarkId::new(format!("batch{n_rows}"), runtime.backend()), |bencher| {
                    bencher.iter(|| session.run(black_box(&batch), n_rows, &mut out));
                });
            }
            let mut detector = Autoencoder::load(saved.clone(), &runtime).expect("it loads");
            let mut extractor = FeatureExtractor::new(scaler.clone(), window.grid().step());
            for row in 0..64 {
                extractor.push(window.grid().at(row), window.row(row).iter().copied());
            }
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new("row", runtime.backend()), |bencher| {
                bencher.iter(|| detector.score(black_box(extractor.row_buffer())));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, train, score);
criterion_main!(benches);
