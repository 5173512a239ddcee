//! Holidays: a Wednesday on which nobody works is as quiet as a Sunday, and is judged as one.

use homeostat_core::{Holiday, LocalTime, Weekday};

use super::local_time::{day, opens};
use super::*;

const DAY_ROWS: usize = 288;

/// Five weeks from a Monday on, so that the two thirds that models are fitted on show three weeks; the week that is scored comes after them.
const HISTORY: &str = "2026-10-19T00:00:00Z";
const HISTORY_DAYS: usize = 35;
const SCORED: &str = "2026-11-23T00:00:00Z";
/// A Wednesday of the history, and the one that is scored.
const PAST_HOLIDAY: &str = "2026-10-28";
const HOLIDAY: &str = "2026-11-25";

/// Traffic of so many days, ten times as much from eight to six on working days but these; with what `fault` makes of an hour since the epoch.
fn office(start: &str, n_days: usize, closed: &[&str], fault: impl Fn(i64) -> f64) -> Window {
    let schema = Arc::new(Schema::new(vec![feature("traffic", Signal::Traffic)]).expect("a schema"));
    let grid = Grid::new(start.parse().expect("a moment"), Duration::from_secs(300), n_days * DAY_ROWS);
    let grid = grid.expect("a grid");
    let closed: Vec<i64> = closed.iter().map(|date| day(&format!("{date}T00:00:00Z"))).collect();
    let mut rng = Seed::new(n_days as u64).rng();
    let values = Array2::from_shape_fn((grid.n_steps(), 1), |(row, _)| {
        let hour = grid.at(row).as_millis() / 3_600_000;
        // The epoch was a Thursday.
        let is_working = (hour / 24 + 3) % 7 < 5 && !closed.contains(&(hour / 24));
        let usual = if is_working && (8..18).contains(&(hour % 24)) { 100.0 } else { 10.0 };
        let bell: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        usual * (1.0 + 0.04 * bell) * fault(hour)
    });
    Window::new(Subject::deployment("shop", "cart"), grid, schema, values).expect("a window")
}

fn trained(closed: &[&str], holidays: &[&str]) -> Ensemble {
    // The network takes most of the time, and knows no hours.
    let names = ["residual", "forest", "forecast", "pca", "envelope"];
    let detectors = names.into_iter().filter_map(DetectorSpec::by_name).collect();
    let holidays = holidays.iter().map(|date| Holiday::new(date, Weekday::Sunday).expect("a date"));
    let local_time = LocalTime::default().with_holidays(holidays);
    let spec = EnsembleSpec { detectors, local_time, ..EnsembleSpec::default() };
    Ensemble::train(&spec, &office(HISTORY, HISTORY_DAYS, closed, |_| 1.0), Seed::new(3)).expect("enough history")
}

/// Whether an incident opens in the week after the history, in which one Wednesday is a holiday.
fn opens_after(ensemble: &Ensemble, fault: impl Fn(i64) -> f64) -> bool {
    let week = office(SCORED, 7, &[HOLIDAY], fault);
    opens(&ensemble.clone().assess_rows(&week).expect("the same features"))
}

/// An hour at noon of the holiday with five times the traffic of a Sunday.
fn surge(hour: i64) -> f64 {
    if hour == 24 * day(&format!("{HOLIDAY}T00:00:00Z")) + 12 { 5.0 } else { 1.0 }
}

#[test]
fn a_holiday_calls_nobody_and_a_fault_on_it_is_found() {
    assert!(opens_after(&trained(&[], &[]), |_| 1.0), "a quiet Wednesday is news to who knows no holidays");
    let ensemble = trained(&[], &[HOLIDAY]);
    assert!(!opens_after(&ensemble, |_| 1.0), "nothing happened");
    assert!(opens_after(&ensemble, surge), "a surge on the holiday");
    let saved = ensemble.clone().save().expect("saved");
    let restored = Ensemble::restore(&saved, &LoadOptions::default()).expect("restored");
    assert_eq!(restored.local_time().holidays(), ensemble.local_time().holidays());
    assert!(!opens_after(&restored, |_| 1.0), "a bundle knows its holidays");
}

#[test]
fn a_holiday_of_the_history_is_no_part_of_its_weekday() {
    let ensemble = trained(&[PAST_HOLIDAY], &[PAST_HOLIDAY, HOLIDAY]);
    assert!(!opens_after(&ensemble, |_| 1.0), "nothing happened");
    assert!(opens_after(&ensemble, surge), "a surge on the holiday");
    // The next Wednesday as quiet as a holiday.
    let wednesday = day(SCORED) + 9;
    let quiet = |hour: i64| if hour / 24 == wednesday && (8..18).contains(&(hour % 24)) { 0.1 } else { 1.0 };
    let weeks = office(SCORED, 14, &[HOLIDAY], quiet);
    assert!(opens(&ensemble.clone().assess_rows(&weeks).expect("the same features")), "a quiet working day");
}
