//! What comparing replicas brings: an incident of the workload that names them, or a name for one that is open.

use homeostat_core::{IncidentChange, Subject, Timestamp};

use super::open::Open;
use super::{ClusterContext, Tracker, TrackerTimes, Watch};
use crate::replica_watch::OutlierReplica;

impl Tracker {
    /// Takes what a comparison of a workload's replicas at `at` came to. A workload that no row came of isn't watched, and
    /// nothing is made of its replicas.
    pub(crate) fn take_replicas(
        &mut self,
        at: Timestamp,
        subject: &Subject,
        outliers: Vec<OutlierReplica>,
        context: &ClusterContext,
    ) -> Vec<IncidentChange> {
        let settles = self.settles(subject, at, context);
        let Some(watch) = self.watches.get_mut(subject) else { return Vec::new() };
        watch.outliers = outliers;
        watch.compared_at = Some(at);
        if watch.open.is_none() && !watch.outliers.is_empty() && !settles {
            watch.open = Some(Open::of_replicas(subject, at, self.times.stale_after, &watch.outliers));
        }
        if let Some(open) = &mut watch.open {
            open.compared(at);
        }
        let mut changes = Vec::new();
        self.refresh(at, context, &mut changes);
        changes
    }
}

impl Watch {
    /// Whether replicas that are unlike the others keep its incident open. What they alone opened stays until they were seen to be
    /// well; another incident isn't held open by a comparison of long ago.
    pub(super) fn is_held_by_replicas(&self, at: Timestamp, times: &TrackerTimes) -> bool {
        let by_replicas = self.open.as_ref().is_some_and(Open::is_by_replicas);
        let is_recent = self.compared_at.is_some_and(|compared_at| at.since(compared_at) <= times.stale_after);
        !self.outliers.is_empty() && (by_replicas || is_recent)
    }
}
