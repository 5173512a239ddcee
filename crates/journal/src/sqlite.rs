//! Rows in one SQLite file that anyone can read with `sqlite3`: append-only, fsynced at each row.

mod archive;
mod place;
mod read_only;
mod rows;
mod schema;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};

pub(crate) use archive::{ArchiveFiles, archives_of};
use rows::Layout;

use crate::error::{OpenError, ReadError};
use crate::row::{Epoch, Head, Row};
use crate::store::{AppendError, Cut, READ_ROWS_MAX, Store};
use place::Place;
use read_only::Copied;

/// How long a write waits for a foreign lock, such as a backup's. Longer would hold up the whole cycle; after it the
/// write counts as not done and the next cycle asks again.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// A store in SQLite: WAL and `synchronous=FULL`, so that a row that was answered with `Ok` survives power loss.
///
/// A write is one fsync (milliseconds) under a mutex, done where it is awaited; the driver's few rows a cycle don't merit a
/// thread of their own.
pub struct SqliteStore {
    connection: Mutex<Connection>,
    layout: Layout,
    place: Option<Place>,
    is_read_only: bool,
    /// A copy that is read instead of the original; removed with it.
    _copied: Option<Copied>,
}

/// SQLite ends some messages with the path, which ours begin with.
fn unusable(path: &Path, error: &rusqlite::Error) -> OpenError {
    let why = error.to_string();
    let why = why.strip_suffix(&format!(": {}", path.display())).map(str::to_owned).unwrap_or(why);
    OpenError::Unusable { path: path.to_owned(), why }
}

fn unreadable(error: &rusqlite::Error) -> ReadError {
    ReadError { why: error.to_string() }
}

impl SqliteStore {
    /// Opens or creates the file at `path`, takes its lock, and brings it up to date. The epoch is the one to write with.
    pub fn open(path: &Path) -> Result<(Self, Epoch), OpenError> {
        let lock = place::lock(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| unusable(path, &error))?;
        let epoch = prepare(&connection, path)?;
        let place = Some(Place::of(path, lock)?);
        Ok((Self::with(connection, place, false), epoch))
    }

    /// A store that lasts as long as the process.
    pub fn in_memory() -> Result<(Self, Epoch), OpenError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| unusable(path, &error))?;
        let epoch = prepare(&connection, path)?;
        Ok((Self::with(connection, None, false), epoch))
    }

    /// Opens what is there to be read, as it is; see [`read_only`].
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        let opened = read_only::open(path)?;
        Ok(Self {
            connection: Mutex::new(opened.connection),
            layout: opened.layout,
            place: Some(Place::to_read(path)),
            is_read_only: true,
            _copied: opened.copied,
        })
    }

    fn with(connection: Connection, place: Option<Place>, is_read_only: bool) -> Self {
        Self { connection: Mutex::new(connection), layout: Layout::Today, place, is_read_only, _copied: None }
    }

    /// A panic of another thread between two statements leaves either a whole row or none, so the lock's poison says
    /// nothing about the file.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this store may still write.
    fn may_write(&self) -> Result<(), AppendError> {
        if self.is_read_only {
            return Err(AppendError::NotWritten("it was opened to be read".to_owned()));
        }
        match &self.place {
            Some(place) => place.is_still_ours().map_err(AppendError::Fenced),
            None => Ok(()),
        }
    }
}

/// Settings for every connection that writes, and the tables of today. Says the epoch that follows the last one.
fn prepare(connection: &Connection, path: &Path) -> Result<Epoch, OpenError> {
    connection.busy_timeout(BUSY_WAIT).map_err(|error| unusable(path, &error))?;
    schema::prepare(connection, path)?;
    rows::epoch(connection).map(|last| Epoch(last + 1)).map_err(|error| unusable(path, &error))
}

/// Runs `write` and commits it, or leaves everything as it was.
fn transact(
    connection: &Connection,
    write: impl FnOnce(&Connection) -> Result<(), AppendError>,
) -> Result<(), AppendError> {
    let not_written = |error: rusqlite::Error| AppendError::NotWritten(error.to_string());
    connection.execute_batch("BEGIN IMMEDIATE").map_err(not_written)?;
    if let Err(error) = write(connection) {
        // Refused inside its transaction: without a commit nothing of it can be in the file.
        roll_back(connection);
        return Err(error);
    }
    connection.execute_batch("COMMIT").map_err(|error| {
        roll_back(connection);
        AppendError::NotConfirmed(error.to_string())
    })
}

/// Leaves the transaction if there still is one. If even that fails, the next BEGIN fails too, as not written.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "the journal's transaction can't be rolled back");
    }
}

/// Opens the rows at `path` to be read, also while a service writes them. Nothing is changed.
///
/// # Errors
/// [`OpenError`]: there are none, or they can't be read.
pub fn open_to_read(path: &Path) -> Result<Box<dyn Store>, OpenError> {
    Ok(Box::new(SqliteStore::open_to_read(path)?))
}

#[async_trait]
impl Store for SqliteStore {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        rows::base(&self.lock(), self.layout).map_err(|error| unreadable(&error))
    }

    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        rows::read(&self.lock(), self.layout, after, READ_ROWS_MAX)
    }

    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.may_write()?;
        transact(&self.lock(), |connection| {
            rows::claim(connection, after, epoch)?;
            rows::insert(connection, row).map_err(|error| AppendError::NotWritten(error.to_string()))
        })
    }

    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.may_write()?;
        let Some(place) = &self.place else {
            return Err(AppendError::NotWritten("a journal in memory keeps no archive".to_owned()));
        };
        let connection = self.lock();
        archive::copy(&connection, place.path(), cut).map_err(AppendError::NotWritten)?;
        transact(&connection, |connection| {
            rows::claim(connection, after, epoch)?;
            let not_written = |error: rusqlite::Error| AppendError::NotWritten(error.to_string());
            rows::insert(connection, row).map_err(not_written)?;
            archive::cut(connection, cut).map_err(not_written)
        })
    }

    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        let mut found = match &self.place {
            Some(place) => ArchiveFiles::beside(place.path().to_owned()).rows_of(incident)?,
            None => Vec::new(),
        };
        found.extend(rows::of_incident(&self.lock(), self.layout, incident)?);
        // Rows that still count are in the archive and in the journal.
        found.sort_by_key(|row| row.seq);
        found.dedup_by_key(|row| row.seq);
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
