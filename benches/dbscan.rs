//! DBSCAN novelty: clustering the bounded sample, one row against the cores.

#![allow(clippy::expect_used, reason = "a bench that can't be set up must stop")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use homeostat_benches::{SEED, checksum, setup};
use homeostat_detect::{Dbscan, DbscanSpec, Detector};

fn dbscan(criterion: &mut Criterion) {
    for n_features in [3, 8] {
        let setup = setup(2_880, n_features).expect("a history");
        let mut group = criterion.benchmark_group("fit/dbscan");
        group.sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(format!("2880steps-{n_features}features")), |bencher| {
            bencher.iter(|| black_box(Dbscan::train(&DbscanSpec::default(), &setup.extracted, SEED)));
        });
        group.finish();

        let mut dbscan = Dbscan::train(&DbscanSpec::default(), &setup.extracted, SEED).expect("a model");
        let sum = checksum(&mut dbscan, &setup);
        assert_eq!(sum.to_bits(), checksum(&mut dbscan.clone(), &setup).to_bits());
        assert!((100.0..4_000.0).contains(&sum), "2000 scores sum to {sum}");
        let cores = dbscan.n_cores();
        let mut group = criterion.benchmark_group("score/dbscan");
        group.bench_function(BenchmarkId::from_parameter(format!("{cores}cores-{n_features}features")), |bencher| {
            bencher.iter(|| black_box(dbscan.score(black_box(setup.extractor.row_buffer()))));
        });
        group.finish();
    }
}

criterion_group!(benches, dbscan);
criterion_main!(benches);
