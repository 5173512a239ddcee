//! Why a bundle can't be written or read: each says what to do next.

use std::io;
use std::path::PathBuf;

use homeostat_core::Subject;

use super::FORMAT;
use crate::restore_error::RestoreError;

/// Why a bundle couldn't be written. Nothing of it is left; the bundle that was there before is still there, or beside it as
/// `<name>.old`.
#[derive(Debug, thiserror::Error)]
pub enum BundleSaveError {
    /// The file system refused.
    #[error("{path}: the bundle can't be written: free space or fix permissions")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// More than one archive may hold.
    #[error(
        "the bundle has {n_bytes} bytes, an archive at most {n_bytes_max}: write a directory, by a name that doesn't end with .tar.zst \
         (what is fitted is found again if its .partial directory is renamed, too)"
    )]
    TooLarge {
        /// Its size, unpacked.
        n_bytes: u64,
        /// The most there may be.
        n_bytes_max: u64,
    },
    /// A part can't be turned into bytes. A defect: please report it.
    #[error("a part of the bundle can't be written down: {why}")]
    Part {
        /// Which, and why.
        why: String,
    },
}

/// Why a path isn't a bundle that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleLoadError {
    /// A file isn't there.
    #[error("{path}: no such file: {hint}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
    },
    /// A file that is something else.
    #[error("{path}: this isn't a bundle, neither a directory nor a .tar.zst archive: train one, or fix the path")]
    NoBundle {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: can't be read: fix permissions or the path")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another version of the format.
    #[error(
        "{path}: a bundle of format {found}, made by homeostat {made_by}; this program reads format {FORMAT}: train again with this version"
    )]
    OtherFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The version of the program that made it.
        made_by: String,
    },
    /// A file isn't what was written: cut off, changed, or of another bundle.
    #[error("{path}: damaged ({why}): fetch the bundle again, or train again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// It was trained on other features than the config's.
    #[error("{subject} was trained on other features than the config asks for ({difference}): train again")]
    OtherSchema {
        /// Whose model.
        subject: Subject,
        /// The first difference.
        difference: String,
    },
    /// A model can't be used though its bytes are what was written.
    #[error("{subject}")]
    Model {
        /// Whose model.
        subject: Subject,
        /// Why.
        source: RestoreError,
    },
}

impl BundleLoadError {
    pub(super) fn damaged(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), why: why.into() }
    }
}
