//! The pods of a service one by one, as a scrape sees them: what the averages of all hide.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{
    Direction, Feature, Grid, ReplicaWindow, Schema, SchemaError, Seed, Signal, Subject, Timestamp, Window,
};
use ndarray::Array2;

use crate::load::PodLoad;
use crate::pod::Pod;
use crate::random::Noise;

/// Steps remembered: as many as a service's windows hold when it catches up.
const STEPS_MAX: usize = 64;

/// Number of features of a replica.
const N_FEATURES: usize = 3;

/// Name, signal and `deviation_min`; only higher than expected matters.
const FEATURES: [(&str, Signal, f64); N_FEATURES] =
    [("error-ratio", Signal::ErrorRatio, 0.01), ("latency", Signal::Latency, 0.02), ("cpu", Signal::Cpu, 0.05)];

/// Which pod: its slot and the revision that it was created with.
type PodKey = (usize, u64);

/// The latest rows of a service's pods.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaRows {
    /// Of its own, so that measuring pods changes nothing else in a shop of the same seed.
    noise: Noise,
    /// Oldest first.
    steps: VecDeque<Vec<(PodKey, [f64; N_FEATURES])>>,
}

impl ReplicaRows {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { noise: Noise::new(seed), steps: VecDeque::new() }
    }

    /// Another noise from here on.
    pub(crate) fn reseed(&mut self, seed: Seed) {
        self.noise = Noise::new(seed);
    }

    /// Takes one step's loads; a pod without one has no row.
    pub(crate) fn measure(&mut self, step_s: f64, pods: &[Pod], loads: &[PodLoad]) {
        if self.steps.len() >= STEPS_MAX {
            self.steps.pop_front();
        }
        let noise = &mut self.noise;
        let row = |load: &PodLoad| {
            let n_requests = (load.rps * step_s).max(1.0);
            // Standard deviation of a binomial share.
            let scatter = (load.errors * (1.0 - load.errors) / n_requests).sqrt();
            let errors = (load.errors + scatter * noise.normal()).clamp(0.0, 1.0);
            let latency_s = load.latency_s * (1.0 + 0.05 * noise.normal()).max(0.3);
            let cpu_cores = load.cpu_cores * (1.0 + 0.04 * noise.normal()).max(0.1);
            let revision = pods.get(load.slot).map_or(0, |pod| pod.revision);
            ((load.slot, revision), [errors, latency_s, cpu_cores])
        };
        self.steps.push_back(loads.iter().map(row).collect());
    }

    /// Windows of the last `n_steps` steps of every pod that has a row in them, ending `now`.
    pub(crate) fn windows(
        &self,
        subject: &Subject,
        now: Timestamp,
        step: Duration,
        n_steps: usize,
    ) -> Vec<ReplicaWindow> {
        let n_rows = n_steps.min(self.steps.len());
        let (Ok(grid), Ok(schema)) = (Grid::ending_at(now, step, n_rows), schema()) else { return Vec::new() };
        let mut values: BTreeMap<PodKey, Array2<f64>> = BTreeMap::new();
        for (step_idx, rows) in self.steps.iter().skip(self.steps.len() - n_rows).enumerate() {
            for (key, row) in rows {
                let gaps = || Array2::from_elem((n_rows, N_FEATURES), f64::NAN);
                let of_pod = values.entry(*key).or_insert_with(gaps);
                of_pod.row_mut(step_idx).iter_mut().zip(row).for_each(|(cell, value)| *cell = *value);
            }
        }
        let window = |((slot, revision), values)| {
            let replica = format!("{}-{revision:06x}-{slot}", subject.name);
            let window = Window::new(subject.clone(), grid, Arc::clone(&schema), values).ok()?;
            Some(ReplicaWindow { replica, window })
        };
        values.into_iter().filter_map(window).collect()
    }
}

/// Error ratio, latency (s) and CPU (cores) of one pod.
fn schema() -> Result<Arc<Schema>, SchemaError> {
    let feature = |&(name, signal, deviation_min): &(&str, Signal, f64)| Feature {
        name: name.to_owned(),
        signal,
        direction: Direction::Up,
        deviation_min,
    };
    Schema::new(FEATURES.iter().map(feature).collect()).map(Arc::new)
}
