//! Isolation forest: fitting, one row through the detector, many rows through the bare forest.

#![allow(clippy::expect_used, reason = "a bench that can't be set up must stop")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use homeostat_benches::{SEED, checksum, setup, values};
use homeostat_detect::{Detector, Forest, ForestScratch, ForestSpec, IsolationForest, Kernel};

fn fit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fit/forest");
    let rows = values(10_000, 10);
    group.bench_function("10000rows-10columns", |bencher| {
        bencher.iter(|| black_box(IsolationForest::fit(rows.view(), &ForestSpec::default(), SEED)));
    });
    group.finish();
}

fn score(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("score/forest");
    for n_features in [3, 8] {
        let setup = setup(2_880, n_features).expect("a history");
        let mut forest = Forest::train(&ForestSpec::default(), &setup.extracted, SEED).expect("a forest");
        // The same scores each time, and neither nothing nor nonsense.
        let sum = checksum(&mut forest, &setup);
        assert_eq!(sum.to_bits(), checksum(&mut forest.clone(), &setup).to_bits());
        assert!((600.0..1_200.0).contains(&sum), "2000 scores sum to {sum}");
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(format!("1row-{n_features}features")), |bencher| {
            bencher.iter(|| black_box(forest.score(black_box(setup.extractor.row_buffer()))));
        });
    }
    for n_columns in [10, 38] {
        let rows = values(10_000, n_columns);
        let forest = IsolationForest::fit(rows.view(), &ForestSpec::default(), SEED).expect("a forest");
        let mut scores = Vec::new();
        let mut sums = Vec::new();
        group.throughput(Throughput::Elements(10_000));
        for kernel in Kernel::available() {
            let mut scratch = ForestScratch::with_kernel(kernel).expect("an available kernel");
            let name = format!("10000rows-{n_columns}columns-{}", kernel.name());
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| forest.score_rows_into(black_box(rows.view()), &mut scratch, &mut scores));
            });
            sums.push(scores.iter().sum::<f64>());
        }
        assert!(sums.iter().all(|sum| sum.to_bits() == sums[0].to_bits()), "kernels differ: {sums:?}");
        assert!((3_000.0..6_000.0).contains(&sums[0]) || scores.is_empty(), "10000 scores sum to {}", sums[0]);
        let row = rows.row(0).to_vec();
        let mut scratch = ForestScratch::default();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(format!("1row-{n_columns}columns")), |bencher| {
            bencher.iter(|| forest.score_row(black_box(&row), &mut scratch));
        });
    }
    group.finish();
}

criterion_group!(benches, fit, score);
criterion_main!(benches);
