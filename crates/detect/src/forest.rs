//! The isolation forest as a detector: which rows to give it, and when it can't say.
//!
//! The forest itself knows nothing of row buffers; it is in `isolation`.

mod attribution;
mod chance;
mod grow;
mod isolation;
mod kernel;
mod keys;
mod row;
mod score;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use homeostat_settings::Reader;
use ndarray::{ArrayView2, Axis, concatenate};
use serde::Serialize;

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{
    DetectorBytes, Fitted, HistoryShape, ModelFile, OptionFiles, RestoredFile, SharedPart, TunedSetting, checked, size,
};
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::row_buffer::RowBuffer;

pub use isolation::IsolationForest;
pub use kernel::Kernel;
pub use score::ForestScratch;

const NAME: &str = "forest";

/// The struct and the row under way, roughly.
const OWN_BYTES: usize = 1_000;

/// Each leaf brings its path length and its share of the nodes, in two forms.
const LEAF_BYTES: usize = 8;

/// The fewest leaves of a tree.
const LEAVES_MIN: usize = 256;

/// Fewest usable rows to grow a forest from: below, "rare" isn't defined.
const TRAIN_ROWS_MIN: usize = 32;

/// Options of the isolation forest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForestSpec {
    n_trees: usize,
    sample_rows_max: usize,
}

impl Default for ForestSpec {
    /// 100 trees of 256 rows, as in the paper (Liu, Ting and Zhou 2008, section 4.1): path lengths converge well before
    /// 100 trees, and larger samples swamp and mask.
    fn default() -> Self {
        Self { n_trees: 100, sample_rows_max: 256 }
    }
}

impl ForestSpec {
    /// Most trees: 1 000 of them take 2 MB, and scores moved by less than 1 % long before.
    pub const N_TREES_MAX: usize = 1_000;
    /// Most rows a tree is grown from: 12 levels then, and counts of rows fit in 16 bits.
    pub const SAMPLE_ROWS_MAX: usize = 4_096;

    /// `n_trees` in 1 to [`Self::N_TREES_MAX`], each grown from at most `sample_rows_max` rows, in 2 to
    /// [`Self::SAMPLE_ROWS_MAX`].
    pub fn new(n_trees: usize, sample_rows_max: usize) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(1..=Self::N_TREES_MAX).contains(&n_trees) {
            return bad(format!("n_trees must be 1 to {}, not {n_trees}", Self::N_TREES_MAX));
        }
        if !(2..=Self::SAMPLE_ROWS_MAX).contains(&sample_rows_max) {
            return bad(format!("sample_rows_max must be 2 to {}, not {sample_rows_max}", Self::SAMPLE_ROWS_MAX));
        }
        Ok(Self { n_trees, sample_rows_max })
    }

    /// Number of trees.
    pub fn n_trees(&self) -> usize {
        self.n_trees
    }

    /// Most rows a tree is grown from.
    pub fn sample_rows_max(&self) -> usize {
        self.sample_rows_max
    }
}

/// An isolation forest on how restless the row and its recent past are.
///
/// A row is, for each feature, `ln(0.05 + x)` of three magnitudes in training deviations: the distance from the mean of
/// the previous 3 rows, from that of the previous 20, and the root mean square of the former over the last 10 rows. On
/// raw levels isolation forests are weak; on these rows they add to every other detector.
///
/// The raw score is the paper's anomaly score, in (0, 1). Clones share the trees.
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
/// use homeostat_detect::{Detector, ExtractedFeatures, FeatureExtractor, Forest, ForestSpec, Scaler};
///
/// let history = window("cart", 0, 400)?;
/// let scaler = Scaler::fit(&history);
/// let mut forest = Forest::train(&ForestSpec::default(), &ExtractedFeatures::new(&history, &scaler), Seed::new(1))?;
/// let mut extractor = FeatureExtractor::new(scaler, history.grid().step());
/// for row in 0..400 {
///     extractor.push(history.grid().at(row), history.row(row).iter().copied());
/// }
/// let scoring = forest.score(extractor.row_buffer())?;
/// let mut contributions = Vec::new();
/// forest.attribute(extractor.row_buffer(), &mut contributions)?;
/// assert_eq!(contributions.len(), 2, "one a feature: why {scoring:?}");
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct Forest {
    n_features: usize,
    forest: Arc<IsolationForest>,
    /// The row under way, and what scoring works with: kept only so that scoring doesn't allocate.
    row: Vec<f64>,
    scratch: Box<ForestScratch>,
    batch: Batch,
}

impl Forest {
    /// Grows a forest on every training row of which at least half is there.
    pub fn train(spec: &ForestSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train_shared(spec, &[history], seed)
    }

    /// Grows one for several subjects with the same features, on the rows of all of them: each history is in its own
    /// subject's training deviations, so they compare.
    pub fn train_shared(spec: &ForestSpec, histories: &[&ExtractedFeatures], seed: Seed) -> Result<Self, TrainError> {
        let n_features = histories.first().map_or(0, |history| history.n_features());
        let of_each: Vec<_> = histories.iter().map(|history| row::training_rows(history)).collect();
        let found = of_each.iter().map(|rows| rows.nrows()).sum();
        if found < TRAIN_ROWS_MIN {
            return Err(TrainError::TooFewRows { detector: NAME, found, needed: TRAIN_ROWS_MIN });
        }
        let full: Vec<_> = of_each.iter().filter(|rows| rows.nrows() > 0).map(|rows| rows.view()).collect();
        let rows = concatenate(Axis(0), &full).map_err(|_| TrainError::BadOption {
            detector: NAME,
            why: "subjects that share one must have the same features".to_owned(),
        })?;
        let forest = Arc::new(IsolationForest::fit(rows.view(), spec, seed)?);
        Ok(Self { n_features, forest, row: Vec::new(), scratch: Box::default(), batch: Batch::default() })
    }

    /// The trees alone, one for all clones.
    pub fn forest(&self) -> &Arc<IsolationForest> {
        &self.forest
    }

    /// A forest of these trees; `Err` if they weren't grown on rows as row buffers give them.
    fn from_trees(forest: Arc<IsolationForest>) -> Result<Self, RestoreError> {
        let n_features = forest.n_columns() / row::N_MAGNITUDES;
        if n_features == 0 || forest.n_columns() != n_features * row::N_MAGNITUDES {
            return Err(RestoreError::state("a saved forest was grown on other columns than a row buffer gives"));
        }
        Ok(Self { n_features, forest, row: Vec::new(), scratch: Box::default(), batch: Batch::default() })
    }

    /// What each feature contributes to the score of the row buffer's newest row, `[n_features]`, in doublings of the score over
    /// that of a row of which nothing is known ([`IsolationForest::attribute`]), into `contributions`.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of features.
    pub fn attribute(&mut self, row_buffer: &RowBuffer, contributions: &mut Vec<f64>) -> Result<(), ScoreError> {
        self.fill_row(row_buffer)?;
        self.forest.attribute(&self.row, &mut self.scratch, contributions)?;
        for feature_idx in 0..self.n_features {
            let magnitudes = feature_idx * row::N_MAGNITUDES..(feature_idx + 1) * row::N_MAGNITUDES;
            contributions[feature_idx] = contributions[magnitudes].iter().sum();
        }
        contributions.truncate(self.n_features);
        Ok(())
    }

    /// The row that the forest sees of a row buffer, into `self.row`; returns how many values are there.
    fn fill_row(&mut self, row_buffer: &RowBuffer) -> Result<usize, ScoreError> {
        if row_buffer.n_features() != self.n_features {
            return Err(ScoreError::Shape { found: row_buffer.n_features(), wanted: self.n_features });
        }
        self.row.resize(row::N_MAGNITUDES * self.n_features, f64::NAN);
        Ok(row::fill(&mut self.row, self.n_features, |back, channel| row_buffer.row(back, channel)))
    }

    /// Bytes held: the trees, shared with clones, and [`Self::own_bytes`].
    pub fn memory_bytes(&self) -> usize {
        self.forest.memory_bytes() + self.own_bytes()
    }

    /// The part of [`Self::memory_bytes`] that clones don't share.
    pub fn own_bytes(&self) -> usize {
        size_of::<Self>()
            + self.row.capacity() * size_of::<f64>()
            + self.scratch.memory_bytes()
            + self.batch.memory_bytes()
    }
}

impl Detector for Forest {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        let n_present = self.fill_row(row_buffer)?;
        if let Some(why) = not_ready(n_present, self.row.len(), row_buffer) {
            return Ok(Scoring::NotReady(why));
        }
        scored(self.forest.score_row(&self.row, &mut self.scratch)?)
    }
}

/// Why a row of which so many of `n_columns` values are there can't be scored, if it can't.
fn not_ready(n_present: usize, n_columns: usize, row_buffer: &RowBuffer) -> Option<NotReady> {
    let is_short = row_buffer.n_rows() < row::ROWS_NEEDED;
    (2 * n_present < n_columns).then_some(if is_short { NotReady::TooFewSteps } else { NotReady::TooManyGaps })
}

fn scored(score: f64) -> Result<Scoring, ScoreError> {
    RawScore::new(score).map(Scoring::Scored).map_err(|error| ScoreError::Model { why: error.to_string() })
}

/// Most rows of one batch: as many as the widest kernel takes at a time, several times over; more gain nothing and cost memory.
const BATCH_ROWS_MAX: usize = 256;

/// Rows of many subjects on their way through the trees at once. What was allocated for one batch serves the next.
#[derive(Clone, Debug, Default)]
struct Batch {
    /// `(n_waiting, n_columns)`.
    rows: Vec<f64>,
    /// Which scoring each waiting row is.
    waiting: Vec<usize>,
    scores: Vec<f64>,
}

impl Batch {
    fn memory_bytes(&self) -> usize {
        (self.rows.capacity() + self.scores.capacity()) * size_of::<f64>()
            + self.waiting.capacity() * size_of::<usize>()
    }
}

impl Forest {
    /// Scores the rows that wait.
    fn run(&mut self, scorings: &mut [Result<Scoring, ScoreError>]) {
        let Self { forest, scratch, batch: Batch { rows, waiting, scores }, .. } = self;
        let shape = (waiting.len(), forest.n_columns());
        let run = ArrayView2::from_shape(shape, rows)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
            .and_then(|rows| forest.score_rows_into(rows, scratch, scores));
        for (idx, scoring_idx) in waiting.iter().enumerate() {
            scorings[*scoring_idx] = match &run {
                Ok(()) => scored(scores[idx]),
                Err(error) => Err(error.clone()),
            };
        }
        rows.clear();
        waiting.clear();
    }
}

impl Fitted for Forest {
    const NAME: &'static str = NAME;
    const SHARES: bool = true;
    const TUNED: &'static [TunedSetting] = &[(
        "forest.sample_rows_max",
        &[
            ("256", &[]),
            ("64", &[("detection.forest.sample_rows_max", "64")]),
            ("1024", &[("detection.forest.sample_rows_max", "1024")]),
        ],
    )];
    type Spec = ForestSpec;
    /// Always `None`; a part of the format.
    type Own = Option<()>;

    fn train(spec: &ForestSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train(spec, history, seed)
    }

    fn train_shared(
        spec: &ForestSpec,
        histories: &[&ExtractedFeatures],
        seed: Seed,
    ) -> Option<Result<Self, TrainError>> {
        Some(Self::train_shared(spec, histories, seed))
    }

    fn score_later(&mut self, row_buffer: &RowBuffer, scorings: &mut Vec<Result<Scoring, ScoreError>>) {
        scorings.push(match self.fill_row(row_buffer) {
            Err(error) => Err(error),
            Ok(n_present) => match not_ready(n_present, self.row.len(), row_buffer) {
                Some(why) => Ok(Scoring::NotReady(why)),
                None => {
                    self.batch.rows.extend_from_slice(&self.row);
                    self.batch.waiting.push(scorings.len());
                    // Replaced when the rows have run.
                    Ok(Scoring::NotReady(NotReady::TooFewSteps))
                }
            },
        });
        if self.batch.waiting.len() == BATCH_ROWS_MAX {
            self.run(scorings);
        }
    }

    fn score_waiting(&mut self, scorings: &mut Vec<Result<Scoring, ScoreError>>) {
        self.run(scorings);
    }

    fn own(&self) -> Result<Option<()>, RestoreError> {
        Ok(None)
    }

    fn file(&self) -> Result<ModelFile, RestoreError> {
        ModelFile::postcard(&*self.forest)
    }

    fn restore(_own: Option<()>, model: RestoredFile<'_, Self>, _options: &LoadOptions) -> Result<Self, RestoreError> {
        match model.known {
            Some(known) => Ok(known.clone()),
            None => Self::from_trees(Arc::new(postcard::from_bytes(model.bytes).map_err(RestoreError::state)?)),
        }
    }

    fn own_bytes(&self) -> usize {
        self.own_bytes()
    }

    fn shared_part(&self) -> Option<SharedPart> {
        Some(SharedPart::of(&self.forest, self.forest.memory_bytes()))
    }

    /// Trees are full heaps, however few rows they were grown from.
    fn estimated_bytes(spec: &ForestSpec, shape: HistoryShape) -> DetectorBytes {
        let rows = spec.sample_rows_max().min(shape.n_rows);
        let leaves = rows.next_power_of_two().max(LEAVES_MIN);
        DetectorBytes { own: OWN_BYTES, shared: spec.n_trees() * leaves * LEAF_BYTES }
    }

    fn read_options(reader: &mut Reader<'_>, _files: &OptionFiles<'_>) -> Option<ForestSpec> {
        let default = ForestSpec::default();
        let n_trees = size(reader, "trees", default.n_trees());
        let sample_rows_max = size(reader, "sample_rows_max", default.sample_rows_max());
        checked::<Self>(reader, ForestSpec::new(n_trees, sample_rows_max))
    }

    fn contributions(
        &mut self,
        row_buffer: &RowBuffer,
        contributions: &mut Vec<f64>,
    ) -> Option<Result<(), ScoreError>> {
        Some(self.attribute(row_buffer, contributions))
    }
}
