//! What really happened: labels. Only scoring reads them; nothing that detects or decides may.

use homeostat_core::{IncidentType, Subject, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fault::FaultKind;

/// One fault as it really was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultTruth {
    /// What went wrong.
    pub kind: FaultKind,
    /// The types that name it rightly, the best first: [`FaultKind::incident_types`], and for a leak that has led to a
    /// kill also `oom-killed`.
    pub incident_types: Vec<IncidentType>,
    /// Where the cause is.
    pub subject: Subject,
    /// Who suffers without being the cause, in order: those that wait for the subject, directly or not; for faults of
    /// traffic, those that the subject calls.
    pub affected: Vec<Subject>,
    /// When it began.
    pub start: Timestamp,
    /// When it ends if nothing cures it.
    pub runs_until: Timestamp,
    /// When and why it ended; `None` while it goes on.
    pub end: Option<FaultEnd>,
    /// Nothing is wrong: acting on it is a mistake.
    pub harmless: bool,
}

/// The end of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEnd {
    /// When its cause was gone. Signals may need some minutes more.
    pub at: Timestamp,
    /// Why.
    pub by: EndedBy,
}

/// Why a fault ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ended-by")]
pub enum EndedBy {
    /// Its time was over.
    Itself,
    /// A roll-out replaced the pods or the revision it sat in.
    Rollout {
        /// The marker of whoever asked for the roll-out; `None` if it was somebody else than homeostat.
        marker: Option<String>,
    },
}

impl FaultTruth {
    /// Whether this type names the fault rightly.
    pub fn is_rightly(&self, incident_type: IncidentType) -> bool {
        self.incident_types.contains(&incident_type)
    }

    /// When its cause was gone, or will be.
    pub fn over_at(&self) -> Timestamp {
        self.end.as_ref().map_or(self.runs_until, |end| end.at)
    }

    /// The marker of the action that cured it.
    pub fn cured_by(&self) -> Option<&str> {
        match &self.end.as_ref()?.by {
            EndedBy::Rollout { marker } => marker.as_deref(),
            EndedBy::Itself => None,
        }
    }
}
