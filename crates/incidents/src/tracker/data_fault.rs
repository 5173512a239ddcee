//! What is told of a subject's data: that its series have ended, or that they all stand still.

use homeostat_core::{Incident, IncidentId, IncidentType, Timestamp};
use serde::{Deserialize, Serialize};

/// What is wrong with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DataFaultKind {
    /// Its series have ended.
    Gone,
    /// Its measurements repeat the same numbers.
    Frozen,
}

impl DataFaultKind {
    pub(super) const ALL: [Self; 2] = [Self::Gone, Self::Frozen];

    /// What its incidents are called.
    pub(super) const fn incident_type(self) -> IncidentType {
        match self {
            Self::Gone => IncidentType::WorkloadGone,
            Self::Frozen => IncidentType::FrozenData,
        }
    }

    /// What an incident of this type says of the data, if anything.
    pub(super) fn of(incident_type: IncidentType) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.incident_type() == incident_type)
    }
}

/// What is wrong with a subject's data, and where it was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DataFault {
    pub(super) kind: DataFaultKind,
    /// Its newest row that was as it should be.
    pub(super) since: Timestamp,
    /// The incident that tells of it, perhaps of several subjects.
    pub(super) incident: IncidentId,
    /// That incident, with one of its subjects.
    pub(super) leads: Option<Incident>,
}
