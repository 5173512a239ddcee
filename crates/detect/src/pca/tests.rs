use homeostat_core::Seed;
use ndarray::{Array2, s};

use super::*;
use crate::contract::{history, next_score, noise, scored};

/// Requests, and CPU that follows them but for a little noise; the third feature goes its own way.
fn coupled(n_rows: usize) -> Array2<f64> {
    let mut values = noise(n_rows, 3, Seed::new(4));
    for row in 0..n_rows {
        values[[row, 1]] = values[[row, 0]] + 0.05 * values[[row, 1]];
    }
    values
}

fn score_after(last: [f64; 3]) -> f64 {
    let values = coupled(1_000);
    let (mut extractor, extracted) = history(values.clone());
    let mut pca = Pca::train(&extracted, Seed::new(1)).expect("enough rows");
    assert_eq!(pca.n_components(), 2, "two movements of three features");
    scored(next_score(&mut pca, &mut extractor, &last)).expect("a score")
}

#[test]
fn features_that_part_are_far_though_each_is_usual_by_itself() {
    let together = score_after([1.5, 1.5, 0.0]);
    let apart = score_after([1.5, -1.5, 0.0]);
    assert!(apart > together + 2.0, "{apart} apart, {together} together");
}

#[test]
fn usual_rows_leave_about_one_deviation() {
    let values = noise(2_000, 3, Seed::new(7));
    let (mut extractor, extracted) = history(values.slice(s![..1_000, ..]).to_owned());
    let mut pca = Pca::train(&extracted, Seed::new(1)).expect("enough rows");
    let scores: Vec<f64> = values
        .slice(s![1_000.., ..])
        .rows()
        .into_iter()
        .filter_map(|row| scored(next_score(&mut pca, &mut extractor, &row.to_vec())))
        .collect();
    let mean = scores.iter().map(|score| score.exp_m1()).sum::<f64>() / scores.len() as f64;
    assert!((0.7..1.4).contains(&mean), "{mean}");
}

#[test]
fn with_one_feature_the_score_is_the_distance_from_the_rows_before() {
    let (mut extractor, extracted) = history(noise(500, 1, Seed::new(5)));
    let mut pca = Pca::train(&extracted, Seed::new(1)).expect("enough rows");
    assert_eq!(pca.n_components(), 0);
    let found = scored(next_score(&mut pca, &mut extractor, &[4.0])).expect("a score");
    let moved = extractor.row_buffer().row(0, CHANNEL).expect("a row")[0];
    // Its own deviation of what is left is 1 but for the cut and the smallest variance.
    assert!((found.exp_m1() / moved.powi(2) - 1.0).abs() < 0.01, "{found} {moved}");
}

#[test]
fn kept_or_left_out_directions_leave_the_same() {
    let (_, extracted) = history(coupled(1_000));
    let pca = Pca::train(&extracted, Seed::new(1)).expect("enough rows");
    assert!(!pca.model.are_kept, "one direction of three is left out: that one is stored");
    let row = [0.3, -1.2, 0.8];
    let (mut left, mut again) = ([0.0; 3], [0.0; 3]);
    pca.model.leave(&row, &mut left);
    // What is left lies along the stored direction: leaving it out once more changes nothing.
    pca.model.leave(&left, &mut again);
    assert!(left.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12), "{left:?} {again:?}");
}

#[test]
fn too_few_rows_are_an_error_that_says_how_many_it_takes() {
    let (_, extracted) = history(noise(80, 30, Seed::new(6)));
    let error = Pca::train(&extracted, Seed::new(1)).expect_err("fewer rows than three a feature");
    assert_eq!(error, TrainError::TooFewRows { detector: "pca", found: 77, needed: 90 });
}

#[test]
fn a_saved_model_that_fits_nothing_is_refused() {
    let (_, extracted) = history(coupled(200));
    let pca = Pca::train(&extracted, Seed::new(1)).expect("enough rows");
    let changes: [fn(&mut PcaModel); 3] = [
        |model| model.inverse_left.clear(),
        |model| model.directions.push(0.0),
        |model| model.directions[0] = f64::NAN,
    ];
    for change in changes {
        let mut model = PcaModel::clone(&pca.model);
        change(&mut model);
        let bytes = postcard::to_allocvec(&model).expect("plain data");
        assert!(postcard::from_bytes::<Pca>(&bytes).is_err());
    }
}
