//! What comparing replicas brings: an incident of the workload that names them, or a name for one that is open.

use homeostat_core::{IncidentChange, Subject, Timestamp};

use super::open::Open;
use super::{ClusterContext, Tracker};
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
