//! What adds up over many rows, of which none alarms by itself.

use super::*;

/// Latency a little off, row after row.
const MILD: [f64; 4] = [4.6, 0.0, 0.0, 0.0];

fn mild(score: f64, lasting: f64) -> Given {
    Given { lasting, ..given("cart", score, MILD) }
}

#[test]
fn what_adds_up_opens_an_incident_once_with_its_own_score_and_its_end_is_calm() {
    let mut play = Play::new();
    assert!(play.steps(30, &[mild(0.3, 0.8)]).is_empty());
    let changes = play.steps(120, &[mild(0.3, 1.4)]);
    assert_eq!(names(&changes), [("opened", "cart".into())]);
    assert_eq!(
        (changes[0].incident().score.value(), changes[0].incident().incident_type),
        (1.4, IncidentType::Latency)
    );
    // Rows are normal again for a while, and it still adds up.
    assert!(play.steps(20, &[Given { lasting: 1.1, ..given("cart", 0.1, CALM) }]).is_empty());
    let over = play.steps(5, &[Given { lasting: 0.6, ..given("cart", 0.1, CALM) }]);
    assert_eq!(names(&over), [("resolved", "cart".into())]);
}

#[test]
fn what_pauses_for_a_quarter_of_an_hour_and_goes_on_is_one_incident() {
    let mut play = Play::new();
    let of = |lasting: f64| Given { lasting, ..given("cart", 0.1, CALM) };
    assert_eq!(names(&play.steps(10, &[mild(0.3, 1.3)])), [("opened", "cart".into())]);
    // The averages fall below the threshold, and not to a half: somewhat of it is there in each row.
    assert!(play.steps(15, &[of(0.8)]).is_empty(), "a leak that pauses");
    assert!(play.steps(40, &[of(1.9)]).is_empty(), "somebody knows of it");
    assert!(play.steps(15, &[of(1.1)]).is_empty());
    assert_eq!(names(&play.steps(5, &[of(0.9)])), [("resolved", "cart".into())], "below half of 1.9");
}

#[test]
fn what_a_single_row_told_within_the_hour_is_not_told_again_by_what_adds_up() {
    let mut play = Play::new();
    let opened = play.steps(2, &[Given { lasting: 0.4, ..given("cart", 1.5, SLOW) }]);
    assert_eq!(names(&opened), [("opened", "cart".into())]);
    assert!(play.steps(50, &[mild(0.8, 1.5)]).is_empty());
    // Nor does it come anew after its end, while the same goes on.
    assert!(play.steps(60, &[mild(0.8, 1.5)]).is_empty());
}

#[test]
fn what_a_far_row_opened_ends_with_its_signals_and_not_with_the_averages() {
    let mut play = Play::new();
    play.steps(2, &[Given { lasting: 0.4, ..given("cart", 9.0, SLOW) }]);
    play.steps(6, &[Given { lasting: 2.0, ..given("cart", 9.0, SLOW) }]);
    let over = play.steps(5, &[Given { lasting: 1.5, ..given("cart", 0.1, CALM) }]);
    assert_eq!(names(&over), [("resolved", "cart".into())]);
    assert!(play.steps(30, &[Given { lasting: 1.2, ..given("cart", 0.1, CALM) }]).is_empty(), "nor is it told anew");
}

#[test]
fn what_adds_up_far_beyond_what_was_told_is_told_again_after_the_incident_has_ended() {
    let mut play = Play::new();
    let of = |lasting: f64| Given { lasting, ..given("cart", 0.1, CALM) };
    assert_eq!(names(&play.steps(10, &[mild(0.3, 3.0)])), [("opened", "cart".into())]);
    // The leak pauses: the averages fall, though not until all is calm.
    assert_eq!(names(&play.steps(6, &[of(1.2)])), [("resolved", "cart".into())]);
    assert!(play.steps(70, &[of(1.2)]).is_empty());
    assert!(play.steps(5, &[of(4.0)]).is_empty(), "ups and downs of one fault");
    assert_eq!(names(&play.steps(3, &[of(5.0)])), [("opened", "cart".into())]);
}

#[test]
fn what_was_told_and_falls_is_not_told_again_when_the_hour_is_over() {
    let mut play = Play::new();
    let of = |lasting: f64| Given { lasting, ..given("cart", 0.1, CALM) };
    // A level for an hour, told in its first minute; its incident ends while the averages still rise.
    assert_eq!(names(&play.steps(10, &[given("cart", 8.0, SLOW)])), [("opened", "cart".into())]);
    play.steps(10, &[of(1.7)]);
    assert!(play.open().is_empty());
    play.steps(30, &[of(2.98)]);
    assert!(play.steps(20, &[of(2.86)]).is_empty(), "the hour is over, and so is the level");
}

#[test]
fn a_jump_within_a_slow_incident_notifies_as_it_always_did() {
    let mut play = Play::new();
    play.steps(10, &[mild(0.1, 1.5)]);
    let changes = play.steps(3, &[Given { lasting: 2.0, ..given("cart", 3.0, SLOW) }]);
    assert!(changes.iter().any(IncidentChange::notifies), "{:?}", names(&changes));
}

#[test]
fn a_checkpoint_of_an_earlier_version_knows_nothing_of_it_and_is_read() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, SLOW)]);
    let mut saved: serde_json::Value = serde_json::from_str(&play.tracker.save().expect("plain data")).expect("JSON");
    for watch in saved.as_object_mut().into_iter().flat_map(|watches| watches.values_mut()) {
        watch.as_object_mut().expect("a watch").remove("excursion").expect("it is kept");
    }
    play.tracker.restore(&saved.to_string()).expect("an earlier version's");
    assert_eq!(play.open().len(), 1);
}
