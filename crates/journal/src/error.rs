//! What can go wrong with a journal, split by what to do next.

use std::path::PathBuf;

/// Why something isn't surely in the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing was written: refuse this action; the next cycle asks again.
    #[error("{what}: not written to the journal: {why}")]
    NotWritten {
        /// What was to be written.
        what: String,
        /// The cause.
        why: String,
    },
    /// It may have been written: do nothing with it until the journal has been read back. The journal reads itself back
    /// before its next answer.
    #[error("{what}: the journal doesn't say whether it is written: {why}")]
    NotConfirmed {
        /// What was to be written.
        what: String,
        /// The cause.
        why: String,
    },
    /// The journal isn't this process's any more: nothing may be executed until it is restarted.
    #[error("{what}: not written, the journal isn't this process's any more: {why}")]
    Fenced {
        /// What was to be written.
        what: String,
        /// The cause.
        why: String,
    },
}

/// The journal can't be read: refuse everything until it can (I12).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't be read: {why}")]
pub struct ReadError {
    /// The cause.
    pub why: String,
}

/// Why a journal can't be opened. Each is for a human to put right.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path}: another homeostat process has this journal; stop it, or give this one its own storage path")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It can't be created, read or written.
    #[error("{path}: can't be used as a journal: {why}; check that the folder exists and is writable")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// It is a SQLite file of something else.
    #[error("{path}: is another program's SQLite file; give the journal a file of its own")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of homeostat wrote it, and what is in it matters.
    #[error(
        "{path}: written by a newer homeostat ({why}); use that version or a later one, or move the file away to start a new journal (budgets and cooldowns start over with it)"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// What this version doesn't know.
        why: String,
    },
    /// An older version of homeostat wrote it, and it can't be brought up to date.
    #[error(
        "{path}: written by an older homeostat, and bringing it up to date failed: {why}; nothing was changed, free some disk space or check the permissions and start again"
    )]
    NotMigrated {
        /// The file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// What is in it can't be right.
    #[error("{path}: damaged: {why}; keep a copy for the audit, then restore a backup or move it away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The chain of hashes doesn't hold: a row was changed, dropped or put in.
#[derive(Debug, thiserror::Error)]
#[error("the journal's chain breaks at row {seq}: {why}")]
pub struct ChainError {
    /// The first row that is wrong.
    pub seq: i64,
    /// What is wrong.
    pub why: String,
}

/// Why rows can't be folded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoldError {
    /// The store doesn't answer.
    #[error("{0}")]
    Unreadable(String),
    /// A row that must be understood isn't.
    #[error("{0}")]
    Newer(String),
    /// The chain or the order of rows can't be right.
    #[error("{0}")]
    Broken(ChainError),
}
