//! `manifest.json`: what a bundle holds, and the digest of every file in it.

use std::collections::BTreeMap;

use homeostat_core::{Subject, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the format this program writes, and the only one it reads: a model of another version scores otherwise.
pub(super) const FORMAT: u32 = 3;

/// Where a bundle's models come from; written by who trained it, never read back by the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// When it was trained.
    pub trained_at: Timestamp,
    /// What it was trained on: a server, or a file.
    pub source: String,
    /// The first moment of the history.
    pub history_start: Timestamp,
    /// The last moment of the history.
    pub history_end: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// The program's version, for people.
    pub(super) homeostat: String,
    pub(super) provenance: Provenance,
    pub(super) subjects: Vec<SubjectEntry>,
    /// By path within the bundle, with `/`.
    pub(super) files: BTreeMap<String, FileEntry>,
}

/// The one thing that is read of a manifest of any version.
#[derive(Deserialize)]
pub(super) struct FormatOnly {
    pub(super) format: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SubjectEntry {
    pub(super) subject: Subject,
    /// Its directory, for people; the program derives it from the subject.
    pub(super) directory: String,
    /// SHA-256 of the schema's JSON: equal for subjects with the same queries.
    pub(super) schema: String,
    /// Its models, by file name in `models/`: what it shares with others has the same names there.
    pub(super) models: Vec<String>,
    /// Detectors that couldn't be trained, and why.
    pub(super) missing: BTreeMap<String, String>,
}

/// Length and digest; the digest is the one `sha256sum` prints.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl FileEntry {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A subject's directory: readable, safe on every file system whatever the subject is called, and its own.
pub(super) fn directory(subject: &Subject) -> String {
    let full = subject.to_string();
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    // 80 characters tell subjects apart; the digest makes it certain.
    let readable: String = full.chars().take(80).map(plain).collect();
    format!("{readable}-{}", &sha256(full.as_bytes())[..12])
}
