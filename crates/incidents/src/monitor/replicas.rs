//! The replicas of watched workloads, beside the workloads themselves.

use std::collections::BTreeMap;

use homeostat_core::{IncidentChange, ReplicaWindow, Schema, Subject};
use homeostat_detect::ReplicaComparisonError;

use super::Monitor;
use crate::replica_watch::ReplicaWatch;
use crate::tracker::ClusterContext;

/// What comparing replicas brought.
///
/// ```
/// use std::collections::BTreeMap;
/// use homeostat_detect::Hysteresis;
/// use homeostat_incidents::{Calibration, Compared, Monitor, ClusterContext, Tracker, TrackerTimes};
///
/// let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
/// let mut monitor = Monitor::new(BTreeMap::new(), tracker);
/// assert_eq!(monitor.compare_replicas(&[], &ClusterContext::default()), Compared::default(), "nobody to compare");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// What happened to incidents, in order.
    pub changes: Vec<IncidentChange>,
    /// Workloads whose replicas couldn't be compared, in order, and why.
    pub failed: Vec<(Subject, ReplicaComparisonError)>,
}

impl Monitor {
    /// Takes windows of single replicas of watched workloads, at most one of each replica, whose rows may have been seen in part,
    /// after [`observe`](Self::observe) took those of the workloads. A replica that has been unlike the others for five steps
    /// opens an incident of its workload, or is named in the one that is open.
    ///
    /// The windows of a workload must share a grid and a schema, and keep the schema from call to call.
    pub fn compare_replicas(&mut self, windows: &[ReplicaWindow], context: &ClusterContext) -> Compared {
        let mut compared = Compared::default();
        let mut by_workload: BTreeMap<&Subject, Vec<&ReplicaWindow>> = BTreeMap::new();
        for one in windows {
            by_workload.entry(one.window.subject()).or_default().push(one);
        }
        for (subject, windows) in by_workload {
            if self.fleet.position(subject).is_none() {
                continue;
            }
            let Some(schema) = windows.first().map(|one| one.window.schema()) else { continue };
            if let Some(other) = windows.iter().find(|one| one.window.schema() != schema) {
                let shape = |schema: &Schema| (windows.len(), schema.n_features());
                let error =
                    ReplicaComparisonError::Shape { found: shape(other.window.schema()), wanted: shape(schema) };
                compared.failed.push((subject.clone(), error));
                continue;
            }
            let watch = self.replicas.entry(subject.clone()).or_insert_with(|| ReplicaWatch::new(schema));
            match watch.observe(&windows) {
                Ok(Some(at)) => {
                    let outliers = watch.outliers();
                    compared.changes.extend(self.tracker.take_replicas(at, subject, outliers, context));
                }
                Ok(None) => {}
                Err(error) => compared.failed.push((subject.clone(), error)),
            }
        }
        compared
    }
}
