//! The same scores as scikit-learn's, on average: on rows and scores made by `benches/peers/forest_sklearn.py fixture` with
//! scikit-learn 1.9.1, the mean of 40 forests of 100 trees.

use homeostat_core::Seed;
use ndarray::{Array2, s};

use super::super::*;

const FIXTURE: &str = include_str!("sklearn.csv");

#[test]
fn scores_are_those_of_scikit_learn() {
    let cells: Vec<f64> =
        FIXTURE.lines().flat_map(|line| line.split(',').map(|cell| cell.parse().expect("a number"))).collect();
    let table = Array2::from_shape_vec((300, 4), cells).expect("300 rows of three values and a score");
    let (rows, theirs) = (table.slice(s![.., ..3]), table.column(3));
    let spec = ForestSpec::new(1_000, 256).expect("options");
    let mut ours = vec![0.0; 300];
    for seed in 0..4 {
        let forest = IsolationForest::fit(rows, &spec, Seed::new(seed)).expect("a forest");
        let scores = forest.score_rows(rows).expect("scores");
        ours.iter_mut().zip(scores).for_each(|(mean, score)| *mean += score / 4.0);
    }
    let differences: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
    let mean = differences.iter().sum::<f64>() / 300.0;
    let largest = differences.iter().map(|difference| difference.abs()).fold(0.0, f64::max);
    // Theirs approximates the mean path length of small leaves (c(3) is 1.21 there, exactly 1.67): a little shorter paths.
    assert!(mean.abs() < 0.01 && largest < 0.02, "mean {mean}, largest {largest}");
    // The order is the same but for near ties.
    let ordered = |i: usize, j: usize| (ours[i] < ours[j]) == (theirs[i] < theirs[j]);
    let n_swapped = (0..300).flat_map(|i| (0..i).map(move |j| (i, j))).filter(|(i, j)| !ordered(*i, *j)).count();
    assert!(n_swapped < 300 * 299 / 2 / 50, "{n_swapped} pairs in another order");
}
