use std::path::PathBuf;

use super::*;

/// An archive of what `fill` puts into it, as a file.
fn archive(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> (tempfile::TempDir, PathBuf) {
    let mut builder = Builder::new(Vec::new());
    fill(&mut builder);
    let bytes = builder.into_inner().expect("an archive");
    let room = tempfile::tempdir().expect("a directory");
    let path = room.path().join("b.tar.zst");
    std::fs::write(&path, compress_to_vec(bytes.as_slice(), CompressionLevel::Fastest)).expect("room to write");
    (room, path)
}

/// A header whose name isn't looked at by the one who writes it.
fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

fn refusal(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> String {
    let (_room, path) = archive(fill);
    match read(&path) {
        Err(error @ BundleLoadError::Damaged { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_packed_is_there_again_and_twice_the_same_bytes() {
    let bytes = |seed: usize| Arc::new((0..300_000).map(|idx| (idx * seed % 251) as u8).collect::<Vec<u8>>());
    let long = format!("{}/state.postcard", "x".repeat(93));
    let files =
        BTreeMap::from([("manifest.json".to_owned(), bytes(1)), (long, bytes(7)), ("a/b".to_owned(), bytes(3))]);
    let first = packed(&files).expect("packed");
    assert_eq!(packed(&files).expect("packed"), first);
    let room = tempfile::tempdir().expect("a directory");
    let path = room.path().join("b.tar.zst");
    std::fs::write(&path, first).expect("room to write");
    let again: BTreeMap<String, Arc<Vec<u8>>> =
        read(&path).expect("what was packed").into_iter().map(|(name, bytes)| (name, Arc::new(bytes))).collect();
    assert_eq!(again, files);
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../evil", "/etc/passwd", "models/../../evil"] {
        let why = refusal(|builder| {
            builder.append(&header(name, EntryType::Regular, 1), &b"x"[..]).expect("an entry");
        });
        assert!(why.contains("leads out"), "{why}");
    }
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Char, EntryType::GNUSparse] {
        let why = refusal(|builder| {
            builder.append(&header("manifest.json", kind, 0), &b""[..]).expect("an entry");
        });
        assert!(why.contains("isn't a regular file") || kind == EntryType::GNUSparse, "{kind:?}: {why}");
    }
}

#[test]
fn a_file_larger_than_any_of_a_bundle_is_refused_before_it_is_unpacked() {
    // The header says so; what follows is short, so reading it would say that it is cut off.
    let why = refusal(|builder| {
        builder.append(&header("manifest.json", EntryType::Regular, FILE_BYTES_MAX + 1), &b"x"[..]).expect("an entry");
    });
    assert!(why.contains("takes more than a bundle does"), "{why}");
}

#[test]
fn a_name_that_is_there_twice_is_refused() {
    let why = refusal(|builder| {
        for content in [&b"one"[..], &b"two"[..]] {
            builder.append(&header("manifest.json", EntryType::Regular, 3), content).expect("an entry");
        }
    });
    assert!(why.contains("twice"), "{why}");
}

#[test]
fn an_archive_that_somebody_packed_with_tar_is_read_too() {
    let (_room, path) = archive(|builder| {
        builder.append(&header("./", EntryType::Directory, 0), &b""[..]).expect("an entry");
        builder.append(&header("./models/", EntryType::Directory, 0), &b""[..]).expect("an entry");
        builder.append(&header("./models/a", EntryType::Regular, 3), &b"abc"[..]).expect("an entry");
    });
    assert_eq!(read(&path).expect("files"), BTreeMap::from([("models/a".to_owned(), b"abc".to_vec())]));
}

#[test]
fn a_file_that_is_no_archive_says_so() {
    let room = tempfile::tempdir().expect("a directory");
    for content in [&b""[..], &b"cpu,memory\n"[..]] {
        let path = room.path().join("x");
        std::fs::write(&path, content).expect("room to write");
        let error = read(&path).expect_err("no archive");
        assert!(error.to_string().contains("neither a directory nor a .tar.zst"), "{error}");
    }
}

#[test]
fn what_could_not_be_read_again_is_not_packed() {
    // One vector under many names: the sum of their lengths is what counts.
    let large = Arc::new(vec![0; 64 << 20]);
    let files: BTreeMap<String, Arc<Vec<u8>>> = (0..17).map(|idx| (format!("{idx}"), Arc::clone(&large))).collect();
    let error = packed(&files).expect_err("more than a GiB");
    assert!(error.to_string().contains("write a directory"), "{error}");
}
