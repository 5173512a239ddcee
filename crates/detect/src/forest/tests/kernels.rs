//! Every kernel, row by row or in blocks, gives the same bits.

use homeostat_core::Seed;
use ndarray::{Array2, ShapeBuilder, s};
use proptest::prelude::*;

use super::super::*;

/// Values of all sorts, drawn by a seed: noise, few distinct ones, extremes, gaps.
fn wild(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f64> {
    const EXTREMES: [f64; 10] =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 5e-324, -5e-324, -0.0, 0.0, f64::MAX];
    let mut chance = chance::Chance::new(Seed::new(seed));
    let shares = [chance.below(4) as f64 / 40.0, chance.below(4) as f64 / 10.0];
    Array2::from_shape_fn((n_rows, n_columns), |(_, column)| match chance.unit() {
        share if share < shares[0] => EXTREMES[chance.below(EXTREMES.len())],
        share if share < shares[0] + shares[1] => chance.below(3) as f64,
        _ => (chance.unit() - 0.5) * 10_f64.powi(column as i32 % 9 - 4),
    })
}

fn bits(scores: &[f64]) -> Vec<u64> {
    scores.iter().map(|score| score.to_bits()).collect()
}

/// Scores by each kernel and row by row, all compared with the portable kernel's.
fn assert_all_agree(forest: &IsolationForest, rows: &Array2<f64>) {
    let mut portable = ForestScratch::with_kernel(Kernel::Portable).expect("everywhere");
    let mut wanted = Vec::new();
    forest.score_rows_into(rows.view(), &mut portable, &mut wanted).expect("scores");
    assert!(wanted.iter().all(|score| (0.0..=1.0).contains(score)), "{wanted:?}");
    for kernel in Kernel::available() {
        let mut scratch = ForestScratch::with_kernel(kernel).expect("available");
        assert_eq!(scratch.kernel(), kernel);
        let mut scores = vec![7.0];
        // Twice: what an earlier block left in the scratch must not show.
        for _ in 0..2 {
            forest.score_rows_into(rows.view(), &mut scratch, &mut scores).expect("scores");
            assert_eq!(bits(&scores), bits(&wanted), "{kernel:?}");
        }
        for (row, wanted) in rows.rows().into_iter().zip(&wanted) {
            let score = forest.score_row(&row.to_vec(), &mut scratch).expect("a score");
            assert_eq!(score.to_bits(), wanted.to_bits(), "{kernel:?}, one row");
        }
    }
    let mut transposed = Array2::zeros(rows.raw_dim().f());
    transposed.assign(rows);
    assert_eq!(bits(&forest.score_rows(transposed.view()).expect("scores")), bits(&wanted), "columns side by side");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn all_kernels_give_the_same_bits(
        n_train in 2_usize..700,
        n_rows in 1_usize..300,
        n_columns in prop_oneof![1_usize..20, 60_usize..70, Just(200_usize)],
        n_trees in 1_usize..20,
        sample in prop_oneof![2_usize..300, 300_usize..700],
        seed: u64,
    ) {
        let spec = ForestSpec::new(n_trees, sample).expect("options");
        let train = wild(n_train, n_columns, seed);
        let forest = IsolationForest::fit(train.view(), &spec, Seed::new(seed)).expect("a forest");
        assert_all_agree(&forest, &wild(n_rows, n_columns, seed ^ 1));
    }
}

#[test]
fn the_largest_trees_and_most_columns_agree_too() {
    for (n_train, n_columns, sample) in [(5_000, 3, 4_096), (300, 1_000, 256), (300, 1_025, 256), (70, 5_000, 64)] {
        let spec = ForestSpec::new(3, sample).expect("options");
        let forest = IsolationForest::fit(wild(n_train, n_columns, 5).view(), &spec, Seed::new(2)).expect("a forest");
        assert_all_agree(&forest, &wild(70, n_columns, 6));
    }
}

#[test]
fn every_kernel_works_on_what_is_left_of_a_block() {
    let rows = wild(300, 10, 3);
    let forest = IsolationForest::fit(rows.view(), &ForestSpec::default(), Seed::new(2)).expect("a forest");
    for n_rows in [1, 15, 16, 17, 31, 63, 64, 65, 79, 80, 127, 128, 129, 143, 144, 199, 256, 299] {
        assert_all_agree(&forest, &rows.slice(s![..n_rows, ..]).to_owned());
    }
}

#[test]
fn scratch_and_scores_are_reused() {
    let rows = wild(200, 10, 3);
    let forest = IsolationForest::fit(rows.view(), &ForestSpec::default(), Seed::new(2)).expect("a forest");
    let (mut scratch, mut scores) = (ForestScratch::default(), Vec::new());
    let mut score = || {
        forest.score_rows_into(rows.view(), &mut scratch, &mut scores).expect("scores");
        (scratch.memory_bytes(), scores.capacity(), scores.as_ptr())
    };
    let first = score();
    assert_eq!(score(), first);
}
