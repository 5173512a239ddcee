//! The outbox's table, and the ladder on which older ones are upgraded. `user_version` says which format a file has.

use homeostat_core::{Escalation, Incident, IncidentChange, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde_json::Value;

use crate::event::{Call, Event, Payload};

/// The format that this version writes.
pub(super) const FORMAT: u32 = 1;

const TABLE: &str = "
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('change', 'escalation')),
        incident TEXT NOT NULL,
        closes INTEGER NOT NULL DEFAULT 0,
        sequence INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'failed')),
        body TEXT NOT NULL,
        queued_at_ms INTEGER NOT NULL,
        n_attempts INTEGER NOT NULL DEFAULT 0,
        next_attempt_at_ms INTEGER NOT NULL,
        last_error TEXT,
        finished_at_ms INTEGER,
        UNIQUE (event_id, channel)
    ) STRICT;
    CREATE INDEX outbox_by_state ON outbox (state, channel, kind);
    CREATE INDEX outbox_by_incident ON outbox (channel, incident, kind);
";

/// What became of a file.
pub(super) enum Upgraded {
    /// It has the format of this version.
    Ready,
    /// It is newer than this version.
    Newer {
        /// Its format.
        found: u32,
    },
}

/// Brings the file to this version's format, in one transaction.
pub(super) fn upgrade(connection: &mut Connection) -> rusqlite::Result<Upgraded> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > FORMAT {
        return Ok(Upgraded::Newer { found });
    }
    // A file that is up to date isn't written: with a full disk the program must start all the same.
    if found < FORMAT {
        from_unversioned(&transaction)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    Ok(Upgraded::Ready)
}

/// The first format had no version, and kept what a webhook sends instead of what it tells.
fn from_unversioned(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let is_there: bool = transaction.query_row(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'outbox'",
        [],
        |row| row.get(0),
    )?;
    if !is_there {
        return transaction.execute_batch(TABLE);
    }
    transaction.execute_batch("ALTER TABLE outbox RENAME TO outbox_0; DROP INDEX IF EXISTS outbox_state;")?;
    transaction.execute_batch(TABLE)?;
    let mut statement = transaction.prepare(
        "SELECT event_id, channel, kind, state, body, queued_at_ms, n_attempts, next_attempt_at_ms, last_error, seq
         FROM outbox_0 ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, kind, state): (String, String, String) = (row.get(0)?, row.get(2)?, row.get(3)?);
        let (body, queued_at, seq): (String, i64, i64) = (row.get(4)?, row.get(5)?, row.get(9)?);
        let event = event_of(&id, &body, seq, Timestamp::from_millis(queued_at));
        let is_call = kind == "escalation";
        // A refused escalation was to be tried again at the next start; a refused change was over, and has no text.
        let state = match state.as_str() {
            "accepted" => "accepted",
            "refused" if !is_call => "failed",
            _ if event.is_some() => "pending",
            _unreadable => "failed",
        };
        let incident = event.as_ref().map(|event| event.incident_id().as_str()).unwrap_or_default();
        let closes = event.as_ref().is_some_and(Event::closes);
        let stored = event.as_ref().and_then(|event| serde_json::to_string(event).ok()).unwrap_or(body);
        let finished_at = (state != "pending").then_some(queued_at);
        transaction.execute(
            "INSERT INTO outbox (event_id, channel, kind, incident, closes, sequence, state, body, queued_at_ms, n_attempts,
                                 next_attempt_at_ms, last_error, finished_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                id,
                row.get::<_, String>(1)?,
                kind,
                incident,
                closes,
                seq,
                state,
                stored,
                queued_at,
                row.get::<_, u32>(6)?,
                row.get::<_, i64>(7)?,
                row.get::<_, Option<String>>(8)?,
                finished_at,
            ],
        )?;
    }
    drop(rows);
    drop(statement);
    transaction.execute_batch("DROP TABLE outbox_0;")
}

/// The event in a CloudEvents envelope of the first format, under the id that it had.
fn event_of(id: &str, body: &str, seq: i64, queued_at: Timestamp) -> Option<Event> {
    let body: Value = serde_json::from_str(body).ok()?;
    let source = body.get("source")?.as_str()?.to_owned();
    let at = body.get("time").and_then(|at| at.as_str()?.parse().ok()).unwrap_or(queued_at);
    let data = body.get("data")?;
    let payload = if id.starts_with("chg-") {
        Payload::Change(Box::new(serde_json::from_value::<IncidentChange>(data.clone()).ok()?))
    } else {
        Payload::Escalation(Box::new(call_of(data, at)?))
    };
    Some(Event { id: id.to_owned(), sequence: u64::try_from(seq).unwrap_or_default(), source, at, payload })
}

fn call_of(data: &Value, at: Timestamp) -> Option<Call> {
    let incident: Incident = serde_json::from_value(data.get("incident")?.clone()).ok()?;
    let text = data.get("reason")?.as_str()?;
    let (reason, message) = text.split_once(": ").unwrap_or(("unknown", text));
    let history = data.get("history").and_then(|history| serde_json::from_value(history.clone()).ok());
    let escalation = Escalation {
        incident: incident.id.clone(),
        correlation: incident.correlation.clone(),
        subject: incident.subject.clone(),
        channels: data.get("channel").and_then(Value::as_str).map(str::to_owned).into_iter().collect(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        history: history.unwrap_or_default(),
        at,
    };
    Some(Call { escalation, incident: Some(incident) })
}
