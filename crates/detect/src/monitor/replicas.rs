//! The replicas of watched workloads, beside the workloads themselves.

use std::collections::BTreeMap;

use homeostat_core::{IncidentChange, ReplicaWindow, Schema, Subject};

use super::Monitor;
use crate::peers::PeerError;
use crate::replicas::ReplicaWatch;
use crate::tracker::Surroundings;

/// What comparing replicas brought.
///
/// ```
/// use std::collections::BTreeMap;
/// use homeostat_detect::{Calibration, Compared, Hysteresis, Monitor, Surroundings, Tracker, TrackerTimes};
///
/// let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
/// let mut monitor = Monitor::new(BTreeMap::new(), tracker);
/// assert_eq!(monitor.compare_replicas(&[], &Surroundings::default()), Compared::default(), "nobody to compare");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// What happened to incidents, in order.
    pub changes: Vec<IncidentChange>,
    /// Workloads whose replicas couldn't be compared, in order, and why.
    pub failed: Vec<(Subject, PeerError)>,
}

impl Monitor {
    /// Takes windows of single replicas of watched workloads, at most one of each replica, whose rows may have been seen in part,
    /// after [`observe`](Self::observe) took those of the workloads. A replica that has been unlike the others for five steps
    /// opens an incident of its workload, or is named in the one that is open.
    ///
    /// The windows of a workload must share a grid and a schema, and keep the schema from call to call.
    pub fn compare_replicas(&mut self, windows: &[ReplicaWindow], around: &Surroundings) -> Compared {
        let mut compared = Compared::default();
        let mut by_workload: BTreeMap<&Subject, Vec<&ReplicaWindow>> = BTreeMap::new();
        for one in windows {
            by_workload.entry(one.window.subject()).or_default().push(one);
        }
        for (subject, windows) in by_workload {
            if self.position(subject).is_none() {
                continue;
            }
            let Some(schema) = windows.first().map(|one| one.window.schema()) else { continue };
            if let Some(other) = windows.iter().find(|one| one.window.schema() != schema) {
                let shape = |schema: &Schema| (windows.len(), schema.n_features());
                let error = PeerError::Shape { found: shape(other.window.schema()), wanted: shape(schema) };
                compared.failed.push((subject.clone(), error));
                continue;
            }
            let watch = self.replicas.entry(subject.clone()).or_insert_with(|| ReplicaWatch::new(schema));
            match watch.observe(&windows) {
                Ok(Some(at)) => {
                    let apart = watch.apart();
                    compared.changes.extend(self.tracker.take_replicas(at, subject, apart, around));
                }
                Ok(None) => {}
                Err(error) => compared.failed.push((subject.clone(), error)),
            }
        }
        compared
    }
}
