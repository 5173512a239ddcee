//! Old rows go to the archive: the chain stays whole, and nothing that counts is lost.

use std::path::Path;
use std::time::Duration;

use homeostat_core::{IncidentState, Timestamp};
use homeostat_remediate::{Answer, JournalEvent, KillSwitch};
use serde_json::json;

use super::approvals::{answer, proposed, shown};
use crate::testing::{MemoryStore, at, call, decision, incident_id, intent, noted, plan};
use crate::{AuditError, Epoch, Journal, Note, audit};

const DAY: i64 = 24 * 3600;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The day `n` of the tests.
fn day(n: i64) -> Timestamp {
    at(n * DAY)
}

/// Forty days: each one an incident that ends and an action that helped; on the first day some that don't end, and switches.
fn fill(journal: &Journal) {
    journal.note(&Note::KillSwitch(KillSwitch { engaged: true, why: "drill".into() }), day(0)).unwrap();
    journal.note(&Note::KillSwitch(KillSwitch { engaged: false, why: "over".into() }), day(0)).unwrap();
    journal.note(&Note::PolicyFrozen { policy: "worse".into(), why: "errors rose".into() }, day(0)).unwrap();
    journal.note(&noted("long", day(0), IncidentState::Open, day(0)), day(0)).unwrap();
    journal.note(&decision("long", day(0), "paused", &json!({})), day(0)).unwrap();
    journal.record(&intent("long", day(0)), day(0)).unwrap();
    journal.append(&plan("long", day(0)).id, &JournalEvent::ApplyStarted, day(0)).unwrap();
    journal.note(&noted("called", day(0), IncidentState::Resolved, day(0)), day(0)).unwrap();
    journal.note(&call("called", day(0), "unknown"), day(0)).unwrap();
    let waits = proposed("waits", day(0));
    journal.note(&shown(&waits), day(0)).unwrap();
    journal.note(&answer(&waits, Answer::Approve, day(0)), day(0)).unwrap();
    for n in 0..40 {
        let name = format!("s{n}");
        journal.note(&noted(&name, day(n), IncidentState::Open, day(n)), day(n)).unwrap();
        journal.record(&intent(&name, day(n)), day(n)).unwrap();
        let id = plan(&name, day(n)).id;
        journal.append(&id, &JournalEvent::ApplyStarted, day(n)).unwrap();
        journal.append(&id, &JournalEvent::Applied { resource_version: "2".into(), altered: None }, day(n)).unwrap();
        journal.append(&id, &JournalEvent::Recovered, day(n)).unwrap();
        journal.note(&noted(&name, day(n), IncidentState::Resolved, day(n)), day(n)).unwrap();
    }
}

/// Everything that deciding asks for.
fn what_counts(journal: &Journal, now: Timestamp) -> impl PartialEq + std::fmt::Debug + use<> {
    let history = journal.history().unwrap();
    let counting: Vec<_> = history.actions.counting(now).cloned().collect();
    let long: Vec<_> = history.of_incident(&incident_id("long", day(0))).cloned().collect();
    (
        (counting, long, history.frozen, history.storm, history.pending),
        journal.in_flight().unwrap(),
        journal.kill_switch().unwrap(),
        journal.escalations_undelivered().unwrap(),
        journal.open_incidents().unwrap(),
        journal.decision(&incident_id("long", day(0))).unwrap(),
        journal.incident(&incident_id("called", day(0))).unwrap(),
        journal.is_escalated(&incident_id("called", day(0)), "unknown").unwrap(),
    )
}

fn n_rows(journal: &Journal) -> i64 {
    journal.head().seq
}

fn archive_all(journal: &Journal, before: Timestamp, now: Timestamp) -> usize {
    std::iter::from_fn(|| Some(journal.archive(before, now).unwrap())).take_while(|n| *n > 0).sum()
}

#[test]
fn what_counts_is_the_same_after_old_rows_went() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    fill(&journal);
    let (before, n_before) = (what_counts(&journal, day(40)), n_rows(&journal));
    let n_gone = archive_all(&journal, day(30), day(40));
    assert!(n_gone > 150, "{n_gone}");
    assert_eq!(what_counts(&journal, day(40)), before);
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(what_counts(&journal, day(40)), before, "also when it is read anew");
    assert_eq!(n_rows(&journal), n_before + 1, "one row says that others went");
    let n_kept: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM journal", (), |row| row.get(0))
        .unwrap();
    assert!(n_kept < 110, "{n_kept} rows are left");
    // It goes on, and what was carried takes its next steps.
    let applied = JournalEvent::Applied { resource_version: "3".into(), altered: None };
    journal.append(&plan("long", day(0)).id, &applied, day(41)).unwrap();
    assert_eq!(journal.archive(day(30), day(41)).unwrap(), 0, "nothing more is old enough");
    // What was wanted no more goes with the next rows.
    journal.append(&plan("long", day(0)).id, &JournalEvent::Recovered, day(41)).unwrap();
    journal.note(&noted("long", day(0), IncidentState::Resolved, day(41)), day(41)).unwrap();
    assert!(archive_all(&journal, day(60), day(70)) > 0);
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert!(journal.history().unwrap().actions.is_empty() && journal.open_incidents().unwrap().is_empty());
    assert_eq!(journal.escalations_undelivered().unwrap().len(), 1, "a call is never forgotten");
    assert_eq!(journal.history().unwrap().frozen["worse"], "errors rose");
    assert_eq!(journal.kill_switch().unwrap().why, "over");
}

#[test]
fn the_chain_is_verified_across_archives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    fill(&journal);
    let n_before = n_rows(&journal);
    archive_all(&journal, day(10), day(40));
    archive_all(&journal, day(35), day(40));
    let found = audit(&path).unwrap();
    assert_eq!((&found.head, found.n_checked), (&journal.head(), n_before + 2));
    assert!(found.archives.len() >= 2 && found.missing.is_empty(), "{found:?}");
    // An incident's record is whole, wherever its rows are.
    let kinds: Vec<String> =
        journal.record_of(&incident_id("long", day(0))).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["incident", "decision", "intent", "apply-started"]);
    assert_eq!(journal.record_of(&incident_id("s1", day(1))).unwrap().len(), 6);
    drop(journal);

    let edit = |file: &Path, sql: &str| rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap();
    let first = found.archives[0].clone();
    let aside = folder.path().join("aside");
    std::fs::rename(&first, &aside).unwrap();
    let without = audit(&path).unwrap();
    assert_eq!((without.missing.len(), without.missing[0].0), (1, 1), "what isn't here is told, and the rest verified");
    std::fs::rename(&aside, &first).unwrap();

    edit(&first, "DROP TRIGGER no_update; UPDATE journal SET policy = 'x' WHERE seq = 5");
    assert!(matches!(audit(&path), Err(AuditError::Broken { .. })));
}

#[test]
fn a_carried_row_that_is_taken_away_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    fill(&journal);
    archive_all(&journal, day(30), day(40));
    drop(journal);
    let sql = "DROP TRIGGER no_delete; DELETE FROM journal WHERE kind = 'policy-frozen'";
    rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let error = Journal::open(&path).err().unwrap().to_string();
    assert!(error.contains("some are missing"), "{error}");
}

#[test]
fn a_crash_between_archive_and_journal_loses_nothing_and_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    fill(&journal);
    let before = what_counts(&journal, day(40));
    // The archive is written, and the journal can't be: as if it had died in between.
    let block = "CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch(block).unwrap();
    assert!(journal.archive(day(30), day(40)).is_err());
    assert_eq!(what_counts(&journal, day(40)), before);
    assert!(audit(&path).is_ok());
    other.execute_batch("DROP TRIGGER full").unwrap();
    assert!(archive_all(&journal, day(30), day(40)) > 0);
    assert_eq!(what_counts(&journal, day(40)), before);
    assert!(audit(&path).unwrap().missing.is_empty());
}

#[test]
fn a_row_from_the_future_keeps_no_others_from_going() {
    let journal = Journal::over(Box::new(MemoryStore::default()), Epoch(1)).unwrap();
    journal.note(&noted("a", day(0), IncidentState::Resolved, day(0)), day(0)).unwrap();
    journal.note(&noted("b", day(0), IncidentState::Resolved, day(0)), day(0) + YEAR).unwrap();
    journal.note(&noted("c", day(0), IncidentState::Resolved, day(0)), day(0)).unwrap();
    journal.note(&noted("d", day(40), IncidentState::Resolved, day(40)), day(40)).unwrap();
    assert_eq!(archive_all(&journal, day(30), day(41)), 3);
}
