use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Grid, Schema, Timestamp};
use homeostat_detect::DetectorSpec;
use ndarray::Array2;
use rand::Rng;

use super::*;
use crate::dataset::Stamps;
use crate::ranking::ranking_scores;

const TRAIN_ROWS: usize = 400;

fn spec() -> EnsembleSpec {
    let detectors = ["residual", "dbscan", "forecast"].iter().filter_map(|name| DetectorSpec::by_name(name)).collect();
    EnsembleSpec { detectors, budget: "1 per 1d".parse().expect("a budget"), ..EnsembleSpec::default() }
}

/// Noise, with 15 deviations more in the labelled rows of the first of two features.
fn series(n_rows: usize, labelled: std::ops::Range<usize>) -> LabelledSeries {
    let mut rng = Seed::new(3).rng();
    let mut values = Array2::from_shape_fn((n_rows, 2), |_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>());
    for row in labelled.clone() {
        values[[row, 0]] += 15.0;
    }
    let features: Vec<homeostat_core::Feature> = ["a", "b"]
        .map(|name| homeostat_core::Feature {
            name: name.into(),
            signal: homeostat_core::Signal::Other,
            direction: homeostat_core::Direction::Both,
            deviation_min: 0.0,
        })
        .to_vec();
    let schema = Arc::new(Schema::new(features).expect("a schema"));
    let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), n_rows).expect("a grid");
    let subject = homeostat_core::Subject::deployment("set", "one");
    LabelledSeries {
        window: Window::new(subject, grid, schema, values).expect("a window"),
        labels: (0..n_rows).map(|row| labelled.contains(&row)).collect(),
        train_rows: TRAIN_ROWS,
        stamps: Stamps::default(),
    }
}

#[test]
fn a_fault_is_one_alert_and_stands_out_in_the_scores() {
    let series = series(600, 500..520);
    let run = SeriesRun::of(&series, &SharedModels::none(), &spec(), Seed::new(1), &|| true).expect("a run");
    let alerts: Vec<usize> = (0..200).filter(|row| run.alert[*row]).collect();
    assert!(alerts.len() <= 2 && alerts.iter().any(|row| (100..103).contains(row)), "{alerts:?}");
    let highest_before = run.score[..100].iter().copied().fold(0.0, f64::max);
    assert!(run.score[105] > 3.0 * highest_before, "{} {highest_before}", run.score[105]);
    assert!(run.open[105] && !run.open[99] && !run.open[199], "open while it goes on, and closed after");
    assert_eq!((run.score.len(), run.n_unscored, run.surprisal_nats.len()), (200, 0, 3));
}

#[test]
fn the_score_of_a_row_depends_on_no_later_row() {
    let whole = series(600, 500..520);
    let short = LabelledSeries {
        window: whole.window.slice_steps(0, 510).expect("rows"),
        labels: whole.labels[..510].to_vec(),
        ..whole.clone()
    };
    let run = |series: &LabelledSeries| {
        SeriesRun::of(series, &SharedModels::none(), &spec(), Seed::new(1), &|| true).expect("a run")
    };
    assert_eq!(run(&short).score[..], run(&whole).score[..110]);
}

#[test]
fn the_ranking_of_all_votes_is_the_ensembles_evidence() {
    let series = series(480, 450..455);
    let history = series.history().expect("rows");
    let ensemble = Ensemble::train(&spec(), &history, Seed::new(1)).expect("enough history");
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); 3];
    let mut smoothed = Vec::new();
    // Each row from a cold start over all judged rows up to it: no memory of the history on either side.
    for end in TRAIN_ROWS + 1..=480 {
        let prefix = series.window.slice_steps(TRAIN_ROWS, end).expect("rows");
        let assessment = ensemble.assess_once(&prefix);
        for (name, column) in ensemble.detectors().zip(&mut columns) {
            column.push(surprisal_nats(&assessment, name).unwrap_or(f64::NAN));
        }
        smoothed.push(assessment.smoothed_score().map(Score::value));
    }
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let ranking = ranking_scores(&columns);
    let mut n_compared = 0;
    for (found, wanted) in ranking.iter().zip(smoothed) {
        let Some(wanted) = wanted else { continue };
        let wanted = wanted * ensemble.threshold_nats();
        assert!((found - wanted).abs() <= 1e-9 * wanted.max(1.0), "{found} {wanted}");
        n_compared += 1;
    }
    assert!(n_compared > 50 && ranking[54] > 10.0, "{n_compared} {}", ranking[54]);
}

#[test]
fn it_stops_when_told_and_says_what_it_cannot_train() {
    let series = series(600, 500..520);
    assert!(matches!(
        SeriesRun::of(&series, &SharedModels::none(), &spec(), Seed::new(1), &|| false),
        Err(RunError::Stopped)
    ));
    let short = LabelledSeries { train_rows: 50, ..series };
    assert!(matches!(
        SeriesRun::of(&short, &SharedModels::none(), &spec(), Seed::new(1), &|| true),
        Err(RunError::Untrainable(_))
    ));
}
