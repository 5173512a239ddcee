//! Whose file it is: a lock that the system releases when the process dies, and a look at whether the file is still the one
//! that was locked.

use std::fs::{File, Metadata, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// A journal's file, held by this process.
pub(super) struct Place {
    path: PathBuf,
    held: Option<Held>,
}

struct Held {
    /// Held while the journal is open; the system releases it when the process dies, however it dies.
    _lock: File,
    lock_path: PathBuf,
    lock_identity: Identity,
    identity: Identity,
}

/// What makes a file the same file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// Elsewhere an open file can't be removed.
    #[cfg(not(unix))]
    fn of(_metadata: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

impl Place {
    /// The file at `path`, which this process has locked and opened.
    pub(super) fn of(path: &Path, lock: File) -> Result<Self, OpenError> {
        let unusable = |error: std::io::Error| OpenError::Unusable { path: path.to_owned(), why: error.to_string() };
        let identity = Identity::of(&std::fs::metadata(path).map_err(unusable)?);
        let lock_identity = Identity::of(&lock.metadata().map_err(unusable)?);
        let held = Held { _lock: lock, lock_path: lock_path(path), lock_identity, identity };
        Ok(Self { path: path.to_owned(), held: Some(held) })
    }

    /// A file that is only read.
    pub(super) fn to_read(path: &Path) -> Self {
        Self { path: path.to_owned(), held: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the names still lead to the files that this process holds. Where the folder was removed or replaced, another
    /// process may have made its own journal there and act by it, so this one must not; else the reason.
    pub(super) fn is_still_ours(&self) -> Result<(), String> {
        let Some(held) = &self.held else { return Ok(()) };
        for (path, identity) in [(&self.path, held.identity), (&held.lock_path, held.lock_identity)] {
            let is_same = std::fs::metadata(path).is_ok_and(|found| Identity::of(&found) == identity);
            if !is_same {
                let path = path.display();
                return Err(format!("{path} was removed or replaced while it was in use; restart homeostat"));
            }
        }
        Ok(())
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    PathBuf::from(lock_path)
}

/// The lock is a file of its own, because SQLite's own locks would keep people with `sqlite3` from reading.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = lock_path(path);
    let unusable = |error: std::io::Error| OpenError::Unusable { path: lock_path.clone(), why: error.to_string() };
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
