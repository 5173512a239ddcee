//! Journals of other versions: an older one is brought up to date, a newer one is refused with what to do, a half-written
//! one is whole up to its last whole row, and an unknown code damages nothing.

use std::path::{Path, PathBuf};

use homeostat_core::{IncidentId, Subject, Timestamp};
use homeostat_remediate::PlanId;
use homeostat_remediate::{JournalEvent, Stage};
use serde_json::{Value, json};

use crate::block_on::block_on;
use crate::row::{About, Epoch, Head, Row};
use crate::sqlite::SqliteStore;
use crate::testing::{MemoryStore, at, incident, intent};
use crate::{Journal, OpenError, PageRequest, Store, audit};

/// The chain's head in the fixture, as `homeostat audit` of the version that made it printed it.
const HEAD_1: (i64, &str) = (20, "55ac5f9b120e719cbf6a8d47fbd592c6649e8e7ed34e5a6748bba84c444d912a");

fn fixture(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join("journal.db");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::copy(&from, &path).unwrap();
    path
}

/// A moment of the fixture's day.
fn then(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_780_000_000 + secs)
}

fn of(name: &str, opened: i64) -> IncidentId {
    IncidentId::of(&Subject::deployment("shop", name), then(opened))
}

/// What version 1 wrote, whichever way it is opened.
fn says_what_version_1_wrote(journal: &Journal) {
    let head = journal.head();
    assert_eq!((head.seq, head.hash.as_str()), HEAD_1, "the chain is as it was");
    let history = journal.history().unwrap();
    let stages: Vec<Stage> = history.actions.iter().map(|action| action.stage).collect();
    assert_eq!(stages, [Stage::Recovered, Stage::Undoing]);
    assert_eq!(history.actions.first().unwrap().plan.id, PlanId::of(&of("cart", 0), 1));
    assert_eq!(history.frozen["restart"], "errors rose");
    assert_eq!(journal.in_flight().unwrap().len(), 1);
    assert!(journal.kill_switch().unwrap().engaged);
    let calls: Vec<String> = journal.escalations_undelivered().unwrap().into_iter().map(|call| call.reason).collect();
    assert_eq!(calls, ["made-worse"]);
    assert!(journal.is_escalated(&of("pay", 400), "paused").unwrap());
    let decision = journal.decision(&of("pay", 400)).unwrap().unwrap();
    let codes: Vec<&str> = decision.refusals.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["cooldown-active", "paused", "storm", "gitops-managed", "max-attempts"]);
    assert_eq!(decision.refusals[0].values["remaining_s"], 570);
    assert!(decision.refusals[0].text.contains("remaining_s: 570"), "{:?}", decision.refusals[0]);
    let states: Vec<String> = journal
        .page(&PageRequest::default())
        .items
        .iter()
        .map(|item| format!("{} {}", item.incident.subject, item.incident.state))
        .collect();
    assert_eq!(states, ["shop/deployment/web open", "shop/deployment/pay open", "shop/deployment/cart resolved"]);
    assert!(journal.page(&PageRequest::default()).items.iter().all(|item| item.incident.incident().is_some()));
    let kinds: Vec<String> = journal.record_of(&of("cart", 0)).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["incident", "decision", "intent", "apply-started", "applied", "recovered", "incident"]);
}

#[test]
fn a_journal_of_version_1_is_brought_up_to_date_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture(folder.path(), "journal-v1.db");
    let journal = Journal::open(&path).unwrap();
    says_what_version_1_wrote(&journal);
    let web = PlanId::of(&of("web", 500), 1);
    journal.append(&web, &JournalEvent::UndoApplied { resource_version: "4".into() }, then(800)).unwrap();
    assert!(journal.archive(then(650), then(800)).unwrap() > 0, "its rows can be archived");
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.head().seq, HEAD_1.0 + 2);
    let found = audit(&path).unwrap();
    assert_eq!((found.n_checked, found.missing.len()), (HEAD_1.0 + 2, 0));
    let reader = rusqlite::Connection::open(&path).unwrap();
    let action: String =
        reader.query_row("SELECT action FROM remediations WHERE subject LIKE '%web'", (), |row| row.get(0)).unwrap();
    assert_eq!(action, "rollout-restart", "and people can read it with sqlite3");
}

#[test]
fn a_journal_of_version_1_can_be_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture(folder.path(), "journal-v1.db");
    let before = std::fs::read(&path).unwrap();
    says_what_version_1_wrote(&Journal::open_to_read(&path).unwrap());
    assert_eq!(audit(&path).unwrap().head.hash, HEAD_1.1);
    assert!(std::fs::read(&path).unwrap() == before, "reading changes nothing");
}

#[test]
fn an_upgrade_that_fails_leaves_the_journal_as_it_was_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture(folder.path(), "journal-v1.db");
    // Something the ladder doesn't expect stands in its way, as a full disk would.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE state (x)").unwrap();
    let error = Journal::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::NotMigrated { .. }), "{error}");
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    let version: i64 = other.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    let n_columns: i64 =
        other.query_row("SELECT count(*) FROM pragma_table_info('journal')", (), |row| row.get(0)).unwrap();
    assert_eq!((version, n_columns), (1, 12));
    other.execute_batch("DROP TABLE state").unwrap();
    says_what_version_1_wrote(&Journal::open(&path).unwrap());
}

#[test]
fn a_journal_with_a_newer_layout_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    for opened in [Journal::open(&path), Journal::open_to_read(&path)] {
        let error = opened.err().unwrap();
        assert!(matches!(error, OpenError::Newer { .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains("newer homeostat") && told.contains("use that version or a later one"), "{told}");
    }
}

/// A row that a newer version may write.
fn newer(after: &Head, kind: &str, must_understand: bool, format: i64, body: &Value) -> Row {
    let about = About { incident: "inc-1".into(), ..About::default() };
    let (prev_hash, body) = (after.hash.clone(), body.to_string());
    let (epoch, kind) = (Epoch(1), kind.to_owned());
    let mut row = Row {
        seq: after.seq + 1,
        at: at(0),
        epoch,
        format,
        kind,
        must_understand,
        about,
        body,
        prev_hash,
        hash: String::new(),
    };
    row.hash = row.own_hash();
    row
}

/// A store with an intent, and after it this row.
fn store_with(kind: &str, must_understand: bool, format: i64, body: &Value) -> MemoryStore {
    let store = MemoryStore::default();
    let journal = Journal::over(Box::new(store.clone()), Epoch(1)).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    store.put(newer(&journal.head(), kind, must_understand, format, body));
    store
}

#[test]
fn what_is_only_shown_is_kept_and_shown_whatever_a_newer_version_wrote() {
    let decision = json!({
        "incident": "inc-1", "correlation": "cor-1", "subject": "shop/deployment/cart", "policy": null, "plan": null,
        "outcome": "refuse", "action": "teleport",
        "refusals": [{ "code": "moon-phase", "text": "full moon", "values": { "phase": 0.99 }, "weight": 3 }],
    });
    let mut strange =
        serde_json::to_value(incident("cart", at(0), homeostat_core::IncidentState::Open, at(1))).unwrap();
    strange["annotations"] = json!([{ "kind": "eclipse", "of": "the sun" }]);
    strange["type"] = json!("cosmic-rays");
    for (kind, format, body) in [
        ("decision", 2, decision.clone()),
        ("decision", 3, json!("of another form")),
        ("decision", 2, json!({ "outcome": "ponder" })),
        ("incident", 2, json!({ "merged": true, "incident": strange })),
        ("horoscope", 2, json!({ "sign": "cancer" })),
    ] {
        let journal = Journal::over(Box::new(store_with(kind, false, format, &body)), Epoch(2)).unwrap();
        assert_eq!(journal.in_flight().unwrap().len(), 1, "{kind}");
        journal.append(&journal.in_flight().unwrap()[0].plan().id, &JournalEvent::ApplyStarted, at(1)).unwrap();
        let shown = journal.record_of(&serde_json::from_value(json!("inc-1")).unwrap()).unwrap();
        assert_eq!((shown[0].kind.as_str(), &shown[0].body), (kind, &body));
    }
    let journal = Journal::over(Box::new(store_with("decision", false, 2, &decision)), Epoch(2)).unwrap();
    let known = journal.decision(&serde_json::from_value(json!("inc-1")).unwrap()).unwrap().unwrap();
    assert_eq!((known.action.as_deref(), known.refusals[0].code.as_str()), (Some("teleport"), "moon-phase"));
    let body = json!({ "merged": true, "incident": strange });
    let journal = Journal::over(Box::new(store_with("incident", false, 2, &body)), Epoch(2)).unwrap();
    let open = journal.open_incidents().unwrap();
    assert_eq!((open[0].incident_type.as_str(), open[0].incident()), ("cosmic-rays", None));
    assert_eq!(open[0].value(), strange);
}

#[test]
fn what_must_be_understood_and_isnt_is_no_damage_but_a_newer_version() {
    for (kind, format) in [("quorum", 2), ("kill-switch", 3), ("kill-switch", 2), ("intent", 2), ("rolled-forward", 2)]
    {
        let store = store_with(kind, true, format, &json!({ "plan": "act-1", "event": { "event": "rolled-forward" } }));
        let error = Journal::over(Box::new(store), Epoch(2)).err().unwrap().to_string();
        assert!(error.contains("newer homeostat") && error.contains(kind), "{error}");
    }
}

#[test]
fn a_half_written_journal_is_whole_up_to_its_last_whole_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture(folder.path(), "journal-v1.db");
    let journal = Journal::open(&path).unwrap();
    for n in 0..20 {
        journal.record(&intent(&format!("s{n}"), at(n)), at(n)).unwrap();
    }
    let wal = |path: &Path| path.with_extension("db-wal");
    let mut n_rows_before = i64::MAX;
    // Cut the write-ahead log at odd places, as a machine that lost power would, down to within the upgrade itself.
    let len = std::fs::metadata(wal(&path)).unwrap().len();
    for left in [len, len - 1, len - 4000, len - 33_333, len / 2, 9000, 4000, 1, 0] {
        let copy = folder.path().join(format!("copy{left}.db"));
        std::fs::copy(&path, &copy).unwrap();
        let bytes = std::fs::read(wal(&path)).unwrap();
        std::fs::write(wal(&copy), &bytes[..usize::try_from(left).unwrap()]).unwrap();
        let head = Journal::open(&copy).unwrap().verify_chain().unwrap();
        assert!(head.seq <= n_rows_before && head.seq >= HEAD_1.0, "{left} bytes left: {head:?}");
        assert!(left < len || head.seq == HEAD_1.0 + 20);
        n_rows_before = head.seq;
    }
    assert_eq!(n_rows_before, HEAD_1.0);
}

#[test]
fn half_a_file_is_damaged_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture(folder.path(), "journal-v1.db");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Journal::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(Journal::open(&path).unwrap().head(), Head::empty(), "an empty file is a new journal");
}

#[test]
fn a_new_file_is_laid_out_as_an_old_one_that_was_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let layout = |path: &Path| {
        drop(Journal::open(path).unwrap());
        let connection = rusqlite::Connection::open(path).unwrap();
        let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<Vec<(String, Option<String>)>, _>>().unwrap()
    };
    let old = layout(&fixture(folder.path(), "journal-v1.db"));
    assert_eq!(layout(&folder.path().join("new.db")), old);
    let (store, _) = SqliteStore::in_memory().unwrap();
    assert!(block_on(store.read(0)).unwrap().is_empty());
}

#[test]
fn every_state_that_is_over_is_over_as_a_recorded_incident_too() {
    use homeostat_core::IncidentState;
    let journal = Journal::in_memory().unwrap();
    for (n, state) in [IncidentState::Resolved, IncidentState::Rebaselined, IncidentState::Stale, IncidentState::Open]
        .into_iter()
        .enumerate()
    {
        let incident = incident(&format!("s{n}"), at(0), state, at(0));
        journal.note(&crate::Note::Incident(Box::new(incident.clone())), at(0)).unwrap();
        assert_eq!(journal.incident(&incident.id).unwrap().unwrap().is_over(), state.is_over(), "{state:?}");
    }
}
