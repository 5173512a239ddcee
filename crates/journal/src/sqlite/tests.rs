use std::path::Path;

use homeostat_remediate::{JournalEvent, Stage};

use super::*;
use crate::error::JournalError;
use crate::testing::{at, intent, plan};
use crate::{Journal, audit};

fn change(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
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
    let journal = Journal::open(&path).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    journal.append(&plan("cart", at(0)).id, &JournalEvent::ApplyStarted, at(1)).unwrap();
    crash_image(&path, &copy);
    let after = Journal::open(&copy).unwrap();
    assert_eq!(after.history().unwrap(), journal.history().unwrap());
    assert_eq!(after.history().unwrap().actions.first().unwrap().stage, Stage::Applying);
}

#[test]
fn a_full_disk_is_an_error_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (store, epoch) = SqliteStore::open(&folder.path().join("journal.db")).unwrap();
    let store = std::sync::Arc::new(store);
    let journal = Journal::over(Box::new(Shared(store.clone())), epoch).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    let limit = |n_pages: i64| {
        let sql = format!("PRAGMA max_page_count = {n_pages}");
        store.lock().query_row(&sql, (), |row| row.get::<_, i64>(0)).unwrap()
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
    assert_eq!(journal.verify_chain().unwrap().seq, i64::try_from(n_written).unwrap() + 2);
}

/// A store that a test can reach while a journal has it.
struct Shared(std::sync::Arc<SqliteStore>);

#[async_trait]
impl Store for Shared {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        self.0.base().await
    }
    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        self.0.read(after).await
    }
    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.0.append(row, after, epoch).await
    }
    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.0.archive(cut, row, after, epoch).await
    }
    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        self.0.rows_of(incident).await
    }
}

#[test]
fn every_tampering_shows() {
    for sql in [
        "UPDATE journal SET policy = 'other' WHERE seq = 2",
        "UPDATE journal SET body = replace(body, 'restart', 'rollout') WHERE seq = 1",
        "UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 3",
        "UPDATE journal SET at = '1999-01-01T00:00:00Z' WHERE seq = 3",
        "UPDATE journal SET must_understand = 0 WHERE seq = 3",
        "UPDATE journal SET epoch = 7 WHERE seq = 3",
        "UPDATE journal SET format = 1 WHERE seq = 3",
        "DELETE FROM journal WHERE seq = 2",
        "DELETE FROM journal WHERE seq = 1",
        "UPDATE journal SET seq = seq + 100 WHERE seq = 3",
        "UPDATE state SET base_seq = 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path).unwrap();
        for name in ["a", "b", "c"] {
            journal.record(&intent(name, at(0)), at(0)).unwrap();
        }
        drop(journal);
        let takes_changes = Connection::open(&path).unwrap().execute_batch(sql).is_ok();
        assert_eq!(takes_changes, sql.contains("state"), "the table takes changes: {sql}");
        change(&path, "DROP TRIGGER IF EXISTS no_update; DROP TRIGGER IF EXISTS no_delete");
        change(&path, sql);
        assert!(matches!(Journal::open(&path), Err(OpenError::Damaged { .. })), "{sql}");
        assert!(audit(&path).is_err(), "{sql}");
    }
}

#[test]
fn rows_cut_off_show_against_a_head_kept_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    journal.record(&intent("a", at(0)), at(0)).unwrap();
    journal.record(&intent("b", at(0)), at(0)).unwrap();
    let head = journal.verify_chain().unwrap();
    drop(journal);
    change(&path, "DROP TRIGGER no_delete; DELETE FROM journal WHERE seq = 2");
    assert_ne!(audit(&path).unwrap().head, head);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let open = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(OpenError::InUse { .. })));
    drop(open);

    let other = folder.path().join("other.db");
    change(&other, "CREATE TABLE notes (text)");
    assert!(matches!(Journal::open(&other), Err(OpenError::NotAJournal { .. })));

    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, whatever its name says; it is long enough to have a header".repeat(20))
        .unwrap();
    assert!(matches!(Journal::open(&text), Err(OpenError::NotAJournal { .. })));

    let nowhere = folder.path().join("missing/journal.db");
    assert!(matches!(Journal::open(&nowhere), Err(OpenError::Unusable { .. })));
    assert!(matches!(Journal::open_to_read(&nowhere), Err(OpenError::Unusable { .. })));
}

#[test]
fn who_lost_its_folder_never_writes_again_and_the_next_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("storage");
    std::fs::create_dir(&storage).unwrap();
    let path = storage.join("journal.db");
    let live = Journal::open(&path).unwrap();
    live.record(&intent("cart", at(0)), at(0)).unwrap();
    // Removed and made anew under the running process; SQLite itself would go on writing to the removed file.
    std::fs::remove_dir_all(&storage).unwrap();
    std::fs::create_dir(&storage).unwrap();
    let next = Journal::open(&path).unwrap();
    let error = live.record(&intent("web", at(1)), at(1)).unwrap_err();
    assert!(matches!(error, JournalError::Fenced { .. }), "{error}");
    assert!(error.to_string().contains("removed or replaced") && error.to_string().contains("restart"), "{error}");
    assert!(live.in_flight().is_err(), "whoever asks is told that nothing is known");
    next.record(&intent("web", at(1)), at(1)).unwrap();
}

#[test]
fn a_copy_where_nothing_can_be_written_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    let read = |copy: &Path| {
        // SQLite follows no link, so it can't make its index of the write-ahead log here, as in a folder without write
        // permission (which doesn't stop root, who may run these tests).
        std::os::unix::fs::symlink("nowhere", copy.with_extension("db-shm")).unwrap();
        assert!(Connection::open(copy).unwrap().query_row("SELECT count(*) FROM journal", (), |_| Ok(())).is_err());
        let journal = Journal::open_to_read(copy).unwrap();
        assert_eq!(audit(copy).unwrap().head, journal.head());
        assert!(journal.record(&intent("web", at(0)), at(0)).is_err(), "it was opened to be read");
        (journal.in_flight().unwrap().len(), journal.head().seq)
    };
    // Taken while the service ran, with its write-ahead log.
    let with_log = folder.path().join("with log?.db");
    crash_image(&path, &with_log);
    assert_eq!(read(&with_log), (1, 1));
    // Taken after it ended.
    drop(journal);
    let without_log = folder.path().join("without log%.db");
    std::fs::copy(&path, &without_log).unwrap();
    assert_eq!(read(&without_log), (1, 1));
}

#[test]
fn people_can_read_it_with_sqlite3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
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
