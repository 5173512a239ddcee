//! The service's side of the switch: what the files say is recorded in the journal, and the two never disagree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homeostat_core::Timestamp;
use homeostat_execute::StopSwitch;
use homeostat_journal::{Journal, JournalError, Note as JournalNote};
use homeostat_remediate::KillSwitch;

use super::files::Release;
use super::{Files, Note, Stopped};

/// How often the switch is looked at between cycles: a stop is known, logged and measured within a second whatever a cycle
/// is waiting for, and reading one directory a second is no load.
const EVERY: Duration = Duration::from_secs(1);

/// The switch as the whole service sees it: cycle, driver, metrics and log all ask here.
pub(crate) struct Watch {
    files: Files,
    journal: Arc<Journal>,
    clock: fn() -> Timestamp,
    /// Somebody asked by a signal, which may not be in a file yet.
    is_signalled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was said last, for telling changes.
    last: Option<KillSwitch>,
    /// Notes that are recorded but can't be removed: they count once.
    recorded: BTreeSet<PathBuf>,
}

impl Watch {
    /// The switch of one storage directory and its journal. `clock` stamps what is recorded.
    pub(crate) fn new(files: Files, journal: Arc<Journal>, clock: fn() -> Timestamp) -> Self {
        if let Err(error) = files.reserve() {
            tracing::warn!(%error, "couldn't reserve disk space for the file STOP; `homeostat stop` may fail on a full disk");
        }
        Self { files, journal, clock, is_signalled: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Stops without a file (SIGUSR1): from this moment on, and on disk as soon as that can be written.
    pub(crate) fn stop_by_signal(&self) {
        self.is_signalled.store(true, Ordering::SeqCst);
        self.read();
    }

    /// Reads the switch now, records what is new, and tells a change.
    pub(crate) fn read(&self) -> KillSwitch {
        // One at a time: two readers would record the same note twice.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.keep_signal();
        let switch = match self.settle(&mut state.recorded) {
            Ok(switch) => switch,
            Err(error) => engaged_by(error.to_string()),
        };
        if state.last.as_ref() != Some(&switch) {
            if switch.engaged {
                tracing::warn!(reason = switch.why, "remediation is stopped");
            } else if state.last.as_ref().is_some_and(|last| last.engaged) {
                tracing::warn!("remediation is no longer stopped");
            }
            state.last = Some(switch.clone());
        }
        switch
    }

    /// Looks at the switch all the time, on a thread of its own: neither a slow cycle nor a busy runtime delays it.
    pub(crate) fn spawn(self: &Arc<Self>, seen: impl Fn(&KillSwitch) + Send + 'static) -> std::io::Result<()> {
        let watch = Arc::downgrade(self);
        let look = move || {
            while let Some(watch) = watch.upgrade() {
                seen(&watch.read());
                drop(watch);
                std::thread::park_timeout(EVERY);
            }
        };
        std::thread::Builder::new().name("kill-switch".to_owned()).spawn(look).map(|_| ())
    }

    fn keep_signal(&self) {
        if self.is_signalled.load(Ordering::SeqCst) {
            let note = Note { reason: "stopped by SIGUSR1".to_owned(), at: (self.clock)() };
            if self.files.stop(&note).is_ok() {
                self.is_signalled.store(false, Ordering::SeqCst);
            }
        }
    }

    fn settle(&self, recorded: &mut BTreeSet<PathBuf>) -> Result<KillSwitch, Trouble> {
        let mut known = self.journal.kill_switch().map_err(|error| Trouble(error.to_string()))?;
        for (path, release) in self.files.releases() {
            let unremovable =
                |path: &Path, error: std::io::Error| Trouble(format!("removing {}: {error}", path.display()));
            self.files.remove_stop(&release.releases).map_err(|error| unremovable(Path::new("STOP"), error))?;
            if !recorded.contains(&path) {
                self.record_release(&mut known, &release)?;
                recorded.insert(path.clone());
            }
            std::fs::remove_file(&path).map_err(|error| unremovable(&path, error))?;
            recorded.remove(&path);
        }
        if self.is_signalled.load(Ordering::SeqCst) {
            return Ok(self.engaged(&known, "stopped by SIGUSR1; the file STOP can't be written".to_owned()));
        }
        match self.files.stopped() {
            // Of several replicas only the one that acts keeps the file: in the others it would outlast a resume.
            Stopped::No if known.engaged && self.journal.is_writer() => Ok(self.put_back(known)),
            Stopped::No => Ok(known),
            Stopped::Yes(note) => Ok(self.engaged(&known, note.reason)),
            Stopped::Unreadable { why } => Ok(self.engaged(&known, why)),
        }
    }

    fn record_release(&self, known: &mut KillSwitch, release: &Release) -> Result<(), JournalError> {
        if !known.engaged {
            // A stop and its resume between two looks: both belong in the record.
            tracing::warn!(reason = release.releases.reason, "remediation was stopped");
            self.record(true, &release.releases.reason)?;
        }
        self.record(false, &release.note.reason)?;
        tracing::warn!(reason = release.note.reason, "remediation was resumed");
        *known = KillSwitch { engaged: false, why: release.note.reason.clone() };
        Ok(())
    }

    /// Engaged, which doesn't depend on whether it could be recorded.
    fn engaged(&self, known: &KillSwitch, reason: String) -> KillSwitch {
        if !known.engaged || known.why != reason {
            // Nothing is executed without the journal anyway, and the next look tries again.
            let _ = self.record(true, &reason);
        }
        engaged_by(reason)
    }

    /// Somebody removed `STOP` by hand. Only `homeostat resume`, which asks for a reason, resumes.
    fn put_back(&self, known: KillSwitch) -> KillSwitch {
        let note = Note { reason: known.why.clone(), at: (self.clock)() };
        match self.files.stop(&note) {
            Ok(()) => {
                tracing::warn!("the file STOP was removed and has been put back; run `homeostat resume` to resume");
            }
            Err(error) => {
                tracing::error!(%error, "the file STOP was removed and can't be put back; remediation stays stopped");
            }
        }
        known
    }

    fn record(&self, engaged: bool, why: &str) -> Result<(), JournalError> {
        let switch = KillSwitch { engaged, why: why.to_owned() };
        self.journal.note(&JournalNote::KillSwitch(switch), (self.clock)()).map(|_| ())
    }
}

impl StopSwitch for Watch {
    fn read(&self) -> KillSwitch {
        Self::read(self)
    }
}

fn engaged_by(why: String) -> KillSwitch {
    KillSwitch { engaged: true, why }
}

/// Why nobody knows whether remediation may go on; it is stopped until that is known.
#[derive(Debug, thiserror::Error)]
#[error("the kill switch can't be settled: {0}")]
struct Trouble(String);

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
        journal: Arc<Journal>,
        watch: Watch,
    }

    fn clock() -> Timestamp {
        Timestamp::from_secs(1_000)
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let journal = Arc::new(Journal::open(&dir.path().join("journal.db")).unwrap());
            let watch = Watch::new(Files::new(dir.path()), Arc::clone(&journal), clock);
            Self { dir, journal, watch }
        }

        fn files(&self) -> Files {
            Files::new(self.dir.path())
        }

        /// As `homeostat stop` does.
        fn stop(&self, reason: &str) {
            self.files().stop(&note(reason)).unwrap();
        }

        /// As `homeostat resume` does.
        fn resume(&self, reason: &str) {
            let Stopped::Yes(stopped) = self.files().stopped() else { panic!("not stopped") };
            self.files().resume(&note(reason), &stopped).unwrap();
        }

        fn says(&self, expected: Option<&str>) {
            let switch = self.watch.read();
            assert_eq!(switch.engaged.then_some(switch.why.as_str()), expected);
            assert_eq!(self.journal.kill_switch().unwrap().engaged, switch.engaged, "the journal disagrees");
            assert_eq!(self.files().stopped() != Stopped::No, switch.engaged, "the files disagree");
        }
    }

    fn note(reason: &str) -> Note {
        Note { reason: reason.into(), at: clock() }
    }

    #[test]
    fn an_old_resume_never_releases_a_later_stop() {
        let world = World::new();
        world.stop("first");
        world.says(Some("first"));
        world.resume("mended");
        world.says(None);
        world.stop("second");
        world.says(Some("second"));
        std::fs::remove_file(world.dir.path().join("STOP")).unwrap();
        world.says(Some("second"));
        world.resume("by hand");
        world.says(None);
    }

    #[test]
    fn a_stop_that_vanished_without_resume_is_put_back_also_after_a_restart() {
        let world = World::new();
        world.stop("wait");
        world.says(Some("wait"));
        std::fs::remove_file(world.dir.path().join("STOP")).unwrap();
        let restarted = Watch::new(world.files(), Arc::clone(&world.journal), clock);
        assert_eq!(restarted.read(), KillSwitch { engaged: true, why: "wait".into() });
        assert_eq!(world.files().stopped(), Stopped::Yes(note("wait")));
    }

    #[test]
    fn stop_and_resume_between_two_looks_both_leave_a_record() {
        let world = World::new();
        world.says(None);
        world.stop("a");
        world.resume("b");
        world.stop("c");
        world.says(Some("c"));
        // Stopped for a, resumed for b, stopped for c.
        assert_eq!(world.journal.verify_chain().unwrap().seq, 3);
        assert_eq!(world.journal.kill_switch().unwrap().why, "c");
    }

    #[test]
    fn a_resume_that_was_cut_short_still_resumes() {
        let world = World::new();
        world.stop("a");
        world.says(Some("a"));
        world.resume("b");
        // It died before it could remove the file.
        world.stop("a");
        world.says(None);
    }

    #[test]
    fn a_note_of_an_older_version_releases_nothing() {
        let world = World::new();
        world.stop("a");
        for name in ["RESUMED", "RESUMED.1"] {
            std::fs::write(world.dir.path().join(name), r#"{"reason":"last month","at":"2026-01-01T00:00:00Z"}"#)
                .unwrap();
        }
        world.says(Some("a"));
        std::fs::remove_file(world.dir.path().join("STOP")).unwrap();
        world.says(Some("a"));
    }

    #[test]
    fn a_signal_stops_at_once_and_is_resumed_as_any_stop() {
        let world = World::new();
        world.watch.stop_by_signal();
        world.says(Some("stopped by SIGUSR1"));
        world.resume("fixed");
        world.says(None);
    }

    #[test]
    fn a_signal_stops_also_where_no_file_can_be_written() {
        let world = World::new();
        std::fs::remove_file(world.dir.path().join(".STOP.reserve")).unwrap();
        std::fs::create_dir(world.dir.path().join(".STOP.partial")).unwrap();
        world.watch.stop_by_signal();
        assert!(world.watch.read().engaged);
        std::fs::remove_dir(world.dir.path().join(".STOP.partial")).unwrap();
        world.says(Some("stopped by SIGUSR1"));
    }
}
