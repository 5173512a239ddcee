//! Forecasting: fitting a history, taking in one row.

#![allow(clippy::expect_used, reason = "a bench that can't be set up must stop")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use homeostat_benches::{SEED, STEP, checksum, setup};
use homeostat_core::Timestamp;
use homeostat_detect::{Detector, Forecast, ForecastSpec};

fn forecast(criterion: &mut Criterion) {
    for (n_rows, n_features) in [(2_880, 3), (10_080, 8)] {
        let setup = setup(n_rows, n_features).expect("a history");
        let id = BenchmarkId::from_parameter(format!("{n_rows}steps-{n_features}features"));
        let forecast = Forecast::train(&ForecastSpec::default(), &setup.enriched, SEED).expect("a model");
        let sum = checksum(&mut forecast.clone(), &setup);
        assert_eq!(sum.to_bits(), checksum(&mut forecast.clone(), &setup).to_bits());
        assert!((500.0..20_000.0).contains(&sum), "2000 scores sum to {sum}");

        let mut group = criterion.benchmark_group("update/forecast");
        // Time moves on with each row, as it does in service: a trail that stood still would be scored as the same row.
        let (mut forecast, mut enricher) = (forecast, setup.enricher.clone());
        let row = setup.next.row(0).to_vec();
        group.bench_function(id, |bencher| {
            bencher.iter_batched_ref(
                || {
                    let at = enricher.trail().newest_at().map_or(Timestamp::from_secs(0), |newest| newest + STEP);
                    enricher.push(at, row.iter().copied());
                    enricher.trail().clone()
                },
                |trail| black_box(forecast.score(trail)),
                criterion::BatchSize::SmallInput,
            );
        });
        group.finish();
    }
    let setup = setup(2_880, 3).expect("a history");
    let mut group = criterion.benchmark_group("fit/forecast");
    group.sample_size(10);
    group.bench_function("2880steps-3features", |bencher| {
        bencher.iter(|| black_box(Forecast::train(&ForecastSpec::default(), &setup.enriched, SEED)));
    });
    group.finish();
}

criterion_group!(benches, forecast);
criterion_main!(benches);
