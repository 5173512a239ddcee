use super::*;
use crate::testing::{change_of, escalation, noon};

fn change(sequence: u64, workload: &str, name: &str) -> Entry {
    let event = Event::of_change(&change_of(workload, name), "/a", sequence);
    Entry::new(Arc::new(event), true, noon())
}

fn call(sequence: u64, reason: &str) -> Entry {
    Entry::new(Arc::new(Event::of_escalation(&escalation(reason), None, "/a", sequence)), true, noon())
}

fn queue(entries: impl IntoIterator<Item = Entry>) -> Queue {
    let mut queue = Queue::default();
    for entry in entries {
        queue.push(entry).unwrap();
    }
    queue
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn start(queue: &mut Queue, now: Duration) -> Option<Key> {
    match queue.next(now) {
        Next::Start { key, .. } => Some(key),
        Next::Wait(_) => None,
    }
}

/// Starts everything that may be started, and says which numbers those have.
fn start_all(queue: &mut Queue, now: Duration) -> Vec<u64> {
    std::iter::from_fn(|| start(queue, now)).map(|key| key.sequence).collect()
}

fn retry() -> Delivery {
    Delivery::Retry { why: "503".into(), after: None }
}

fn refuse() -> Delivery {
    Delivery::Refused { why: "400".into() }
}

/// One attempt, alone.
fn attempt(queue: &mut Queue, now: Duration, delivery: Delivery) -> Option<Settled> {
    let key = start(queue, now)?;
    queue.settle(key, delivery, now, noon() + now)
}

/// Attempts as soon as they may be made, all with the same end, until `until`. Returns the numbers that were tried.
fn attempts(queue: &mut Queue, until: Duration, delivery: impl Fn(u64) -> Delivery) -> Vec<u64> {
    let (mut now, mut tried) = (Duration::ZERO, Vec::new());
    while now <= until {
        match queue.next(now) {
            Next::Start { key, .. } => {
                tried.push(key.sequence);
                queue.settle(key, delivery(key.sequence), now, noon() + now);
            }
            Next::Wait(Some(at)) => now = at,
            Next::Wait(None) => break,
        }
    }
    tried
}

#[test]
fn escalations_go_first_and_the_rest_in_order() {
    let mut queue = queue([change(1, "a", "opened"), change(2, "b", "opened"), call(3, "x"), change(4, "c", "opened")]);
    assert_eq!(start_all(&mut queue, secs(0)), [3, 1, 2, 4]);
}

#[test]
fn of_one_incident_only_one_change_is_under_way_at_a_time() {
    let mut queue = queue([change(1, "a", "opened"), change(2, "a", "resolved"), change(3, "b", "opened")]);
    let first = start(&mut queue, secs(0)).unwrap();
    assert_eq!(start_all(&mut queue, secs(0)), [3]);
    queue.settle(first, Delivery::Accepted, secs(1), noon());
    assert_eq!(start_all(&mut queue, secs(1)), [2]);
}

#[test]
fn what_is_under_way_is_not_started_again() {
    let mut queue = queue([call(1, "x")]);
    assert_eq!(start_all(&mut queue, secs(0)), [1]);
    assert_eq!(start_all(&mut queue, secs(86_400)), [0; 0]);
}

#[test]
fn a_later_change_never_passes_one_that_is_tried_again() {
    let mut queue = queue([change(1, "a", "opened"), change(2, "a", "resolved")]);
    let tried = attempts(&mut queue, secs(3600), |_| retry());
    assert!(tried.len() > 5 && tried.iter().all(|sequence| *sequence == 1), "{tried:?}");
}

#[test]
fn a_receiver_that_is_down_gets_one_attempt_at_a_time_ever_more_seldom() {
    let mut queue = queue((0..100).map(|sequence| change(sequence, &format!("w{sequence}"), "opened")));
    let under_way: Vec<Key> = std::iter::from_fn(|| start(&mut queue, secs(0))).collect();
    assert_eq!(under_way.len(), UNDER_WAY_MAX);
    for key in under_way {
        queue.settle(key, retry(), secs(1), noon());
    }
    // Eight failures together are one: the next attempt comes after the first pause.
    let Next::Wait(Some(at)) = queue.next(secs(1)) else { panic!("it goes on") };
    assert!((secs(6)..=secs(8)).contains(&at), "{at:?}");
    let tried = attempts(&mut queue, secs(3600), |_| retry());
    assert!((12..25).contains(&tried.len()), "in an hour: {}", tried.len());
}

#[test]
fn when_the_receiver_is_back_everything_goes_at_once() {
    let mut queue = queue((0..20).map(|sequence| change(sequence, &format!("w{sequence}"), "opened")));
    attempt(&mut queue, secs(0), retry());
    assert_eq!(start_all(&mut queue, secs(1)), [0; 0]);
    let probe = start(&mut queue, secs(10)).unwrap();
    assert_eq!(start_all(&mut queue, secs(10)), [0; 0], "one attempt at a time");
    queue.settle(probe, Delivery::Accepted, secs(10), noon());
    assert_eq!(start_all(&mut queue, secs(10)).len(), UNDER_WAY_MAX);
}

#[test]
fn one_message_on_which_a_receiver_chokes_holds_up_neither_the_others_nor_its_incident_for_ever() {
    for delivery in [retry(), refuse()] {
        let others = (10..40).map(|sequence| change(sequence, &format!("w{sequence}"), "opened"));
        let mut queue = queue(others.chain([call(1, "x"), change(2, "a", "opened"), change(3, "a", "resolved")]));
        let end = |sequence| if sequence < 3 { delivery.clone() } else { Delivery::Accepted };
        let tried = attempts(&mut queue, secs(600), end);
        assert!((10..40).all(|sequence| tried.contains(&sequence)), "{delivery:?}: {tried:?}");
        let waiting: Vec<u64> = queue.entries().map(|entry| entry.event.sequence).collect();
        assert!(waiting.contains(&1), "an escalation is tried for days: {waiting:?}");
        if delivery == refuse() {
            assert_eq!(waiting, [1], "the end of the incident arrived, so its beginning would be out of order");
        }
    }
}

#[test]
fn a_channel_that_refuses_everything_is_treated_as_one_that_fails() {
    let mut queue = queue((0..1000).map(|sequence| change(sequence, &format!("w{sequence}"), "opened")));
    let tried = attempts(&mut queue, secs(3600), |_| refuse());
    assert!(tried.len() < 40, "{}", tried.len());
}

#[test]
fn the_receivers_wish_holds_for_the_whole_channel() {
    let mut queue = queue([call(1, "x"), call(2, "y")]);
    let wish = Delivery::Retry { why: "429".into(), after: Some(secs(120)) };
    attempt(&mut queue, secs(0), wish);
    assert!(matches!(queue.next(secs(119)), Next::Wait(Some(at)) if at == secs(120)));
    assert!(matches!(queue.next(secs(120)), Next::Start { .. }));
}

#[test]
fn an_event_is_given_up_only_after_its_time_and_many_attempts() {
    for (entry, hours) in [(change(1, "a", "opened"), 24), (call(2, "x"), 72)] {
        let mut queue = queue([entry]);
        let (mut now, mut n_attempts) = (Duration::ZERO, 0);
        let given_up = loop {
            match queue.next(now) {
                Next::Start { key, .. } => {
                    n_attempts += 1;
                    if let Some(Settled::GivenUp { .. }) = queue.settle(key, retry(), now, noon() + now) {
                        break now;
                    }
                }
                Next::Wait(at) => now = at.unwrap(),
            }
        };
        assert!((hours * 3600..hours * 3600 + 400).contains(&given_up.as_secs()), "{given_up:?}");
        assert!(n_attempts > 100);
    }
}

#[test]
fn a_clock_that_jumps_ahead_by_days_gives_nothing_up_early() {
    let mut queue = queue([call(1, "x")]);
    let key = start(&mut queue, secs(0)).unwrap();
    let settled = queue.settle(key, retry(), secs(1), noon() + secs(10 * 86_400));
    assert!(matches!(settled, Some(Settled::Again { .. })), "{settled:?}");
}

#[test]
fn a_clock_that_was_put_back_delays_a_stored_event_by_minutes_only() {
    assert_eq!(due_after_start(noon() + secs(30), noon(), secs(5)), secs(35));
    assert_eq!(due_after_start(noon(), noon() + secs(30), secs(5)), secs(5));
    assert_eq!(due_after_start(noon() + secs(86_400), noon(), secs(5)), secs(5) + PAUSE_MAX);
}

#[test]
fn old_changes_give_way_and_escalations_never_do() {
    let mut full = queue((0..PENDING_MAX as u64).map(|sequence| change(sequence, &format!("w{sequence}"), "opened")));
    let under_way = start(&mut full, secs(0)).unwrap();
    assert_eq!(under_way.sequence, 0);
    let dropped = full.push(call(90_000, "x")).unwrap();
    assert_eq!(dropped.iter().map(|entry| entry.event.sequence).collect::<Vec<_>>(), [1], "not what is under way");
    let mut calls = queue((0..PENDING_MAX as u64).map(|sequence| call(sequence, &sequence.to_string())));
    assert_eq!(calls.push(call(90_000, "one more")).map(|dropped| dropped.len()), Err(Full));
    let dropped = calls.push(change(90_001, "a", "opened")).unwrap();
    assert_eq!(dropped[0].event.sequence, 90_001, "a change has no place among them");
    assert_eq!(calls.entries().count(), PENDING_MAX);
}

#[test]
fn at_the_end_only_what_was_never_tried_is_started() {
    let mut queue = queue([change(1, "a", "opened"), change(2, "b", "opened")]);
    attempt(&mut queue, secs(0), refuse());
    queue.end();
    assert_eq!(start_all(&mut queue, secs(3600)), [2]);
}

#[test]
fn a_late_answer_is_waited_for_longer_each_time() {
    let limits: Vec<u64> = (0..5).map(|n_attempts| limit(secs(10), n_attempts).as_secs()).collect();
    assert_eq!(limits, [10, 20, 40, 60, 60]);
    assert_eq!(limit(secs(60), 0), secs(60));
    assert_eq!(limit(secs(2), u32::MAX), TIMEOUT_MAX);
}
