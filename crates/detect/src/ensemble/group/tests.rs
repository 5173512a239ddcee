use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::{Calendar, Direction, Feature, Grid, Signal, Subject, Timestamp};
use ndarray::Array2;
use rand::Rng;

use super::*;
use crate::ensemble::{Ensemble, Restorer, Saver};
use crate::fleet::Fleet;
use crate::load_options::LoadOptions;

const STEP: Duration = Duration::from_secs(60);

/// Noise around a level of its own, `(n_rows, 3)`, from row `from` of all time.
fn window(name: &str, level: f64, from: usize, n_rows: usize) -> Window {
    let mut rng = Seed::new(5).fork(name).fork(&from.to_string()).rng();
    let values = Array2::from_shape_fn((n_rows, 3), |_| level * (1.0 + 0.1 * rng.random::<f64>()));
    shaped(name, from, values)
}

fn shaped(name: &str, from: usize, values: Array2<f64>) -> Window {
    let feature = |idx: usize| Feature {
        name: format!("f{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Arc::new(Schema::new((0..values.ncols()).map(feature).collect()).expect("a schema"));
    let grid = Grid::new(Timestamp::from_secs(60 * from as i64), STEP, values.nrows()).expect("a grid");
    Window::new(Subject::deployment("shop", name), grid, schema, values).expect("a window")
}

/// Three subjects that share models, with levels a thousandfold apart.
fn group(n_rows: usize) -> Vec<Ensemble> {
    let histories = [("a", 1.0), ("b", 30.0), ("c", 1000.0)].map(|(name, level)| window(name, level, 0, n_rows));
    let spec = EnsembleSpec::default();
    let shared = SharedModels::train(&spec, &histories.iter().collect::<Vec<_>>(), Seed::new(1)).expect("enough rows");
    let train = |history: &Window| Ensemble::train_with(&shared, &spec, history, Seed::new(2)).expect("enough rows");
    histories.iter().map(train).collect()
}

fn addresses(ensemble: &Ensemble) -> Vec<usize> {
    ensemble.shared_parts().map(|part| part.address).collect()
}

#[test]
fn subjects_of_a_group_hold_the_same_models_and_each_its_own_scale() {
    let mut group = group(600);
    let wanted = if cfg!(feature = "onnx") { 4 } else { 3 };
    assert_eq!(addresses(&group[0]).len(), wanted);
    assert!(group.iter().all(|ensemble| addresses(ensemble) == addresses(&group[0])));
    for (ensemble, (name, level)) in group.iter_mut().zip([("a", 1.0), ("b", 30.0), ("c", 1000.0)]) {
        let calm = ensemble.assess(&window(name, level, 600, 60));
        assert!(calm.score().is_some_and(|score| !score.is_alarming()), "{name}: {calm:?}");
        let fault = ensemble.assess(&window(name, 1.5 * level, 660, 3));
        assert!(fault.score().is_some_and(|score| score.is_alarming()), "{name}: {fault:?}");
    }
}

#[test]
fn more_subjects_than_a_batch_holds_are_scored_each_as_alone() {
    let group = group(600);
    let level = |idx: usize| [1.0, 30.0, 1000.0][idx % 3];
    let names: Vec<String> = (0..150).map(|idx| format!("service-{idx:03}")).collect();
    let subjects = names.iter().map(|name| Subject::deployment("shop", name));
    let mut alone: BTreeMap<Subject, Ensemble> = subjects.zip(group.iter().cycle().cloned()).collect();
    let mut fleet = Fleet::new(alone.clone());
    for from in [600, 603] {
        let of_subject = |(idx, name): (usize, &String)| window(name, level(idx), from, 3);
        let windows: Vec<Window> = names.iter().enumerate().map(of_subject).collect();
        let mut due = Vec::new();
        fleet.due(&windows, &mut due);
        for moment in due.chunk_by(|a, b| a.at == b.at) {
            fleet.score(moment, &windows, &Calendar::default(), &[]);
            assert_eq!(fleet.advanced().len(), names.len());
        }
        for window in &windows {
            let ensemble = alone.get_mut(window.subject()).expect("a subject");
            ensemble.assess_rows(window).expect("the same features");
            assert_eq!(fleet.ensemble(window.subject()).and_then(Ensemble::last), ensemble.last());
        }
    }
}

#[test]
fn room_for_batches_of_the_history_is_not_kept() {
    let shared = |(name, _): &(&str, usize)| ["forest", "dbscan", "pca", "autoencoder"].contains(name);
    for (name, bytes) in group(600)[0].own_bytes().into_iter().filter(shared) {
        assert!(bytes < 4_096, "{name} holds {bytes} bytes beside its model");
    }
}

#[test]
fn what_was_shared_is_shared_again_after_save_and_load_and_scores_the_same() {
    let mut group = group(600);
    let mut saver = Saver::default();
    let saved: Vec<_> = group.iter().map(|ensemble| saver.save(ensemble).expect("plain data")).collect();
    assert!(saved.iter().all(|one| one.models == saved[0].models), "named by content");
    let options = LoadOptions::default();
    let mut restorer = Restorer::new(&options);
    let mut loaded: Vec<Ensemble> = saved.iter().map(|one| restorer.restore(one).expect("what was saved")).collect();
    assert!(loaded.iter().all(|ensemble| addresses(ensemble) == addresses(&loaded[0])));
    for (before, after) in group.iter_mut().zip(&mut loaded) {
        let next = window("next", 20.0, 600, 30);
        assert_eq!(after.assess_rows(&next), before.assess_rows(&next));
    }
}

#[test]
fn a_group_is_of_one_schema_one_step_and_the_same_measured_features() {
    let silent = |name: &str| {
        let mut values = window(name, 1.0, 0, 300).values().to_owned();
        values.column_mut(1).fill(f64::NAN);
        shaped(name, 0, values)
    };
    let other = shaped("other", 0, Array2::zeros((300, 2)));
    let all = [window("a", 1.0, 0, 300), silent("s"), window("b", 2.0, 0, 300), other, silent("t")];
    assert_eq!(groups(&all), [vec![0, 2], vec![1, 4], vec![3]]);
    assert!(groups(&[]).is_empty());
}

#[test]
fn another_schema_is_refused_and_a_short_history_has_no_part() {
    let spec = EnsembleSpec::default();
    let (long, short) = (window("a", 1.0, 0, 300), window("b", 1.0, 0, 50));
    let shared = SharedModels::train(&spec, &[&short, &long], Seed::new(1)).expect("one is long enough");
    let other = shaped("other", 0, Array2::zeros((300, 2)));
    let error = Ensemble::train_with(&shared, &spec, &other, Seed::new(1)).expect_err("other features");
    assert!(matches!(error, TrainError::BadOption { .. }), "{error:?}");
    assert!(matches!(
        Ensemble::train_with(&shared, &spec, &short, Seed::new(1)),
        Err(TrainError::TooFewRows { found: 50, .. })
    ));
    assert!(matches!(SharedModels::train(&spec, &[&short], Seed::new(1)), Err(TrainError::TooFewRows { .. })));
    assert!(matches!(SharedModels::train(&spec, &[], Seed::new(1)), Err(TrainError::TooFewRows { .. })));
    assert!(SharedModels::train(&spec, &[&long, &other], Seed::new(1)).is_err());
}
