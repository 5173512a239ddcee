//! A bundle as one `.tar.zst`: packing its files, and unpacking what may come from anywhere.
//!
//! Packed, it is the same bytes for the same files: in the order of their names, without owners, times or modes of their own.
//! Unpacking goes into memory and never onto a disk, so no name in an archive can lead anywhere; it is bounded all the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};
use std::sync::Arc;

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::{Archive, Builder, EntryType, Header};

use super::FILE_BYTES_MAX;
use super::error::{BundleLoadError, BundleSaveError};

/// What the name of an archive ends with.
pub(super) const ENDING: &str = ".tar.zst";

/// The first bytes of a Zstandard frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Most bytes of an archive, unpacked, as it is in memory while it is read: a hundred subjects of ten features take 6 MB, the ten
/// thousand of the largest service half of this. What is larger is a directory. A bomb is given up here.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// Most files and directories: two for each of ten thousand subjects, and their models.
const ENTRIES_MAX: usize = 60_000;

/// The files as one archive.
pub(super) fn packed(files: &BTreeMap<String, Arc<Vec<u8>>>) -> Result<Vec<u8>, BundleSaveError> {
    let n_bytes: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    if n_bytes > UNPACKED_BYTES_MAX {
        return Err(BundleSaveError::TooLarge { n_bytes, n_bytes_max: UNPACKED_BYTES_MAX });
    }
    let failed = |error: io::Error| BundleSaveError::Part { why: format!("the archive: {error}") };
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_entry_type(EntryType::Regular);
        builder.append_data(&mut header, name, bytes.as_slice()).map_err(failed)?;
    }
    let unpacked = builder.into_inner().map_err(failed)?;
    let packed = compress_to_vec(unpacked.as_slice(), CompressionLevel::Fastest);
    // What can't be read again isn't worth a place; it costs a hundredth of the training.
    let mut again = Vec::with_capacity(unpacked.len());
    let mut decoder = StreamingDecoder::new(packed.as_slice()).map_err(|error| failed(io::Error::other(error)))?;
    decoder.read_to_end(&mut again).map_err(failed)?;
    if again != unpacked {
        return Err(failed(io::Error::other("packed, it isn't what it was")));
    }
    Ok(packed)
}

/// The files of an archive by name. Nothing but plain files and directories with plain names, under the limits above.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, BundleLoadError> {
    let unread = |source: io::Error| BundleLoadError::Io { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(unread)?);
    let mut magic = Vec::with_capacity(MAGIC.len());
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(unread)?;
    if magic != MAGIC {
        return Err(BundleLoadError::NoBundle { path: path.to_owned() });
    }
    let broken = |why: String| BundleLoadError::damaged(path, why);
    let decoder = StreamingDecoder::new(io::Cursor::new(magic).chain(file));
    let decoder = decoder.map_err(|error| broken(format!("no Zstandard frame: {error}")))?;
    // One byte more than is allowed shows that there is more.
    let mut archive = Archive::new(decoder.take(UNPACKED_BYTES_MAX + 1));
    let mut files = BTreeMap::new();
    let mut n_bytes = 0;
    let entries = archive.entries().map_err(|error| broken(error.to_string()))?;
    for (n_entries, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|error| broken(error.to_string()))?;
        if n_entries >= ENTRIES_MAX {
            return Err(broken(format!("it holds more than {ENTRIES_MAX} files")));
        }
        let name = plain_name(&entry.path_bytes()).map_err(broken)?;
        match entry.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular => {}
            other => return Err(broken(format!("{name} isn't a regular file ({other:?}); bundles hold nothing else"))),
        }
        n_bytes = entry.size().saturating_add(n_bytes);
        if entry.size() > FILE_BYTES_MAX || n_bytes > UNPACKED_BYTES_MAX {
            return Err(broken(format!("unpacked, it takes more than a bundle does (at {name}, {n_bytes} bytes)")));
        }
        let mut bytes = Vec::new();
        let unpacked = entry.read_to_end(&mut bytes);
        unpacked.map_err(|error| broken(format!("{name} is cut off or changed: {error}")))?;
        if bytes.len() as u64 != entry.size() {
            return Err(broken(format!("{name} is cut off after {} of {} bytes", bytes.len(), entry.size())));
        }
        if files.insert(name.clone(), bytes).is_some() {
            return Err(broken(format!("it holds {name} twice")));
        }
    }
    Ok(files)
}

/// The name with `/` between its parts, if it is one that stays where it is.
fn plain_name(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a name in it isn't UTF-8".to_owned())?;
    let mut parts = Vec::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(format!("the name {text:?} leads out of the bundle"));
            }
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests;
