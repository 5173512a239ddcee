//! Puts a bundle's files where they belong, all of them or none.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive;
use super::error::BundleSaveError;

/// What the files of a bundle are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Directory,
    /// One `.tar.zst`.
    Archive,
}

impl Form {
    /// The form that the name asks for.
    pub(super) fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(archive::ENDING) { Self::Archive } else { Self::Directory }
    }
}

/// Writes the files beside `path`, syncs them and moves them there. After an error what was written is removed again: it
/// would fill the disk further.
pub(super) fn put_in_place(
    path: &Path,
    form: Form,
    files: &BTreeMap<String, Arc<Vec<u8>>>,
) -> Result<(), BundleSaveError> {
    let temporary = beside(path, "tmp");
    remove(&temporary)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    let written = match form {
        Form::Directory => write_directory(&temporary, files),
        Form::Archive => write_synced(&temporary, &archive::packed(files)?),
    };
    if let Err(error) = written.and_then(|()| take_place(&temporary, path)) {
        // The first error is the one to tell; what can't be removed isn't loaded either.
        let _ = remove(&temporary);
        return Err(error);
    }
    Ok(())
}

/// Removes what a write that was cut off has left.
pub(super) fn discard_unfinished(path: &Path) {
    let _ = remove(&beside(path, "tmp"));
}

/// A file takes another's place in one step; a directory can't, so the old one makes room first.
fn take_place(temporary: &Path, path: &Path) -> Result<(), BundleSaveError> {
    let old = beside(path, "old");
    if path.is_dir() || (path.exists() && temporary.is_dir()) {
        remove(&old)?;
        rename(path, &old)?;
    }
    rename(temporary, path)?;
    if let Some(parent) = path.parent() {
        sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    }
    remove(&old)
}

fn write_directory(dir: &Path, files: &BTreeMap<String, Arc<Vec<u8>>>) -> Result<(), BundleSaveError> {
    make_directory(dir)?;
    let parents: std::collections::BTreeSet<PathBuf> =
        files.keys().filter_map(|name| dir.join(name).parent().map(Path::to_owned)).collect();
    parents.iter().try_for_each(|parent| make_directory(parent))?;
    files.iter().try_for_each(|(name, bytes)| write_synced(&dir.join(name), bytes))?;
    parents.iter().try_for_each(|parent| sync_directory(parent))?;
    sync_directory(dir)
}

/// `path` with a suffix to its name, in the same parent: on the same file system, so that renaming is atomic.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BundleSaveError + '_ {
    move |source| BundleSaveError::Io { path: path.to_owned(), source }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), BundleSaveError> {
    let mut file = File::create(path).map_err(io_error(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(path))
}

fn make_directory(path: &Path) -> Result<(), BundleSaveError> {
    fs::create_dir_all(path).map_err(io_error(path))
}

fn sync_directory(path: &Path) -> Result<(), BundleSaveError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), BundleSaveError> {
    fs::rename(from, to).map_err(io_error(to))
}

fn remove(path: &Path) -> Result<(), BundleSaveError> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
