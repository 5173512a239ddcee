//! `storage`: where things are kept, and for how long.

use std::time::Duration;

use homeostat_remediate::LOOK_BACK_MAX;
use homeostat_settings::Reader;

/// How long rows stay in the journal: a quarter's incidents are found without opening an archive.
pub(super) const JOURNAL_RETENTION_DEFAULT: Duration = Duration::from_secs(90 * DAY_S);
/// Budgets and cooldowns look back seven days; a day more, because clocks step.
const JOURNAL_RETENTION_MIN: Duration = Duration::from_secs(LOOK_BACK_MAX.as_secs() + DAY_S);
/// Ten years: what is kept longer is a mistake of units.
const JOURNAL_RETENTION_MAX: Duration = Duration::from_secs(3650 * DAY_S);
const DAY_S: u64 = 24 * 3600;

/// The section's keys; `None` where there is none.
#[derive(Debug, Default)]
pub(super) struct Storage {
    pub(super) path: Option<String>,
    pub(super) journal_retention: Option<Duration>,
}

impl Storage {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let retention = JOURNAL_RETENTION_MIN..=JOURNAL_RETENTION_MAX;
        Self { path: reader.text("path"), journal_retention: reader.duration_in("journal_retention", retention) }
    }
}
