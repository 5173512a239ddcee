mod attribution;
mod exact;
mod kernels;
mod sklearn;

use homeostat_core::Seed;
use ndarray::{Array2, array};
use rand::Rng;

use super::isolation::path_lengths_mean;
use super::*;

/// `n_rows` rows of even noise in [0, 1), the last of them far away.
fn rows_with_an_outlier(n_rows: usize, n_columns: usize) -> Array2<f64> {
    let mut rng = Seed::new(3).rng();
    let mut rows = Array2::from_shape_fn((n_rows, n_columns), |_| rng.random::<f64>());
    rows.row_mut(n_rows - 1).fill(8.0);
    rows
}

fn fitted(rows: &Array2<f64>) -> IsolationForest {
    IsolationForest::fit(rows.view(), &ForestSpec::default(), Seed::new(1)).expect("a forest")
}

#[test]
fn the_mean_path_length_is_that_of_the_paper() {
    let means = path_lengths_mean(256);
    assert_eq!(means[..3], [0.0, 0.0, 1.0]);
    // 2 H(255) - 2 · 255/256, summed as fractions.
    assert!((means[256] - 10.248689925634562).abs() < 1e-12);
}

#[test]
fn what_is_far_scores_highest_and_what_is_common_about_a_half() {
    let rows = rows_with_an_outlier(1000, 4);
    let scores = fitted(&rows).score_rows(rows.view()).expect("scores");
    let highest = scores.iter().copied().fold(0.0, f64::max);
    assert_eq!(scores[999], highest);
    assert!(scores[999] > 0.7, "{}", scores[999]);
    let mean = scores[..999].iter().sum::<f64>() / 999.0;
    assert!((0.35..0.52).contains(&mean), "{mean}");
}

#[test]
fn one_by_one_and_in_blocks_are_the_same_bit_for_bit() {
    let rows = rows_with_an_outlier(101, 3);
    let forest = fitted(&rows);
    let together = forest.score_rows(rows.view()).expect("scores");
    for (idx, score) in together.iter().enumerate() {
        let alone = forest.score_rows(rows.slice(ndarray::s![idx..=idx, ..])).expect("a score");
        assert_eq!(alone[0].to_bits(), score.to_bits(), "row {idx}");
    }
}

#[test]
fn equal_rows_all_score_a_half() {
    let rows = Array2::from_elem((300, 2), 4.0);
    let forest = fitted(&rows);
    let scores = forest.score_rows(array![[4.0, 4.0], [-1e300, 9.0], [f64::NAN, 0.0]].view()).expect("scores");
    for score in scores {
        assert!((score - 0.5).abs() < 1e-6, "{score}");
    }
}

#[test]
fn a_constant_column_is_never_asked() {
    let mut rows = rows_with_an_outlier(500, 2);
    rows.column_mut(1).fill(7.0);
    let forest = fitted(&rows);
    let scores = forest.score_rows(array![[0.5, 7.0], [0.5, -1e9], [0.5, f64::NAN]].view()).expect("scores");
    assert!((scores[0] - scores[1]).abs() < 1e-12 && (scores[0] - scores[2]).abs() < 1e-9);
}

#[test]
fn a_gap_scores_between_the_usual_and_the_far() {
    let rows = rows_with_an_outlier(1000, 2);
    let forest = fitted(&rows);
    let scores = forest.score_rows(array![[0.5, 0.5], [0.5, f64::NAN], [0.5, 9.0]].view()).expect("scores");
    assert!(scores[0] < scores[1] && scores[1] < scores[2], "{scores:?}");
    // With nothing there, it's the expectation over the training rows: close to their mean score.
    let nothing = forest.score_rows(array![[f64::NAN, f64::NAN]].view()).expect("a score")[0];
    assert!((0.3..0.55).contains(&nothing), "{nothing}");
}

#[test]
fn gaps_in_training_break_nothing() {
    let mut rows = rows_with_an_outlier(400, 3);
    let mut rng = Seed::new(9).rng();
    rows.mapv_inplace(|value| if rng.random::<f64>() < 0.3 { f64::NAN } else { value });
    rows.column_mut(2).fill(f64::NAN);
    let scores = fitted(&rows).score_rows(array![[0.5, 0.5, 1.0], [8.0, 8.0, 1.0]].view()).expect("scores");
    assert!(scores[1] > scores[0] + 0.1, "{scores:?}");
}

#[test]
fn rows_read_once_or_again_and_again_give_the_same_forest() {
    // One tree of 256 rows draws each row at most once, 100 trees draw each more often: their keys are made in other ways.
    let rows = rows_with_an_outlier(1_000, 5);
    let few =
        IsolationForest::fit(rows.view(), &ForestSpec::new(3, 256).expect("options"), Seed::new(1)).expect("a forest");
    let many = fitted(&rows);
    assert_eq!(few.nodes, many.nodes[..few.nodes.len()]);
    assert_eq!(few.before, many.before[..few.before.len()]);
    let mut turned = Array2::zeros(ndarray::ShapeBuilder::f(rows.raw_dim()));
    turned.assign(&rows);
    assert_eq!(fitted(&turned), many, "columns side by side");
}

#[test]
fn values_beyond_single_precision_are_split_and_finite() {
    let rows = array![[1e300, 1e-320], [-1e300, 0.0], [1e308, 1e-310], [0.0, 5e-324]];
    let scores = fitted(&rows).score_rows(rows.view()).expect("scores");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
}

#[test]
fn bad_options_shapes_and_too_few_rows_are_refused() {
    assert!(matches!(ForestSpec::new(0, 256), Err(TrainError::BadOption { .. })));
    assert!(matches!(ForestSpec::new(100, 1), Err(TrainError::BadOption { .. })));
    assert!(matches!(ForestSpec::new(100, 5000), Err(TrainError::BadOption { .. })));
    let one = array![[1.0]];
    let fit = IsolationForest::fit(one.view(), &ForestSpec::default(), Seed::new(1));
    assert!(matches!(fit, Err(TrainError::TooFewRows { found: 1, needed: 2, .. })));
    let forest = fitted(&rows_with_an_outlier(50, 2));
    assert_eq!(forest.score_rows(one.view()), Err(ScoreError::Shape { found: 1, wanted: 2 }));
}

#[test]
fn fewer_rows_than_the_sample_and_a_thousand_columns_are_fine() {
    for (n_rows, n_columns) in [(2, 1), (3, 2), (20, 4), (300, 1_000)] {
        let rows = rows_with_an_outlier(n_rows, n_columns);
        let forest = fitted(&rows);
        assert_eq!(forest.n_sampled(), n_rows.min(256));
        let scores = forest.score_rows(rows.view()).expect("scores");
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{scores:?}");
        if n_rows > 3 {
            let highest = scores.iter().copied().fold(0.0, f64::max);
            assert_eq!(scores[n_rows - 1], highest, "{n_rows} rows, {n_columns} columns");
        }
    }
}

#[test]
fn how_a_column_is_scaled_and_shifted_hardly_matters() {
    let rows = rows_with_an_outlier(1_000, 3);
    let plain = fitted(&rows).score_rows(rows.view()).expect("scores");
    for (factor, shift) in [(1e-310, 0.0), (1e300, 0.0), (1.0, 1e8), (-3.0, 0.5)] {
        let moved = rows.mapv(|value| value * factor + shift);
        let scores = fitted(&moved).score_rows(moved.view()).expect("scores");
        let mean = |scores: &[f64]| scores[..999].iter().sum::<f64>() / 999.0;
        assert!((mean(&scores) - mean(&plain)).abs() < 0.005, "× {factor} + {shift}");
        assert!((scores[999] - plain[999]).abs() < 0.02, "× {factor} + {shift}: {} {}", scores[999], plain[999]);
    }
}

#[test]
fn a_detector_explains_its_score() {
    let values = crate::contract::noise(1_000, 3, Seed::new(5));
    let (mut extractor, history) = crate::contract::history(values);
    let mut forest = Forest::train(&ForestSpec::default(), &history, Seed::new(7)).expect("a forest");
    crate::contract::next_score(&mut forest, &mut extractor, &[0.0, 25.0, 0.0]).expect("a score");
    let mut parts = Vec::new();
    forest.attribute(extractor.row_buffer(), &mut parts).expect("parts");
    assert_eq!(parts.len(), 3);
    assert!(parts[1] > parts[0] && parts[1] > parts[2] && parts[1] > 0.0, "{parts:?}");
}

#[test]
fn a_batch_says_of_each_subject_what_a_single_score_says() {
    let values = crate::contract::noise(1_060, 3, Seed::new(5));
    let (extractor, history) = crate::contract::history(values.slice(ndarray::s![..1_000, ..]).to_owned());
    let mut forest = Forest::train(&ForestSpec::default(), &history, Seed::new(7)).expect("a forest");
    // Enough of them for a block of the kernel, one with a gap, one with nothing at all, one of another width.
    let mut row_buffers = Vec::new();
    for row in 0..60 {
        let mut one = extractor.clone();
        let mut cells = values.row(1_000 + row).to_vec();
        if row == 7 {
            cells[1] = f64::NAN;
        } else if row == 9 {
            cells.fill(f64::NAN);
        }
        let at = one.row_buffer().newest_at().map_or_else(Default::default, |newest| newest + one.step());
        one.push(at, cells.into_iter());
        row_buffers.push(one);
    }
    row_buffers.push(crate::contract::history(crate::contract::noise(50, 4, Seed::new(1))).0);
    let mut batch = Vec::new();
    row_buffers.iter().for_each(|one| forest.score_later(one.row_buffer(), &mut batch));
    forest.score_waiting(&mut batch);
    let alone: Vec<_> = row_buffers.iter().map(|one| forest.score(one.row_buffer())).collect();
    assert_eq!(batch, alone);
    assert!(matches!(batch[9], Ok(Scoring::NotReady(_))) && matches!(batch[60], Err(ScoreError::Shape { .. })));
}

proptest::proptest! {
    #[test]
    fn damaged_bytes_are_refused_or_still_a_forest(at in 0_usize..4_000, byte: u8) {
        let spec = ForestSpec::new(3, 32).expect("options");
        let rows = rows_with_an_outlier(64, 2);
        let forest = IsolationForest::fit(rows.view(), &spec, Seed::new(1)).expect("a forest");
        let mut bytes = postcard::to_stdvec(&forest).expect("bytes");
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = postcard::from_bytes::<IsolationForest>(&bytes) {
            // Whatever it says, it must say it without leaving its nodes.
            let columns = read.n_columns().min(64);
            drop(read.score_rows(Array2::from_elem((9, columns), 0.5).view()));
            drop(read.score_rows(Array2::from_elem((1, columns), f64::NAN).view()));
        }
    }

    #[test]
    fn training_rows_fall_where_they_fell_in_training(seed in 0_u64..1000) {
        // The share of a tree's rows that go left is exact only if scoring splits as training did: then the mean path
        // over the whole sample is that of the leaves, weighted by their rows, and so is a row of gaps.
        let mut rng = Seed::new(seed).rng();
        let rows = Array2::from_shape_fn((64, 2), |_| rng.random::<f64>() * 1e-3 + 1.0);
        let spec = ForestSpec::new(5, 64).expect("options");
        let forest = IsolationForest::fit(rows.view(), &spec, Seed::new(seed)).expect("a forest");
        let scores = forest.score_rows(rows.view()).expect("scores");
        let path = |score: f64| -score.log2();
        let mean = scores.iter().map(|score| path(*score)).sum::<f64>() / 64.0;
        let nothing = forest.score_rows(array![[f64::NAN, f64::NAN]].view()).expect("a score")[0];
        proptest::prop_assert!((mean - path(nothing)).abs() < 1e-5, "{mean} {}", path(nothing));
    }
}
