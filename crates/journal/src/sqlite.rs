//! The journal in one SQLite file that anyone can read with `sqlite3`: append-only, hash-chained, fsynced at each row.

mod chain;
mod schema;
#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homeostat_core::{Incident, IncidentId, PlanId, Timestamp};
use homeostat_remediate::{Escalation, History, JournalEvent, Stage};
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

pub use chain::ChainHead;

use super::fold::{Entry, Folded};
use super::{
    ChainError, DecisionRecord, Intent, Journal, JournalError, Journaled, KillSwitch, Note, OpenError, ReadError,
};

/// How long a write waits for a foreign lock, such as a backup's. Longer would hold up the whole cycle; after it the
/// write counts as not done and the next cycle asks again.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// A journal in SQLite: WAL and `synchronous=FULL`, so that a row that was answered with `Ok` survives power loss.
///
/// A write is one fsync (milliseconds) under a mutex; the driver's few rows a cycle don't merit a thread of their own.
pub struct SqliteJournal {
    inner: Mutex<Inner>,
}

/// One row of the journal, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordRow {
    /// When it was written.
    pub at: String,
    /// What kind of entry it is.
    pub kind: String,
    /// The entry.
    pub body: serde_json::Value,
}

struct Inner {
    connection: Connection,
    folded: Folded,
    head: ChainHead,
    /// A write wasn't confirmed: what is in the file must be read back before anything else.
    unsure: bool,
    /// Held while the journal is open; the system releases it when the process dies, however it dies.
    _lock: Option<File>,
}

/// SQLite ends some messages with the path, which ours begin with.
fn unusable(path: &Path, error: &rusqlite::Error) -> OpenError {
    let why = error.to_string();
    let why = why.strip_suffix(&format!(": {}", path.display())).map(str::to_owned).unwrap_or(why);
    OpenError::Unusable { path: path.to_owned(), why }
}

impl SqliteJournal {
    /// Opens or creates the journal at `path`, takes its lock (`path` with `.lock`) and reads it through.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
        Self::with(connection, path, Some(lock))
    }

    /// Opens a journal that is there to be read, also while a service writes it: no lock is taken and nothing can be
    /// written. It shows what was there when it was opened.
    pub fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
        connection.busy_timeout(BUSY_WAIT).map_err(unusable)?;
        schema::check(&connection, path)?;
        Self::folded(connection, path, None)
    }

    /// A journal that lasts as long as the process: for tests, replays and the demo.
    pub fn in_memory() -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| unusable(path, &error))?;
        Self::with(connection, path, None)
    }

    fn with(connection: Connection, path: &Path, lock: Option<File>) -> Result<Self, OpenError> {
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        connection.busy_timeout(BUSY_WAIT).map_err(unusable)?;
        schema::prepare(&connection, path)?;
        Self::folded(connection, path, lock)
    }

    fn folded(connection: Connection, path: &Path, lock: Option<File>) -> Result<Self, OpenError> {
        let (folded, head) = chain::read(&connection)
            .map_err(|error| OpenError::Damaged { path: path.to_owned(), why: error.to_string() })?;
        let inner = Inner { connection, folded, head, unsure: false, _lock: lock };
        Ok(Self { inner: Mutex::new(inner) })
    }

    /// Every row about an incident, oldest first: when, what kind, and the whole body as JSON.
    pub fn record_of(&self, incident: &IncidentId) -> Result<Vec<RecordRow>, ReadError> {
        let inner = self.lock_inner();
        let failed = |error: rusqlite::Error| ReadError { why: error.to_string() };
        let mut statement = inner
            .connection
            .prepare("SELECT at, kind, body FROM journal WHERE incident = ?1 ORDER BY seq")
            .map_err(failed)?;
        let rows = statement
            .query_map([incident.as_str()], |row| {
                let body: String = row.get(2)?;
                // A body that isn't JSON is shown as it is: the chain says whether it was tampered with.
                let body = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
                Ok(RecordRow { at: row.get(0)?, kind: row.get(1)?, body })
            })
            .map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    /// Reads the whole file and checks each row's hash, its link to the row before, and that it may follow.
    ///
    /// Rows cut off at the end leave a shorter chain that holds: compare the head with one kept elsewhere.
    pub fn verify_chain(&self) -> Result<ChainHead, ChainError> {
        let inner = self.lock_inner();
        chain::read(&inner.connection).map(|(_, head)| head)
    }

    /// A panic of another thread between two statements leaves either a whole row or none, so the lock's poison says
    /// nothing about the file.
    fn lock_inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readable(&self) -> Result<MutexGuard<'_, Inner>, ReadError> {
        let mut inner = self.lock_inner();
        inner.read_back_if_unsure().map_err(|why| ReadError { why })?;
        Ok(inner)
    }
}

impl Inner {
    fn read_back_if_unsure(&mut self) -> Result<(), String> {
        if self.unsure {
            let (folded, head) = chain::read(&self.connection).map_err(|error| error.to_string())?;
            (self.folded, self.head, self.unsure) = (folded, head, false);
        }
        Ok(())
    }

    /// Writes one row. `Ok(false)`: nothing new, no row.
    fn write(&mut self, entry: Entry, what: &str, now: Timestamp) -> Result<bool, JournalError> {
        let not_written = |why: String| JournalError::NotWritten { what: what.to_owned(), why };
        self.read_back_if_unsure().map_err(not_written)?;
        if !self.folded.accepts(&entry).map_err(|error| not_written(error.to_string()))? {
            return Ok(false);
        }
        let row = chain::Row::after(&self.head, &entry, self.folded.plan_of(&entry), now).map_err(not_written)?;
        if let Err(error) = row.insert(&self.connection) {
            // The row was refused inside its transaction; without a commit nothing of it can be in the file.
            self.roll_back();
            return Err(not_written(error.to_string()));
        }
        if let Err(error) = self.connection.execute_batch("COMMIT") {
            self.unsure = true;
            self.roll_back();
            return Err(JournalError::NotConfirmed { what: what.to_owned(), why: error.to_string() });
        }
        self.head = row.into_head();
        self.folded.take(entry, now).map_err(|error| {
            self.unsure = true;
            JournalError::NotConfirmed { what: what.to_owned(), why: error.to_string() }
        })?;
        Ok(true)
    }

    /// Leaves the transaction if there still is one. If even that fails, the next BEGIN fails too, as not written.
    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the journal's transaction can't be rolled back");
        }
    }
}

/// The lock is a file of its own, because SQLite's own locks would keep people with `sqlite3` from reading.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let unusable = |error: std::io::Error| OpenError::Unusable { path: lock_path.clone(), why: error.to_string() };
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

impl Journal for SqliteJournal {
    fn record(&self, intent: &Intent, now: Timestamp) -> Result<Journaled, JournalError> {
        let what = format!("intent {}", intent.plan.id);
        self.lock_inner().write(Entry::Intent(Box::new(intent.clone())), &what, now)?;
        Ok(Journaled::new(intent.plan.clone()))
    }

    fn append(&self, plan: &PlanId, event: &JournalEvent, now: Timestamp) -> Result<Stage, JournalError> {
        let what = format!("{} of {plan}", event.name());
        let mut inner = self.lock_inner();
        inner.write(Entry::Step { plan: plan.clone(), event: event.clone() }, &what, now)?;
        let stage = inner.folded.action(plan).map(|action| action.stage);
        stage.ok_or_else(|| JournalError::NotConfirmed {
            what,
            why: "the plan isn't in the journal any more".to_owned(),
        })
    }

    fn note(&self, note: &Note, now: Timestamp) -> Result<bool, JournalError> {
        self.lock_inner().write(Entry::Note(note.clone()), note.name(), now)
    }

    fn in_flight(&self) -> Result<Vec<Journaled>, ReadError> {
        Ok(self.readable()?.folded.in_flight().map(|action| Journaled::new(action.plan.clone())).collect())
    }

    fn history(&self, now: Timestamp) -> Result<History, ReadError> {
        Ok(self.readable()?.folded.history(now))
    }

    fn incidents(&self) -> Result<Vec<Incident>, ReadError> {
        Ok(self.readable()?.folded.incidents())
    }

    fn decision(&self, incident: &IncidentId) -> Result<Option<DecisionRecord>, ReadError> {
        Ok(self.readable()?.folded.decision(incident).cloned())
    }

    fn is_escalated(&self, incident: &IncidentId, reason: &str) -> Result<bool, ReadError> {
        Ok(self.readable()?.folded.is_escalated(incident, reason))
    }

    fn escalations_undelivered(&self) -> Result<Vec<Escalation>, ReadError> {
        Ok(self.readable()?.folded.escalations_undelivered())
    }

    fn kill_switch(&self) -> Result<KillSwitch, ReadError> {
        Ok(self.readable()?.folded.kill_switch())
    }
}
