use homeostat_core::Seed;
use ndarray::{Array2, array};
use rand::Rng;

use super::*;
use crate::contract::{history, noise};

fn uniform(n_rows: usize, n_columns: usize) -> Array2<f64> {
    let mut rng = Seed::new(5).rng();
    Array2::from_shape_fn((n_rows, n_columns), |_| rng.random::<f64>())
}

#[test]
fn two_dense_regions_are_two_clusters_and_the_stray_row_is_no_core() {
    let mut rows = uniform(401, 2);
    rows.slice_mut(ndarray::s![200..400, ..]).mapv_inplace(|value| value + 10.0);
    rows.row_mut(400).fill(5.0);
    let found = cores::find(rows, &DbscanSpec::default()).expect("cores");
    assert_eq!(found.n_clusters, 2);
    assert!(found.cores.rows().into_iter().all(|core| (core[0] - 5.0).abs() > 3.0));
    // About the 95 % that ε was chosen for.
    assert!((370..=395).contains(&found.cores.nrows()), "{}", found.cores.nrows());
}

#[test]
fn a_core_has_as_many_neighbours_as_the_definition_asks() {
    let rows = uniform(200, 3);
    let spec = DbscanSpec::new(7, 0.8, 200, 200).expect("options");
    let found = cores::find(rows.clone(), &spec).expect("cores");
    let neighbours = |row: ndarray::ArrayView1<'_, f64>| {
        rows.rows().into_iter().filter(|other| (other - &row).mapv(|x| x * x).sum().sqrt() <= found.epsilon).count()
    };
    let cores: Vec<_> = rows.rows().into_iter().filter(|row| neighbours(*row) >= 7).collect();
    assert_eq!(cores.len(), found.cores.nrows());
    assert!(cores.iter().zip(found.cores.rows()).all(|(by_definition, core)| by_definition == core));
}

#[test]
fn a_rare_regime_is_kept_whole_and_a_long_one_is_thinned() {
    // One feature: level, and two residuals that play no part here.
    let mut rows = Array2::zeros((20_000, 3));
    rows.slice_mut(ndarray::s![7_000..7_030, 0]).fill(12.0);
    let chosen = sample::chosen(rows.view(), &[0, 1, 2], 2_000, 10);
    assert_eq!(chosen.len(), 2_000);
    assert_eq!(chosen.iter().filter(|row| (7_000..7_030).contains(*row)).count(), 30);
    assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]), "each row once, in order");
}

#[test]
fn a_glitch_of_a_few_rows_gets_no_share_of_its_own() {
    let mut rows = Array2::zeros((20_000, 3));
    rows.slice_mut(ndarray::s![100..103, 0]).fill(12.0);
    rows.slice_mut(ndarray::s![200..204, 0]).fill(-12.0);
    let chosen = sample::chosen(rows.view(), &[0, 1, 2], 2_000, 10);
    assert!(chosen.iter().filter(|row| (100..204).contains(*row)).count() <= 110);
    assert_eq!(chosen.len(), 2_000);
}

#[test]
fn shares_are_fair_and_never_more_than_asked() {
    let groups = [(0..5).collect::<Vec<_>>(), (5..105).collect(), (105..1105).collect()];
    let kept = sample::thinned(&groups, 205);
    assert_eq!(kept.len(), 205);
    assert_eq!(kept.iter().filter(|idx| **idx < 5).count(), 5);
    assert_eq!(kept.iter().filter(|idx| (5..105).contains(*idx)).count(), 100);
    assert!(sample::thinned(&groups, 0).is_empty());
}

#[test]
fn training_rows_lie_within_and_a_far_row_far_outside() {
    let values = noise(1_500, 2, Seed::new(2));
    let (enricher, enriched) = history(values.slice(ndarray::s![..1_000, ..]).to_owned());
    let mut dbscan = Dbscan::train(&DbscanSpec::default(), &enriched, Seed::new(1)).expect("a model");
    let (mut enricher, mut within) = (enricher, 0);
    let mut at = enricher.trail().newest_at().expect("rows");
    for row in values.slice(ndarray::s![1_000.., ..]).rows() {
        at = at + enricher.step();
        enricher.push(at, row.iter().copied());
        let Ok(Scoring::Scored(raw)) = dbscan.score(enricher.trail()) else { panic!("no score") };
        within += usize::from(raw.value() <= 1.0);
    }
    assert!(within > 440, "{within} of 500 new normal rows lie within ε of a core");
    enricher.push(at + enricher.step(), [9.0, -9.0].into_iter());
    let Ok(Scoring::Scored(raw)) = dbscan.score(enricher.trail()) else { panic!("no score") };
    assert!(raw.value() > 20.0, "{}", raw.value());
}

#[test]
fn a_feature_training_hardly_had_is_left_out() {
    let mut values = noise(500, 2, Seed::new(2));
    values.slice_mut(ndarray::s![10.., 1]).fill(f64::NAN);
    let (_, enriched) = history(values);
    let (columns, rows) = sample::complete_rows(&enriched);
    assert_eq!(columns, vec![0, 1, 2]);
    assert!(rows.nrows() > 400);
}

#[test]
fn bad_options_are_refused() {
    for spec in [
        DbscanSpec::new(1, 0.95, 2_000, 1_000),
        DbscanSpec::new(5, f64::NAN, 2_000, 1_000),
        DbscanSpec::new(5, 1.0, 2_000, 1_000),
        DbscanSpec::new(5, 0.95, 20_000, 1_000),
        DbscanSpec::new(5, 0.95, 2_000, 2_001),
    ] {
        assert!(matches!(spec, Err(TrainError::BadOption { .. })), "{spec:?}");
    }
    let (_, enriched) = history(array![[1.0], [2.0]]);
    let trained = Dbscan::train(&DbscanSpec::default(), &enriched, Seed::new(1));
    assert!(matches!(trained, Err(TrainError::TooFewRows { .. })));
}
