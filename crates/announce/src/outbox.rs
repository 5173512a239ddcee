//! What was published, in one SQLite table that survives the process: each event once a channel, however often it comes (I36).
//!
//! A row is one event for one channel: `pending` until its receiver accepts it or it is given up (`failed`). The queues in memory
//! decide what is tried when; the outbox remembers it for the next process, and what was delivered, so that the same event
//! isn't sent twice. A disk that fails stops nobody: what isn't written stays in memory, and is written later.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homeostat_core::{IncidentId, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::event::{Event, EventKind};

mod schema;

/// Finished rows that are remembered against doubles and for what receivers know, without their text: some 3 MB. What is
/// published again is published again soon: after a crash, at the next cycle.
const FINISHED_ROWS_MAX: u32 = 10_000;

/// How long finished rows are remembered. The newest row of an incident that isn't over stays for as long as [`FAILED_KEPT`].
const FINISHED_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Given-up rows that are kept with their text, to be shown: some 3 MB. Of more than these only the newest are of interest.
const FAILED_ROWS_MAX: u32 = 1_000;

/// How long given-up rows are kept: longer than a holiday.
const FAILED_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How long to wait for another connection's lock on the file: the journal's writes take milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The log of writes is cut back to this size after each checkpoint: a burst must not hold the disk for ever.
const WAL_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// The durable memory. Its calls wait for the disk, some milliseconds each.
pub struct Outbox {
    connection: Mutex<Connection>,
}

/// Why the outbox didn't do it.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file can't be opened or isn't ours: repair the path.
    #[error("the outbox {path:?} can't be opened: {why}")]
    Open {
        /// The file.
        path: String,
        /// The cause.
        why: String,
    },
    /// A newer homeostat wrote it: run that one, or move the file away, which loses the events in it.
    #[error(
        "the outbox {path:?} was written by a newer homeostat (format {found}, this one knows {known}): use the newer \
         version, or move the file away, which loses the events that aren't delivered yet"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The disk doesn't do it now: the same call may succeed later, and is harmless if it had succeeded.
    #[error("the outbox can't be read or written: {why}")]
    Disk {
        /// The cause.
        why: String,
    },
}

/// An event to write for a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct New<'a> {
    pub(crate) event: &'a Event,
    pub(crate) channel: &'a str,
    pub(crate) queued_at: Timestamp,
}

/// An event that waits since before the process started.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) event: Event,
    pub(crate) channel: String,
    pub(crate) queued_at: Timestamp,
    pub(crate) n_attempts: u32,
    pub(crate) next_attempt_at: Timestamp,
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End<'a> {
    Accepted,
    Failed { why: &'a str },
}

impl Outbox {
    /// Opens or creates the table in this file, and upgrades one that an older homeostat wrote.
    pub fn open(path: &Path) -> Result<Self, OutboxError> {
        let name = || path.display().to_string();
        let open = |error: rusqlite::Error| OutboxError::Open { path: name(), why: error.to_string() };
        let mut connection = Connection::open(path).map_err(open)?;
        connection.busy_timeout(LOCK_WAIT).map_err(open)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX).map_err(open)?;
        // An event that was published must survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
        match schema::upgrade(&mut connection).map_err(open)? {
            schema::Upgraded::Ready => {}
            schema::Upgraded::Newer { found } => {
                return Err(OutboxError::Newer { path: name(), found, known: schema::FORMAT });
            }
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// What waits since before, in order. What this version can't read is given up, and kept.
    pub(crate) fn pending(&self, now: Timestamp) -> Result<Vec<Stored>, OutboxError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare(
                "SELECT event_id, channel, body, queued_at_ms, n_attempts, next_attempt_at_ms FROM outbox
                 WHERE state = 'pending' ORDER BY seq",
            )
            .map_err(disk)?;
        let rows = statement
            .query_map([], |row| {
                let (id, channel, body): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let event = serde_json::from_str::<Event>(&body).map_err(|error| error.to_string());
                let (queued_at, next_attempt_at) = (row.get(3).map(Timestamp::from_millis)?, row.get(5)?);
                let (n_attempts, next_attempt_at) = (row.get(4)?, Timestamp::from_millis(next_attempt_at));
                Ok((
                    id,
                    channel.clone(),
                    event.map(|event| Stored { event, channel, queued_at, n_attempts, next_attempt_at }),
                ))
            })
            .map_err(disk)?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>().map_err(disk)?;
        drop(statement);
        let mut stored = Vec::with_capacity(rows.len());
        for (id, channel, read) in rows {
            match read {
                Ok(event) => stored.push(event),
                Err(why) => {
                    tracing::error!(
                        event = id,
                        channel,
                        why,
                        "an undelivered event can't be read by this version; it is kept as failed"
                    );
                    let why = format!("can't be read by this version: {why}");
                    fail_unread(&connection, &id, &channel, &why, now).map_err(disk)?;
                }
            }
        }
        Ok(stored)
    }

    /// The highest sequence number that was given out.
    pub(crate) fn last_sequence(&self) -> Result<u64, OutboxError> {
        let last: Option<i64> =
            self.lock().query_row("SELECT max(sequence) FROM outbox", [], |row| row.get(0)).map_err(disk)?;
        Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or_default())
    }

    /// Writes events for their channels, all or none, and says of each whether it is new: not waiting and not delivered
    /// before. What was given up and is published again is new.
    pub(crate) fn insert(&self, rows: &[New<'_>]) -> Result<Vec<bool>, OutboxError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(disk)?;
        let inserted: Vec<bool> =
            rows.iter().map(|row| insert(&transaction, *row)).collect::<Result<_, _>>().map_err(disk)?;
        transaction.commit().map_err(disk)?;
        Ok(inserted)
    }

    /// Notes an attempt that failed.
    pub(crate) fn failed_once(
        &self,
        event: &Event,
        channel: &str,
        n_attempts: u32,
        next_attempt_at: Timestamp,
        why: &str,
    ) -> Result<(), OutboxError> {
        self.write_soon(|connection| {
            connection.execute(
                "UPDATE outbox SET n_attempts = ?3, next_attempt_at_ms = ?4, last_error = ?5
                 WHERE event_id = ?1 AND channel = ?2 AND state = 'pending'",
                params![event.id, channel, n_attempts, next_attempt_at.as_millis(), why],
            )
        })
    }

    /// Notes how an event ended, also of one that was never written.
    pub(crate) fn finish(&self, new: New<'_>, end: End<'_>, now: Timestamp) -> Result<(), OutboxError> {
        let New { event, channel, queued_at } = new;
        let (state, why) = match end {
            End::Accepted => ("accepted", None),
            End::Failed { why } => ("failed", Some(why)),
        };
        // What was delivered is remembered without its text, what was given up with it.
        let body = match end {
            End::Accepted => String::new(),
            End::Failed { .. } => serde_json::to_string(event).unwrap_or_default(),
        };
        self.write_soon(|connection| {
            connection.execute(
                "INSERT INTO outbox (event_id, channel, kind, incident, closes, sequence, state, body, queued_at_ms,
                                     next_attempt_at_ms, last_error, finished_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11)
                 ON CONFLICT (event_id, channel) DO UPDATE SET state = ?7, body = ?8, last_error = ?10, finished_at_ms = ?11,
                     n_attempts = n_attempts + 1",
                params![
                    event.id,
                    channel,
                    event.kind().name(),
                    event.incident_id().as_str(),
                    event.closes(),
                    stored_sequence(event),
                    state,
                    body,
                    queued_at.as_millis(),
                    why,
                    now.as_millis(),
                ],
            )
        })
    }

    /// Forgets a change that gave way to newer ones.
    pub(crate) fn forget(&self, event: &Event, channel: &str) -> Result<(), OutboxError> {
        self.write_soon(|connection| {
            connection.execute(
                "DELETE FROM outbox WHERE event_id = ?1 AND channel = ?2 AND state = 'pending'",
                params![event.id, channel],
            )
        })
    }

    /// What a channel knows of incidents from changes that were delivered or wait, and from calls if `also_calls`: whether each
    /// is over.
    pub(crate) fn known_incidents(
        &self,
        channel: &str,
        also_calls: bool,
    ) -> Result<BTreeMap<IncidentId, bool>, OutboxError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare(
                "SELECT incident, closes, max(sequence) FROM outbox
                 WHERE channel = ?1 AND (kind = 'change' OR ?2) AND state IN ('pending', 'accepted') AND incident <> ''
                 GROUP BY incident",
            )
            .map_err(disk)?;
        let rows = statement
            .query_map(params![channel, also_calls], |row| {
                let incident: String = row.get(0)?;
                Ok((incident, row.get::<_, bool>(1)?))
            })
            .map_err(disk)?;
        let rows: Vec<(String, bool)> = rows.collect::<Result<_, _>>().map_err(disk)?;
        // The id is written as it is; a text that can't be one was never ours.
        let known = rows.into_iter().filter_map(|(incident, closes)| {
            Some((serde_json::from_value(serde_json::Value::String(incident)).ok()?, closes))
        });
        Ok(known.collect())
    }

    /// How many events of each channel were given up and are kept.
    pub(crate) fn failed(&self) -> Result<BTreeMap<(String, EventKind), u64>, OutboxError> {
        let connection = self.lock();
        let mut statement = connection
            .prepare("SELECT channel, kind, count(*) FROM outbox WHERE state = 'failed' GROUP BY channel, kind")
            .map_err(disk)?;
        let rows = statement
            .query_map([], |row| {
                let (channel, kind, n_rows): (String, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let kind = if kind == EventKind::Escalation.name() { EventKind::Escalation } else { EventKind::Change };
                Ok(((channel, kind), u64::from(n_rows)))
            })
            .map_err(disk)?;
        rows.collect::<Result<_, _>>().map_err(disk)
    }

    /// Forgets what was finished long ago or is too much.
    pub(crate) fn prune(&self, now: Timestamp) -> Result<(), OutboxError> {
        let newest_of_open = "SELECT max(seq) FROM outbox WHERE kind = 'change' GROUP BY channel, incident";
        let finished = format!(
            "DELETE FROM outbox WHERE state = 'accepted'
             AND (closes = 1 OR finished_at_ms < ?3 OR seq NOT IN ({newest_of_open}))
             AND (finished_at_ms < ?1 OR seq <= coalesce(
                 (SELECT seq FROM outbox WHERE state = 'accepted' ORDER BY seq DESC LIMIT 1 OFFSET ?2), 0))"
        );
        let failed = "DELETE FROM outbox WHERE state = 'failed' AND (finished_at_ms < ?1 OR seq <= coalesce(
                 (SELECT seq FROM outbox WHERE state = 'failed' ORDER BY seq DESC LIMIT 1 OFFSET ?2), 0))";
        let long_ago = (now - FAILED_KEPT).as_millis();
        self.write_soon(|connection| {
            connection.execute(&finished, params![(now - FINISHED_KEPT).as_millis(), FINISHED_ROWS_MAX, long_ago])?;
            connection.execute(failed, params![long_ago, FAILED_ROWS_MAX])
        })
    }

    /// Writes without waiting for the disk to confirm: after a power cut the worst is one delivery more, under the same id.
    fn write_soon(&self, write: impl FnOnce(&Connection) -> rusqlite::Result<usize>) -> Result<(), OutboxError> {
        let connection = self.lock();
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(disk)?;
        let written = write(&connection);
        connection.pragma_update(None, "synchronous", "FULL").map_err(disk)?;
        written.map(|_| ()).map_err(disk)
    }

    /// Lets SQLite say of every write that there is no room, or work again.
    #[cfg(test)]
    pub(crate) fn fill_the_disk(&self, full: bool) {
        let triggers =
            "CREATE TEMP TRIGGER full_i BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'disk is full'); END;
            CREATE TEMP TRIGGER full_u BEFORE UPDATE ON outbox BEGIN SELECT raise(ABORT, 'disk is full'); END;";
        let statements = if full { triggers } else { "DROP TRIGGER full_i; DROP TRIGGER full_u;" };
        self.lock().execute_batch(statements).unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Whoever panicked with the lock left no half-done statement behind: SQLite rolls transactions back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(transaction: &Transaction<'_>, row: New<'_>) -> rusqlite::Result<bool> {
    let New { event, channel, queued_at } = row;
    // Plain data: serialising can't fail.
    let body = serde_json::to_string(event).unwrap_or_default();
    let n_rows = transaction.execute(
        "INSERT INTO outbox (event_id, channel, kind, incident, closes, sequence, state, body, queued_at_ms,
                             next_attempt_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?8)
         ON CONFLICT (event_id, channel) DO UPDATE SET state = 'pending', sequence = ?6, body = ?7, queued_at_ms = ?8,
             next_attempt_at_ms = ?8, n_attempts = 0, finished_at_ms = NULL
         WHERE state = 'failed'",
        params![
            event.id,
            channel,
            event.kind().name(),
            event.incident_id().as_str(),
            event.closes(),
            stored_sequence(event),
            body,
            queued_at.as_millis(),
        ],
    )?;
    Ok(n_rows > 0)
}

fn fail_unread(connection: &Connection, id: &str, channel: &str, why: &str, now: Timestamp) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE outbox SET state = 'failed', last_error = ?3, finished_at_ms = ?4 WHERE event_id = ?1 AND channel = ?2",
        params![id, channel, why, now.as_millis()],
    )
}

fn stored_sequence(event: &Event) -> i64 {
    i64::try_from(event.sequence).unwrap_or(i64::MAX)
}

fn disk(error: rusqlite::Error) -> OutboxError {
    OutboxError::Disk { why: error.to_string() }
}

#[cfg(test)]
mod tests;
