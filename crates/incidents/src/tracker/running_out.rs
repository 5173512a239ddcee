//! Rates that run out: over the five minutes after a scrape target is gone they fall to nothing, and the series ends. While they fall that looks
//! like a drop of traffic. One workload is told of at once; others that fall beside it wait until it shows whether they end.

use homeostat_core::{Evidence, Incident, Timestamp};

use super::data_faults::TOGETHER;
use super::{SubjectRow, Tracker};
use crate::typing::evidence_of;

impl Tracker {
    /// Whether this row, which would open an incident, may be of a workload that vanishes together with one that was told of: everything that stands
    /// out is too small, as it is in an incident that opened shortly before. Who still has rows after [`TOGETHER`] didn't vanish, and waits no more.
    pub(super) fn may_vanish(&mut self, row: &SubjectRow<'_>, at: Timestamp) -> bool {
        let falls = are_all_too_small(&evidence_of(row.schema, row.row));
        let is_beside = falls && self.open_incidents().any(|incident| falls_at(incident, at));
        let Some(watch) = self.watches.get_mut(row.subject) else { return false };
        match watch.falls_since {
            Some(since) => falls && at.since(since) < TOGETHER,
            None => {
                watch.falls_since = is_beside.then_some(at);
                is_beside
            }
        }
    }
}

/// Whether the incident opened shortly before this moment, for values that are too small alone.
fn falls_at(incident: &Incident, at: Timestamp) -> bool {
    at.since(incident.opened_at) < TOGETHER && are_all_too_small(&incident.evidence)
}

fn are_all_too_small(evidence: &[Evidence]) -> bool {
    !evidence.is_empty() && evidence.iter().all(|one| one.observed < one.expected)
}
