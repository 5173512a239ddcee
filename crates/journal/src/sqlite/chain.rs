//! Rows, each holding the hash of the one before: an edit, a gap or a swap shows.

use homeostat_core::{Plan, Timestamp, sha256_hex};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::fold::{Entry, Folded};
use crate::{ChainError, Note};

/// What the first row has as the hash of the row before it.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The end of the chain. Kept elsewhere (in a log, say), it shows later whether rows were cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The number of rows.
    pub n_rows: i64,
    /// The last row's hash.
    pub hash: String,
}

impl ChainHead {
    fn empty() -> Self {
        Self { n_rows: 0, hash: NO_HASH.to_owned() }
    }
}

/// One row, columns as in the table.
pub(super) struct Row {
    seq: i64,
    at_ms: i64,
    at: String,
    kind: String,
    incident: String,
    correlation: String,
    subject: String,
    plan: String,
    policy: String,
    body: String,
    prev_hash: String,
    hash: String,
}

const COLUMNS: &str = "seq, at_ms, at, kind, incident, correlation, subject, plan, policy, body, prev_hash, hash";

impl Row {
    /// The row of this entry after the chain's head. `of` is the plan that the entry belongs to, if it belongs to one.
    pub(super) fn after(head: &ChainHead, entry: &Entry, of: Option<&Plan>, now: Timestamp) -> Result<Self, String> {
        let mut row = Self {
            seq: head.n_rows + 1,
            at_ms: now.as_millis(),
            at: now.to_string(),
            kind: String::new(),
            incident: String::new(),
            correlation: String::new(),
            subject: String::new(),
            plan: String::new(),
            policy: String::new(),
            body: serde_json::to_string(entry).map_err(|error| error.to_string())?,
            prev_hash: head.hash.clone(),
            hash: String::new(),
        };
        if let Some(plan) = of {
            row.incident = plan.incident.to_string();
            row.correlation = plan.correlation.to_string();
            row.subject = plan.target.subject.to_string();
            row.plan = plan.id.to_string();
            row.policy.clone_from(&plan.policy);
        }
        match entry {
            Entry::Intent(_) => row.kind = "intent".to_owned(),
            Entry::Step { event, .. } => row.kind = event.name().to_owned(),
            Entry::Note(note) => row.fill_from(note),
        }
        row.hash = row.own_hash();
        Ok(row)
    }

    fn fill_from(&mut self, note: &Note) {
        self.kind = note.name().to_owned();
        match note {
            Note::Incident(incident) => {
                self.incident = incident.id.to_string();
                self.correlation = incident.correlation.to_string();
                self.subject = incident.subject.to_string();
            }
            Note::Decision(record) => {
                self.incident = record.incident.to_string();
                self.correlation = record.correlation.to_string();
                self.subject = record.subject.to_string();
                self.plan = record.plan.as_ref().map(ToString::to_string).unwrap_or_default();
                self.policy = record.policy.clone().unwrap_or_default();
            }
            Note::Escalated(call) => {
                self.incident = call.incident.to_string();
                self.correlation = call.correlation.to_string();
                self.subject = call.subject.to_string();
            }
            Note::EscalationDelivered { incident, .. } => self.incident = incident.to_string(),
            Note::PolicyFrozen { policy, .. } | Note::PolicyReleased { policy, .. } => self.policy.clone_from(policy),
            Note::KillSwitch(_) => {}
        }
    }

    fn own_hash(&self) -> String {
        let texts = [
            &self.at,
            &self.kind,
            &self.incident,
            &self.correlation,
            &self.subject,
            &self.plan,
            &self.policy,
            &self.body,
        ];
        let (seq, at_ms) = (self.seq.to_be_bytes(), self.at_ms.to_be_bytes());
        let mut parts: Vec<&[u8]> = vec![self.prev_hash.as_bytes(), &seq, &at_ms];
        parts.extend(texts.map(|text| text.as_bytes()));
        sha256_hex(&parts)
    }

    /// Begins a transaction and puts the row in; the caller commits.
    pub(super) fn insert(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let sql = format!("INSERT INTO journal ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
        let mut statement = connection.prepare(&sql)?;
        statement.execute((
            self.seq,
            self.at_ms,
            &self.at,
            &self.kind,
            &self.incident,
            &self.correlation,
            &self.subject,
            &self.plan,
            &self.policy,
            &self.body,
            &self.prev_hash,
            &self.hash,
        ))?;
        Ok(())
    }

    /// The chain's head once this row is durable.
    pub(super) fn into_head(self) -> ChainHead {
        ChainHead { n_rows: self.seq, hash: self.hash }
    }

    fn read(row: &rusqlite::Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            seq: row.get(0)?,
            at_ms: row.get(1)?,
            at: row.get(2)?,
            kind: row.get(3)?,
            incident: row.get(4)?,
            correlation: row.get(5)?,
            subject: row.get(6)?,
            plan: row.get(7)?,
            policy: row.get(8)?,
            body: row.get(9)?,
            prev_hash: row.get(10)?,
            hash: row.get(11)?,
        })
    }
}

/// Reads and checks all rows in order: a journal that doesn't hold together isn't acted on.
pub(super) fn read(connection: &Connection) -> Result<(Folded, ChainHead), ChainError> {
    let mut folded = Folded::default();
    let mut head = ChainHead::empty();
    let broken = |seq: i64, why: String| ChainError { seq, why };
    let sql = format!("SELECT {COLUMNS} FROM journal ORDER BY seq");
    let mut statement = connection.prepare(&sql).map_err(|error| broken(1, error.to_string()))?;
    let mut rows = statement.query(()).map_err(|error| broken(1, error.to_string()))?;
    loop {
        let seq = head.n_rows + 1;
        let Some(raw) = rows.next().map_err(|error| broken(seq, error.to_string()))? else { break };
        let row = Row::read(raw).map_err(|error| broken(seq, error.to_string()))?;
        if row.seq != seq {
            return Err(broken(seq, format!("the row is missing, the next one is {}", row.seq)));
        }
        if row.prev_hash != head.hash {
            return Err(broken(seq, "it doesn't follow the row before it".to_owned()));
        }
        if row.own_hash() != row.hash {
            return Err(broken(seq, "it was changed after it was written".to_owned()));
        }
        let entry: Entry = serde_json::from_str(&row.body).map_err(|error| broken(seq, error.to_string()))?;
        folded.take(entry, Timestamp::from_millis(row.at_ms)).map_err(|error| broken(seq, error.to_string()))?;
        head = row.into_head();
    }
    Ok((folded, head))
}
