use std::sync::Arc;

use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
use ndarray::{Array2, array, s};

use super::*;
use crate::contract::{history, next_score, noise, scored};
use crate::enricher::Enricher;

fn trained(values: Array2<f64>) -> (Forecast, Enricher) {
    let (enricher, enriched) = history(values);
    (Forecast::train(&ForecastSpec::default(), &enriched, Seed::new(1)).expect("a model"), enricher)
}

#[test]
fn normal_rows_score_about_one_and_a_jump_far_more() {
    let values = noise(1_400, 2, Seed::new(5));
    let (mut forecast, mut enricher) = trained(values.slice(s![..1_000, ..]).to_owned());
    let scores: Vec<f64> = values
        .slice(s![1_000.., ..])
        .rows()
        .into_iter()
        .filter_map(|row| scored(next_score(&mut forecast, &mut enricher, &row.to_vec())))
        .collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((0.7..1.4).contains(&mean), "{mean}");
    let jump = scored(next_score(&mut forecast, &mut enricher, &[12.0, 0.0])).expect("a score");
    assert!(jump > 20.0, "{jump}");
}

#[test]
fn a_slow_leak_shows_against_the_slow_level_though_each_step_is_tiny() {
    let values = noise(1_900, 1, Seed::new(6));
    let (mut forecast, mut enricher) = trained(values.slice(s![..1_500, ..]).to_owned());
    // 0.03 deviations a row: far within the noise from one row to the next.
    let leak = values
        .slice(s![1_500.., 0])
        .iter()
        .enumerate()
        .map(|(row, value)| value + 0.03 * row as f64)
        .collect::<Vec<_>>();
    let scores: Vec<f64> =
        leak.iter().filter_map(|value| scored(next_score(&mut forecast, &mut enricher, &[*value]))).collect();
    let (early, late) = (scores[..50].iter().sum::<f64>() / 50.0, scores[350..].iter().sum::<f64>() / 50.0);
    assert!(late > 10.0 * early, "early {early}, late {late}");
    // And what is shown as expected is the level before the leak, not yesterday's minute.
    assert!((forecast.expected()[0]).abs() < 5.0, "{:?}", forecast.expected());
}

#[test]
fn a_new_normal_is_accepted_in_the_end() {
    let values = noise(12_000, 1, Seed::new(6));
    let (mut forecast, mut enricher) = trained(values.slice(s![..1_500, ..]).to_owned());
    let scores: Vec<f64> = values
        .slice(s![1_500.., 0])
        .iter()
        .filter_map(|value| scored(next_score(&mut forecast, &mut enricher, &[*value + 8.0])))
        .collect();
    let late = scores[scores.len() - 500..].iter().sum::<f64>() / 500.0;
    assert!(scores[100] > 10.0 && late < 2.0, "{} {late}", scores[100]);
}

#[test]
fn a_daily_course_is_expected_and_its_absence_is_not() {
    let day = 1_440;
    let noise = noise(5 * day, 1, Seed::new(9));
    let course = |row: usize| 10.0 * (std::f64::consts::TAU * row as f64 / day as f64).sin();
    let values = Array2::from_shape_fn((5 * day, 1), |(row, _)| noise[[row, 0]] + course(row));
    let (mut forecast, mut enricher) = trained(values.slice(s![..4 * day, ..]).to_owned());
    assert_eq!(forecast.periods(0).collect::<Vec<_>>(), vec![Duration::from_secs(86_400)]);
    let mut worst: f64 = 0.0;
    for row in 4 * day..4 * day + day / 4 {
        let score = scored(next_score(&mut forecast, &mut enricher, &[values[[row, 0]]])).expect("a score");
        worst = worst.max(score);
    }
    // At its daily height; yesterday's night value now is a fault.
    let missing = scored(next_score(&mut forecast, &mut enricher, &[-10.0])).expect("a score");
    assert!(worst < 20.0 && missing > 2.0 * worst, "{worst} {missing}");
    assert!((forecast.expected()[0] - 10.0).abs() < 4.0, "{:?}", forecast.expected());
}

#[test]
fn the_history_replayed_leaves_the_same_state() {
    let values = noise(600, 2, Seed::new(5));
    let (mut forecast, _) = trained(values.clone());
    let fresh = forecast.clone();
    let (other, _) = history(values.slice(s![..1, ..]).to_owned());
    let mut enricher = Enricher::new(other.scaler().clone(), other.step());
    for row in values.rows() {
        next_score(&mut forecast, &mut enricher, &row.to_vec()).expect("no failure");
    }
    assert_eq!(forecast.features, fresh.features);
}

#[test]
fn a_hole_moves_nothing_and_widens_the_next_forecast() {
    let (forecast, _) = trained(noise(600, 1, Seed::new(5)));
    let mut feature = forecast.features[0].clone();
    let before = feature.step(36_000_000, f64::NAN);
    let after = feature.step(36_060_000, 0.0);
    assert_eq!(before.quick, after.quick);
    assert!(after.quick_deviation > before.quick_deviation);
}

#[test]
fn the_direction_and_the_dead_zone_hold() {
    let feature =
        Feature { name: "errors".into(), signal: Signal::ErrorRatio, direction: Direction::Up, deviation_min: 0.5 };
    let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 200).expect("a grid");
    let schema = Arc::new(Schema::new(vec![feature]).expect("a schema"));
    let window = Window::new(Subject::deployment("shop", "cart"), grid, schema, Array2::zeros((200, 1)));
    let window = window.expect("a window");
    let scaler = Scaler::fit(&window);
    let enriched = Enriched::new(&window, &scaler);
    let mut forecast = Forecast::train(&ForecastSpec::default(), &enriched, Seed::new(1)).expect("a model");
    let mut enricher = Enricher::new(scaler, Duration::from_secs(60));
    enricher.push(window.grid().end(), [0.0].into_iter());
    let mut score = |value: f64| scored(next_score(&mut forecast, &mut enricher, &[value])).expect("a score");
    assert_eq!(score(0.4), 0.0, "within the dead zone");
    assert_eq!(score(-9.0), 0.0, "down doesn't matter");
    assert!(score(0.9) > 100.0, "a constant feature that moves is far at once");
}

#[test]
fn bad_options_and_short_histories_are_refused() {
    assert!(matches!(ForecastSpec::new(1, Duration::from_secs(3600)), Err(TrainError::BadOption { .. })));
    assert!(matches!(ForecastSpec::new(3, Duration::ZERO), Err(TrainError::BadOption { .. })));
    let (_, enriched) = history(array![[1.0], [2.0]]);
    let trained = Forecast::train(&ForecastSpec::default(), &enriched, Seed::new(1));
    assert!(matches!(trained, Err(TrainError::TooFewRows { found: 2, .. })));
}
