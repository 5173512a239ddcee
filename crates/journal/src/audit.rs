//! Whether the chain is unbroken, from the first archived row to the last row of the journal.

use std::path::{Path, PathBuf};

use crate::block_on::block_on;
use crate::chain::Checker;
use crate::error::{ChainError, OpenError, ReadError};
use crate::row::{Head, Row};
use crate::sqlite::{SqliteStore, archives_of};
use crate::store::Store;

/// What was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The end of the chain.
    pub head: Head,
    /// Rows that were read and hold, in the archives and in the journal.
    pub n_checked: i64,
    /// The archives that were read, oldest first.
    pub archives: Vec<PathBuf>,
    /// Rows that were archived to files which aren't here, first and last.
    pub missing: Vec<(i64, i64)>,
}

/// Why nothing can be said, or what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file can't be opened.
    #[error(transparent)]
    Open(OpenError),
    /// A file can't be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: ReadError,
    },
    /// The chain doesn't hold.
    #[error("{path}: {error}")]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where, and why.
        error: ChainError,
    },
}

/// Checks the journal at `path` with the archives beside it. It changes nothing, and a service may be using them.
///
/// # Errors
/// [`AuditError`] with the first thing that is wrong.
pub fn audit(path: &Path) -> Result<Audit, AuditError> {
    audit_rows(path, &SqliteStore::open_to_read(path).map_err(AuditError::Open)?, &mut |_| Ok(()))
}

/// The same of a journal in any store, whose archives are beside `path`. Each row is given to `seen` as well, in order, once:
/// the archived ones first, as far as they are here.
///
/// # Errors
/// [`AuditError`] with the first thing that is wrong, or that `seen` says.
pub fn audit_rows(path: &Path, journal: &dyn Store, seen: &mut SeeRow<'_>) -> Result<Audit, AuditError> {
    let failed = |error| AuditError::Read { path: path.to_owned(), error };
    let base = block_on(journal.base()).map_err(failed)?;
    let archived = match &base {
        Some(base) => archives(path, base, seen)?,
        None => Archives::new(),
    };
    let mut checker = Checker::new(base);
    let mut n_checked = archived.n_checked;
    each_row(path, journal, |row| {
        checker.take(row)?;
        if row.seq > archived.head.seq {
            n_checked += 1;
            seen(row).map_err(|why| ChainError { seq: row.seq, why })?;
        }
        Ok(())
    })?;
    let head = checker.finish().map_err(|error| AuditError::Broken { path: path.to_owned(), error })?;
    Ok(Audit { head, n_checked, archives: archived.files, missing: archived.missing })
}

/// Is given rows; the error ends the reading.
pub type SeeRow<'a> = dyn FnMut(&Row) -> Result<(), String> + 'a;

struct Archives {
    head: Head,
    n_checked: i64,
    files: Vec<PathBuf>,
    missing: Vec<(i64, i64)>,
}

impl Archives {
    fn new() -> Self {
        Self { head: Head::empty(), n_checked: 0, files: Vec::new(), missing: Vec::new() }
    }

    fn take(&mut self, row: &Row) -> Result<(), ChainError> {
        if row.seq > self.head.seq + 1 {
            self.missing.push((self.head.seq + 1, row.seq - 1));
            self.head = Head { seq: row.seq - 1, hash: row.prev_hash.clone() };
        }
        row.follows(&self.head).map_err(|why| ChainError { seq: row.seq, why })?;
        self.head = row.head();
        self.n_checked += 1;
        Ok(())
    }
}

/// Checks the archives up to the row that the journal says was the last to go.
fn archives(path: &Path, base: &Head, seen: &mut SeeRow<'_>) -> Result<Archives, AuditError> {
    let mut archives = Archives::new();
    for file in archives_of(path) {
        let store = SqliteStore::open_to_read(&file).map_err(AuditError::Open)?;
        each_row(&file, &store, |row| {
            if row.seq > base.seq {
                return Ok(());
            }
            archives.take(row)?;
            seen(row).map_err(|why| ChainError { seq: row.seq, why })
        })?;
        archives.files.push(file);
    }
    if archives.head.seq < base.seq {
        archives.missing.push((archives.head.seq + 1, base.seq));
    } else if &archives.head != base {
        let why = "the archive ends in another row than the journal says".to_owned();
        let error = ChainError { seq: base.seq, why };
        return Err(AuditError::Broken { path: path.to_owned(), error });
    }
    archives.head = base.clone();
    Ok(archives)
}

fn each_row(
    path: &Path,
    store: &dyn Store,
    mut check: impl FnMut(&Row) -> Result<(), ChainError>,
) -> Result<(), AuditError> {
    let mut after = 0;
    loop {
        let failed = |error| AuditError::Read { path: path.to_owned(), error };
        let rows = block_on(store.read(after)).map_err(failed)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq;
        for row in &rows {
            check(row).map_err(|error| AuditError::Broken { path: path.to_owned(), error })?;
        }
    }
}
