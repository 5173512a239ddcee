//! Restarts: what was counted counts once, and the record says which incidents there are.

use homeostat_core::IncidentId;

use super::*;

/// As a new process: what was saved, in a tracker of its own.
fn restarted(play: &mut Play) {
    let saved = play.tracker.save().expect("plain data");
    play.tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    play.tracker.restore(&saved).expect("what was saved");
}

/// As a new process whose saved state is lost.
fn started_anew(play: &mut Play) {
    play.tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
}

/// An incident of `cart` that goes on, after an hour of calm.
fn with_an_incident() -> (Play, Incident) {
    let mut play = Play::new();
    assert!(play.steps(60, &[given("cart", 0.1, CALM)]).is_empty());
    assert_eq!(names(&play.steps(3, &[given("cart", 1.5, SLOW)])), [("opened", "cart".into())]);
    let incident = play.open()[0].clone();
    (play, incident)
}

/// The last hour is pulled again, as a process does that has just started; `now` is where it was.
fn the_past_again(play: &mut Play) -> Vec<IncidentChange> {
    play.minute -= 63;
    let mut changes = play.steps(60, &[given("cart", 0.1, CALM)]);
    changes.extend(play.steps(3, &[given("cart", 1.5, SLOW)]));
    changes
}

fn never(_: &IncidentId) -> bool {
    false
}

#[test]
fn rows_that_were_counted_before_a_restart_count_for_nothing() {
    let (mut play, incident) = with_an_incident();
    restarted(&mut play);
    assert!(the_past_again(&mut play).is_empty(), "the calm before it resolves nothing");
    assert!(play.steps(5, &[given("cart", 1.5, SLOW)]).is_empty());
    assert_eq!(play.open()[0].id, incident.id);
    let changes = play.steps(20, &[given("cart", 0.1, CALM)]);
    assert_eq!(names(&changes), [("resolved", "cart".into())]);
    assert!(changes[0].incident().updated_at > incident.updated_at);
}

#[test]
fn what_only_the_record_has_goes_on_and_is_not_opened_again() {
    let (mut play, incident) = with_an_incident();
    started_anew(&mut play);
    assert!(play.tracker.take_up([incident.clone()], never, play.now()).is_empty());
    assert_eq!(play.open(), [&incident]);
    assert!(the_past_again(&mut play).is_empty());
    assert!(play.steps(5, &[given("cart", 1.5, SLOW)]).is_empty());
    assert_eq!(play.open()[0].id, incident.id);
    assert_eq!(names(&play.steps(20, &[given("cart", 0.1, CALM)])), [("resolved", "cart".into())]);
}

#[test]
fn what_the_record_says_is_over_is_over() {
    let (mut play, incident) = with_an_incident();
    restarted(&mut play);
    assert!(play.tracker.take_up([], |id| *id == incident.id, play.now()).is_empty());
    assert!(play.open().is_empty());
}

#[test]
fn what_only_the_tracker_has_stays() {
    let (mut play, incident) = with_an_incident();
    restarted(&mut play);
    assert!(play.tracker.take_up([], never, play.now()).is_empty());
    assert_eq!(play.open(), [&incident]);
}

#[test]
fn a_newer_record_is_taken_over_an_older_state_and_not_the_other_way_round() {
    let (mut play, incident) = with_an_incident();
    let newer = Incident { updated_at: incident.updated_at + STEP, affected: vec![subject("web")], ..incident.clone() };
    let older = Incident { updated_at: incident.updated_at - STEP, affected: vec![subject("old")], ..incident.clone() };
    restarted(&mut play);
    play.tracker.take_up([older], never, play.now());
    assert_eq!(play.open(), [&incident]);
    play.tracker.take_up([newer.clone()], never, play.now());
    assert_eq!(play.open(), [&newer]);
}

#[test]
fn an_incident_of_a_subject_that_has_another_one_has_ended() {
    let (mut play, incident) = with_an_incident();
    let opened_at = incident.opened_at - 30 * STEP;
    let id = IncidentId::of(&incident.subject, opened_at);
    let earlier = Incident { id: id.clone(), opened_at, updated_at: opened_at, ..incident.clone() };
    restarted(&mut play);
    let ended = play.tracker.take_up([earlier], never, play.now());
    assert_eq!((&ended[0].id, ended[0].state, ended[0].updated_at), (&id, IncidentState::Resolved, incident.opened_at));
    assert_eq!(play.open(), [&incident]);
}

#[test]
fn a_clock_that_was_ahead_when_it_was_saved_blinds_nothing_after_a_restart() {
    let (mut play, _) = with_an_incident();
    play.minute += 600;
    play.step(&[given("cart", 1.5, SLOW)]);
    restarted(&mut play);
    play.minute -= 600;
    play.tracker.take_up([], never, play.now());
    assert_eq!(names(&play.steps(20, &[given("cart", 0.1, CALM)])), [("resolved", "cart".into())]);
}
