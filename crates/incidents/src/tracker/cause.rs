//! Open incidents that another one may follow from.

use homeostat_core::{IncidentId, Subject, Timestamp};

/// Open incidents that a subject's incident may follow from.
pub(super) struct Causes(pub(super) Vec<Cause>);

pub(super) struct Cause {
    pub(super) dependency: Subject,
    pub(super) incident: IncidentId,
    pub(super) opened_at: Timestamp,
}

impl Causes {
    /// The one that opened first.
    pub(super) fn oldest(&self) -> Option<Subject> {
        self.0.iter().min_by_key(|cause| (cause.opened_at, &cause.dependency)).map(|cause| cause.dependency.clone())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Cause> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
