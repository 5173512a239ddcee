//! The file's layout, and the ladder that brings an older one up to date.
//!
//! To change the layout: add a step. A new file is made by climbing all of them, so that it is the same as an old one that
//! was brought up to date.

use std::path::Path;

use rusqlite::Connection;

use super::rows::Layout;
use super::{transact, unusable};
use crate::error::OpenError;
use crate::store::AppendError;

/// Marks the file as ours: "hmst". `file` shows it, and no other program's file is taken for a journal.
const APPLICATION_ID: i64 = 0x686d_7374;

/// The steps: the first makes version 1 of an empty file, the next version 2 of that, and so on.
const STEPS: [&str; 2] = [VERSION_1, VERSION_2];

/// `body` is the truth; the columns before it are copies for people and queries, covered by the hash all the same.
const VERSION_1: &str = "
CREATE TABLE journal (
  seq         INTEGER PRIMARY KEY,
  at_ms       INTEGER NOT NULL,
  at          TEXT NOT NULL,
  kind        TEXT NOT NULL,
  incident    TEXT NOT NULL,
  correlation TEXT NOT NULL,
  subject     TEXT NOT NULL,
  plan        TEXT NOT NULL,
  policy      TEXT NOT NULL,
  body        TEXT NOT NULL,
  prev_hash   TEXT NOT NULL,
  hash        TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_intent_a_plan ON journal (plan) WHERE kind = 'intent';
CREATE INDEX by_plan ON journal (plan, seq);
CREATE INDEX by_incident ON journal (incident, seq);
CREATE TRIGGER no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE VIEW remediations AS SELECT seq FROM journal;
CREATE VIEW incidents AS SELECT seq FROM journal;
PRAGMA application_id = 0x686d7374;
";

/// Rows as data, with their writer's epoch; old rows may leave for the archive. No row is touched: bodies are brought up to
/// date when they are read, and the chain stays as it was.
const VERSION_2: &str = "
ALTER TABLE journal ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN format INTEGER NOT NULL DEFAULT 1;
ALTER TABLE journal ADD COLUMN must_understand INTEGER NOT NULL DEFAULT 1;
CREATE TABLE state (
  only_one  INTEGER PRIMARY KEY CHECK (only_one = 1),
  epoch     INTEGER NOT NULL,
  base_seq  INTEGER NOT NULL,
  base_hash TEXT NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, 0, '');
DROP TRIGGER no_delete;
CREATE TRIGGER no_delete BEFORE DELETE ON journal WHEN old.seq > (SELECT base_seq FROM state)
  BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
DROP VIEW remediations;
CREATE VIEW remediations AS
  SELECT i.at AS intended_at, i.plan, i.incident, i.subject, i.policy,
         coalesce(json_extract(i.body, '$.plan.action'), json_extract(i.body, '$.intent.plan.action')) AS action,
         l.kind AS last_event, l.at AS last_event_at
  FROM journal i JOIN journal l ON l.seq = (SELECT max(seq) FROM journal WHERE plan = i.plan AND kind <> 'decision')
  WHERE i.kind = 'intent' ORDER BY i.seq;
DROP VIEW incidents;
CREATE VIEW incidents AS
  SELECT at, incident, subject,
         coalesce(json_extract(body, '$.incident.type'), json_extract(body, '$.note.incident.type')) AS type,
         coalesce(json_extract(body, '$.incident.state'), json_extract(body, '$.note.incident.state')) AS state
  FROM journal j WHERE kind = 'incident' AND seq = (SELECT max(seq) FROM journal WHERE incident = j.incident AND kind = 'incident')
  ORDER BY seq;
";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Empty,
    Version(i64),
}

/// How the table of a file that is there to be read is laid out; an error if it isn't a journal that can be read.
pub(super) fn layout(connection: &Connection, path: &Path) -> Result<Layout, OpenError> {
    match found(connection, path)? {
        Found::Empty => Err(OpenError::NotAJournal { path: path.to_owned() }),
        Found::Version(1) => Ok(Layout::First),
        Found::Version(_) => Ok(Layout::Today),
    }
}

/// Settings for every connection that writes, and the tables as they are today.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = found(connection, path)?;
    // The answer is the mode that is in force: `wal` for a file, `memory` in memory.
    connection
        .query_row("PRAGMA journal_mode = WAL", (), |row| row.get::<_, String>(0))
        .and_then(|_| connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"))
        .map_err(|error| unusable(path, &error))?;
    let version = match found {
        Found::Empty => 0,
        Found::Version(version) => version,
    };
    if version > 0 && version < STEPS.len() as i64 {
        check_whole(connection, path)?;
    }
    climb(connection, version).map_err(|error| match found {
        Found::Empty => OpenError::Unusable { path: path.to_owned(), why: error.to_string() },
        Found::Version(_) => OpenError::NotMigrated { path: path.to_owned(), why: error.to_string() },
    })
}

/// Half a file must be called damaged, not an upgrade that failed.
fn check_whole(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0));
    let why = match found {
        Ok(answer) if answer == "ok" => return Ok(()),
        Ok(answer) => answer,
        Err(error) => error.to_string(),
    };
    Err(OpenError::Damaged { path: path.to_owned(), why })
}

/// All steps that are missing, in one transaction: a crash leaves the file as it was.
fn climb(connection: &Connection, version: i64) -> Result<(), AppendError> {
    let missing: Vec<&str> = STEPS.iter().skip(usize::try_from(version).unwrap_or(usize::MAX)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    transact(connection, |connection| {
        let sql = format!("{}PRAGMA user_version = {};", missing.concat(), STEPS.len());
        connection.execute_batch(&sql).map_err(|error| AppendError::NotWritten(error.to_string()))
    })
}

fn found(connection: &Connection, path: &Path) -> Result<Found, OpenError> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0));
    let n_objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(
        |error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => OpenError::NotAJournal { path: path.to_owned() },
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                OpenError::Damaged { path: path.to_owned(), why: error.to_string() }
            }
            _ => unusable(path, &error),
        },
    )?;
    let application_id = pragma("application_id").map_err(|error| unusable(path, &error))?;
    let version = pragma("user_version").map_err(|error| unusable(path, &error))?;
    if n_objects == 0 {
        return Ok(Found::Empty);
    }
    if application_id != APPLICATION_ID || version < 1 {
        return Err(OpenError::NotAJournal { path: path.to_owned() });
    }
    if version > i64::try_from(STEPS.len()).unwrap_or(i64::MAX) {
        let why = format!("its layout has version {version}, this version knows {}", STEPS.len());
        return Err(OpenError::Newer { path: path.to_owned(), why });
    }
    Ok(Found::Version(version))
}
