//! DBSCAN as a novelty detector: how far a row is from the dense regions of training.
//!
//! DBSCAN itself labels a fixed set of rows and says nothing of new ones. Its core points do: the union of the balls
//! around them is what training showed to be normal (the clusters' interior), and a new row's distance from it, in units
//! of the balls' radius, is how novel the row is.

mod cores;
mod index;
mod kernel;
mod knee;
mod sample;
mod spec;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use homeostat_settings::Reader;
use serde::{Deserialize, Serialize};

pub(crate) use self::cores::{clustered, distances_to_kth};
use self::index::{CoreIndex, FixedRow};
pub use self::spec::{DbscanSpec, Epsilon};
use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{
    DetectorBytes, Fitted, HistoryShape, ModelFile, OptionFiles, RestoredFile, SharedPart, TunedSetting,
};
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::row_buffer::{Channel, RowBuffer};

const NAME: &str = "dbscan";

/// The struct and the row under way, roughly.
const OWN_BYTES: usize = 500;

/// What a feature contributes to a row, in this order.
const ROW_CHANNELS: [Channel; 3] = [Channel::Level, Channel::Residual3, Channel::Residual20];

/// Below this many rows in the row buffer, gaps are no wonder: the distance from the mean of 20 rows needs 10 before it.
const ROWS_NEEDED: usize = 11;

/// Novelty by distance from DBSCAN's core points.
///
/// A row is, for each feature, its level and its distances from the means of the previous 3 and 20 rows, in training
/// deviations, cut at ±20. The raw score is ln(1 + d²), d² being the squared distance to the nearest core, per dimension, in units of ε²
/// per dimension: ln 2 lies on the surface of a core's ball. The logarithm keeps a far row from drowning what other detectors
/// say of the rows after it (AUC-PR .470 instead of .466 on labelled data; alone it ranks worse, .489 instead of .529). A gap takes part in no distance: the mean runs over the
/// dimensions that are there, and below half of them the detector isn't ready.
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
/// use homeostat_detect::{Dbscan, DbscanSpec, ExtractedFeatures, Epsilon, Scaler};
///
/// let history = window("cart", 0, 400)?;
/// let extracted = ExtractedFeatures::new(&history, &Scaler::fit(&history));
/// let spec = DbscanSpec::default().with_epsilon(Epsilon::Quantile(0.95))?;
/// let dbscan = Dbscan::train(&spec, &extracted, Seed::new(1))?;
/// assert!(dbscan.n_clusters() >= 1 && dbscan.n_cores() > 0 && dbscan.epsilon() > 0.0);
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedDbscan", into = "SavedDbscan")]
pub struct Dbscan {
    model: Arc<DbscanModel>,
    /// The row under way, kept only so that scoring doesn't allocate.
    row: FixedRow,
}

/// The trained part, which never changes: one for all subjects it serves.
#[derive(Debug, PartialEq)]
pub(crate) struct DbscanModel {
    n_features: usize,
    /// The dimensions used, as indices into `[feature][channel]`: those that training mostly had.
    columns: Vec<u32>,
    /// ε², divided by the number of dimensions.
    epsilon_squared: f64,
    n_clusters: usize,
    cores: CoreIndex,
}

impl PartialEq for Dbscan {
    /// The row under way is no part of what a model is.
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model
    }
}

impl Dbscan {
    /// Clusters a bounded sample of the training rows and keeps the cores. Draws nothing from `seed`: the sample is
    /// chosen by rule.
    pub fn train(spec: &DbscanSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train_shared(spec, &[history], seed)
    }

    /// Clusters a bounded sample of several subjects' rows, where they have the same features: each history is in its own
    /// subject's training deviations, so they compare.
    pub fn train_shared(spec: &DbscanSpec, histories: &[&ExtractedFeatures], _seed: Seed) -> Result<Self, TrainError> {
        let n_features = histories.first().map_or(0, |history| history.n_features());
        if histories.iter().any(|history| history.n_features() != n_features) {
            let why = "subjects that share one must have the same features".to_owned();
            return Err(TrainError::BadOption { detector: NAME, why });
        }
        let (columns, rows) = sample::complete_rows(histories, n_features);
        let n_sample = rows.nrows().min(spec.sample_rows_max(columns.len()));
        let min_points = spec.min_points(n_sample);
        let needed = spec::TRAIN_ROWS_MIN.max(2 * min_points);
        if rows.nrows() < needed {
            return Err(TrainError::TooFewRows { detector: NAME, found: rows.nrows(), needed });
        }
        let chosen = sample::chosen(rows.view(), &columns, n_sample.max(needed), 2 * min_points);
        let found = cores::find(rows.select(ndarray::Axis(0), &chosen).view(), spec)?;
        let model = DbscanModel {
            n_features,
            epsilon_squared: found.epsilon * found.epsilon / columns.len() as f64,
            n_clusters: found.n_clusters,
            columns,
            cores: CoreIndex::new(found.cores.view()),
        };
        Ok(Self { model: Arc::new(model), row: FixedRow::default() })
    }

    /// How many dense regions training had.
    pub fn n_clusters(&self) -> usize {
        self.model.n_clusters
    }

    /// How many core points are kept.
    pub fn n_cores(&self) -> usize {
        self.model.cores.n_cores()
    }

    /// ε, in training deviations, per dimension: a row this far from a core in every dimension scores 1.
    pub fn epsilon(&self) -> f64 {
        self.model.epsilon_squared.sqrt()
    }

    /// Bytes held: the cores, shared with clones, and [`Self::own_bytes`].
    pub fn memory_bytes(&self) -> usize {
        self.model.memory_bytes() + self.own_bytes()
    }

    /// The part of [`Self::memory_bytes`] that clones don't share.
    pub fn own_bytes(&self) -> usize {
        size_of::<Self>() + self.row.heap_bytes()
    }
}

impl DbscanModel {
    /// Bytes held.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.columns.capacity() * size_of::<u32>() + self.cores.heap_bytes()
    }
}

/// Feature and place in [`ROW_CHANNELS`] of a column.
fn split(column: u32) -> (usize, usize) {
    (column as usize / ROW_CHANNELS.len(), column as usize % ROW_CHANNELS.len())
}

impl Detector for Dbscan {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        let Self { model, row } = self;
        if row_buffer.n_features() != model.n_features {
            return Err(ScoreError::Shape { found: row_buffer.n_features(), wanted: model.n_features });
        }
        let channels = ROW_CHANNELS.map(|channel| row_buffer.row(0, channel));
        let deviations = model.columns.iter().map(|column| {
            let (feature_idx, channel_idx) = split(*column);
            channels[channel_idx].map_or(f64::NAN, |cells| cells[feature_idx])
        });
        model.cores.fill(row, deviations);
        let n_present = row.n_present();
        if 2 * n_present < model.columns.len() || n_present == 0 {
            let short = row_buffer.n_rows() < ROWS_NEEDED;
            return Ok(Scoring::NotReady(if short { NotReady::TooFewSteps } else { NotReady::TooManyGaps }));
        }
        RawScore::new((model.cores.nearest(row) / model.epsilon_squared).ln_1p())
            .map(Scoring::Scored)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
    }
}

impl Fitted for Dbscan {
    const NAME: &'static str = NAME;
    const SHARES: bool = true;
    const TUNED: &'static [TunedSetting] = spec::TUNED;
    type Spec = DbscanSpec;
    type Own = ();

    fn train(spec: &DbscanSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train(spec, history, seed)
    }

    fn train_shared(
        spec: &DbscanSpec,
        histories: &[&ExtractedFeatures],
        seed: Seed,
    ) -> Option<Result<Self, TrainError>> {
        Some(Self::train_shared(spec, histories, seed))
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

    fn estimated_bytes(spec: &DbscanSpec, shape: HistoryShape) -> DetectorBytes {
        DetectorBytes { own: OWN_BYTES, shared: spec.core_bytes_max(shape.n_features) }
    }

    fn read_options(reader: &mut Reader<'_>, _files: &OptionFiles<'_>) -> Option<DbscanSpec> {
        spec::read(reader)
    }
}

/// The model as it is saved, before it is checked.
#[derive(Serialize, Deserialize)]
struct SavedDbscan {
    n_features: usize,
    columns: Vec<u32>,
    epsilon_squared: f64,
    n_clusters: usize,
    cores: CoreIndex,
}

impl From<Dbscan> for SavedDbscan {
    fn from(dbscan: Dbscan) -> Self {
        let DbscanModel { n_features, columns, epsilon_squared, n_clusters, cores } = &*dbscan.model;
        Self {
            n_features: *n_features,
            columns: columns.clone(),
            epsilon_squared: *epsilon_squared,
            n_clusters: *n_clusters,
            cores: cores.clone(),
        }
    }
}

impl TryFrom<SavedDbscan> for Dbscan {
    type Error = &'static str;
    fn try_from(saved: SavedDbscan) -> Result<Self, Self::Error> {
        let SavedDbscan { n_features, columns, epsilon_squared, n_clusters, cores } = saved;
        if columns.len() != cores.n_columns() {
            return Err("a saved DBSCAN model has cores of another width than its columns");
        }
        let in_order = columns.windows(2).all(|pair| pair[0] < pair[1]);
        if !in_order || columns.last().is_none_or(|last| split(*last).0 >= n_features) {
            return Err("a saved DBSCAN model names columns that its features don't have");
        }
        if !(epsilon_squared > 0.0 && epsilon_squared.is_finite()) {
            return Err("a saved DBSCAN model has no positive epsilon");
        }
        let model = DbscanModel { n_features, columns, epsilon_squared, n_clusters, cores };
        Ok(Self { model: Arc::new(model), row: FixedRow::default() })
    }
}
