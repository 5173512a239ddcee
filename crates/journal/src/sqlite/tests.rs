use std::path::Path;

use homeostat_core::{ActionKind, CorrelationId, Subject};
use homeostat_remediate::{DecisionOutcome, Refusal};

use super::*;
use crate::test_plan::{intent, plan};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(10_000 + secs)
}

fn decision(code: Refusal) -> Note {
    let subject = Subject::deployment("shop", "cart");
    Note::Decision(DecisionRecord {
        incident: IncidentId::of(&subject, at(0)),
        correlation: CorrelationId::of(&subject, at(0)),
        subject,
        policy: None,
        outcome: DecisionOutcome::Refuse,
        action: Some(ActionKind::RolloutRestart),
        plan: None,
        refusals: vec![code],
    })
}

fn call(reason: &str) -> Note {
    let subject = Subject::deployment("shop", "cart");
    Note::Escalated(Escalation {
        incident: IncidentId::of(&subject, at(0)),
        correlation: CorrelationId::of(&subject, at(0)),
        subject,
        channels: [].into(),
        reason: reason.into(),
        message: "look".into(),
        history: vec![],
        at: at(0),
    })
}

/// What every journal must keep, whatever it is kept in.
fn keeps_the_contract(journal: &dyn Journal) {
    let cart = plan("cart", at(0));
    let journaled = journal.record(&intent("cart", at(0)), at(0)).unwrap();
    assert_eq!(journaled.plan(), &cart);
    assert_eq!(journal.in_flight().unwrap(), [journaled]);

    // The same id again, or a second plan for the same subject, isn't taken.
    assert!(matches!(journal.record(&intent("cart", at(0)), at(1)), Err(JournalError::NotWritten { .. })));
    assert!(matches!(journal.record(&intent("cart", at(5)), at(5)), Err(JournalError::NotWritten { .. })));

    // Only what the stage machine allows is taken.
    let applied = JournalEvent::Applied { resource_version: "2".into() };
    assert!(matches!(journal.append(&cart.id, &applied, at(1)), Err(JournalError::NotWritten { .. })));
    assert_eq!(journal.append(&cart.id, &JournalEvent::ApplyStarted, at(1)).unwrap(), Stage::Applying);
    assert_eq!(journal.append(&cart.id, &applied, at(2)).unwrap(), Stage::Verifying);
    let history = journal.history(at(3)).unwrap();
    assert_eq!(history.actions[0].applied_at, Some(at(2)));
    assert_eq!(history.actions[0].traffic_before, Some(10.0));
    assert_eq!(journal.append(&cart.id, &JournalEvent::Recovered, at(4)).unwrap(), Stage::Recovered);
    assert!(journal.in_flight().unwrap().is_empty());
    assert!(journal.append(&cart.id, &JournalEvent::ApplyStarted, at(5)).is_err());
    assert!(journal.append(&plan("nobody", at(0)).id, &JournalEvent::ApplyStarted, at(5)).is_err());

    // The same refusal again makes no row; its values may differ, its reasons not.
    let cooldown = |remaining_s| Refusal::CooldownActive { remaining_s, after: cart.id.clone(), same_incident: false };
    assert!(journal.note(&decision(cooldown(600)), at(6)).unwrap());
    assert!(!journal.note(&decision(cooldown(570)), at(7)).unwrap());
    assert!(journal.note(&decision(Refusal::Paused), at(8)).unwrap());

    // A call is made once, and known until somebody took it over.
    assert!(journal.note(&call("paused"), at(9)).unwrap());
    assert!(!journal.note(&call("paused"), at(10)).unwrap());
    let [waiting] = journal.escalations_undelivered().unwrap().try_into().unwrap();
    assert!(journal.is_escalated(&waiting.incident, "paused").unwrap());
    let delivered = Note::EscalationDelivered { incident: waiting.incident.clone(), reason: "paused".into() };
    assert!(journal.note(&delivered, at(11)).unwrap());
    assert!(journal.escalations_undelivered().unwrap().is_empty());

    // Switches.
    assert!(!journal.kill_switch().unwrap().engaged);
    let stop = KillSwitch { engaged: true, why: "drill".into() };
    assert!(journal.note(&Note::KillSwitch(stop.clone()), at(12)).unwrap());
    assert_eq!(journal.kill_switch().unwrap(), stop);
    let frozen = Note::PolicyFrozen { policy: "restart".into(), why: "worse".into() };
    assert!(journal.note(&frozen, at(13)).unwrap());
    assert_eq!(journal.history(at(14)).unwrap().frozen["restart"], "worse");
}

#[test]
fn in_memory_keeps_the_contract() {
    keeps_the_contract(&SqliteJournal::in_memory().unwrap());
}

#[test]
fn a_file_keeps_the_contract_and_says_the_same_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    keeps_the_contract(&journal);
    let before = (journal.history(at(20)).unwrap(), journal.kill_switch().unwrap(), journal.verify_chain().unwrap());
    drop(journal);
    let journal = SqliteJournal::open(&path).unwrap();
    let after = (journal.history(at(20)).unwrap(), journal.kill_switch().unwrap(), journal.verify_chain().unwrap());
    assert_eq!(after, before);
}

/// Copies what a kill -9 would leave: the files as they are, nothing closed, nothing checkpointed.
fn crash_image(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    let wal = |path: &Path| path.with_extension("db-wal");
    std::fs::copy(wal(from), wal(to)).unwrap();
}

#[test]
fn what_was_confirmed_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("journal.db"), folder.path().join("copy.db"));
    let journal = SqliteJournal::open(&path).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    journal.append(&plan("cart", at(0)).id, &JournalEvent::ApplyStarted, at(1)).unwrap();
    crash_image(&path, &copy);
    let after = SqliteJournal::open(&copy).unwrap();
    assert_eq!(after.history(at(2)).unwrap(), journal.history(at(2)).unwrap());
    assert_eq!(after.history(at(2)).unwrap().actions[0].stage, Stage::Applying);
}

#[test]
fn a_torn_tail_loses_only_whole_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    for idx in 0..20 {
        journal.record(&intent(&format!("s{idx}"), at(idx)), at(idx)).unwrap();
    }
    let mut n_rows_before = i64::MAX;
    // Cut the write-ahead log at odd places, as a machine that lost power would.
    for cut in [0usize, 1, 4000, 9000, 33_333] {
        let copy = folder.path().join(format!("copy{cut}.db"));
        crash_image(&path, &copy);
        let wal = copy.with_extension("db-wal");
        let bytes = std::fs::read(&wal).unwrap();
        std::fs::write(&wal, &bytes[..bytes.len() - cut]).unwrap();
        let head = SqliteJournal::open(&copy).unwrap().verify_chain().unwrap();
        assert!(head.n_rows <= n_rows_before && head.n_rows <= 20, "cut {cut}: {head:?}");
        assert!(cut > 0 || head.n_rows == 20);
        n_rows_before = head.n_rows;
    }
    assert!(n_rows_before < 20, "nothing was cut off");
}

#[test]
fn a_full_disk_is_an_error_and_passes() {
    let journal = SqliteJournal::in_memory().unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    let limit = |n_pages: i64| {
        let inner = journal.lock_inner();
        inner
            .connection
            .query_row(&format!("PRAGMA max_page_count = {n_pages}"), (), |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let n_pages = limit(1);
    let mut n_written = 0;
    let error = loop {
        match journal.record(&intent(&format!("s{n_written}"), at(1)), at(1)) {
            Ok(_) => n_written += 1,
            Err(error) => break error,
        }
        assert!(n_written < 100, "the limit of {n_pages} pages holds nothing back");
    };
    assert!(matches!(error, JournalError::NotWritten { .. } | JournalError::NotConfirmed { .. }), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(journal.in_flight().unwrap().len(), n_written + 1);
    limit(1_000_000);
    journal.record(&intent("later", at(2)), at(2)).unwrap();
    assert_eq!(journal.verify_chain().unwrap().n_rows, i64::try_from(n_written).unwrap() + 2);
}

#[test]
fn an_unconfirmed_write_is_read_back_before_anything_else() {
    let journal = SqliteJournal::in_memory().unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    // As after a COMMIT whose answer was lost: memory must not be trusted any more.
    {
        let mut inner = journal.lock_inner();
        inner.unsure = true;
        inner.folded = Folded::default();
    }
    assert_eq!(journal.in_flight().unwrap().len(), 1);
    assert!(journal.record(&intent("cart", at(0)), at(1)).is_err());
}

#[test]
fn every_tampering_shows() {
    for sql in [
        "UPDATE journal SET policy = 'other' WHERE seq = 2",
        "UPDATE journal SET body = replace(body, 'restart', 'rollout') WHERE seq = 1",
        "UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 3",
        "DELETE FROM journal WHERE seq = 2",
        "DELETE FROM journal WHERE seq = 1",
        "UPDATE journal SET seq = seq + 100 WHERE seq = 3",
    ] {
        let journal = SqliteJournal::in_memory().unwrap();
        for name in ["a", "b", "c"] {
            journal.record(&intent(name, at(0)), at(0)).unwrap();
        }
        let change = |sql: &str| journal.lock_inner().connection.execute_batch(sql);
        assert!(change(sql).is_err(), "the table takes changes: {sql}");
        change("DROP TRIGGER no_update; DROP TRIGGER no_delete").unwrap();
        change(sql).unwrap();
        assert!(journal.verify_chain().is_err(), "{sql}");
    }
}

#[test]
fn rows_cut_off_show_against_a_head_kept_elsewhere() {
    let journal = SqliteJournal::in_memory().unwrap();
    journal.record(&intent("a", at(0)), at(0)).unwrap();
    journal.record(&intent("b", at(0)), at(0)).unwrap();
    let head = journal.verify_chain().unwrap();
    let cut = "DROP TRIGGER no_delete; DELETE FROM journal WHERE seq = 2";
    journal.lock_inner().connection.execute_batch(cut).unwrap();
    assert_ne!(journal.verify_chain().unwrap(), head);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let open = SqliteJournal::open(&path).unwrap();
    assert!(matches!(SqliteJournal::open(&path), Err(OpenError::InUse { .. })));
    open.lock_inner().connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(open);
    assert!(matches!(SqliteJournal::open(&path), Err(OpenError::OtherVersion { found: 99, expected: 1, .. })));

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
    assert!(matches!(SqliteJournal::open(&other), Err(OpenError::NotAJournal { .. })));

    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, whatever its name says; it is long enough to have a header".repeat(20))
        .unwrap();
    assert!(matches!(SqliteJournal::open(&text), Err(OpenError::NotAJournal { .. })));

    let nowhere = folder.path().join("missing/journal.db");
    assert!(matches!(SqliteJournal::open(&nowhere), Err(OpenError::Unusable { .. })));

    let damaged = folder.path().join("damaged.db");
    let journal = SqliteJournal::open(&damaged).unwrap();
    journal.record(&intent("a", at(0)), at(0)).unwrap();
    let change = "DROP TRIGGER no_update; UPDATE journal SET policy = 'x'";
    journal.lock_inner().connection.execute_batch(change).unwrap();
    drop(journal);
    assert!(matches!(SqliteJournal::open(&damaged), Err(OpenError::Damaged { .. })));
}

#[test]
fn people_can_read_it_with_sqlite3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    journal.append(&plan("cart", at(0)).id, &JournalEvent::ApplyStarted, at(1)).unwrap();
    // While it is open and in use.
    let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let row: (String, String, String) = reader
        .query_row("SELECT subject, action, last_event FROM remediations", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(row, ("shop/deployment/cart".into(), "rollout-restart".into(), "apply-started".into()));
}
