use std::sync::Arc;

use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
use ndarray::{Array2, array, s};

use super::*;
use crate::contract::{history, next_score, noise, scored};
use crate::feature_extractor::FeatureExtractor;

fn trained(values: Array2<f64>) -> (Forecast, FeatureExtractor) {
    let (extractor, extracted) = history(values);
    (Forecast::train(&ForecastSpec::default(), &extracted, Seed::new(1)).expect("a model"), extractor)
}

#[test]
fn normal_rows_score_about_one_and_a_jump_far_more() {
    let values = noise(1_400, 2, Seed::new(5));
    let (mut forecast, mut extractor) = trained(values.slice(s![..1_000, ..]).to_owned());
    let scores: Vec<f64> = values
        .slice(s![1_000.., ..])
        .rows()
        .into_iter()
        .filter_map(|row| scored(next_score(&mut forecast, &mut extractor, &row.to_vec())))
        .collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!((0.7..1.4).contains(&mean), "{mean}");
    let jump = scored(next_score(&mut forecast, &mut extractor, &[12.0, 0.0])).expect("a score");
    assert!(jump > 20.0, "{jump}");
}

#[test]
fn a_slow_leak_shows_against_the_slow_level_though_each_step_is_tiny() {
    let values = noise(1_900, 1, Seed::new(6));
    let (mut forecast, mut extractor) = trained(values.slice(s![..1_500, ..]).to_owned());
    // 0.03 deviations a row: far within the noise from one row to the next.
    let leak = values
        .slice(s![1_500.., 0])
        .iter()
        .enumerate()
        .map(|(row, value)| value + 0.03 * row as f64)
        .collect::<Vec<_>>();
    let scores: Vec<f64> =
        leak.iter().filter_map(|value| scored(next_score(&mut forecast, &mut extractor, &[*value]))).collect();
    let (early, late) = (scores[..50].iter().sum::<f64>() / 50.0, scores[350..].iter().sum::<f64>() / 50.0);
    assert!(late > 10.0 * early, "early {early}, late {late}");
    // And what is shown as expected is the level before the leak, not yesterday's minute.
    assert!((forecast.expected()[0]).abs() < 5.0, "{:?}", forecast.expected());
}

#[test]
fn a_new_normal_is_accepted_in_the_end() {
    let values = noise(12_000, 1, Seed::new(6));
    let (mut forecast, mut extractor) = trained(values.slice(s![..1_500, ..]).to_owned());
    let scores: Vec<f64> = values
        .slice(s![1_500.., 0])
        .iter()
        .filter_map(|value| scored(next_score(&mut forecast, &mut extractor, &[*value + 8.0])))
        .collect();
    let early = scores[50..150].iter().sum::<f64>() / 100.0;
    let late = scores[scores.len() - 500..].iter().sum::<f64>() / 500.0;
    assert!(early > 2.0 * late && late < 1.5, "{early} {late}");
}

#[test]
fn a_daily_course_is_expected_and_its_absence_is_not() {
    let day = 1_440;
    let noise = noise(5 * day, 1, Seed::new(9));
    let course = |row: usize| 10.0 * (std::f64::consts::TAU * row as f64 / day as f64).sin();
    let values = Array2::from_shape_fn((5 * day, 1), |(row, _)| noise[[row, 0]] + course(row));
    let (mut forecast, mut extractor) = trained(values.slice(s![..4 * day, ..]).to_owned());
    assert_eq!(forecast.periods(0).collect::<Vec<_>>(), vec![Duration::from_secs(86_400)]);
    let mut worst: f64 = 0.0;
    for row in 4 * day..4 * day + day / 4 {
        let score = scored(next_score(&mut forecast, &mut extractor, &[values[[row, 0]]])).expect("a score");
        worst = worst.max(score);
    }
    // At its daily height; yesterday's night value now is a fault.
    let missing = scored(next_score(&mut forecast, &mut extractor, &[-10.0])).expect("a score");
    assert!(worst < 20.0 && missing > 2.0 * worst, "{worst} {missing}");
    assert!((forecast.expected()[0] - 10.0).abs() < 4.0, "{:?}", forecast.expected());
}

#[test]
fn the_history_replayed_brings_the_levels_back() {
    let values = noise(600, 2, Seed::new(5));
    let (mut forecast, _) = trained(values.clone());
    let levels = |forecast: &Forecast| -> Vec<(f64, f64)> {
        forecast.features.iter().map(|feature| (feature.quick.level, feature.slow)).collect()
    };
    let fresh = levels(&forecast);
    let (other, _) = history(values.slice(s![..1, ..]).to_owned());
    let mut extractor = FeatureExtractor::new(other.scaler().clone(), other.step());
    for row in values.rows() {
        next_score(&mut forecast, &mut extractor, &row.to_vec()).expect("no failure");
    }
    // Deviations were learned from meanwhile, and errors are cut at them.
    for (before, after) in fresh.iter().zip(levels(&forecast)) {
        assert!((before.0 - after.0).abs() < 0.1 && (before.1 - after.1).abs() < 0.1, "{before:?} {after:?}");
    }
}

/// One feature of noise around a level, a minute a row, and the moment of its next row.
fn one(n_rows: usize) -> (Forecast, Timestamp) {
    let (forecast, extractor) = trained(noise(n_rows, 1, Seed::new(5)));
    let next = extractor.row_buffer().newest_at().expect("rows") + extractor.step();
    (forecast, next)
}

/// The scores of a feature that stands at a level with a little noise, with this known of each row.
fn scores_at(forecast: &mut Forecast, from: Timestamp, n_rows: usize, level: f64, known: KnownEffect) -> Vec<f64> {
    let noise = noise(n_rows, 1, Seed::new(77));
    (0..n_rows)
        .filter_map(|row| {
            let at = from + Duration::from_secs(60) * row as u32;
            scored(forecast.observe(at, &[level + noise[[row, 0]]], &[known]))
        })
        .collect()
}

#[test]
fn a_gap_moves_nothing_and_widens_the_next_interval() {
    let (mut forecast, at) = one(600);
    let width = |forecast: &Forecast| forecast.intervals()[0].upper - forecast.intervals()[0].lower;
    let minute = Duration::from_secs(60);
    forecast.observe(at, &[f64::NAN], &[]).expect("no failure");
    let (before, expected) = (width(&forecast), forecast.features[0].quick);
    forecast.observe(at + minute * 10, &[f64::NAN], &[]).expect("no failure");
    assert_eq!(forecast.features[0].quick, expected);
    assert!(width(&forecast) > before);
}

#[test]
fn clocks_turned_row_by_row_and_over_a_gap_are_the_same() {
    let day = 1_440;
    let values =
        Array2::from_shape_fn((4 * day, 1), |(row, _)| (std::f64::consts::TAU * row as f64 / day as f64).sin());
    let (mut stepped, extractor) = trained(values);
    let mut jumped = stepped.clone();
    let from = extractor.row_buffer().newest_at().expect("rows");
    for minute in 1..1_000 {
        stepped.observe(from + Duration::from_secs(60) * minute, &[f64::NAN], &[]).expect("no failure");
    }
    let at = from + Duration::from_secs(60) * 1_000;
    stepped.observe(at, &[0.3], &[]).expect("no failure");
    jumped.observe(at, &[0.3], &[]).expect("no failure");
    assert_eq!(stepped, jumped);
}

#[test]
fn intervals_hold_99_percent_of_usual_rows() {
    let values = noise(6_000, 1, Seed::new(31));
    let (mut forecast, extractor) = trained(values.slice(s![..2_000, ..]).to_owned());
    let mut at = extractor.row_buffer().newest_at().expect("rows");
    let mut n_held = 0;
    for row in values.slice(s![2_000.., ..]).rows() {
        at = at + extractor.step();
        forecast.observe(at, &row.to_vec(), &[]).expect("no failure");
        n_held += usize::from(forecast.intervals()[0].holds(row[0]));
    }
    let held = n_held as f64 / 4_000.0;
    assert!((0.985..=0.995).contains(&held), "{held}");
}

#[test]
fn a_new_level_however_far_is_accepted_after_a_day_and_not_before() {
    for level in [8.0, 1e3, 1e9] {
        let (mut forecast, at) = one(1_500);
        let scores = scores_at(&mut forecast, at, 3 * 1_440, level, KnownEffect::None);
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        // What is near enough the slow level follows in its own time; what is far stands out until it is accepted.
        let before = if level < 10.0 { &scores[..60] } else { &scores[..1_400] };
        let (before, after) = (mean(before), mean(&scores[2 * 1_440..]));
        assert!(before > 4.0 && after < 2.0, "level {level}: {before} before, {after} after");
    }
}

#[test]
fn an_incident_of_hours_is_not_learned() {
    let (mut forecast, at) = one(1_500);
    let spreads = |forecast: &Forecast| forecast.features[0].slow_spread.value();
    let before = spreads(&forecast);
    let slow = forecast.features[0].slow;
    scores_at(&mut forecast, at, 180, 50.0, KnownEffect::None);
    assert!(spreads(&forecast) < 1.1 * before);
    // Two deviations in 1.4 half-lives; three hours are half a half-life.
    assert!((forecast.features[0].slow - slow).abs() < before, "{}", forecast.features[0].slow);
    let width = forecast.intervals()[0].upper - forecast.intervals()[0].lower;
    assert!(width < 20.0, "the interval stays that of a usual row: {width}");
}

#[test]
fn noise_that_grows_for_good_is_accepted_within_two_weeks() {
    let (mut forecast, at) = one(1_500);
    let noise = noise(14 * 1_440, 1, Seed::new(8));
    let scores: Vec<f64> = noise
        .iter()
        .enumerate()
        .filter_map(|(row, value)| {
            let at = at + Duration::from_secs(60) * row as u32;
            scored(forecast.observe(at, &[10.0 * value], &[]))
        })
        .collect();
    let late = scores[13 * 1_440..].iter().sum::<f64>() / 1_440.0;
    assert!(late < 3.0, "{late}");
}

#[test]
fn a_planned_event_excuses_much_and_not_everything_and_teaches_nothing() {
    let (forecast, at) = one(1_500);
    let mean_score = |level: f64, known| {
        let scores = scores_at(&mut forecast.clone(), at, 60, level, known);
        scores.iter().sum::<f64>() / 60.0
    };
    assert!(mean_score(10.0, KnownEffect::Event) < 0.2 * mean_score(10.0, KnownEffect::None));
    assert!(mean_score(1e4, KnownEffect::Event) > 100.0, "far beyond, it still shows");
    let mut after = forecast.clone();
    scores_at(&mut after, at, 600, 10.0, KnownEffect::Event);
    let (before, after) = (&forecast.features[0], &after.features[0]);
    assert_eq!((before.slow, before.slow_spread, before.conformal), (after.slow, after.slow_spread, after.conformal));
}

#[test]
fn a_roll_out_takes_the_level_along_but_ten_deviations_at_most() {
    let (forecast, at) = one(1_500);
    let after = |level: f64, known| {
        let mut forecast = forecast.clone();
        scores_at(&mut forecast, at, 30, level, known);
        let scores = scores_at(&mut forecast, at + Duration::from_secs(30 * 60), 30, level, KnownEffect::None);
        scores.iter().sum::<f64>() / 30.0
    };
    assert!(after(8.0, KnownEffect::None) > 2.0 * after(8.0, KnownEffect::Rollout));
    assert!(after(200.0, KnownEffect::Rollout) > 40.0, "a level two hundred away stays a finding");
}

#[test]
fn a_file_with_parts_that_do_not_fit_is_refused() {
    let (forecast, _) = one(600);
    let read =
        |forecast: &Forecast| postcard::from_bytes::<Forecast>(&postcard::to_allocvec(forecast).expect("plain data"));
    assert_eq!(read(&forecast).as_ref(), Ok(&forecast));
    for spoil in [
        |forecast: &mut Forecast| forecast.expected.clear(),
        |forecast: &mut Forecast| forecast.step_ms = 0,
        |forecast: &mut Forecast| forecast.features[0].scale = 0.0,
        |forecast: &mut Forecast| forecast.features[0].slow = f64::NAN,
        |forecast: &mut Forecast| forecast.features[0].extreme_rows = u16::MAX,
    ] {
        let mut bad = forecast.clone();
        spoil(&mut bad);
        assert!(read(&bad).is_err());
    }
}

#[test]
fn a_series_with_a_day_and_a_week_at_one_minute_holds_four_kib_at_most() {
    let values = Array2::from_shape_fn((3 * 10_080, 2), |(row, _)| {
        let hours = row as f64 / 60.0;
        let weekend = if hours % 168.0 >= 120.0 { -3.0 } else { 0.0 };
        weekend + (std::f64::consts::TAU * hours / 24.0).sin()
    });
    let window = crate::contract::window(values);
    let extracted = ExtractedFeatures::new(&window, &Scaler::fit(&window));
    let forecast = Forecast::train(&ForecastSpec::default(), &extracted, Seed::new(1)).expect("a model");
    assert_eq!(forecast.periods(0).count(), 2);
    assert!(forecast.memory_bytes() <= 2 * 4 * 1_024, "{}", forecast.memory_bytes() / 2);
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
    let extracted = ExtractedFeatures::new(&window, &scaler);
    let mut forecast = Forecast::train(&ForecastSpec::default(), &extracted, Seed::new(1)).expect("a model");
    let mut extractor = FeatureExtractor::new(scaler, Duration::from_secs(60));
    extractor.push(window.grid().end(), [0.0].into_iter());
    let mut score = |value: f64| scored(next_score(&mut forecast, &mut extractor, &[value])).expect("a score");
    assert_eq!(score(0.4), 0.0, "within the dead zone");
    assert_eq!(score(-9.0), 0.0, "down doesn't matter");
    assert!(score(0.9) > 100.0, "a constant feature that moves is far at once");
}

#[test]
fn bad_options_and_short_histories_are_refused() {
    assert!(matches!(ForecastSpec::new(1, Duration::from_secs(3600)), Err(TrainError::BadOption { .. })));
    assert!(matches!(ForecastSpec::new(3, Duration::ZERO), Err(TrainError::BadOption { .. })));
    assert!(ForecastSpec::default().accepting_after(Duration::from_secs(60)).is_err());
    let (_, extracted) = history(array![[1.0], [2.0]]);
    let trained = Forecast::train(&ForecastSpec::default(), &extracted, Seed::new(1));
    assert!(matches!(trained, Err(TrainError::TooFewRows { found: 2, .. })));
}
