//! Keeps the journal bounded: once a day old rows go to its archive, some in each cycle until none is left.

use std::time::Duration;

use homeostat_core::Timestamp;
use homeostat_journal::Journal;

/// How often to look. Retention is counted in days.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// How soon to look again where the archive couldn't be written: a full disk is mended within hours.
const AGAIN_AFTER_TROUBLE: Duration = Duration::from_secs(3600);

/// When old rows go.
#[derive(Debug)]
pub(crate) struct Archiving {
    retention: Duration,
    due: Option<Timestamp>,
}

impl Archiving {
    /// Rows stay for `retention`. The first look is due at once.
    pub(crate) fn new(retention: Duration) -> Self {
        Self { retention, due: None }
    }

    /// Archives what is due.
    pub(crate) fn tick(&mut self, journal: &Journal, now: Timestamp) {
        // A time further ahead than any pause of ours was set by a clock that has been put back since.
        if self.due.is_some_and(|due| now < due && due.since(now) <= EVERY) {
            return;
        }
        match journal.archive(now - self.retention, now) {
            Ok(0) => self.due = Some(now + EVERY),
            Ok(n_rows) => tracing::info!(rows = n_rows, "old journal rows were archived"),
            Err(error) => {
                self.due = Some(now + AGAIN_AFTER_TROUBLE);
                tracing::warn!(%error, "old journal rows can't be archived; retrying in an hour");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use homeostat_journal::Note;
    use homeostat_remediate::KillSwitch;

    use super::*;

    #[test]
    fn old_rows_go_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let day = |n: i64| Timestamp::from_secs(n * 24 * 3600);
        let write = |n: i64| {
            let switch = KillSwitch { engaged: n % 2 == 0, why: "drill".into() };
            journal.note(&Note::KillSwitch(switch), day(n)).unwrap();
        };
        let n_archives = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut archiving = Archiving::new(Duration::from_secs(10 * 24 * 3600));
        write(0);
        archiving.tick(&journal, day(1));
        assert!(archiving.due.is_some(), "nothing is old enough");
        write(5);
        archiving.tick(&journal, day(1) + Duration::from_secs(60));
        assert_eq!(archiving.due, Some(day(2)), "it isn't looked at again before");
        let before = n_archives();
        archiving.tick(&journal, day(11));
        archiving.tick(&journal, day(11));
        assert_eq!(archiving.due, Some(day(12)));
        assert!(n_archives() > before);
        // What is dated in the future goes as well, so the first look isn't the last.
        archiving.tick(&journal, day(3));
        archiving.tick(&journal, day(3));
        assert_eq!(archiving.due, Some(day(4)), "a clock that was put back doesn't stop it");
    }
}
