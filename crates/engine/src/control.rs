//! The kill switch: a file in the storage directory.
//!
//! A file works without the service, without the network and without the cluster, and survives a restart. Whoever can
//! write the directory can stop homeostat; only `homeostat resume` with a reason takes it back. A directory that can't
//! be read counts as engaged (invariants I11, I12).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Present while remediation is stopped.
const STOP_FILE: &str = "STOP";
/// The last `resume`, with its reason, for the record.
const RESUMED_FILE: &str = "RESUMED";
/// A reason longer than this is cut when it is read: it goes into logs and metrics of every cycle.
const REASON_BYTES_MAX: usize = 1024;

/// Who stopped or resumed, why and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Why.
    pub(crate) reason: String,
    /// When, by the clock of who did it.
    pub(crate) at: Timestamp,
}

/// What the switch says now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    /// Remediation is stopped.
    Engaged {
        /// Why.
        reason: String,
    },
    /// Remediation may go on.
    Released,
}

/// The switch of one storage directory.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    storage: PathBuf,
}

impl Control {
    /// The switch of this storage directory.
    pub(crate) fn new(storage: &Path) -> Self {
        Self { storage: storage.to_owned() }
    }

    /// Reads the switch. Anything but a clear "no such file" in a readable directory is engaged.
    pub(crate) fn read(&self) -> Switch {
        if let Err(error) = std::fs::metadata(&self.storage) {
            return Switch::Engaged { reason: format!("the storage directory can't be read: {error}") };
        }
        match std::fs::read_to_string(self.storage.join(STOP_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Switch::Released,
            Err(error) => Switch::Engaged { reason: format!("the switch can't be read: {error}") },
            // An empty or hand-written file (`touch STOP`) stops as well as ours.
            Ok(text) => {
                let mut reason =
                    serde_json::from_str::<Note>(&text).map_or_else(|_| text.trim().to_owned(), |note| note.reason);
                if reason.is_empty() {
                    reason = format!("a file {STOP_FILE} is in the storage directory");
                }
                let mut end = reason.len().min(REASON_BYTES_MAX);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                reason.truncate(end);
                Switch::Engaged { reason }
            }
        }
    }

    /// Engages the switch. Engaging an engaged switch keeps the first reason.
    pub(crate) fn stop(&self, note: &Note) -> io::Result<()> {
        if self.storage.join(STOP_FILE).exists() {
            return Ok(());
        }
        self.write(STOP_FILE, note)
    }

    /// Releases the switch; whether it was engaged.
    pub(crate) fn resume(&self, note: &Note) -> io::Result<bool> {
        self.write(RESUMED_FILE, note)?;
        match std::fs::remove_file(self.storage.join(STOP_FILE)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The reason of the last `resume`, for the record.
    pub(crate) fn last_resume(&self) -> Option<Note> {
        let text = std::fs::read_to_string(self.storage.join(RESUMED_FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes under another name first, so that nobody ever reads half a file.
    fn write(&self, name: &str, note: &Note) -> io::Result<()> {
        let partial = self.storage.join(format!(".{name}.partial"));
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(serde_json::to_string(note)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, self.storage.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(reason: &str) -> Note {
        Note { reason: reason.into(), at: Timestamp::from_secs(0) }
    }

    #[test]
    fn stop_holds_until_resume_and_keeps_the_first_reason() {
        let dir = tempfile::tempdir().expect("a directory");
        let control = Control::new(dir.path());
        assert_eq!(control.read(), Switch::Released);
        control.stop(&note("first")).expect("written");
        control.stop(&note("second")).expect("still there");
        assert_eq!(Control::new(dir.path()).read(), Switch::Engaged { reason: "first".into() });
        assert!(control.resume(&note("fixed")).expect("released"));
        assert_eq!(control.read(), Switch::Released);
        assert_eq!(control.last_resume().map(|note| note.reason).as_deref(), Some("fixed"));
    }

    #[test]
    fn what_cannot_be_read_is_engaged() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(Control::new(&dir.path().join("gone")).read(), Switch::Engaged { .. }));
        std::fs::create_dir(dir.path().join(STOP_FILE)).expect("a directory in the switch's place");
        assert!(matches!(Control::new(dir.path()).read(), Switch::Engaged { .. }));
    }

    #[test]
    fn an_empty_file_made_by_hand_stops_too() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(STOP_FILE), "").expect("written");
        assert!(matches!(Control::new(dir.path()).read(), Switch::Engaged { .. }));
    }
}
