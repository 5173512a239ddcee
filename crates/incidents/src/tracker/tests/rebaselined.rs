//! When an incident whose level is the new usual is closed, and when it isn't.

use super::*;

/// A calm row whose features are away, and usual for the forecast.
fn usual(deviations: [f64; 4]) -> Given {
    Given { usual: true, ..given("cart", 0.1, deviations) }
}

const HALF_A_DAY: usize = 12 * 60;

fn opened(deviations: [f64; 4]) -> Play {
    let mut play = Play::new();
    play.steps(5, &[given("cart", 1.5, deviations)]);
    assert_eq!(play.open().len(), 1);
    play
}

#[test]
fn a_level_that_is_usual_for_half_a_day_is_told_as_accepted_and_not_as_resolved() {
    let mut play = opened(SLOW);
    let changes = play.steps(HALF_A_DAY - 1, &[usual(SLOW)]);
    assert!(changes.is_empty(), "{:?}", names(&changes));
    let changes = play.step(&[usual(SLOW)]);
    assert_eq!(names(&changes), [("rebaselined", "cart".to_owned())]);
    let incident = changes[0].incident();
    assert_eq!((incident.state, incident.updated_at), (IncidentState::Rebaselined, play.now()));
    assert!(play.open().is_empty());
}

#[test]
fn what_alarms_after_it_was_accepted_is_an_incident_of_its_own() {
    let mut play = opened(SLOW);
    let first = play.open()[0].id.clone();
    play.steps(HALF_A_DAY, &[usual(SLOW)]);
    let changes = play.steps(3, &[given("cart", 1.5, SLOW)]);
    assert_eq!(names(&changes), [("opened", "cart".to_owned())]);
    assert_ne!(changes[0].incident().id, first);
}

#[test]
fn failures_are_never_accepted() {
    let restarting = [0.0, 0.0, 9.0, 0.0];
    let mut play = opened(restarting);
    play.steps(4 * HALF_A_DAY, &[usual(restarting)]);
    assert_eq!(play.open().len(), 1);
}

#[test]
fn what_still_alarms_is_not_accepted() {
    let mut play = opened(SLOW);
    let alarming = Given { usual: true, ..given("cart", 1.5, SLOW) };
    let changes = play.steps(4 * HALF_A_DAY, &[alarming]);
    assert!(changes.iter().all(|change| change.name() != "rebaselined"));
    assert_eq!(play.open().len(), 1);
}

#[test]
fn a_row_in_ten_that_surprises_keeps_it_open_and_one_in_a_hundred_does_not() {
    let surprised_every = |n: usize| {
        let mut play = opened(SLOW);
        for row in 0..4 * HALF_A_DAY {
            play.step(&[Given { usual: row % n != 0, ..usual(SLOW) }]);
        }
        play.open().len()
    };
    assert_eq!((surprised_every(10), surprised_every(100)), (1, 0));
}

#[test]
fn silence_is_stale_however_usual_it_was() {
    let mut play = opened(SLOW);
    play.steps(HALF_A_DAY - 10, &[usual(SLOW)]);
    let dark = usual([f64::NAN; 4]);
    let changes = play.steps(60, &[dark]);
    assert_eq!(names(&changes), [("stale", "cart".to_owned())]);
}

#[test]
fn what_is_back_to_normal_is_resolved_as_ever() {
    let mut play = opened(SLOW);
    play.steps(HALF_A_DAY / 2, &[usual(SLOW)]);
    assert_eq!(names(&play.steps(6, &[usual(CALM)])), [("resolved", "cart".to_owned())]);
}
