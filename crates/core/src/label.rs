//! What a person says of an incident afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::incident::IncidentId;
use crate::timestamp::Timestamp;

/// Whether somebody should have been called.
///
/// ```
/// use homeostat_core::Verdict;
///
/// assert_eq!("false-positive".parse(), Ok(Verdict::FalsePositive));
/// assert_eq!(serde_json::to_value(Verdict::ExpectedWeekly)?, "expected-weekly");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something was wrong, and it was right to call somebody.
    TruePositive,
    /// Nothing was wrong.
    FalsePositive,
    /// This is meant to happen at this time of every day.
    ExpectedDaily,
    /// This is meant to happen at this time of every week.
    ExpectedWeekly,
}

/// A text that names no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown verdict {0:?}; use true-positive, false-positive, expected-daily or expected-weekly")]
pub struct UnknownVerdict(String);

impl Verdict {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::TruePositive, Self::FalsePositive, Self::ExpectedDaily, Self::ExpectedWeekly];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true-positive",
            Self::FalsePositive => "false-positive",
            Self::ExpectedDaily => "expected-daily",
            Self::ExpectedWeekly => "expected-weekly",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Verdict {
    type Err = UnknownVerdict;
    fn from_str(text: &str) -> Result<Self, UnknownVerdict> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == text).ok_or_else(|| UnknownVerdict(text.to_owned()))
    }
}

/// A verdict on an incident, with who gave it. The latest one of an incident counts.
///
/// ```
/// # let incident = homeostat_core::IncidentId::of(&homeostat_core::Subject::deployment("shop", "cart"), homeostat_core::Timestamp::from_secs(60));
/// use homeostat_core::{IncidentLabel, Timestamp, Verdict};
///
/// let backup = IncidentLabel {
///     incident,
///     verdict: Some(Verdict::ExpectedDaily),
///     by: "anna".into(),
///     note: "the backup".into(),
///     at: Timestamp::from_secs(3_600),
/// };
/// assert_eq!(serde_json::to_value(&backup)?["verdict"], "expected-daily");
/// assert!(backup.says_the_same(&IncidentLabel { at: Timestamp::from_secs(7_200), ..backup.clone() }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentLabel {
    /// Which incident.
    pub incident: IncidentId,
    /// What it was; `None` withdraws what was said before.
    pub verdict: Option<Verdict>,
    /// Who says so.
    pub by: String,
    /// Why, in their words; may be empty.
    #[serde(default)]
    pub note: String,
    /// When it was said.
    pub at: Timestamp,
}

impl IncidentLabel {
    /// Whether both say the same, whenever they were given.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self { incident, verdict, by, note, at: _ } = other;
        (incident, verdict, by, note) == (&self.incident, &self.verdict, &self.by, &self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_called_the_same_everywhere() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.name().parse(), Ok(verdict));
            assert_eq!(serde_json::to_value(verdict).expect("JSON"), verdict.name());
        }
        assert!("maybe".parse::<Verdict>().is_err());
    }
}
