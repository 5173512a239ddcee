//! What a history shows again and again, and what goes on for long, through the very path that rows take.

use super::*;

const DAY_ROWS: usize = 1440;
const N_DAYS: usize = 9;

fn cpu(from: usize, n_rows: usize, seed: u64, adds: impl Fn(usize) -> f64) -> Window {
    let mut values = noise(seed, n_rows);
    for row in 0..n_rows {
        values[[row, 0]] += adds(from + row);
    }
    window(from, values)
}

/// A job at 06:00 for ten minutes.
fn job(row: usize) -> f64 {
    if (360..370).contains(&(row % DAY_ROWS)) { 8.0 } else { 0.0 }
}

/// Whether an incident would open.
fn opens(rows: &[AssessedRow]) -> bool {
    let (mut gate, rule) = (crate::hysteresis::Gate::default(), crate::hysteresis::Hysteresis::default());
    rows.iter().any(|row| {
        gate.push(&rule, row.assessment.score().map(homeostat_core::Score::value));
        gate.opens(&rule)
    })
}

fn highest(rows: &[AssessedRow], of: fn(&Assessment) -> Option<homeostat_core::Score>) -> f64 {
    rows.iter().filter_map(|row| of(&row.assessment)).map(homeostat_core::Score::value).fold(0.0, f64::max)
}

fn after_days(adds: impl Fn(usize) -> f64) -> Ensemble {
    after_days_with(&two(), adds)
}

fn after_days_with(spec: &EnsembleSpec, adds: impl Fn(usize) -> f64) -> Ensemble {
    let history = cpu(0, N_DAYS * DAY_ROWS, 1, adds);
    Ensemble::train(spec, &history, Seed::new(3)).expect("enough history")
}

#[test]
fn a_job_of_every_day_is_no_alarm_and_the_same_at_another_time_is() {
    let ensemble = after_days_with(&EnsembleSpec::default(), job);
    let start = N_DAYS * DAY_ROWS;
    let day = ensemble.clone().assess_rows(&cpu(start, DAY_ROWS, 2, job)).expect("the same features");
    assert!(!opens(&day), "{}", highest(&day, Assessment::score));
    let at_noon = |row: usize| if (720..730).contains(&(row % DAY_ROWS)) { 8.0 } else { 0.0 };
    let other = ensemble.clone().assess_rows(&cpu(start, DAY_ROWS, 2, at_noon)).expect("the same features");
    assert!(opens(&other), "{}", highest(&other, Assessment::score));
    let thrice =
        ensemble.clone().assess_rows(&cpu(start, DAY_ROWS, 2, |row| 3.0 * job(row))).expect("the same features");
    assert!(opens(&thrice), "three times as hard is news");
}

#[test]
fn what_comes_every_day_at_any_time_is_no_alarm_either() {
    let at_any_time = |row: usize| {
        let minute = (row / DAY_ROWS * 397 + 100) % 1300;
        if (minute..minute + 10).contains(&(row % DAY_ROWS)) { 30.0 } else { 0.0 }
    };
    let start = N_DAYS * DAY_ROWS;
    let days = cpu(start, 3 * DAY_ROWS, 2, at_any_time);
    let habit = after_days(at_any_time).assess_rows(&days).expect("the same features");
    assert!(!opens(&habit), "it was counted: {}", highest(&habit, Assessment::score));
    let news = after_days(|_| 0.0).assess_rows(&days).expect("the same features");
    assert!(opens(&news));
}

#[test]
fn mild_rows_add_up_to_an_alarm_that_none_of_them_is() {
    let ensemble = after_days(|_| 0.0);
    let start = N_DAYS * DAY_ROWS;
    let mild = |row: usize| if (start + 300..start + 345).contains(&row) { 4.0 } else { 0.0 };
    let rows = ensemble.clone().assess_rows(&cpu(start, 400, 2, mild)).expect("the same features");
    assert!(highest(&rows, Assessment::lasting_score) > 1.0, "{}", highest(&rows, Assessment::lasting_score));
    let quiet = ensemble.clone().assess_rows(&cpu(start, DAY_ROWS, 2, |_| 0.0)).expect("the same features");
    assert!(highest(&quiet, Assessment::lasting_score) < 1.0);
}
