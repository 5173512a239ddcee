//! Reservoirs, and forests refreshed from them.

use homeostat_core::Seed;
use ndarray::{Array2, s};

use super::super::*;
use super::rows_with_an_outlier;

fn forest_of(rows: &Array2<f64>) -> IsolationForest {
    IsolationForest::fit(rows.view(), &ForestSpec::default(), Seed::new(1)).expect("a forest")
}

/// A reservoir of 512 rows, their mean age `memory_rows`, that has been offered these.
fn reservoir_of(forest: &IsolationForest, rows: &Array2<f64>, memory_rows: usize) -> Reservoir {
    let mut reservoir = Reservoir::new(forest, 512, memory_rows, Seed::new(4)).expect("a reservoir");
    rows.rows().into_iter().for_each(|row| reservoir.push(&row.to_vec()).expect("the same columns"));
    reservoir
}

#[test]
fn a_lasting_new_normal_is_learned_tree_by_tree() {
    let old = rows_with_an_outlier(1_000, 3);
    let new = &old + 3.0;
    let mut forest = forest_of(&old);
    let mean_of_new = |forest: &IsolationForest| {
        let scores = forest.score_rows(new.slice(s![..999, ..])).expect("scores");
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let mut means = vec![mean_of_new(&forest)];
    let reservoir = reservoir_of(&forest, &new, 512);
    for _ in 0..4 {
        forest.refresh(&reservoir, 25).expect("a refreshed forest");
        means.push(mean_of_new(&forest));
    }
    assert!(means.windows(2).all(|pair| pair[1] < pair[0]), "{means:?}");
    assert!(means[0] > 0.6 && means[4] < 0.5, "{means:?}");
    assert_eq!(forest.n_trees(), 100);
}

#[test]
fn refreshing_replaces_the_oldest_trees_and_only_them() {
    let rows = rows_with_an_outlier(1_000, 3);
    let mut forest = forest_of(&rows);
    let reservoir = reservoir_of(&forest, &rows, 512);
    let (before, bytes) = (forest.clone(), forest.memory_bytes());
    let changed = |forest: &IsolationForest| -> Vec<bool> {
        forest.nodes.chunks(256).zip(before.nodes.chunks(256)).map(|(now, then)| now != then).collect()
    };
    forest.refresh(&reservoir, 40).expect("a refreshed forest");
    assert_eq!(changed(&forest), (0..100).map(|tree| tree < 40).collect::<Vec<_>>());
    forest.refresh(&reservoir, 30).expect("a refreshed forest");
    assert_eq!(changed(&forest), (0..100).map(|tree| tree < 70).collect::<Vec<_>>());
    forest.refresh(&reservoir, 1_000).expect("all of them, once");
    assert_eq!(forest.memory_bytes(), bytes);
}

#[test]
fn saved_in_between_it_goes_on_with_the_same_trees() {
    let rows = rows_with_an_outlier(1_500, 3);
    let mut forest = forest_of(&rows);
    let mut reservoir = reservoir_of(&forest, &rows.slice(s![..1_000, ..]).to_owned(), 2_000);
    forest.refresh(&reservoir, 10).expect("a refreshed forest");
    let bytes = postcard::to_stdvec(&(&forest, &reservoir)).expect("bytes");
    let (mut forest2, mut reservoir2): (IsolationForest, Reservoir) = postcard::from_bytes(&bytes).expect("both");
    assert_eq!((&forest2, &reservoir2), (&forest, &reservoir));
    for row in rows.slice(s![1_000.., ..]).rows() {
        reservoir.push(&row.to_vec()).expect("a row");
        reservoir2.push(&row.to_vec()).expect("a row");
    }
    forest.refresh(&reservoir, 10).expect("a refreshed forest");
    forest2.refresh(&reservoir2, 10).expect("a refreshed forest");
    assert_eq!((forest2, reservoir2), (forest, reservoir));
}

#[test]
fn a_reservoir_stays_as_large_and_forgets_with_time() {
    let rows = Array2::from_shape_fn((20_000, 1), |(row, _)| row as f64);
    let forest = forest_of(&rows);
    let mut reservoir = Reservoir::new(&forest, 512, 4_096, Seed::new(4)).expect("a reservoir");
    let bytes = reservoir.memory_bytes();
    rows.iter().for_each(|value| reservoir.push(&[*value]).expect("a row"));
    assert_eq!((reservoir.memory_bytes(), reservoir.n_rows()), (bytes, 512));
    // Row numbers are values here: how old is the average row?
    let middle = (0..20_000).map(|row| reservoir_key(&forest, f64::from(row))).collect::<Vec<_>>();
    let age = |row: usize| 20_000.0 - middle.partition_point(|key| *key < reservoir.row(row)[0]) as f64;
    let mean = (0..512).map(age).sum::<f64>() / 512.0;
    // Exponential with a mean of 4 096, cut off at 20 000: 3 936; the mean of 512 strays by 180.
    assert!((3_300.0..4_600.0).contains(&mean), "{mean}");
}

fn reservoir_key(forest: &IsolationForest, value: f64) -> u32 {
    let mut key = [0];
    forest.keying.fill(&[value], &mut key);
    key[0]
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let rows = rows_with_an_outlier(1_000, 3);
    let mut forest = forest_of(&rows);
    let before = forest.clone();
    let few = reservoir_of(&forest, &rows.slice(s![..255, ..]).to_owned(), 512);
    assert!(matches!(forest.refresh(&few, 5), Err(TrainError::TooFewRows { found: 255, needed: 256, .. })));
    let other = forest_of(&(&rows + 1.0));
    let foreign = reservoir_of(&other, &rows, 512);
    assert!(matches!(forest.refresh(&foreign, 5), Err(TrainError::BadOption { .. })));
    assert_eq!(forest, before);
    for (rows_max, memory_rows) in [(255, 1_000), (Reservoir::ROWS_MAX + 1, usize::MAX), (512, 511)] {
        let refused = Reservoir::new(&forest, rows_max, memory_rows, Seed::new(1));
        assert!(matches!(refused, Err(TrainError::BadOption { .. })), "{rows_max} {memory_rows}");
    }
    let mut reservoir = few;
    assert_eq!(reservoir.push(&[1.0]), Err(ScoreError::Shape { found: 1, wanted: 3 }));
}

#[test]
fn a_damaged_reservoir_is_refused() {
    let forest = forest_of(&rows_with_an_outlier(1_000, 3));
    let reservoir = reservoir_of(&forest, &rows_with_an_outlier(300, 3), 512);
    let bytes = postcard::to_stdvec(&reservoir).expect("bytes");
    assert!(postcard::from_bytes::<Reservoir>(&bytes).is_ok());
    let mut json = serde_json::to_value(&reservoir).expect("a value");
    json["rows_max"] = 100.into();
    assert!(serde_json::from_value::<Reservoir>(json.clone()).is_err(), "more rows than its bound");
    json["rows_max"] = 65_536_000_000_u64.into();
    assert!(serde_json::from_value::<Reservoir>(json).is_err(), "a bound beyond memory");
}
