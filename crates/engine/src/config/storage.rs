//! `storage`: where things are kept, and for how long.

use std::str::FromStr;
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

/// Where the journal is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum JournalPlace {
    /// In a file of the storage directory.
    #[default]
    Sqlite,
    /// In custom resources of the cluster.
    Kubernetes,
}

/// There is no such store.
#[derive(Debug, thiserror::Error)]
#[error("unknown journal store {0:?}; use sqlite or kubernetes")]
pub(crate) struct UnknownPlace(String);

impl FromStr for JournalPlace {
    type Err = UnknownPlace;

    fn from_str(text: &str) -> Result<Self, UnknownPlace> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "kubernetes" => Ok(Self::Kubernetes),
            _ => Err(UnknownPlace(text.to_owned())),
        }
    }
}

/// The section's keys; `None` where there is none.
#[derive(Debug, Default)]
pub(super) struct Storage {
    pub(super) path: Option<String>,
    pub(super) journal: JournalPlace,
    pub(super) journal_retention: Option<Duration>,
}

impl Storage {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let retention = JOURNAL_RETENTION_MIN..=JOURNAL_RETENTION_MAX;
        Self {
            path: reader.text("path"),
            journal: reader.parsed("journal").unwrap_or_default(),
            journal_retention: reader.duration_in("journal_retention", retention),
        }
    }
}
