//! Opening a file that is there to be read: beside a running service, or a copy in a folder where nothing can be written.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::rows::Layout;
use super::{BUSY_WAIT, schema, unusable};
use crate::error::OpenError;

/// A file that was opened to be read.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) layout: Layout,
    pub(super) copied: Option<Copied>,
}

/// A copy in the system's folder for temporary files; removed when it is dropped.
pub(super) struct Copied {
    _folder: TempDir,
}

/// Opens the file without changing it.
///
/// SQLite wants to make a file beside a database with a write-ahead log, even to read it. Where it can't, a database whose
/// log is empty is read as it is, and one whose log holds rows from a copy of both.
pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let beside = connect(path, "");
    let error = match beside {
        Ok(connection) => match schema::layout(&connection, path) {
            Ok(layout) => return Ok(Opened { connection, layout, copied: None }),
            Err(error @ OpenError::Unusable { .. }) => error,
            Err(error) => return Err(error),
        },
        Err(error) => unusable(path, &error),
    };
    if !path.is_file() {
        return Err(error);
    }
    let (connection, copied) = if log_of(path).metadata().is_ok_and(|log| log.len() > 0) {
        let (connection, copied) = of_copy(path)?;
        (connection, Some(copied))
    } else {
        (connect(path, "?immutable=1").map_err(|error| unusable(path, &error))?, None)
    };
    let layout = schema::layout(&connection, path)?;
    Ok(Opened { connection, layout, copied })
}

fn connect(path: &Path, options: &str) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if options.is_empty() {
        Connection::open_with_flags(path, flags)?
    } else {
        flags |= OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{}{options}", escaped(path)), flags)?
    };
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(connection)
}

/// The path as part of a URI.
fn escaped(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn of_copy(path: &Path) -> Result<(Connection, Copied), OpenError> {
    let failed = |error: std::io::Error| OpenError::Unusable {
        path: path.to_owned(),
        why: format!("its folder can't be written, and it can't be copied to read it elsewhere: {error}"),
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let copy = folder.path().join("journal.db");
    std::fs::copy(path, &copy).map_err(failed)?;
    std::fs::copy(log_of(path), log_of(&copy)).map_err(failed)?;
    let connection = connect(&copy, "").map_err(|error| unusable(path, &error))?;
    Ok((connection, Copied { _folder: folder }))
}

/// The write-ahead log of a database.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}
