//! The files themselves: written by `stop` and `resume`, read by both and by the service.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::whole_file;

/// Present while remediation is stopped.
const STOP: &str = "STOP";
/// Allocated when the service starts; `stop` turns it into `STOP` when the disk is full.
const RESERVE: &str = ".STOP.reserve";
/// How the names of `resume`'s notes begin; its time in Unix milliseconds follows.
const RESUMED: &str = "RESUMED.";
/// A reason longer than this is cut when it is read: it goes into logs and metrics of every cycle.
const REASON_BYTES_MAX: usize = 1024;
/// No file of the switch is read beyond this: a note with the longest reason, escaped as JSON, fits.
const FILE_BYTES_MAX: usize = 16 * 1024;
/// The reserve's size: one block of every usual file system, and room for a note with the longest reason.
const RESERVE_BYTES: usize = 4096;

/// Who stopped or resumed, why and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Why.
    pub(crate) reason: String,
    /// When, by the clock of who did it.
    pub(crate) at: Timestamp,
}

/// Whether `STOP` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It isn't.
    No,
    /// It is.
    Yes(Note),
    /// That can't be told, which counts as stopped.
    Unreadable {
        /// Why not.
        why: String,
    },
}

/// A `resume` that the service hasn't recorded yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Release {
    /// Who resumed, why and when.
    #[serde(flatten)]
    pub(super) note: Note,
    /// The stop that it releases.
    pub(super) releases: Note,
}

/// The switch's files of one storage directory.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    storage: PathBuf,
}

impl Files {
    /// The files of this storage directory.
    pub(crate) fn new(storage: &Path) -> Self {
        Self { storage: storage.to_owned() }
    }

    /// Reads `STOP`. Anything but a clear "no such file" in a readable directory counts as stopped.
    pub(crate) fn stopped(&self) -> Stopped {
        let unreadable = |what: &str, error: &io::Error| Stopped::Unreadable { why: format!("{what}: {error}") };
        if let Err(error) = std::fs::read_dir(&self.storage) {
            return unreadable("the storage directory can't be read", &error);
        }
        match read(&self.storage.join(STOP)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stopped::No,
            Err(error) => unreadable("the file STOP can't be read", &error),
            Ok((text, written_at)) => Stopped::Yes(note_of(&text, written_at)),
        }
    }

    /// Allocates what `stop` needs on a full disk. Once at start.
    pub(super) fn reserve(&self) -> io::Result<()> {
        let path = self.storage.join(RESERVE);
        if std::fs::metadata(&path).is_ok_and(|file| file.len() >= RESERVE_BYTES as u64) {
            return Ok(());
        }
        let mut file = File::create(&path)?;
        file.write_all(&[b' '; RESERVE_BYTES])?;
        file.sync_all()
    }

    /// Writes `STOP`, unless it is there: the first reason stays. On a full disk the reserve becomes `STOP`.
    pub(crate) fn stop(&self, note: &Note) -> io::Result<()> {
        let _turn = self.lock();
        match self.stopped() {
            Stopped::Yes(_) => return Ok(()),
            Stopped::No | Stopped::Unreadable { .. } => {}
        }
        let text = serde_json::to_string(note)?;
        whole_file::write(&self.storage, STOP, &text).or_else(|error| self.stop_with_reserve(&text).map_err(|_| error))
    }

    /// Overwrites blocks that are allocated already, and renames: neither needs space. Without its text the file still stops.
    fn stop_with_reserve(&self, text: &str) -> io::Result<()> {
        let path = self.storage.join(RESERVE);
        if text.len() <= RESERVE_BYTES {
            let _ = File::options().write(true).open(&path).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
        }
        std::fs::rename(&path, self.storage.join(STOP))
    }

    /// Releases this stop: leaves the note for the service, then removes `STOP`. Dying in between releases too.
    pub(crate) fn resume(&self, note: &Note, releases: &Note) -> io::Result<()> {
        let _turn = self.lock();
        let release = Release { note: note.clone(), releases: releases.clone() };
        let name = format!("{RESUMED}{:013}.{}", note.at.as_millis(), std::process::id());
        whole_file::write(&self.storage, &name, &serde_json::to_string(&release)?)?;
        self.remove_stop(releases)
    }

    /// Removes `STOP` if it says this: another one came later and stays.
    pub(super) fn remove_stop(&self, note: &Note) -> io::Result<()> {
        if self.stopped() != Stopped::Yes(note.clone()) {
            return Ok(());
        }
        match std::fs::remove_file(self.storage.join(STOP)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Releases that nobody has recorded yet, oldest first. What can't be read as one releases nothing.
    pub(super) fn releases(&self) -> Vec<(PathBuf, Release)> {
        let Ok(entries) = std::fs::read_dir(&self.storage) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(RESUMED)))
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        let release = |path: PathBuf| {
            let (text, _) = read(&path).ok()?;
            Some((path, serde_json::from_str(&text).ok()?))
        };
        paths.into_iter().filter_map(release).collect()
    }

    /// One at a time, so that a `resume` can't remove what a `stop` has just found in its place. Where the directory can't
    /// be locked (some network file systems) both go on without: stopping must never wait.
    fn lock(&self) -> Option<File> {
        let directory = File::open(&self.storage).ok()?;
        directory.try_lock().is_ok().then_some(directory)
    }
}

/// A file's text, and when it was written.
fn read(path: &Path) -> io::Result<(String, Timestamp)> {
    let file = File::open(path)?;
    let written_at = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let millis = i64::try_from(written_at.as_millis()).unwrap_or(i64::MAX);
    Ok((String::from_utf8_lossy(&bytes).trim_end().to_owned(), Timestamp::from_millis(millis)))
}

/// What `STOP` says. An empty or hand-written file (`touch STOP`) stops as well as ours.
fn note_of(text: &str, written_at: Timestamp) -> Note {
    let mut note =
        serde_json::from_str(text).unwrap_or_else(|_| Note { reason: text.trim().to_owned(), at: written_at });
    if note.reason.is_empty() {
        note.reason = "the file STOP is in the storage directory".to_owned();
    }
    let mut end = note.reason.len().min(REASON_BYTES_MAX);
    while !note.reason.is_char_boundary(end) {
        end -= 1;
    }
    note.reason.truncate(end);
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(reason: &str) -> Note {
        Note { reason: reason.into(), at: Timestamp::from_secs(0) }
    }

    #[test]
    fn stop_holds_until_resume_and_keeps_the_first_reason() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path());
        assert_eq!(files.stopped(), Stopped::No);
        files.stop(&note("first")).unwrap();
        files.stop(&note("second")).unwrap();
        assert_eq!(files.stopped(), Stopped::Yes(note("first")));
        files.resume(&note("fixed"), &note("first")).unwrap();
        assert_eq!(files.stopped(), Stopped::No);
        let releases: Vec<Release> = files.releases().into_iter().map(|(_, release)| release).collect();
        assert_eq!(releases, [Release { note: note("fixed"), releases: note("first") }]);
    }

    #[test]
    fn a_stop_that_came_later_isnt_released() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path());
        files.stop(&note("later")).unwrap();
        files.resume(&note("fixed"), &note("earlier")).unwrap();
        assert_eq!(files.stopped(), Stopped::Yes(note("later")));
    }

    #[test]
    fn what_cannot_be_read_counts_as_stopped() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Files::new(&dir.path().join("gone")).stopped(), Stopped::Unreadable { .. }));
        std::fs::create_dir(dir.path().join(STOP)).unwrap();
        assert!(matches!(Files::new(dir.path()).stopped(), Stopped::Unreadable { .. }));
    }

    #[test]
    fn a_file_made_by_hand_stops_too_and_can_be_resumed() {
        for text in ["", "disk trouble\n", "\u{fffd}", "{\"reason\":\"\"}"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(STOP), text).unwrap();
            let files = Files::new(dir.path());
            let Stopped::Yes(by_hand) = files.stopped() else { panic!("{text:?} doesn't stop") };
            assert!(!by_hand.reason.is_empty());
            files.resume(&note("fixed"), &by_hand).unwrap();
            assert_eq!(files.stopped(), Stopped::No, "{text:?}");
        }
    }

    #[test]
    fn a_disk_that_takes_no_new_file_can_still_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path());
        files.reserve().unwrap();
        // A directory in the way of the file that would be written first: as on a full disk, it can't be made.
        std::fs::create_dir(dir.path().join(format!(".{STOP}.partial"))).unwrap();
        files.stop(&note("disk full")).unwrap();
        assert_eq!(files.stopped(), Stopped::Yes(note("disk full")));
        files.resume(&note("freed"), &note("disk full")).unwrap();
        assert!(files.stop(&note("again")).is_err(), "nothing is reserved any more");
        files.reserve().unwrap();
        files.stop(&note("again")).unwrap();
        assert_eq!(files.stopped(), Stopped::Yes(note("again")));
    }
}
