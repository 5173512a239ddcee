//! Ingest: decoding a `query_range` answer, aligning it, and both, for the kinds of numbers servers write.

#![allow(clippy::expect_used, reason = "a bench that can't be set up must stop")]
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use homeostat_benches::ingest::{Answer, Numbers};

/// Ten series of a week of minutes: a hundred give the same figure and take ten times as long.
const N_SERIES: usize = 10;
const N_STEPS: usize = 10_080;

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    for numbers in Numbers::ALL {
        let answer = Answer::new(numbers, N_SERIES, N_STEPS).expect("an answer");
        let aligned = answer.decode_and_align().expect("windows");
        assert_eq!(aligned.windows.len(), N_SERIES);
        group.throughput(Throughput::Elements((N_SERIES * N_STEPS) as u64));
        group.bench_function(BenchmarkId::new("decode", numbers.name()), |bencher| {
            bencher.iter(|| black_box(answer.decode()));
        });
        group.bench_function(BenchmarkId::new("decode-align", numbers.name()), |bencher| {
            bencher.iter(|| black_box(answer.decode_and_align()));
        });
    }
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
