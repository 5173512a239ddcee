//! Where a bundle's files are read from: a directory, or an archive that was unpacked into memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::BundleLoadError;
use super::manifest::{BundleManifest, sha256};
use super::place::beside;
use super::{FILE_BYTES_MAX, MANIFEST, archive};

/// The files of a bundle that is there.
pub(super) enum Store {
    Directory(PathBuf),
    Archive { path: PathBuf, files: BTreeMap<String, Vec<u8>> },
}

impl BundleManifest {
    /// Reads the manifest alone; that the files it lists are there and whole is [`Bundle::load`](super::Bundle::load)'s to say.
    pub fn read(path: &Path) -> Result<Self, BundleLoadError> {
        Store::open(path)?.manifest()
    }
}

impl Store {
    /// Opens what is at the path, which says by itself what it is.
    pub(super) fn open(path: &Path) -> Result<Self, BundleLoadError> {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => Ok(Self::Archive { path: path.to_owned(), files: archive::read(path)? }),
            Ok(_) => Ok(Self::Directory(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(nothing_there(path)),
            Err(source) => Err(BundleLoadError::Io { path: path.to_owned(), source }),
        }
    }

    /// A file's path, for people.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        match self {
            Self::Directory(dir) => dir.join(name),
            Self::Archive { path, .. } => path.join(name),
        }
    }

    /// The manifest, if it is one that this program reads.
    pub(super) fn manifest(&self) -> Result<BundleManifest, BundleLoadError> {
        let path = self.path_of(MANIFEST);
        match self.bytes(MANIFEST)? {
            Some(bytes) => BundleManifest::parse(&bytes, &path),
            None => {
                let hint = "this isn't a bundle; train one, or fix the path".to_owned();
                Err(BundleLoadError::Missing { path, hint })
            }
        }
    }

    /// A file, if it is the one that was written.
    pub(super) fn checked(&self, name: &str, manifest: &BundleManifest) -> Result<Vec<u8>, BundleLoadError> {
        let path = self.path_of(name);
        let Some(wanted) = manifest.files.get(name) else {
            return Err(BundleLoadError::damaged(self.path_of(MANIFEST), format!("it doesn't list {name}")));
        };
        let Some(bytes) = self.bytes(name)? else {
            let hint = "the bundle is incomplete; fetch it again, or train again".to_owned();
            return Err(BundleLoadError::Missing { path, hint });
        };
        if bytes.len() as u64 != wanted.bytes {
            let why = format!("it has {} bytes, {} were written", bytes.len(), wanted.bytes);
            return Err(BundleLoadError::damaged(path, why));
        }
        if sha256(&bytes) != wanted.sha256 {
            return Err(BundleLoadError::damaged(path, "its SHA-256 isn't the one that was written"));
        }
        Ok(bytes)
    }

    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, BundleLoadError> {
        match self {
            Self::Directory(dir) => read_file(&dir.join(name)),
            Self::Archive { files, .. } => Ok(files.get(name).cloned()),
        }
    }
}

fn nothing_there(path: &Path) -> BundleLoadError {
    let old = beside(path, "old");
    let hint = if old.join(MANIFEST).exists() {
        format!("the last write was interrupted; rename {} back to {}", old.display(), path.display())
    } else {
        "this isn't a bundle; train one, or fix the path".to_owned()
    };
    BundleLoadError::Missing { path: path.to_owned(), hint }
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, BundleLoadError> {
    let failed = |source: io::Error| BundleLoadError::Io { path: path.to_owned(), source };
    let n_bytes = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if n_bytes > FILE_BYTES_MAX {
        let why = format!("it has {n_bytes} bytes, more than any file of a bundle has");
        return Err(BundleLoadError::damaged(path, why));
    }
    fs::read(path).map(Some).map_err(failed)
}
