use homeostat_core::IncidentChange;

use super::*;
use crate::event::Payload;
use crate::testing::{change_of, escalation, incident, noon};

fn open(directory: &tempfile::TempDir) -> Outbox {
    Outbox::open(&directory.path().join("outbox.db")).unwrap()
}

fn change(sequence: u64, workload: &str, name: &str) -> Event {
    Event::of_change(&change_of(workload, name), "/a", sequence)
}

fn call(sequence: u64, reason: &str) -> Event {
    Event::of_escalation(&escalation(reason), Some(&incident("payment-api")), "/a", sequence)
}

fn new<'a>(event: &'a Event, channel: &'a str) -> New<'a> {
    New { event, channel, queued_at: noon() }
}

fn pending(outbox: &Outbox) -> Vec<(String, String)> {
    outbox.pending(noon()).unwrap().into_iter().map(|stored| (stored.event.id, stored.channel)).collect()
}

/// I36.
#[test]
fn the_same_event_is_new_once_for_each_channel_even_after_it_was_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let (first, again) = (change(1, "a", "opened"), change(2, "a", "opened"));
    assert_eq!(outbox.insert(&[new(&first, "x"), new(&first, "y")]).unwrap(), [true, true]);
    assert_eq!(outbox.insert(&[new(&again, "x")]).unwrap(), [false]);
    outbox.finish(new(&first, "x"), End::Accepted, noon()).unwrap();
    assert_eq!(outbox.insert(&[new(&again, "x")]).unwrap(), [false]);
    assert_eq!(pending(&outbox), [(first.id, "y".to_owned())]);
}

#[test]
fn what_was_given_up_is_kept_and_new_when_it_is_published_again() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let event = call(1, "storm");
    outbox.insert(&[new(&event, "x")]).unwrap();
    outbox.finish(new(&event, "x"), End::Failed { why: "404" }, noon()).unwrap();
    assert!(pending(&outbox).is_empty());
    assert_eq!(outbox.failed().unwrap(), BTreeMap::from([(("x".to_owned(), EventKind::Escalation), 1)]));
    assert_eq!(outbox.insert(&[new(&event, "x")]).unwrap(), [true]);
    assert_eq!(pending(&outbox).len(), 1);
    assert!(outbox.failed().unwrap().is_empty());
}

#[test]
fn what_waits_comes_back_as_it_was_with_its_attempts() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let (first, second) = (call(5, "storm"), change(9, "a", "opened"));
    outbox.insert(&[new(&first, "x"), new(&second, "x")]).unwrap();
    let later = noon() + Duration::from_secs(10);
    outbox.failed_once(&first, "x", 3, later, "503").unwrap();
    drop(outbox);
    let outbox = open(&directory);
    let stored = outbox.pending(noon()).unwrap();
    assert_eq!(stored.iter().map(|stored| &stored.event).collect::<Vec<_>>(), [&first, &second]);
    assert_eq!((stored[0].n_attempts, stored[0].next_attempt_at, stored[0].queued_at), (3, later, noon()));
    assert_eq!(outbox.last_sequence().unwrap(), 9);
}

#[test]
fn the_end_of_an_event_that_was_never_written_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let event = call(1, "storm");
    outbox.finish(new(&event, "x"), End::Accepted, noon()).unwrap();
    assert_eq!(outbox.insert(&[new(&event, "x")]).unwrap(), [false], "it isn't sent again");
}

#[test]
fn what_a_channel_knows_of_incidents_is_the_newest_that_was_delivered_or_waits() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let events =
        [change(1, "a", "opened"), change(2, "a", "resolved"), change(3, "b", "opened"), change(4, "c", "opened")];
    outbox.insert(&events.iter().map(|event| new(event, "x")).collect::<Vec<_>>()).unwrap();
    outbox.finish(new(&events[0], "x"), End::Accepted, noon()).unwrap();
    outbox.finish(new(&events[3], "x"), End::Failed { why: "400" }, noon()).unwrap();
    let known = outbox.known_incidents("x", false).unwrap();
    let expected = [("a", true), ("b", false)].map(|(name, closed)| (incident(name).id, closed));
    assert_eq!(known, BTreeMap::from(expected), "c was given up, so the channel doesn't know it");
    assert!(outbox.known_incidents("y", false).unwrap().is_empty());
}

#[test]
fn old_rows_are_forgotten_and_what_waits_or_is_open_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let (waiting, over, open) = (call(1, "storm"), change(2, "a", "resolved"), change(3, "b", "opened"));
    outbox.insert(&[new(&waiting, "x"), new(&over, "x"), new(&open, "x")]).unwrap();
    outbox.finish(new(&over, "x"), End::Accepted, noon()).unwrap();
    outbox.finish(new(&open, "x"), End::Accepted, noon()).unwrap();
    outbox.prune(noon() + FINISHED_KEPT).unwrap();
    assert_eq!(outbox.known_incidents("x", false).unwrap().len(), 2);
    outbox.prune(noon() + FINISHED_KEPT + Duration::from_secs(1)).unwrap();
    assert_eq!(outbox.known_incidents("x", false).unwrap().keys().collect::<Vec<_>>(), [&incident("b").id]);
    outbox.prune(noon() + FAILED_KEPT + Duration::from_secs(1)).unwrap();
    assert!(outbox.known_incidents("x", false).unwrap().is_empty());
    assert_eq!(pending(&outbox).len(), 1);
}

#[test]
fn finished_and_failed_rows_have_a_limit_each() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory);
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
        INSERT INTO outbox (event_id, channel, kind, incident, closes, sequence, state, body, queued_at_ms, next_attempt_at_ms,
                            finished_at_ms)
        SELECT 's' || i, 'x', 'change', 'inc-' || i, 1, i, ?1, '', 0, 0, ?2 FROM n";
    for state in ["accepted", "failed"] {
        outbox.lock().execute(&fill.replace("'s'", &format!("'{state}'")), params![state, noon().as_millis()]).unwrap();
    }
    outbox.prune(noon()).unwrap();
    let count = |state: &str| -> u32 {
        let connection = outbox.lock();
        connection.query_row("SELECT count(*) FROM outbox WHERE state = ?1", [state], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("accepted"), count("failed")), (FINISHED_ROWS_MAX, FAILED_ROWS_MAX));
}

/// A file as the first format had it, with one row of each sort.
fn unversioned(path: &Path, incident_json: &str) {
    let connection = Connection::open(path).unwrap();
    let schema = "CREATE TABLE outbox (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, channel TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('change', 'escalation')),
            state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'refused')),
            body TEXT NOT NULL, queued_at_ms INTEGER NOT NULL, n_attempts INTEGER NOT NULL DEFAULT 0,
            next_attempt_at_ms INTEGER NOT NULL, last_error TEXT, UNIQUE (event_id, channel)) STRICT;
        CREATE INDEX outbox_state ON outbox (state, channel, kind);";
    connection.execute_batch(schema).unwrap();
    let change = format!(
        r#"{{"specversion":"1.0","id":"chg-1","source":"homeostat","time":"2026-01-31T12:00:00Z","data":{{"change":"opened","incident":{incident_json}}}}}"#
    );
    let call = format!(
        r#"{{"specversion":"1.0","id":"esc-1","source":"homeostat","time":"2026-01-31T12:00:00Z","data":{{"incident":{incident_json},"channel":"x","reason":"made-worse: it got worse","history":["12:00 restarted"],"suggested_action":null}}}}"#
    );
    for (id, kind, state, body) in [
        ("chg-1", "change", "pending", change.as_str()),
        ("esc-1", "escalation", "refused", call.as_str()),
        ("chg-2", "change", "accepted", ""),
        ("esc-2", "escalation", "pending", "{\"half"),
    ] {
        let insert = "INSERT INTO outbox (event_id, channel, kind, state, body, queued_at_ms, next_attempt_at_ms)
            VALUES (?1, 'x', ?2, ?3, ?4, 0, 0)";
        connection.execute(insert, params![id, kind, state, body]).unwrap();
    }
}

#[test]
fn a_file_of_the_first_format_is_upgraded_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let incident = incident("payment-api");
    unversioned(&directory.path().join("outbox.db"), &serde_json::to_string(&incident).unwrap());
    for _ in 0..2 {
        let outbox = open(&directory);
        let stored = outbox.pending(noon()).unwrap();
        assert_eq!(stored.iter().map(|stored| stored.event.id.as_str()).collect::<Vec<_>>(), ["chg-1", "esc-1"]);
        assert_eq!(stored[0].event.payload, Payload::Change(Box::new(IncidentChange::Opened(incident.clone()))));
        let Payload::Escalation(call) = &stored[1].event.payload else { panic!("an escalation") };
        assert_eq!((call.escalation.reason.as_str(), call.escalation.message.as_str()), ("made-worse", "it got worse"));
        assert_eq!(call.escalation.channels, ["x".to_owned()].into());
        assert_eq!(outbox.failed().unwrap().values().sum::<u64>(), 1, "what can't be read is kept and counted");
    }
}

#[test]
fn a_newer_file_is_refused_with_a_clear_word() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory));
    let path = directory.path().join("outbox.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let Err(error) = Outbox::open(&path) else { panic!("opened") };
    assert!(matches!(error, OutboxError::Newer { found: 7, known: 1, .. }), "{error}");
    assert!(error.to_string().contains("outbox.db") && error.to_string().contains("newer"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    std::fs::write(&path, "no database at all, but some longer text").unwrap();
    let Err(error) = Outbox::open(&path) else { panic!("opened") };
    assert!(matches!(error, OutboxError::Open { .. }) && error.to_string().contains("outbox.db"), "{error}");
}
