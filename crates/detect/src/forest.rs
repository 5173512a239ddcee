//! The isolation forest as a detector: which rows to give it, and when it can't say.
//!
//! The forest itself knows nothing of row buffers; it is in `isolation`.

mod attribution;
mod chance;
mod grow;
mod isolation;
mod kernel;
mod keys;
mod reservoir;
mod row;
mod score;
mod stored;
#[cfg(test)]
mod tests;
mod tree;

use std::sync::Arc;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use ndarray::{Axis, concatenate};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::row_buffer::RowBuffer;

pub use isolation::IsolationForest;
pub use kernel::Kernel;
pub use reservoir::Reservoir;
pub use score::ForestScratch;

const NAME: &str = "forest";

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
/// The raw score is the paper's anomaly score, in (0, 1). Clones share the trees until one of them is refreshed.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forest {
    n_features: usize,
    forest: Arc<IsolationForest>,
    /// The row under way, and what scoring works with: kept only so that scoring doesn't allocate.
    #[serde(skip)]
    row: Vec<f64>,
    #[serde(skip)]
    scratch: Box<ForestScratch>,
    /// What the forest is refreshed from, once asked for.
    reservoir: Option<Box<Reservoir>>,
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
        Ok(Self { n_features, forest, row: Vec::new(), scratch: Box::default(), reservoir: None })
    }

    /// The trees alone, one for all clones.
    pub fn forest(&self) -> &Arc<IsolationForest> {
        &self.forest
    }

    /// A forest of these trees; `Err` if they weren't grown on rows as row buffers give them.
    pub(crate) fn from_parts(
        forest: Arc<IsolationForest>,
        reservoir: Option<Box<Reservoir>>,
    ) -> Result<Self, &'static str> {
        let n_features = forest.n_columns() / row::N_MAGNITUDES;
        if n_features == 0 || forest.n_columns() != n_features * row::N_MAGNITUDES {
            return Err("a saved forest was grown on other columns than a row_buffer gives");
        }
        Ok(Self { n_features, forest, row: Vec::new(), scratch: Box::default(), reservoir })
    }

    /// What the forest is refreshed from, if it keeps that.
    pub(crate) fn reservoir(&self) -> Option<&Reservoir> {
        self.reservoir.as_deref()
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

    /// Starts a reservoir to refresh from, beginning with the rows the forest was trained on. `rows_max` and `memory_rows` as
    /// in [`Reservoir::new`].
    ///
    /// # Errors
    /// [`TrainError::BadOption`] for a size out of range, or a history of other features.
    pub fn keep_reservoir(
        &mut self,
        history: &ExtractedFeatures,
        rows_max: usize,
        memory_rows: usize,
        seed: Seed,
    ) -> Result<(), TrainError> {
        let mut reservoir = Reservoir::new(&self.forest, rows_max, memory_rows, seed)?;
        for row in row::training_rows(history).rows() {
            let pushed = row.to_slice().map_or(Ok(()), |row| reservoir.push(row));
            pushed.map_err(|error| TrainError::BadOption { detector: NAME, why: error.to_string() })?;
        }
        self.reservoir = Some(Box::new(reservoir));
        Ok(())
    }

    /// Offers the row buffer's newest row to the reservoir, if there is one and at least half of the row is there. Not done by
    /// scoring: whether a row may be learned (no incident, no partial answer) is the caller's knowledge. Allocates nothing.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of features.
    pub fn remember(&mut self, row_buffer: &RowBuffer) -> Result<(), ScoreError> {
        let n_present = self.fill_row(row_buffer)?;
        match &mut self.reservoir {
            Some(reservoir) if 2 * n_present >= self.row.len() => reservoir.push(&self.row),
            Some(_) | None => Ok(()),
        }
    }

    /// Replaces the `n_trees` oldest trees by trees grown from the reservoir ([`IsolationForest::refresh`]). Raw scores move;
    /// what was calibrated on them, the tail, is the caller's to fit again.
    ///
    /// # Errors
    /// [`TrainError::BadOption`] without a reservoir; [`TrainError::TooFewRows`] if it has too few rows yet.
    pub fn refresh(&mut self, n_trees: usize) -> Result<(), TrainError> {
        let Some(reservoir) = &self.reservoir else {
            let why = "there is no reservoir to refresh from: keep one first".into();
            return Err(TrainError::BadOption { detector: NAME, why });
        };
        Arc::make_mut(&mut self.forest).refresh(reservoir, n_trees)
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
            + self.reservoir.as_ref().map_or(0, |reservoir| reservoir.memory_bytes())
            + self.row.capacity() * size_of::<f64>()
            + self.scratch.memory_bytes()
    }
}

impl Detector for Forest {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        let n_present = self.fill_row(row_buffer)?;
        if 2 * n_present < self.row.len() {
            let short = row_buffer.n_rows() < row::ROWS_NEEDED;
            return Ok(Scoring::NotReady(if short { NotReady::TooFewSteps } else { NotReady::TooManyHoles }));
        }
        RawScore::new(self.forest.score_row(&self.row, &mut self.scratch)?)
            .map(Scoring::Scored)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
    }
}
