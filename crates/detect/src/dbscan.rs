//! DBSCAN as a novelty detector: how far a row is from the dense regions of training.
//!
//! DBSCAN itself labels a fixed set of rows and says nothing of new ones. Its core points do: the union of the balls
//! around them is what training showed to be normal (the clusters' interior), and a new row's distance from it, in units
//! of the balls' radius, is how novel the row is.

mod cores;
mod sample;
#[cfg(test)]
mod tests;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::enricher::Enriched;
use crate::trail::{Channel, Trail};

const NAME: &str = "dbscan";

/// What a feature contributes to a row, in this order.
const ROW_CHANNELS: [Channel; 3] = [Channel::Level, Channel::Residual3, Channel::Residual20];

/// Values are cut off here: at 20 training deviations one feature has said all it can, and must not drown the others.
const ROW_CLIP: f64 = 20.0;

/// Below this many rows in the trail, holes are no wonder: the distance from the mean of 20 rows needs 10 before it.
const ROWS_NEEDED: usize = 11;

/// Fewest usable rows to find dense regions in.
const TRAIN_ROWS_MIN: usize = 32;

/// Cores are stored in multiples of this many values, so that distances are computed in whole vectors.
const LANES: usize = 8;

/// Options of the DBSCAN novelty detector.
#[derive(Clone, Debug, PartialEq)]
pub struct DbscanSpec {
    min_points: usize,
    epsilon_quantile: f64,
    sample_rows_max: usize,
    core_rows_max: usize,
}

impl Default for DbscanSpec {
    /// 5 points within ε make a core; ε is the 95 % quantile of the distances to the 5th point, so that the sparsest 5 %
    /// of training count as noise; 2 000 rows are clustered (quadratic time: 50 ms) and 1 000 cores kept.
    fn default() -> Self {
        Self { min_points: 5, epsilon_quantile: 0.95, sample_rows_max: 2_000, core_rows_max: 1_000 }
    }
}

impl DbscanSpec {
    /// Most rows that are clustered: time grows with the square, and 10 000 take seconds.
    pub const SAMPLE_ROWS_MAX: usize = 10_000;

    /// `min_points` in 2 to 100, the row itself counted; `epsilon_quantile` in (0, 1); `sample_rows_max` in 32 to
    /// [`Self::SAMPLE_ROWS_MAX`]; `core_rows_max` in 1 to `sample_rows_max`.
    pub fn new(
        min_points: usize,
        epsilon_quantile: f64,
        sample_rows_max: usize,
        core_rows_max: usize,
    ) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(2..=100).contains(&min_points) {
            return bad(format!("min_points must be 2 to 100, not {min_points}"));
        }
        if !(epsilon_quantile > 0.0 && epsilon_quantile < 1.0) {
            return bad(format!("epsilon_quantile must lie between 0 and 1, not {epsilon_quantile}"));
        }
        if !(TRAIN_ROWS_MIN..=Self::SAMPLE_ROWS_MAX).contains(&sample_rows_max) {
            let max = Self::SAMPLE_ROWS_MAX;
            return bad(format!("sample_rows_max must be {TRAIN_ROWS_MIN} to {max}, not {sample_rows_max}"));
        }
        if !(1..=sample_rows_max).contains(&core_rows_max) {
            return bad(format!("core_rows_max must be 1 to sample_rows_max, not {core_rows_max}"));
        }
        Ok(Self { min_points, epsilon_quantile, sample_rows_max, core_rows_max })
    }

    /// Most core points kept.
    pub fn core_rows_max(&self) -> usize {
        self.core_rows_max
    }
}

/// Novelty by distance from DBSCAN's core points.
///
/// A row is, for each feature, its level and its distances from the means of the previous 3 and 20 rows, in training
/// deviations, cut at ±20. The raw score is the squared distance to the nearest core, per dimension, in units of ε²
/// per dimension: 1 lies on the surface of a core's ball. With holes, the mean runs over the dimensions that are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dbscan {
    n_features: usize,
    /// The dimensions used, as indices into `[feature][channel]`: those that training mostly had.
    columns: Vec<u32>,
    /// ε², divided by the number of dimensions.
    epsilon_squared: f64,
    n_clusters: usize,
    /// `[core][column]`, each core filled up with zeros to a multiple of [`LANES`].
    cores: Vec<f32>,
    /// The row under way and which of its values are there (1) or not (0), filled up like a core: kept only so that
    /// scoring doesn't allocate.
    #[serde(skip)]
    scratch: Scratch,
}

#[derive(Clone, Debug, Default)]
struct Scratch {
    row: Vec<f32>,
    present: Vec<f32>,
}

/// Scratch is no part of what a model is.
impl PartialEq for Scratch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Dbscan {
    /// Clusters a bounded sample of the training rows and keeps the cores. Draws nothing from `seed`: the sample is
    /// chosen by rule.
    pub fn train(spec: &DbscanSpec, history: &Enriched, _seed: Seed) -> Result<Self, TrainError> {
        let (columns, rows) = sample::complete_rows(history);
        let needed = TRAIN_ROWS_MIN.max(2 * spec.min_points);
        if rows.nrows() < needed {
            return Err(TrainError::TooFewRows { detector: NAME, found: rows.nrows(), needed });
        }
        let chosen = sample::chosen(rows.view(), &columns, spec.sample_rows_max, 2 * spec.min_points);
        let found = cores::find(rows.select(ndarray::Axis(0), &chosen), spec)?;
        let width = columns.len().next_multiple_of(LANES);
        let mut cores = vec![0.0_f32; found.cores.nrows() * width];
        for (cells, core) in cores.chunks_exact_mut(width).zip(found.cores.rows()) {
            cells.iter_mut().zip(core).for_each(|(cell, value)| *cell = *value as f32);
        }
        Ok(Self {
            n_features: history.n_features(),
            epsilon_squared: found.epsilon * found.epsilon / columns.len() as f64,
            n_clusters: found.n_clusters,
            columns,
            cores,
            scratch: Scratch::default(),
        })
    }

    /// How many dense regions training had.
    pub fn n_clusters(&self) -> usize {
        self.n_clusters
    }

    /// How many core points are kept.
    pub fn n_cores(&self) -> usize {
        self.cores.len() / self.columns.len().next_multiple_of(LANES)
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        let floats = self.cores.capacity() + self.scratch.row.capacity() + self.scratch.present.capacity();
        size_of::<Self>() + floats * size_of::<f32>() + self.columns.capacity() * size_of::<u32>()
    }

    /// Fills the scratch from the trail's newest row; returns how many of its values are there.
    fn fill(&mut self, trail: &Trail) -> usize {
        let width = self.columns.len().next_multiple_of(LANES);
        self.scratch.row.resize(width, 0.0);
        self.scratch.present.resize(width, 0.0);
        let channels = ROW_CHANNELS.map(|channel| trail.row(0, channel));
        let mut n_present = 0;
        for (idx, column) in self.columns.iter().enumerate() {
            let (feature_idx, channel_idx) = split(*column);
            let value = channels[channel_idx].map_or(f64::NAN, |cells| cells[feature_idx]);
            let present = !value.is_nan();
            n_present += usize::from(present);
            self.scratch.row[idx] = if present { clipped(value) as f32 } else { 0.0 };
            self.scratch.present[idx] = f32::from(u8::from(present));
        }
        n_present
    }

    /// Squared distance to the nearest core over the dimensions that are there.
    fn nearest(&self) -> f32 {
        let Scratch { row, present } = &self.scratch;
        let mut nearest = f32::INFINITY;
        for core in self.cores.chunks_exact(row.len()) {
            let mut sums = [0.0_f32; LANES];
            let blocks = core.chunks_exact(LANES).zip(row.chunks_exact(LANES)).zip(present.chunks_exact(LANES));
            for ((core, row), present) in blocks {
                for lane in 0..LANES {
                    let difference = (row[lane] - core[lane]) * present[lane];
                    sums[lane] += difference * difference;
                }
            }
            nearest = nearest.min(sums.iter().sum());
        }
        nearest
    }
}

/// Feature and place in [`ROW_CHANNELS`] of a column.
fn split(column: u32) -> (usize, usize) {
    (column as usize / ROW_CHANNELS.len(), column as usize % ROW_CHANNELS.len())
}

fn clipped(value: f64) -> f64 {
    value.clamp(-ROW_CLIP, ROW_CLIP)
}

impl Detector for Dbscan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, trail: &Trail) -> Result<Scoring, ScoreError> {
        if trail.n_features() != self.n_features {
            return Err(ScoreError::Shape { found: trail.n_features(), wanted: self.n_features });
        }
        let n_present = self.fill(trail);
        if 2 * n_present < self.columns.len() || n_present == 0 {
            let short = trail.n_rows() < ROWS_NEEDED;
            return Ok(Scoring::NotReady(if short { NotReady::TooFewSteps } else { NotReady::TooManyHoles }));
        }
        let per_dimension = f64::from(self.nearest()) / n_present as f64;
        RawScore::new(per_dimension / self.epsilon_squared)
            .map(Scoring::Scored)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
    }
}
