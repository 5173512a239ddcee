//! The journal in one SQLite file.

use std::sync::{Mutex, PoisonError};

use homeostat_core::{PlanId, Timestamp};
use rusqlite::Connection;

use super::{Intent, Journal, JournalError, Journaled};

/// A journal in SQLite.
pub struct SqliteJournal {
    connection: Mutex<Connection>,
}

fn not_written(error: rusqlite::Error) -> JournalError {
    JournalError::NotWritten { what: "intent".to_owned(), why: error.to_string() }
}

impl SqliteJournal {
    /// A journal that lasts as long as the process: for tests and the demo.
    pub fn in_memory() -> Result<Self, JournalError> {
        let connection = Connection::open_in_memory().map_err(not_written)?;
        connection
            .execute_batch("CREATE TABLE intents (plan TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, body TEXT NOT NULL)")
            .map_err(not_written)?;
        Ok(Self { connection: Mutex::new(connection) })
    }
}

impl Journal for SqliteJournal {
    fn record(&self, intent: &Intent, now: Timestamp) -> Result<Journaled, JournalError> {
        let body = serde_json::to_string(intent)
            .map_err(|error| JournalError::NotWritten { what: "intent".to_owned(), why: error.to_string() })?;
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .execute("INSERT INTO intents VALUES (?1, ?2, ?3)", (intent.plan.id.as_str(), now.as_millis(), body))
            .map_err(not_written)?;
        Ok(Journaled::new(intent.plan.clone()))
    }

    fn recorded(&self) -> Result<Vec<PlanId>, JournalError> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare("SELECT body FROM intents ORDER BY rowid").map_err(not_written)?;
        let bodies = statement
            .query_map((), |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(not_written)?;
        Ok(bodies.iter().filter_map(|body| serde_json::from_str::<Intent>(body).ok()).map(|i| i.plan.id).collect())
    }
}
