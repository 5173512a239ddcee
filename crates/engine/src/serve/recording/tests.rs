use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use homeostat_core::{Calibrated, CorrelationId, IncidentState, IncidentType, Score, Subject};
use homeostat_journal::{AppendError, Cut, Epoch, Head, ReadError, Row, SqliteStore, Store};

use super::*;

/// A store on a disk that is full for a while.
struct Disk {
    store: SqliteStore,
    is_full: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Disk {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        self.store.base().await
    }
    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        self.store.read(after).await
    }
    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(AppendError::NotWritten("database or disk is full".into()));
        }
        self.store.append(row, after, epoch).await
    }
    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.store.archive(cut, row, after, epoch).await
    }
    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        self.store.rows_of(incident).await
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(10_000 + secs)
}

fn incident(name: &str, state: IncidentState, updated_at: Timestamp) -> Incident {
    let subject = Subject::deployment("shop", name);
    Incident {
        id: IncidentId::of(&subject, at(0)),
        correlation: CorrelationId::of(&subject, at(0)),
        subject,
        incident_type: IncidentType::OomKilled,
        state,
        opened_at: at(0),
        updated_at,
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated::UNKNOWN,
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

#[test]
fn after_a_full_disk_no_incident_is_missing_and_none_is_open_for_ever() {
    let (store, epoch) = SqliteStore::in_memory().unwrap();
    let is_full = Arc::new(AtomicBool::new(false));
    let disk = Disk { store, is_full: Arc::clone(&is_full) };
    let journal = Journal::over(Box::new(disk), epoch).unwrap();
    let mut recording = Recording::default();
    for n in 0..13 {
        recording.add(&incident(&format!("before{n}"), IncidentState::Open, at(1)));
    }
    recording.write(&journal, at(1)).unwrap();
    is_full.store(true, Ordering::SeqCst);
    for n in 0..13 {
        // What was open ends, and others open: none of it can be written.
        recording.add(&incident(&format!("before{n}"), IncidentState::Resolved, at(30)));
        recording.add(&incident(&format!("while{n}"), IncidentState::Open, at(30)));
        assert!(recording.write(&journal, at(30)).is_err());
    }
    recording.add(&incident("while0", IncidentState::Resolved, at(60)));
    assert!(recording.write(&journal, at(60)).is_err());
    is_full.store(false, Ordering::SeqCst);
    // The next cycle, in which nothing new happens.
    recording.write(&journal, at(75)).unwrap();
    let incidents = journal.incidents().unwrap();
    assert_eq!(incidents.len(), 26);
    let open: Vec<_> = journal.open_incidents().unwrap();
    assert_eq!(open.len(), 12, "those that go on");
    let head = journal.head();
    recording.write(&journal, at(90)).unwrap();
    assert_eq!(journal.head(), head, "each was written once");
}
