//! Rows in the table, and the few facts beside them.

use homeostat_core::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::ReadError;
use crate::row::{About, Epoch, Head, Row};
use crate::store::AppendError;

/// How the table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The first version's, which only a file that is there to be read may still have.
    First,
    /// Today's.
    Today,
}

impl Layout {
    /// What a row is read from, in one order whatever the layout.
    const fn columns(self) -> &'static str {
        match self {
            Self::First => {
                "seq, at_ms, at, 0, 1, kind, 1, incident, correlation, subject, plan, policy, body, prev_hash, hash"
            }
            Self::Today => {
                "seq, at_ms, at, epoch, format, kind, must_understand, incident, correlation, subject, plan, policy, body, prev_hash, hash"
            }
        }
    }
}

/// Puts a row in, as part of the caller's transaction.
pub(super) fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let columns = Layout::Today.columns();
    let sql = format!(
        "INSERT INTO journal ({columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    );
    let About { incident, correlation, subject, plan, policy } = &row.about;
    connection.prepare(&sql)?.execute(params![
        row.seq,
        row.at.as_millis(),
        row.at.to_string(),
        row.epoch.0,
        row.format,
        row.kind,
        row.must_understand,
        incident,
        correlation,
        subject,
        plan,
        policy,
        row.body,
        row.prev_hash,
        row.hash
    ])?;
    Ok(())
}

/// The rows after `after`, in order.
pub(super) fn read(connection: &Connection, layout: Layout, after: i64, n_max: usize) -> Result<Vec<Row>, ReadError> {
    let sql = format!("SELECT {} FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2", layout.columns());
    let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
    query(connection, &sql, params![after, n_max])
}

/// Every row about an incident, in order.
pub(super) fn of_incident(connection: &Connection, layout: Layout, incident: &str) -> Result<Vec<Row>, ReadError> {
    let sql = format!("SELECT {} FROM journal WHERE incident = ?1 ORDER BY seq", layout.columns());
    query(connection, &sql, params![incident])
}

fn query(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Row>, ReadError> {
    let failed = |error: rusqlite::Error| ReadError { why: error.to_string() };
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let rows = statement.query_map(parameters, |row| Ok((of(row)?, row.get::<_, String>(2)?))).map_err(failed)?;
    let mut found = Vec::new();
    for row in rows {
        let (row, at) = row.map_err(failed)?;
        // The text is for people, and the hash covers it through the moment itself.
        if row.at.to_string() != at {
            return Err(ReadError { why: format!("row {}: its time was changed after it was written", row.seq) });
        }
        found.push(row);
    }
    Ok(found)
}

fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        epoch: Epoch(row.get(3)?),
        format: row.get(4)?,
        kind: row.get(5)?,
        must_understand: row.get(6)?,
        about: About {
            incident: row.get(7)?,
            correlation: row.get(8)?,
            subject: row.get(9)?,
            plan: row.get(10)?,
            policy: row.get(11)?,
        },
        body: row.get(12)?,
        prev_hash: row.get(13)?,
        hash: row.get(14)?,
    })
}

/// The last writer's epoch.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT epoch FROM state", (), |row| row.get(0))
}

/// The last archived row.
pub(super) fn base(connection: &Connection, layout: Layout) -> rusqlite::Result<Option<Head>> {
    if layout == Layout::First {
        return Ok(None);
    }
    let head = |row: &rusqlite::Row<'_>| Ok(Head { seq: row.get(0)?, hash: row.get(1)? });
    connection.query_row("SELECT base_seq, base_hash FROM state WHERE base_seq > 0", (), head).optional()
}

/// The fence: whether the last row is still `after` and nobody of a higher epoch came. Inside the caller's transaction.
pub(super) fn claim(connection: &Connection, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
    let failed = |error: rusqlite::Error| AppendError::NotWritten(error.to_string());
    let last = self::epoch(connection).map_err(failed)?;
    if last > epoch.0 {
        let why = format!("another homeostat process writes here (epoch {last}, this one has {})", epoch.0);
        return Err(AppendError::Fenced(why));
    }
    if last < epoch.0 {
        connection.execute("UPDATE state SET epoch = ?1", [epoch.0]).map_err(failed)?;
    }
    let head = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1";
    let head = connection.query_row(head, (), |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? })).optional();
    let head = head.map_err(failed)?.unwrap_or_else(Head::empty);
    if &head != after {
        let why = format!("somebody else wrote row {} here", head.seq);
        return Err(AppendError::Fenced(why));
    }
    Ok(())
}
