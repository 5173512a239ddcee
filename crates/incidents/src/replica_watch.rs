//! Which replicas of a workload have been unlike the others for some steps: rounds of [`ReplicaComparison`] with a memory.
//!
//! One round is a look; here several make a finding. What becomes of it is the tracker's.

use std::collections::BTreeMap;

use homeostat_core::{Annotation, Evidence, ReplicaWindow, Schema, Timestamp};
use homeostat_detect::{Outlier, ReplicaComparison, ReplicaComparisonError, ReplicaRound};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// A replica is apart after so many rounds in a row in which it was: as rates look back some steps, neighbouring rounds aren't
/// independent looks.
const ROUNDS_OUTLYING: u32 = 5;

/// It belongs to the others again, or is gone, after so many rounds in a row in which it wasn't.
const ROUNDS_TOGETHER: u32 = 5;

/// Replicas told of a workload: of more than eight sick ones among twice as many, it is the workload that is sick.
const OUTLIERS_MAX: usize = 8;

/// A replica that is unlike the others of its workload, for some steps by now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutlierReplica {
    pub(crate) replica: String,
    pub(crate) since: Timestamp,
    /// Its measurements when it was found an outlier, what the median replica had, and the difference in usual spreads.
    pub(crate) evidence: Vec<Evidence>,
}

impl OutlierReplica {
    pub(crate) fn annotation(&self) -> Annotation {
        Annotation::ReplicaOutlier {
            replica: self.replica.clone(),
            since: self.since,
            features: self.evidence.iter().map(|one| one.feature.clone()).collect(),
        }
    }
}

/// The replicas of one workload, compared step by step.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaWatch {
    comparison: ReplicaComparison,
    /// Of those that were apart lately; at most as many as are compared.
    suspects: BTreeMap<String, Suspect>,
    seen_until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Suspect {
    since: Timestamp,
    rounds_outlying: u32,
    rounds_together: u32,
    is_found: bool,
    evidence: Vec<Evidence>,
}

impl ReplicaWatch {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self { comparison: ReplicaComparison::new(schema), suspects: BTreeMap::new(), seen_until: None }
    }

    /// Takes the steps that it hasn't seen, of all replicas of the workload at once; windows share a grid and a schema. Says when
    /// the newest comparison was that came to something, if one did.
    pub(crate) fn observe(&mut self, windows: &[&ReplicaWindow]) -> Result<Option<Timestamp>, ReplicaComparisonError> {
        let Some(first) = windows.first().map(|one| &one.window) else { return Ok(None) };
        let mut compared_at = None;
        for step_idx in 0..first.grid().n_steps() {
            let at = first.grid().at(step_idx);
            if self.seen_until.is_some_and(|seen| at <= seen) {
                continue;
            }
            // Who reports nothing isn't there: a pod that was replaced has no rows any more.
            let there = |one: &&ReplicaWindow| one.window.row(step_idx).iter().any(|value| value.is_finite());
            let there: Vec<&ReplicaWindow> = windows.iter().copied().filter(there).collect();
            if there.is_empty() {
                continue;
            }
            self.seen_until = Some(at);
            let names: Vec<&str> = there.iter().map(|one| one.replica.as_str()).collect();
            let n_features = first.schema().n_features();
            let values =
                Array2::from_shape_fn((there.len(), n_features), |(row, idx)| there[row].window.row(step_idx)[idx]);
            let outliers = match self.comparison.observe(&names, values.view())? {
                ReplicaRound::NotReady(_) => continue,
                ReplicaRound::Together { outliers } | ReplicaRound::Split { outliers, .. } => outliers,
            };
            // Where half of them are unlike the others there are no others.
            if 2 * outliers.len() >= names.len() {
                continue;
            }
            compared_at = Some(at);
            self.take_round(at, &outliers, |outlier| evidence(first.schema(), &names, &values, outlier));
        }
        Ok(compared_at)
    }

    fn take_round(&mut self, at: Timestamp, outliers: &[Outlier], evidence: impl Fn(&Outlier) -> Vec<Evidence>) {
        for one in outliers {
            let suspect = self.suspects.entry(one.replica.clone()).or_insert_with(|| Suspect {
                since: at,
                rounds_outlying: 0,
                rounds_together: 0,
                is_found: false,
                evidence: Vec::new(),
            });
            suspect.rounds_outlying = suspect.rounds_outlying.saturating_add(1);
            suspect.rounds_together = 0;
            if !suspect.is_found {
                suspect.evidence = evidence(one);
                suspect.is_found = suspect.rounds_outlying >= ROUNDS_OUTLYING;
            }
        }
        self.suspects.retain(|replica, suspect| {
            if outliers.iter().any(|one| one.replica == *replica) {
                return true;
            }
            suspect.rounds_together += 1;
            // Before it was found, one round together starts the count anew.
            suspect.is_found && suspect.rounds_together < ROUNDS_TOGETHER
        });
    }

    /// The replicas that are unlike the others by now, those first that have been for longest.
    pub(crate) fn outliers(&self) -> Vec<OutlierReplica> {
        let found = self.suspects.iter().filter(|(_, suspect)| suspect.is_found);
        let mut outliers: Vec<OutlierReplica> = found
            .map(|(replica, suspect)| OutlierReplica {
                replica: replica.clone(),
                since: suspect.since,
                evidence: suspect.evidence.clone(),
            })
            .collect();
        outliers.sort_by(|a, b| (a.since, &a.replica).cmp(&(b.since, &b.replica)));
        outliers.truncate(OUTLIERS_MAX);
        outliers
    }
}

impl ReplicaWatch {
    /// Bytes held, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let suspects = self.suspects.keys().map(|name| name.capacity() + size_of::<(String, Suspect)>());
        size_of::<Self>() + self.comparison.memory_bytes() + suspects.sum::<usize>()
    }
}

/// What sets a replica apart in this step, the farthest first.
fn evidence(schema: &Schema, names: &[&str], values: &Array2<f64>, outlier: &Outlier) -> Vec<Evidence> {
    let Some(row) = names.iter().position(|name| *name == outlier.replica) else { return Vec::new() };
    let one = |(idx, deviation): &(usize, f64)| {
        let feature = schema.features().get(*idx)?;
        let mut there: Vec<f64> = values.column(*idx).iter().copied().filter(|value| value.is_finite()).collect();
        there.sort_by(f64::total_cmp);
        let expected = there.get(there.len() / 2).copied()?;
        let (feature, signal) = (feature.name.clone(), feature.signal);
        Some(Evidence { feature, signal, observed: values[[row, *idx]], expected, deviation: *deviation })
    };
    outlier.features.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests;
