//! The replicas of one workload against each other, at each step: one sick pod shows though the average doesn't.
//!
//! The second use of DBSCAN: here it does cluster a fixed set, the replicas of this very step. Nothing here opens an
//! incident or waits for a second look; a round is a value, and the tracker's hysteresis decides what to make of several.

mod round;
mod scale;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use homeostat_core::Schema;
use ndarray::{Array2, ArrayView2};

pub use self::round::{Group, Outlier, ReplicaComparisonError, ReplicaRound, ReplicasNotReady};
use self::round::{judged, not_compared};
use self::scale::{ReplicaScale, directed, median};

/// Most replicas of a workload that are compared: clustering is quadratic, and 1 000 take about 20 ms.
pub const REPLICAS_MAX: usize = 1_000;

/// Fewest replicas: when two differ, nobody can say which of them is sick.
pub const REPLICAS_MIN: usize = 3;

/// Steps a new replica isn't judged for: caches fill and compilers warm up while it differs from its peers.
const WARM_UP_STEPS: u64 = 10;

/// Steps of comparison before the usual spread is known well enough: its error is then some 10 % with three replicas.
const LEARNING_STEPS: u64 = 30;

/// Steps after which a replica that isn't seen any more is forgotten: long enough for a scrape that fails for a while.
const ABSENT_STEPS_MAX: u64 = 60;

/// Share of a replica's own lasting difference from the others that is learned in a step: a half-life of 240.
const OFFSET_RATE: f64 = 0.002_9;

/// A difference counts at most this many spreads when offsets are learned, and not at all for spreads beyond it. An hour of
/// any sickness is then forgiven by half a spread, while a replica that is different by nature is its own normal after
/// some days.
const LEARNED_MAX: f64 = 3.0;

/// Compares the replicas of one workload.
///
/// At each step and for each feature, a replica's difference from the median of all replicas, less the difference it has
/// always had, is divided by the usual spread between replicas. DBSCAN clusters these rows; see [`ReplicaRound`] for what
/// may come out.
///
/// ```
/// use homeostat_core::{Direction, Feature, Schema, Seed, Signal};
/// use homeostat_detect::{ReplicaComparison, ReplicaRound};
/// use ndarray::Array2;
///
/// let latency = Feature { name: "latency".into(), signal: Signal::Latency, direction: Direction::Up, deviation_min: 0.0 };
/// let mut comparison = ReplicaComparison::new(&Schema::new(vec![latency])?);
/// let pods = ["cart-a", "cart-b", "cart-c", "cart-d"];
/// let mut round = None;
/// for step in 0..200_u64 {
///     // All have the same load; in the last steps one pod is slow.
///     let noise = |pod: usize| Seed::new(4 * step + pod as u64).fork("noise").value() as f64 / u64::MAX as f64;
///     let slow = |pod: usize| if step >= 195 && pod == 2 { 5.0 } else { 0.0 };
///     let values = Array2::from_shape_fn((4, 1), |(pod, _)| 1.0 + 0.1 * noise(pod) + slow(pod));
///     round = Some(comparison.observe(&pods, values.view())?);
/// }
/// let Some(ReplicaRound::Together { outliers }) = round else { return Err("they are one group".into()) };
/// assert_eq!(outliers[0].replica, "cart-c");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReplicaComparison {
    scale: ReplicaScale,
    /// By replica; at most [`REPLICAS_MAX`] and those absent for less than 60 steps.
    replicas: BTreeMap<String, Replica>,
    n_steps: u64,
}

#[derive(Clone, Debug)]
struct Replica {
    first_step: u64,
    last_step: u64,
    /// Its lasting difference from the median, by feature, in the feature's own unit.
    offsets: Vec<f64>,
}

impl ReplicaComparison {
    /// For a workload whose replicas have these features. Directions and dead zones of the schema count.
    pub fn new(schema: &Schema) -> Self {
        Self { scale: ReplicaScale::new(schema), replicas: BTreeMap::new(), n_steps: 0 }
    }

    /// Takes one step: `values` is `(n_replicas, n_features)`, gaps are NaN, row `i` belongs to `replicas[i]`, a name that
    /// stays with the replica, such as the pod's. The order of rows doesn't matter. To be called for every step in order.
    pub fn observe(
        &mut self,
        replicas: &[&str],
        values: ArrayView2<'_, f64>,
    ) -> Result<ReplicaRound, ReplicaComparisonError> {
        self.check(replicas, values)?;
        self.n_steps += 1;
        let now = self.n_steps;
        self.replicas.retain(|_, replica| now - replica.last_step <= ABSENT_STEPS_MAX);
        let n_features = self.scale.n_features();
        for name in replicas {
            let replica = self.replicas.entry((*name).to_owned()).or_insert_with(|| Replica {
                first_step: now,
                last_step: now,
                offsets: vec![0.0; n_features],
            });
            replica.last_step = now;
        }
        // The first replicas of all are there since before anyone looked.
        let is_warm = |name: &str| {
            self.replicas.get(name).is_some_and(|seen| seen.first_step == 1 || now - seen.first_step >= WARM_UP_STEPS)
        };
        let has_most = |row: usize| 2 * values.row(row).iter().filter(|value| value.is_finite()).count() >= n_features;
        let (warm, warming): (Vec<usize>, Vec<usize>) = (0..replicas.len()).partition(|row| is_warm(replicas[*row]));
        let mut compared: Vec<usize> = warm.into_iter().filter(|row| has_most(*row)).collect();
        compared.sort_by_key(|row| replicas[*row]);
        if compared.len() < REPLICAS_MIN {
            return Ok(not_compared(compared.len(), replicas.len(), warming.len()));
        }
        let names: Vec<&str> = compared.iter().map(|row| replicas[*row]).collect();
        let deviations = self.deviations(&names, values, &compared);
        if self.scale.n_learned() < LEARNING_STEPS {
            let left = LEARNING_STEPS - self.scale.n_learned();
            return Ok(ReplicaRound::NotReady(ReplicasNotReady::Learning { steps_left: left }));
        }
        judged(&names, deviations.view())
    }

    /// How many replicas are remembered.
    pub fn n_replicas(&self) -> usize {
        self.replicas.len()
    }

    /// Bytes held, about: names and offsets of every replica, and the spreads.
    pub fn memory_bytes(&self) -> usize {
        let replica = |(name, replica): (&String, &Replica)| {
            name.capacity() + size_of::<(String, Replica)>() + replica.offsets.capacity() * size_of::<f64>()
        };
        size_of::<Self>() + self.scale.heap_bytes() + self.replicas.iter().map(replica).sum::<usize>()
    }

    fn check(&self, replicas: &[&str], values: ArrayView2<'_, f64>) -> Result<(), ReplicaComparisonError> {
        let wanted = (replicas.len(), self.scale.n_features());
        if values.dim() != wanted {
            return Err(ReplicaComparisonError::Shape { found: values.dim(), wanted });
        }
        if replicas.len() > REPLICAS_MAX {
            return Err(ReplicaComparisonError::TooManyReplicas { found: replicas.len() });
        }
        let mut seen = BTreeSet::new();
        match replicas.iter().find(|name| !seen.insert(**name)) {
            Some(name) => Err(ReplicaComparisonError::Duplicate { replica: (*name).to_owned() }),
            None => Ok(()),
        }
    }

    /// Every compared replica's difference from the others, in usual spreads, `(n_compared, n_features)`; learns from them.
    /// A gap agrees with everyone: it is 0.
    fn deviations(&mut self, names: &[&str], values: ArrayView2<'_, f64>, rows: &[usize]) -> Array2<f64> {
        let mut deviations = Array2::zeros((rows.len(), self.scale.n_features()));
        for feature_idx in 0..self.scale.n_features() {
            let raw: Vec<f64> = rows.iter().map(|row| values[[*row, feature_idx]]).collect();
            let Some(middle) = median(raw.iter().copied().filter(|value| value.is_finite())) else { continue };
            let offset = |name: &&str| self.replicas.get(*name).map_or(0.0, |replica| replica.offsets[feature_idx]);
            // Gaps and infinities become 0 further down; a difference of two huge numbers must not become one.
            let differences: Vec<Option<f64>> = raw
                .iter()
                .zip(names)
                .map(|(value, name)| (value - middle - offset(name)).clamp(f64::MIN / 4.0, f64::MAX / 4.0))
                .zip(&raw)
                .map(|(difference, value)| value.is_finite().then_some(difference))
                .collect();
            let there: Vec<f64> = differences.iter().flatten().copied().collect();
            let spread = self.scale.spread(feature_idx, middle, &there);
            self.scale.learn(feature_idx, &there);
            for ((idx, difference), name) in differences.into_iter().enumerate().zip(names) {
                let Some(difference) = difference else { continue };
                deviations[[idx, feature_idx]] = directed(self.scale.feature(feature_idx), difference, spread);
                if let Some(replica) = self.replicas.get_mut(*name) {
                    let learned = difference.clamp(-LEARNED_MAX * spread, LEARNED_MAX * spread);
                    replica.offsets[feature_idx] += OFFSET_RATE * learned;
                }
            }
        }
        self.scale.stepped();
        deviations
    }
}
