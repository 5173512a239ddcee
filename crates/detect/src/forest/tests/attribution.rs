//! What a score is made of.

use homeostat_core::Seed;
use ndarray::Array2;

use super::super::*;
use super::rows_with_an_outlier;

fn forest_of(rows: &Array2<f64>) -> IsolationForest {
    IsolationForest::fit(rows.view(), &ForestSpec::default(), Seed::new(1)).expect("a forest")
}

#[test]
fn contributions_sum_to_the_score_gaps_or_not() {
    let rows = rows_with_an_outlier(600, 4);
    let forest = forest_of(&rows);
    let mut scratch = ForestScratch::default();
    let nothing = forest.score_row(&[f64::NAN; 4], &mut scratch).expect("a score");
    let probes =
        [[0.5, 0.5, 0.5, 0.5], [0.5, 9.0, 0.1, 0.2], [f64::NAN, 9.0, 0.4, f64::NAN], [f64::NAN; 4], [1e300; 4]];
    for row in probes {
        let score = forest.score_row(&row, &mut scratch).expect("a score");
        let parts = forest.attribution(&row).expect("parts");
        let sum: f64 = parts.iter().sum();
        assert!((sum - (score / nothing).log2()).abs() < 1e-9, "{row:?}: {parts:?} of {score} over {nothing}");
        for (part, value) in parts.iter().zip(row) {
            assert!(!value.is_nan() || *part == 0.0, "a gap contributes nothing: {parts:?}");
        }
    }
}

#[test]
fn the_column_that_is_far_off_contributes_most() {
    let forest = forest_of(&rows_with_an_outlier(600, 5));
    for column in 0..5 {
        let mut row = [0.5; 5];
        row[column] = 6.0;
        let parts = forest.attribution(&row).expect("parts");
        let others = (0..5).filter(|other| *other != column).map(|other| parts[other]).fold(0.0, f64::max);
        assert!(parts[column] > 0.1 && parts[column] > 3.0 * others, "column {column}: {parts:?}");
    }
}

#[test]
fn another_number_of_values_is_refused() {
    let forest = forest_of(&rows_with_an_outlier(600, 5));
    assert_eq!(forest.attribution(&[0.0]), Err(ScoreError::Shape { found: 1, wanted: 5 }));
}
