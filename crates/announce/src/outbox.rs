//! What is still to be delivered, in one SQLite table that survives the process.
//!
//! A row is one event for one channel. It is `pending` until somebody accepts it. A receiver that refuses it for good makes
//! it `refused`: a change is then over, an escalation stays undelivered, is counted as such, and is tried again when
//! the outbox is opened anew, because a refusal (a token that ended, a deleted hook) is repaired by a person and a
//! restart. Finished rows stay for a while without their text, so that the same event isn't sent twice.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homeostat_core::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::event::{Event, EventKind};

/// Undelivered rows. At a kilobyte or two each that is some 20 MB of disk, and more than a day of one change every ten
/// seconds to a receiver that is down. Beyond it the oldest changes go; escalations never do.
const PENDING_ROWS_MAX: u32 = 10_000;

/// Finished rows that are remembered against doubles. What is told again is told again soon: after a crash, at the next cycle.
const FINISHED_ROWS_MAX: u32 = 10_000;

/// The first pause after a failure, doubled with every further one.
const BACKOFF_MIN: Duration = Duration::from_secs(5);

/// The longest pause of our own. Five minutes is how long a repaired receiver may wait for an escalation at most.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// The longest pause a receiver may ask for. Longer ones would let it silence us.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(900);

/// An event that isn't delivered after this time is overdue: a person who waits for it should hear of it otherwise.
pub(crate) const OVERDUE_AFTER: Duration = Duration::from_secs(300);

/// How long to wait for another connection's lock on the file: the journal's writes take milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('change', 'escalation')),
        state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'refused')),
        body TEXT NOT NULL,
        queued_at_ms INTEGER NOT NULL,
        n_attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_at_ms INTEGER NOT NULL,
        last_error TEXT,
        UNIQUE (event_id, channel)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS outbox_state ON outbox (state, channel, kind);
";

/// The durable queue. Its calls wait for the disk, some milliseconds each.
pub struct Outbox {
    connection: Mutex<Connection>,
    pending_rows_max: u32,
}

/// What became of an event that was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is on disk now.
    New,
    /// It is queued or was delivered already.
    AlreadyThere,
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
    /// There is no room for it, only undelivered escalations: tell it some other way, and repair the channels.
    #[error(
        "the outbox is full of undelivered escalations ({n_rows}): repair the channel, see the log for its answers"
    )]
    Full {
        /// How many.
        n_rows: u32,
    },
    /// The disk doesn't do it now: the same call may succeed later, and is harmless if it had succeeded.
    #[error("the outbox can't be read or written: {why}")]
    Disk {
        /// The cause.
        why: String,
    },
}

/// How much is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that wait for delivery.
    pub n_pending: u64,
    /// Escalations among them.
    pub n_pending_escalations: u64,
    /// Escalations that a receiver refused: undelivered until somebody repairs the channel and restarts.
    pub n_refused_escalations: u64,
    /// Undelivered events older than five minutes, refused escalations included: the alarm (I33).
    pub n_overdue: u64,
    /// Age of the oldest undelivered event; zero when there is none.
    pub oldest: Duration,
}

/// An event whose time has come.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) seq: i64,
    pub(crate) event: Event,
    pub(crate) n_attempts: u32,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    Accepted,
    Refused { why: String },
    Retry { why: String, after: Option<Duration> },
}

impl Outbox {
    /// Opens or creates the table in this file. It may be the journal's file.
    pub fn open(path: &Path) -> Result<Self, OutboxError> {
        let opened = Connection::open(path).and_then(|connection| {
            connection.busy_timeout(LOCK_WAIT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // An escalation that is queued must survive a power cut.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(SCHEMA)?;
            connection.execute(
                "UPDATE outbox SET state = 'pending', next_attempt_at_ms = 0 WHERE state = 'refused' AND kind = 'escalation'",
                [],
            )?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => Ok(Self { connection: Mutex::new(connection), pending_rows_max: PENDING_ROWS_MAX }),
            Err(error) => Err(OutboxError::Open { path: path.display().to_string(), why: error.to_string() }),
        }
    }

    /// Queues the event for these channels, all or none. Changes give way to what is new when there is no room.
    pub(crate) fn enqueue(
        &self,
        event: &Event,
        channels: &[&str],
        now: Timestamp,
    ) -> Result<(Enqueued, u64), OutboxError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(disk)?;
        let mut enqueued = Enqueued::AlreadyThere;
        for channel in channels {
            let n_rows = transaction.execute(
                "INSERT INTO outbox (event_id, channel, kind, state, body, queued_at_ms, next_attempt_at_ms)
                 VALUES (?1, ?2, ?3, 'pending', ?4, ?5, ?5) ON CONFLICT (event_id, channel) DO NOTHING",
                params![event.id, channel, event.kind.name(), event.body, now.as_millis()],
            );
            if n_rows.map_err(disk)? > 0 {
                enqueued = Enqueued::New;
            }
        }
        let n_dropped = self.make_room(&transaction, event.kind)?;
        transaction.commit().map_err(disk)?;
        Ok((enqueued, n_dropped))
    }

    /// Drops the oldest undelivered changes above the limit. Escalations only ever stand in the way of other ones.
    fn make_room(&self, transaction: &Transaction<'_>, newest: EventKind) -> Result<u64, OutboxError> {
        let count =
            "SELECT count(*) FROM outbox WHERE state = 'pending' OR (state = 'refused' AND kind = 'escalation')";
        let n_rows: u32 = transaction.query_row(count, [], |row| row.get(0)).map_err(disk)?;
        let n_over = n_rows.saturating_sub(self.pending_rows_max);
        if n_over == 0 {
            return Ok(0);
        }
        let drop_changes = "DELETE FROM outbox WHERE seq IN
            (SELECT seq FROM outbox WHERE state = 'pending' AND kind = 'change' ORDER BY seq LIMIT ?1)";
        let n_dropped = transaction.execute(drop_changes, [n_over]).map_err(disk)?;
        match newest {
            // Nothing was old enough to give way, so the event itself must not come in.
            EventKind::Escalation if n_dropped < n_over as usize => {
                Err(OutboxError::Full { n_rows: self.pending_rows_max })
            }
            EventKind::Escalation | EventKind::Change => Ok(n_dropped as u64),
        }
    }

    /// What is due on the channel: escalations first, then in the order they came.
    pub(crate) fn due(&self, channel: &str, n_max: u32, now: Timestamp) -> Result<Vec<Due>, OutboxError> {
        let connection = self.lock();
        // A time further ahead than any pause of ours was written by a clock that has been put back since.
        let mut statement = connection
            .prepare(
                "SELECT seq, event_id, kind, body, n_attempts FROM outbox
                 WHERE state = 'pending' AND channel = ?1 AND (next_attempt_at_ms <= ?2 OR next_attempt_at_ms > ?3)
                 ORDER BY kind = 'escalation' DESC, seq LIMIT ?4",
            )
            .map_err(disk)?;
        let latest = (now + RETRY_AFTER_MAX).as_millis();
        let rows = statement
            .query_map(params![channel, now.as_millis(), latest, n_max], |row| {
                let kind: String = row.get(2)?;
                let kind = if kind == EventKind::Escalation.name() { EventKind::Escalation } else { EventKind::Change };
                let event = Event { id: row.get(1)?, kind, body: row.get(3)? };
                Ok(Due { seq: row.get(0)?, event, n_attempts: row.get(4)? })
            })
            .map_err(disk)?;
        rows.collect::<Result<_, _>>().map_err(disk)
    }

    /// Writes down how an attempt ended.
    pub(crate) fn settle(&self, due: &Due, settled: &Settled, now: Timestamp) -> Result<(), OutboxError> {
        let (state, why, pause) = match settled {
            Settled::Accepted => ("accepted", None, Duration::ZERO),
            Settled::Refused { why } => ("refused", Some(why), Duration::ZERO),
            Settled::Retry { why, after } => ("pending", Some(why), pause(due.n_attempts, *after)),
        };
        let updated = self.lock().execute(
            // A refused escalation keeps its text: it isn't over.
            "UPDATE outbox SET state = ?2, last_error = ?3, next_attempt_at_ms = ?4, n_attempts = n_attempts + 1,
                body = CASE WHEN ?2 = 'pending' OR (?2 = 'refused' AND kind = 'escalation') THEN body ELSE '' END
             WHERE seq = ?1 AND state = 'pending'",
            params![due.seq, state, why, (now + pause).as_millis()],
        );
        updated.map(|_| ()).map_err(disk)
    }

    /// Forgets the oldest finished rows above the limit.
    pub(crate) fn prune(&self) -> Result<(), OutboxError> {
        let finished = "state = 'accepted' OR (state = 'refused' AND kind = 'change')";
        let connection = self.lock();
        let newest_to_forget: Option<i64> = connection
            .query_row(
                &format!("SELECT seq FROM outbox WHERE {finished} ORDER BY seq DESC LIMIT 1 OFFSET ?1"),
                [FINISHED_ROWS_MAX],
                |row| row.get(0),
            )
            .optional()
            .map_err(disk)?;
        if let Some(seq) = newest_to_forget {
            connection.execute(&format!("DELETE FROM outbox WHERE seq <= ?1 AND ({finished})"), [seq]).map_err(disk)?;
        }
        Ok(())
    }

    /// How much is waiting.
    pub fn backlog(&self, now: Timestamp) -> Result<Backlog, OutboxError> {
        let overdue_before = (now - OVERDUE_AFTER).as_millis();
        self.lock()
            .query_row(
                "SELECT count(*) FILTER (WHERE state = 'pending'),
                        count(*) FILTER (WHERE state = 'pending' AND kind = 'escalation'),
                        count(*) FILTER (WHERE state = 'refused'),
                        count(*) FILTER (WHERE queued_at_ms <= ?1),
                        min(queued_at_ms)
                 FROM outbox WHERE state = 'pending' OR (state = 'refused' AND kind = 'escalation')",
                [overdue_before],
                |row| {
                    let oldest: Option<i64> = row.get(4)?;
                    Ok(Backlog {
                        n_pending: count(row, 0)?,
                        n_pending_escalations: count(row, 1)?,
                        n_refused_escalations: count(row, 2)?,
                        n_overdue: count(row, 3)?,
                        oldest: oldest.map(|at| now.since(Timestamp::from_millis(at))).unwrap_or_default(),
                    })
                },
            )
            .map_err(disk)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Whoever panicked with the lock left no half-done statement behind: SQLite rolls transactions back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 5 s, 10 s, 20 s … 5 min, or what the receiver asks for if that is longer. No jitter: there is one sender an installation.
fn pause(n_attempts: u32, after: Option<Duration>) -> Duration {
    let own = BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(n_attempts)).min(BACKOFF_MAX);
    own.max(after.unwrap_or_default().min(RETRY_AFTER_MAX))
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, u32>(column).map(u64::from)
}

fn disk(error: rusqlite::Error) -> OutboxError {
    OutboxError::Disk { why: error.to_string() }
}

#[cfg(test)]
mod tests;
