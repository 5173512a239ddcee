//! What an incident says of limits ahead, and how often.

use std::collections::BTreeMap;

use super::*;

/// Memory that rises by a five-hundredth of its limit a minute, for two hours until now.
fn filling(play: &mut Play) {
    let limits = BTreeMap::from([("memory".to_owned(), 1.0)]);
    play.limits = LimitWatch::new(&schema(), STEP, &limits).expect("a limit");
    for minute in 0..120 {
        take(play, minute - 119);
    }
}

fn take(play: &mut Play, minute: i64) {
    let at = Timestamp::from_secs(60 * (play.minute + minute));
    let memory = 0.5 + 0.002 * (play.minute + minute - 880) as f64;
    play.limits.observe(at, &[None, Some(memory), None, None]);
}

#[test]
fn an_incident_of_memory_says_when_its_limit_is_reached() {
    let mut play = Play::new();
    filling(&mut play);
    let changes = play.steps(3, &[given("cart", 1.5, LEAKING)]);
    let limits = &changes[0].incident().limits_ahead;
    assert_eq!(limits.len(), 1);
    assert!(limits[0].to_string().starts_with("memory reaches its limit in about 2 h"), "{}", limits[0]);
    assert!(limits[0].earliest_at <= limits[0].expected_at && limits[0].expected_at <= limits[0].latest_at);
}

#[test]
fn an_incident_of_something_else_says_nothing_of_memory() {
    let mut play = Play::new();
    filling(&mut play);
    let changes = play.steps(3, &[given("cart", 1.5, SLOW)]);
    assert!(changes[0].incident().limits_ahead.is_empty());
}

#[test]
fn a_limit_that_comes_into_sight_is_told_once_and_then_kept_up_silently() {
    let mut play = Play::new();
    assert_eq!(play.steps(3, &[given("cart", 1.5, LEAKING)]).len(), 1);
    filling(&mut play);
    let mut told_of = Vec::new();
    for _ in 0..40 {
        take(&mut play, 1);
        told_of.extend(play.step(&[given("cart", 1.5, LEAKING)]));
    }
    assert_eq!(names(&told_of), [("updated", "cart".to_owned())]);
    let (then, now) = (&told_of[0].incident().limits_ahead[0], &play.open()[0].limits_ahead[0]);
    assert!(now.as_of > then.as_of, "it is as of the newest row");
    // The trend goes out of sight and comes back: nobody is told again.
    play.limits.rolled_out(play.now());
    assert!(play.step(&[given("cart", 1.5, LEAKING)]).is_empty());
    assert!(play.open()[0].limits_ahead.is_empty());
    filling(&mut play);
    assert!(play.step(&[given("cart", 1.5, LEAKING)]).is_empty());
    assert_eq!(play.open()[0].limits_ahead.len(), 1);
}

#[test]
fn what_fills_up_is_never_accepted() {
    let mut play = Play::new();
    filling(&mut play);
    play.steps(3, &[given("cart", 1.5, LEAKING)]);
    let usual = Given { usual: true, ..given("cart", 0.1, LEAKING) };
    play.steps(2 * 24 * 60, &[usual]);
    assert_eq!(play.open().len(), 1);
}
