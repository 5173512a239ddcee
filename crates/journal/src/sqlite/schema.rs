//! The file's layout and settings.

use std::path::Path;

use rusqlite::Connection;

use crate::OpenError;

/// Marks the file as ours: "hmst". `file` shows it, and no other program's file is taken for a journal.
const APPLICATION_ID: i64 = 0x686d_7374;

/// The layout's version. Raise it with every change of the table or of a body that an older version couldn't read.
const SCHEMA_VERSION: i64 = 1;

/// `body` is the truth; the columns before it are copies for people and queries, covered by the hash all the same.
const SCHEMA: &str = "
BEGIN;
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
CREATE VIEW remediations AS
  SELECT i.at AS intended_at, i.plan, i.incident, i.subject, i.policy,
         json_extract(i.body, '$.intent.plan.action') AS action,
         l.kind AS last_event, l.at AS last_event_at
  FROM journal i JOIN journal l ON l.seq = (SELECT max(seq) FROM journal WHERE plan = i.plan AND kind <> 'decision')
  WHERE i.kind = 'intent' ORDER BY i.seq;
CREATE VIEW incidents AS
  SELECT at, incident, subject, json_extract(body, '$.note.incident.type') AS type,
         json_extract(body, '$.note.incident.state') AS state
  FROM journal j WHERE kind = 'incident' AND seq = (SELECT max(seq) FROM journal WHERE incident = j.incident AND kind = 'incident')
  ORDER BY seq;
";

/// A journal that is there to be read: ours, of our version, and not empty.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match is_new(connection, path)? {
        true => Err(OpenError::NotAJournal { path: path.to_owned() }),
        false => Ok(()),
    }
}

/// Settings for every connection, and the tables if the file is new.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::Unusable { path: path.to_owned(), why: error.to_string() };
    let is_new = is_new(connection, path)?;
    // The answer is the mode that is in force: `wal` for a file, `memory` in memory.
    connection
        .query_row("PRAGMA journal_mode = WAL", (), |row| row.get::<_, String>(0))
        .and_then(|_| connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"))
        .map_err(unusable)?;
    if is_new {
        // The marks are set inside the same transaction: a crash leaves a whole schema or an empty file.
        let marks =
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;");
        connection.execute_batch(&format!("{SCHEMA}{marks}")).map_err(unusable)?;
    }
    Ok(())
}

/// Whether the file has no tables yet; an error if it has another program's, or another version's.
fn is_new(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let unusable = |error: rusqlite::Error| OpenError::Unusable { path: path.to_owned(), why: error.to_string() };
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get::<_, i64>(0));
    let n_objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(|error| {
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
                OpenError::NotAJournal { path: path.to_owned() }
            } else {
                unusable(error)
            }
        })?;
    let application_id = pragma("application_id").map_err(unusable)?;
    let version = pragma("user_version").map_err(unusable)?;
    if n_objects > 0 && application_id != APPLICATION_ID {
        return Err(OpenError::NotAJournal { path: path.to_owned() });
    }
    if n_objects > 0 && version != SCHEMA_VERSION {
        return Err(OpenError::OtherVersion { path: path.to_owned(), found: version, expected: SCHEMA_VERSION });
    }
    Ok(n_objects == 0)
}
