//! Principal components: what the features' usual movements together leave unexplained.
//!
//! The autoencoder rebuilds the last rows of each feature and forgives much; the forest looks at one feature at a time. This
//! one knows how features move together (Jackson and Mudholkar 1979, "Control procedures for residuals associated with
//! principal component analysis"): two that always rise together and now don't are far, however small the movement.

use std::sync::Arc;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use linfa_linalg::Order;
use linfa_linalg::eigh::{EigSort, Eigh};
use ndarray::{Array1, Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{DetectorBytes, Fitted, HistoryShape, ModelFile, NoOptions, RestoredFile, SharedPart};
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::row_buffer::{Channel, RowBuffer};

const NAME: &str = "pca";

/// Structs of a model and of what is a subject's own, roughly.
const STRUCT_BYTES: usize = 100;

/// What is rebuilt: movements, not levels, whose correlations change with every release.
const CHANNEL: Channel = Channel::Residual5;

/// Of the variance in training, the components kept explain this much, or a little more. On labelled data .8 and .9 ranked .006 to
/// .008 lower (VUS-PR), .98 the same.
const EXPLAINED: f64 = 0.95;

/// Deviations are cut here, so that one wild row in training doesn't choose the components.
const DEVIATION_MAX: f64 = 20.0;

/// What is left of a feature counts in its deviations in training, but these are at least this much: a feature that the
/// others explain to the last digit would make rounding an anomaly.
const LEFT_MIN: f64 = 0.05;

/// Added to every variance: features that never moved have none, and no component of their own.
const VARIANCE_MIN: f64 = 1e-6;

/// Fewest rows to learn from, for each feature and at all: with fewer the correlations are chance.
const ROWS_PER_FEATURE_MIN: usize = 3;
const ROWS_MIN: usize = 60;

/// Distance from the subspace of usual movements.
///
/// A row is, for each feature, its distance from the mean of the five rows before, in training deviations, cut at ±20. The raw
/// score is `ln(1 + q)`, q being the mean square of what the kept components leave of it, each feature in its own deviations of that; usual
/// rows have a q of about 1. With one feature nothing is kept, and q is the squared distance itself. A gap counts as no
/// movement and takes no part in the mean.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
/// # type Any = Box<dyn std::error::Error>;
/// # /// Latency and traffic of a service: noise, from row `from` of all time.
/// # fn window(name: &str, from: usize, n_rows: usize) -> Result<Window, Any> {
/// #     let feature = |name: &str, signal| Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 };
/// #     let schema = Schema::new(vec![feature("latency", Signal::Latency), feature("traffic", Signal::Traffic)])?;
/// #     let grid = Grid::new(Timestamp::from_secs(60 * from as i64), Duration::from_secs(60), n_rows)?;
/// #     let noise = |row: usize, column: usize| Seed::new((2 * row + column) as u64).fork(name).value() as f64 / u64::MAX as f64;
/// #     let values = ndarray::Array2::from_shape_fn((n_rows, 2), |(row, column)| 1.0 + noise(from + row, column));
/// #     Ok(Window::new(Subject::deployment("shop", name), grid, Arc::new(schema), values)?)
/// # }
/// use homeostat_detect::{ExtractedFeatures, Pca, Scaler};
///
/// let history = window("cart", 0, 400)?;
/// let pca = Pca::train(&ExtractedFeatures::new(&history, &Scaler::fit(&history)), Seed::new(1))?;
/// assert_eq!(pca.n_components(), 1, "two features, and never all");
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedPca", into = "SavedPca")]
pub struct Pca {
    model: Arc<PcaModel>,
    /// The row under way, kept only so that scoring doesn't allocate: the cut row, then what is left of it.
    row: Vec<f64>,
    left: Vec<f64>,
}

/// The trained part, which never changes: one for all subjects it serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PcaModel {
    /// Directions of length 1, `[direction][feature]`: those that are kept, or those that aren't, whichever are fewer.
    directions: Vec<f64>,
    /// Whether `directions` are those that are kept.
    are_kept: bool,
    /// By feature: 1 / the deviation of what is left of it in training.
    inverse_left: Vec<f64>,
}

impl PartialEq for Pca {
    /// The row under way is no part of what a model is.
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model
    }
}

impl Pca {
    /// Finds the components of the rows in which every feature was measured. Draws nothing from `seed`.
    pub fn train(history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train_shared(&[history], seed)
    }

    /// The same of several subjects' rows, where they have the same features: each history is in its own subject's training
    /// deviations, so they compare.
    pub fn train_shared(histories: &[&ExtractedFeatures], _seed: Seed) -> Result<Self, TrainError> {
        let n_features = histories.first().map_or(0, |history| history.n_features());
        if histories.iter().any(|history| history.n_features() != n_features) {
            let why = "subjects that share one must have the same features".to_owned();
            return Err(TrainError::BadOption { detector: NAME, why });
        }
        let (moments, n_rows) = second_moments(histories, n_features);
        let needed = ROWS_MIN.max(ROWS_PER_FEATURE_MIN * n_features);
        if n_rows < needed {
            return Err(TrainError::TooFewRows { detector: NAME, found: n_rows, needed });
        }
        let failed = |why: String| TrainError::Failed { detector: NAME, why };
        let (variances, directions) =
            moments.clone().eigh().map_err(|error| failed(error.to_string()))?.sort_eig(Order::Largest);
        if directions.iter().any(|cell| !cell.is_finite()) {
            return Err(failed("the features' variances have no components".to_owned()));
        }
        let n_kept = n_kept(&variances);
        let are_kept = 2 * n_kept <= n_features;
        let chosen = if are_kept { 0..n_kept } else { n_kept..n_features };
        let chosen = directions.select(Axis(1), &chosen.collect::<Vec<usize>>());
        // What is left is what the other directions explain.
        let left = (0..n_features).map(|feature_idx| {
            let variance: f64 =
                (n_kept..n_features).map(|idx| variances[idx].max(0.0) * directions[[feature_idx, idx]].powi(2)).sum();
            1.0 / variance.sqrt().max(LEFT_MIN)
        });
        let model =
            PcaModel { directions: chosen.t().iter().copied().collect(), are_kept, inverse_left: left.collect() };
        Ok(Self::of(Arc::new(model)))
    }

    fn of(model: Arc<PcaModel>) -> Self {
        let n_features = model.inverse_left.len();
        Self { model, row: vec![0.0; n_features], left: vec![0.0; n_features] }
    }

    /// How many components are kept.
    pub fn n_components(&self) -> usize {
        let n_directions = self.model.n_directions();
        if self.model.are_kept { n_directions } else { self.model.inverse_left.len() - n_directions }
    }

    /// Bytes held: the components, shared with clones, and [`Self::own_bytes`].
    pub fn memory_bytes(&self) -> usize {
        self.model.memory_bytes() + self.own_bytes()
    }

    /// The part of [`Self::memory_bytes`] that clones don't share.
    pub fn own_bytes(&self) -> usize {
        size_of::<Self>() + (self.row.capacity() + self.left.capacity()) * size_of::<f64>()
    }
}

impl PcaModel {
    fn n_directions(&self) -> usize {
        self.directions.len() / self.inverse_left.len().max(1)
    }

    /// Bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + (self.directions.capacity() + self.inverse_left.capacity()) * size_of::<f64>()
    }

    /// Writes to `left` what the kept components don't explain of `row`; both `(n_features)`.
    fn leave(&self, row: &[f64], left: &mut [f64]) {
        let sign = if self.are_kept {
            left.copy_from_slice(row);
            -1.0
        } else {
            left.fill(0.0);
            1.0
        };
        for direction in self.directions.chunks_exact(row.len().max(1)) {
            let along: f64 = direction.iter().zip(row).map(|(a, b)| a * b).sum();
            left.iter_mut().zip(direction).for_each(|(cell, part)| *cell += sign * along * part);
        }
    }
}

/// Mean products of every two features over all complete rows, `(n_features, n_features)`, and how many rows these were. Not less
/// the mean: no movement is the origin, also where only one direction counts.
fn second_moments(histories: &[&ExtractedFeatures], n_features: usize) -> (Array2<f64>, usize) {
    let mut sums = Array2::<f64>::zeros((n_features, n_features));
    let mut n_rows = 0_usize;
    for row in histories.iter().flat_map(|history| history.channel(CHANNEL).rows()) {
        if row.iter().any(|value| value.is_nan()) {
            continue;
        }
        let cut = row.mapv(|value| value.clamp(-DEVIATION_MAX, DEVIATION_MAX));
        for (mut sum, value) in sums.rows_mut().into_iter().zip(&cut) {
            sum.scaled_add(*value, &cut);
        }
        n_rows += 1;
    }
    sums /= n_rows.max(1) as f64;
    sums.diag_mut().iter_mut().for_each(|variance| *variance += VARIANCE_MIN);
    (sums, n_rows)
}

/// How many components explain enough; never all, or nothing would be left to look at.
fn n_kept(variances: &Array1<f64>) -> usize {
    let total: f64 = variances.iter().map(|variance| variance.max(0.0)).sum();
    let mut explained = 0.0;
    let needed = variances.iter().position(|variance| {
        explained += variance.max(0.0);
        explained >= EXPLAINED * total
    });
    needed.map_or(0, |idx| idx + 1).min(variances.len().saturating_sub(1))
}

impl Detector for Pca {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        let Self { model, row, left } = self;
        let n_features = model.inverse_left.len();
        if row_buffer.n_features() != n_features {
            return Err(ScoreError::Shape { found: row_buffer.n_features(), wanted: n_features });
        }
        let Some(moved) = row_buffer.row(0, CHANNEL) else { return Ok(Scoring::NotReady(NotReady::TooFewSteps)) };
        let n_present = moved.iter().filter(|value| !value.is_nan()).count();
        if 2 * n_present < n_features || n_present == 0 {
            let is_short = row_buffer.n_rows() <= CHANNEL.look_back().unwrap_or(0) / 2;
            return Ok(Scoring::NotReady(if is_short { NotReady::TooFewSteps } else { NotReady::TooManyGaps }));
        }
        for (cell, value) in row.iter_mut().zip(moved) {
            *cell = if value.is_nan() { 0.0 } else { value.clamp(-DEVIATION_MAX, DEVIATION_MAX) };
        }
        model.leave(row, left);
        let cells = left.iter().zip(&model.inverse_left).zip(moved).filter(|(_, value)| !value.is_nan());
        let energy: f64 = cells.map(|((left, inverse), _)| (left * inverse).powi(2)).sum();
        RawScore::new((energy / n_present as f64).ln_1p())
            .map(Scoring::Scored)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
    }
}

impl Fitted for Pca {
    const NAME: &'static str = NAME;
    const SHARES: bool = true;
    type Spec = NoOptions;
    type Own = ();

    fn train(_spec: &NoOptions, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train(history, seed)
    }

    fn train_shared(
        _spec: &NoOptions,
        histories: &[&ExtractedFeatures],
        seed: Seed,
    ) -> Option<Result<Self, TrainError>> {
        Some(Self::train_shared(histories, seed))
    }

    fn own(&self) -> Result<(), RestoreError> {
        Ok(())
    }

    fn file(&self) -> Result<ModelFile, RestoreError> {
        ModelFile::postcard(self)
    }

    fn restore(_own: (), model: RestoredFile<'_, Self>, _options: &LoadOptions) -> Result<Self, RestoreError> {
        model.restored()
    }

    fn own_bytes(&self) -> usize {
        self.own_bytes()
    }

    fn shared_part(&self) -> Option<SharedPart> {
        Some(SharedPart::of(&self.model, self.model.memory_bytes()))
    }

    /// Half of all directions at most, and a deviation for each feature; two rows of its own.
    fn estimated_bytes(_spec: &NoOptions, shape: HistoryShape) -> DetectorBytes {
        let n = shape.n_features;
        DetectorBytes {
            own: 2 * n * size_of::<f64>() + STRUCT_BYTES,
            shared: (n / 2 * n + n) * size_of::<f64>() + STRUCT_BYTES,
        }
    }
}

/// The model as it is saved, before it is checked.
#[derive(Serialize, Deserialize)]
struct SavedPca(PcaModel);

impl From<Pca> for SavedPca {
    fn from(pca: Pca) -> Self {
        Self(PcaModel::clone(&pca.model))
    }
}

impl TryFrom<SavedPca> for Pca {
    type Error = &'static str;

    fn try_from(SavedPca(model): SavedPca) -> Result<Self, Self::Error> {
        let n_features = model.inverse_left.len();
        if n_features == 0
            || model.directions.len() % n_features != 0
            || model.directions.len() > n_features * n_features
        {
            return Err("a saved PCA's components don't fit its features");
        }
        if !model.directions.iter().all(|cell| cell.abs() <= 1.0 + 1e-9) {
            return Err("a saved PCA's components aren't directions");
        }
        if !model.inverse_left.iter().all(|inverse| (0.0..=1.0 / LEFT_MIN).contains(inverse)) {
            return Err("a saved PCA's deviations are out of range");
        }
        Ok(Self::of(Arc::new(model)))
    }
}

#[cfg(test)]
mod tests;
