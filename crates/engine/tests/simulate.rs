//! `homeostat simulate`: the data that ships with homeostat is what the command makes.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn simulate(output: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(["simulate", "--output"]).arg(output).args(more).output().expect("the program runs")
}

/// Every file below `dir`, by its path from there.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("inside").to_owned();
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn the_shipped_data_is_made_again_byte_for_byte() {
    let room = tempfile::tempdir().expect("a directory");
    let made = room.path().join("shop");
    let output = simulate(&made, &["--seed", "1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/shop");
    let (made, shipped) = (files(&made), files(&shipped));
    assert_eq!(made.keys().collect::<Vec<_>>(), shipped.keys().collect::<Vec<_>>());
    for (name, bytes) in &made {
        assert!(shipped.get(name) == Some(bytes), "{} differs", name.display());
    }
}

#[test]
fn a_directory_that_is_there_is_never_written_into() {
    let room = tempfile::tempdir().expect("a directory");
    let output = simulate(room.path(), &[]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("already exists"));
    assert!(files(room.path()).is_empty());
    let output = simulate(&room.path().join("none"), &["--days", "0"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("at least 1"), "{output:?}");
    assert!(!room.path().join("none").exists());
}
