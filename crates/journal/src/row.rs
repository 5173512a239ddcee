//! A journal's row: plain data, chained by hashes. What it means is `entry.rs`'s business, where it is kept a
//! store's.

use homeostat_core::{Timestamp, sha256_hex};
use serde::{Deserialize, Serialize};

/// What the first row has as the hash of the row before it.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The end of the chain. Kept elsewhere (in a log, say), it shows later whether rows were cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last row's number, which is the number of all rows, archived ones included.
    pub seq: i64,
    /// The last row's hash.
    pub hash: String,
}

impl Head {
    /// The head of a journal without rows.
    pub fn empty() -> Self {
        Self { seq: 0, hash: NO_HASH.to_owned() }
    }
}

/// The generation of writers: each one that opens a store to write has a higher one than all before it, and a store takes
/// rows of the highest only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub i64);

/// What a row is about, for people and queries; empty where it is about nothing of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub struct About {
    pub incident: String,
    pub correlation: String,
    pub subject: String,
    pub plan: String,
    pub policy: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub epoch: Epoch,
    /// Which form the body has: bodies of older forms are brought up to date when they are read.
    pub format: i64,
    /// What it says, as a stable name.
    pub kind: String,
    /// Whether a reader that doesn't know the kind may go on (`false`: the row is only shown), or must not act on this
    /// journal (`true`).
    pub must_understand: bool,
    /// What it is about.
    pub about: About,
    /// The rest, as JSON.
    pub body: String,
    /// The hash of the row before it.
    pub prev_hash: String,
    /// Its own hash, over everything above.
    pub hash: String,
}

impl Row {
    /// The hash that a row with this content has.
    ///
    /// Rows of the first format keep the hash that they were written with, over the columns that there were then: a head
    /// that somebody noted before an upgrade stays valid after it.
    pub fn own_hash(&self) -> String {
        let at = self.at.to_string();
        let texts = [
            &at,
            &self.kind,
            &self.about.incident,
            &self.about.correlation,
            &self.about.subject,
            &self.about.plan,
            &self.about.policy,
            &self.body,
        ];
        let (seq, at_ms) = (self.seq.to_be_bytes(), self.at.as_millis().to_be_bytes());
        let (epoch, format) = (self.epoch.0.to_be_bytes(), self.format.to_be_bytes());
        let must_understand = [u8::from(self.must_understand)];
        let mut parts: Vec<&[u8]> = vec![self.prev_hash.as_bytes(), &seq, &at_ms];
        parts.extend(texts.map(|text| text.as_bytes()));
        if self.format > 1 {
            parts.extend([epoch.as_slice(), format.as_slice(), must_understand.as_slice()]);
        }
        sha256_hex(&parts)
    }

    /// Whether it is the next row after `head`, unchanged; else what is wrong.
    pub fn follows(&self, head: &Head) -> Result<(), String> {
        if self.seq != head.seq + 1 {
            return Err(format!("the row is missing, the next one is {}", self.seq));
        }
        if self.prev_hash != head.hash {
            return Err("it doesn't follow the row before it".to_owned());
        }
        if self.own_hash() != self.hash {
            return Err("it was changed after it was written".to_owned());
        }
        Ok(())
    }

    /// The chain's head once this row is in it.
    pub fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash.clone() }
    }
}
