//! Which revision brought a fault, if it is a new one.

use std::time::Duration;

use homeostat_core::{Subject, Timestamp, WorkloadKind};

use super::pod::Pod;
use super::view::View;

/// What fails within so long of its revision's beginning has failed because of it: as long as a roll-out before an incident may be
/// its cause elsewhere, too (`TrackerTimes::rollout_recent`).
const BEGAN_WITHIN: Duration = Duration::from_secs(1_800);

/// The revision that a faulty pod is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Revision {
    /// As the cluster names it.
    pub(super) name: String,
    /// Whether the fault came with it, and another was there before.
    pub(super) is_new: bool,
}

/// The revision of a pod that has been at fault since then.
pub(super) fn of(view: &View<'_>, subject: &Subject, pod: &Pod, since: Timestamp) -> Option<Revision> {
    match subject.kind {
        WorkloadKind::Deployment => {
            let set = view.set_of(pod)?;
            let is_newest = view.newest_set(subject).is_some_and(|newest| newest.meta.name == set.meta.name);
            let has_earlier = view.sets_of.get(subject).is_some_and(|sets| sets.len() > 1);
            let began = since.since(set.created()) <= BEGAN_WITHIN;
            Some(Revision { name: set.revision.to_string(), is_new: is_newest && has_earlier && began })
        }
        WorkloadKind::StatefulSet => {
            let workload = view.workloads.get(subject)?;
            let hash = view.revision_hash(pod)?;
            let under_way = workload.update_revision != workload.current_revision;
            Some(Revision { name: hash.to_owned(), is_new: under_way && hash == workload.update_revision })
        }
        WorkloadKind::DaemonSet | WorkloadKind::External => None,
    }
}
