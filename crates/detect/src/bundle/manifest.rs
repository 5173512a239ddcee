//! `manifest.json`: what a bundle holds, and the digest of every file in it.

use std::collections::BTreeMap;
use std::path::Path;

use homeostat_core::{Subject, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FORMAT;
use super::error::BundleLoadError;
use super::recipe::Recipe;
use crate::ensemble::FitReport;

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

/// What a bundle says of itself.
///
/// ```no_run
/// use homeostat_detect::BundleManifest;
///
/// let manifest = BundleManifest::read("models/shop.tar.zst".as_ref())?;
/// for entry in &manifest.subjects {
///     let _share_of_alarming_rows = entry.fit.alarm_share;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BundleManifest {
    /// The format's version.
    pub format: u32,
    /// The version of the program that made it, for people.
    pub homeostat: String,
    /// Where the models come from.
    pub provenance: Provenance,
    /// With which options they were trained.
    pub recipe: Recipe,
    /// Whose models there are.
    pub subjects: Vec<SubjectEntry>,
    /// Every other file, by path within the bundle, with `/`.
    pub files: BTreeMap<String, FileEntry>,
}

impl BundleManifest {
    /// Of the bytes of a manifest that is at `path`.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, BundleLoadError> {
        let no_manifest = |error: serde_json::Error| BundleLoadError::damaged(path, format!("no manifest: {error}"));
        let Beginning { format, homeostat } = serde_json::from_slice(bytes).map_err(no_manifest)?;
        if format != FORMAT {
            return Err(BundleLoadError::OtherFormat { path: path.to_owned(), found: format, made_by: homeostat });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(no_manifest)?;
        match manifest.recipe.opening.objection() {
            Some(why) => Err(BundleLoadError::damaged(path, format!("its opening rule can't be used: {why}"))),
            None => Ok(manifest),
        }
    }
}

/// What is read of a manifest of any version.
#[derive(Deserialize)]
struct Beginning {
    format: u32,
    #[serde(default)]
    homeostat: String,
}

/// One subject's part of a bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubjectEntry {
    /// Whose models.
    pub subject: Subject,
    /// Its directory, for people; the program derives it from the subject.
    pub directory: String,
    /// SHA-256 of the schema's JSON: equal for subjects with the same queries.
    pub schema: String,
    /// Its models, by file name in `models/`: what it shares with others has the same names there.
    pub models: Vec<String>,
    /// Detectors that couldn't be trained, and why.
    pub missing: BTreeMap<String, String>,
    /// What the fit was like.
    pub fit: FitReport,
}

/// Length and digest; the digest is the one `sha256sum` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
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
