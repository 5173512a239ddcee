use proptest::prelude::*;

use super::*;
use crate::testing::{escalation, incident, noon};

fn outbox(rows_max: u32) -> (Outbox, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(&directory.path().join("homeostat.db")).unwrap();
    outbox.pending_rows_max = rows_max;
    (outbox, directory)
}

fn change(name: &str) -> Event {
    Event::of_change(&homeostat_core::IncidentChange::Opened(incident(name)), "/a")
}

fn call(reason: &str) -> Event {
    let told = crate::Escalation { reason: reason.into(), ..escalation("x") };
    Event::of_escalation(&told, "/a", noon())
}

fn due_ids(outbox: &Outbox, now: Timestamp) -> Vec<String> {
    outbox.due("x", 100, now).unwrap().into_iter().map(|due| due.event.id).collect()
}

fn retry() -> Settled {
    Settled::Retry { why: "503".into(), after: None }
}

#[test]
fn the_same_event_is_queued_once_for_each_channel_even_after_it_was_accepted() {
    let (outbox, _directory) = outbox(10);
    assert_eq!(outbox.enqueue(&change("a"), &["x", "y"], noon()).unwrap(), (Enqueued::New, 0));
    assert_eq!(outbox.enqueue(&change("a"), &["x"], noon()).unwrap(), (Enqueued::AlreadyThere, 0));
    assert_eq!(outbox.backlog(noon()).unwrap().n_pending, 2);
    let due = outbox.due("x", 1, noon()).unwrap();
    outbox.settle(&due[0], &Settled::Accepted, noon()).unwrap();
    assert_eq!(outbox.enqueue(&change("a"), &["x"], noon()).unwrap(), (Enqueued::AlreadyThere, 0));
    assert!(due_ids(&outbox, noon()).is_empty());
    assert_eq!(due_ids(&outbox, noon()).len() + outbox.due("y", 100, noon()).unwrap().len(), 1);
}

#[test]
fn escalations_go_first_and_the_rest_in_its_order() {
    let (outbox, _directory) = outbox(10);
    for event in [change("a"), change("b"), call("1"), change("c"), call("2")] {
        outbox.enqueue(&event, &["x"], noon()).unwrap();
    }
    let expected: Vec<String> =
        [call("1"), call("2"), change("a"), change("b"), change("c")].map(|event| event.id).into();
    assert_eq!(due_ids(&outbox, noon()), expected);
}

#[test]
fn old_changes_give_way_and_escalations_never_do() {
    let (outbox, _directory) = outbox(3);
    outbox.enqueue(&call("1"), &["x"], noon()).unwrap();
    outbox.enqueue(&change("a"), &["x"], noon()).unwrap();
    outbox.enqueue(&change("b"), &["x"], noon()).unwrap();
    assert_eq!(outbox.enqueue(&change("c"), &["x"], noon()).unwrap(), (Enqueued::New, 1));
    assert_eq!(due_ids(&outbox, noon()), [call("1").id, change("b").id, change("c").id]);
    assert_eq!(outbox.enqueue(&call("2"), &["x"], noon()).unwrap().1, 1);
    assert_eq!(outbox.enqueue(&call("3"), &["x"], noon()).unwrap().1, 1);
    assert!(matches!(outbox.enqueue(&call("4"), &["x"], noon()), Err(OutboxError::Full { n_rows: 3 })));
    assert_eq!(outbox.enqueue(&change("d"), &["x"], noon()).unwrap().1, 1, "a change has no place among them");
    assert_eq!(due_ids(&outbox, noon()), [call("1").id, call("2").id, call("3").id]);
}

#[test]
fn failures_wait_longer_and_longer_and_never_longer_than_their_limit() {
    let pauses: Vec<u64> = (0..9).map(|n_attempts| pause(n_attempts, None).as_secs()).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(pause(u32::MAX, None), BACKOFF_MAX);
    assert_eq!(pause(0, Some(Duration::from_secs(60))).as_secs(), 60, "the receiver's wish");
    assert_eq!(pause(9, Some(Duration::from_secs(60))).as_secs(), 300, "but not to be asked more often");
    assert_eq!(pause(0, Some(Duration::from_secs(86_400))), RETRY_AFTER_MAX, "nor to be silenced");
}

#[test]
fn a_failed_event_is_due_again_after_its_pause_and_also_when_the_clock_is_put_back() {
    let (outbox, _directory) = outbox(10);
    outbox.enqueue(&call("1"), &["x"], noon()).unwrap();
    let due = outbox.due("x", 1, noon()).unwrap();
    outbox.settle(&due[0], &retry(), noon()).unwrap();
    let after = |secs| noon() + Duration::from_secs(secs);
    assert!(due_ids(&outbox, after(4)).is_empty());
    assert_eq!(due_ids(&outbox, after(5)).len(), 1);
    assert_eq!(due_ids(&outbox, noon() - Duration::from_secs(86_400)).len(), 1);
}

#[test]
fn a_refused_change_is_over_and_a_refused_escalation_waits_for_a_restart() {
    let (outbox, directory) = outbox(10);
    let (event, told) = (change("a"), call("1"));
    for event in [&event, &told] {
        outbox.enqueue(event, &["x"], noon()).unwrap();
    }
    for due in outbox.due("x", 10, noon()).unwrap() {
        outbox.settle(&due, &Settled::Refused { why: "404".into() }, noon()).unwrap();
    }
    let later = noon() + OVERDUE_AFTER;
    assert!(due_ids(&outbox, later).is_empty());
    let backlog = outbox.backlog(later).unwrap();
    assert_eq!((backlog.n_pending, backlog.n_refused_escalations, backlog.n_overdue), (0, 1, 1), "it still alarms");
    drop(outbox);
    let reopened = Outbox::open(&directory.path().join("homeostat.db")).unwrap();
    let due = reopened.due("x", 10, later).unwrap();
    assert_eq!(due.iter().map(|due| due.event.clone()).collect::<Vec<_>>(), [told], "the same bytes under the same id");
}

#[test]
fn finished_rows_are_forgotten_above_their_limit_and_undelivered_ones_are_not() {
    let (outbox, _directory) = outbox(10);
    outbox.enqueue(&call("1"), &["x"], noon()).unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10500)
        INSERT INTO outbox (event_id, channel, kind, state, body, queued_at_ms, next_attempt_at_ms)
        SELECT 'e' || i, 'x', 'change', 'accepted', '', 0, 0 FROM n";
    outbox.lock().execute(fill, []).unwrap();
    outbox.prune().unwrap();
    let n_finished: u32 =
        outbox.lock().query_row("SELECT count(*) FROM outbox WHERE state = 'accepted'", [], |row| row.get(0)).unwrap();
    assert_eq!(n_finished, FINISHED_ROWS_MAX);
    assert_eq!(due_ids(&outbox, noon()), [call("1").id]);
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("homeostat.db");
    std::fs::write(&path, "no database at all, but some longer text").unwrap();
    let Err(error) = Outbox::open(&path) else { panic!("opened") };
    assert!(error.to_string().contains("homeostat.db"), "{error}");
}

proptest! {
    // Each case opens a file; more cases only take longer.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_an_escalation_is_either_accepted_or_still_there(steps in prop::collection::vec(0_u8..6, 1..40)) {
        let (mut outbox, directory) = outbox(4);
        let (mut n_queued, mut n_accepted, mut now) = (0_u64, 0_u64, noon());
        for (step, action) in steps.into_iter().enumerate() {
            now = now + Duration::from_secs(3);
            let due = outbox.due("x", 1, now).unwrap();
            match (action, due.first()) {
                (0, _) => {
                    if let Ok((Enqueued::New, _)) = outbox.enqueue(&call(&step.to_string()), &["x"], now) { n_queued += 1; }
                }
                (1, _) => { let _ = outbox.enqueue(&change(&step.to_string()), &["x"], now); }
                (2, Some(due)) => {
                    outbox.settle(due, &Settled::Accepted, now).unwrap();
                    if due.event.kind == EventKind::Escalation { n_accepted += 1; }
                }
                (3, Some(due)) => outbox.settle(due, &retry(), now).unwrap(),
                (4, Some(due)) => outbox.settle(due, &Settled::Refused { why: "404".into() }, now).unwrap(),
                (_, _) => {
                    drop(outbox);
                    outbox = Outbox::open(&directory.path().join("homeostat.db")).unwrap();
                    outbox.pending_rows_max = 4;
                    outbox.prune().unwrap();
                }
            }
            let backlog = outbox.backlog(now).unwrap();
            prop_assert_eq!(backlog.n_pending_escalations + backlog.n_refused_escalations, n_queued - n_accepted);
            prop_assert!(backlog.n_pending + backlog.n_refused_escalations <= 4);
        }
    }
}
