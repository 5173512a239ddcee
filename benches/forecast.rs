//! Forecasting: fitting a history, taking in one row; and the figure `forecast.update_ns`.

#![allow(clippy::expect_used, reason = "a bench that can't be set up must stop")]
#![allow(clippy::print_stdout, reason = "figures are printed")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use homeostat_benches::{SEED, STEP, checksum, setup, values};
use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Timestamp, Window};
use homeostat_detect::{Detector, ExtractedFeatures, Forecast, ForecastSpec, Scaler};
use ndarray::{Array2, s};

fn forecast(criterion: &mut Criterion) {
    for (n_rows, n_features) in [(2_880, 3), (10_080, 8)] {
        let setup = setup(n_rows, n_features).expect("a history");
        let id = BenchmarkId::from_parameter(format!("{n_rows}steps-{n_features}features"));
        let forecast = Forecast::train(&ForecastSpec::default(), &setup.extracted, SEED).expect("a model");
        let sum = checksum(&mut forecast.clone(), &setup);
        assert_eq!(sum.to_bits(), checksum(&mut forecast.clone(), &setup).to_bits());
        assert!((500.0..20_000.0).contains(&sum), "2000 scores sum to {sum}");

        let mut group = criterion.benchmark_group("update/forecast");
        // Time moves on with each row, as it does in service: a row buffer that stood still would be scored as the same row.
        let (mut forecast, mut extractor) = (forecast, setup.extractor.clone());
        let row = setup.next.row(0).to_vec();
        group.bench_function(id, |bencher| {
            bencher.iter_batched_ref(
                || {
                    let at = extractor.row_buffer().newest_at().map_or(Timestamp::from_secs(0), |newest| newest + STEP);
                    extractor.push(at, row.iter().copied());
                    extractor.row_buffer().clone()
                },
                |row_buffer| black_box(forecast.score(row_buffer)),
                criterion::BatchSize::SmallInput,
            );
        });
        group.finish();
    }
    let setup = setup(2_880, 3).expect("a history");
    let mut group = criterion.benchmark_group("fit/forecast");
    group.sample_size(10);
    group.bench_function("2880steps-3features", |bencher| {
        bencher.iter(|| black_box(Forecast::train(&ForecastSpec::default(), &setup.extracted, SEED)));
    });
    group.finish();
}

/// Rows of the history with an hour, a day and a week in it: four weeks of five minutes.
const SEASONAL_ROWS: usize = 4 * 7 * 288;
const SEASONAL_STEP: Duration = Duration::from_secs(300);
const SEASONAL_FEATURES: usize = 10;
const SUBJECTS: usize = 100;

/// Four weeks, and 1 000 rows more.
fn seasonal() -> (Forecast, Array2<f64>) {
    let mut all = values(SEASONAL_ROWS + 1_000, SEASONAL_FEATURES);
    for (row_idx, mut row) in all.rows_mut().into_iter().enumerate() {
        let hours = row_idx as f64 / 12.0;
        let week = if hours % 168.0 >= 120.0 { -6.0 } else { 0.0 };
        let hour = if row_idx % 12 == 0 { 5.0 } else { 0.0 };
        row += week + 3.0 * (hours * std::f64::consts::TAU / 24.0).sin() + hour;
    }
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Arc::new(Schema::new((0..SEASONAL_FEATURES).map(feature).collect()).expect("a schema"));
    let grid = Grid::new(Timestamp::from_secs(0), SEASONAL_STEP, SEASONAL_ROWS).expect("a grid");
    let history = all.slice(s![..SEASONAL_ROWS, ..]).to_owned();
    let window = Window::new(Subject::deployment("shop", "cart"), grid, schema, history).expect("a window");
    let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
    let forecast = Forecast::train(&ForecastSpec::default(), &extracted, SEED).expect("a model");
    assert!((0..SEASONAL_FEATURES).all(|idx| forecast.periods(idx).count() == 3), "three seasons");
    (forecast, all.slice(s![SEASONAL_ROWS.., ..]).to_owned())
}

/// `forecast.update_ns`: one row of each of 100 subjects of ten features in turn, so that what is held of a series comes from
/// memory as it does in service; three seasons, interval and score. The median of nine runs, and the least.
fn figures() {
    let (forecast, next) = seasonal();
    let per_series = forecast.memory_bytes() / SEASONAL_FEATURES;
    let mut runs: Vec<f64> = (0..9)
        .map(|_| {
            let mut subjects = vec![forecast.clone(); SUBJECTS];
            let begin = Instant::now();
            for (row, n) in next.rows().into_iter().zip(0_u32..) {
                let at = Timestamp::from_secs(0) + SEASONAL_STEP * (SEASONAL_ROWS as u32 + n);
                let row = row.to_slice().expect("a row in order");
                for subject in &mut subjects {
                    black_box(subject.observe(at, row, &[])).expect("a score");
                }
            }
            let points = (next.nrows() * SUBJECTS * SEASONAL_FEATURES) as f64;
            begin.elapsed().as_nanos() as f64 / points
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    println!("figure forecast.update_ns {:.1} ns", runs[runs.len() / 2]);
    println!("figure forecast.update_ns.min {:.1} ns", runs[0]);
    println!("figure forecast.series_bytes {per_series} B");
}

criterion_group!(benches, forecast);

fn main() {
    // `cargo test` runs benches once, to see that they work.
    if std::env::args().any(|arg| arg == "--figures") {
        figures();
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
