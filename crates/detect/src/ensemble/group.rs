//! Subjects with the same features share their largest models.
//!
//! Each subject's rows reach a detector in that subject's own training deviations, so rows of all of them compare, and
//! what is unusual for a workload of a kind is learned from every workload of that kind. One forest, one set of dense
//! regions and one network then serve them all: a tenth of the memory, in the processor's cache at every row, and one
//! training for the group.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Schema, Seed, Window};

use super::fit_part::{FIT_THIRDS, NAME, fit_part};
use super::spec::EnsembleSpec;
use crate::detector::TrainError;
use crate::detectors::{DetectorSpec, Model};
use crate::feature_extractor::ExtractedFeatures;

/// Most histories that a group's models are fitted on, spread evenly over the group. Sixteen weeks of minutes are a hundred
/// times what the detectors sample of them, and hold 80 MB of ten features while they are.
const HISTORIES_MAX: usize = 16;

/// The models that a group of subjects shares. See [`groups`] for which may.
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
/// use homeostat_detect::{Ensemble, EnsembleSpec, SharedModels};
///
/// let spec = EnsembleSpec::default();
/// let histories = [window("cart", 0, 400)?, window("web", 0, 400)?];
/// let shared = SharedModels::train(&spec, &[&histories[0], &histories[1]], Seed::new(1))?;
/// for history in &histories {
///     let ensemble = Ensemble::train_with(&shared, &spec, history, Seed::new(1))?;
///     assert!(ensemble.missing().is_empty());
/// }
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedModels {
    /// What they were fitted on; `None` shares nothing.
    shape: Option<(Schema, Duration)>,
    /// By detector.
    models: Vec<(&'static str, Result<Model, TrainError>)>,
}

impl SharedModels {
    /// Nothing is shared.
    pub fn none() -> Self {
        Self { shape: None, models: Vec::new() }
    }

    /// Trains the group's models on the histories of its subjects, at most sixteen of them, spread evenly. Histories that
    /// are too short have no part in it.
    ///
    /// # Errors
    /// [`TrainError::BadOption`] for an option out of range, or histories of different features;
    /// [`TrainError::TooFewRows`] if no history is long enough. That a single detector can't be trained is no error: it
    /// will be missing from each ensemble, which says why.
    pub fn train(spec: &EnsembleSpec, histories: &[&Window], seed: Seed) -> Result<Self, TrainError> {
        let mut fitted: Vec<ExtractedFeatures> = Vec::with_capacity(histories.len().min(HISTORIES_MAX));
        let (mut shape, mut short) = (None, None);
        for history in shared_sample(histories.len()).map(|idx| histories[idx]) {
            let of_history = || ((**history.schema()).clone(), history.grid().step());
            let group = Self { shape: Some(shape.get_or_insert_with(of_history).clone()), models: Vec::new() };
            group.check(history)?;
            match fit_part(history) {
                Ok((_, _, extracted)) => fitted.push(extracted),
                Err(error) => short = Some(error),
            }
        }
        if fitted.is_empty() {
            let none = TrainError::TooFewRows { detector: NAME, found: 0, needed: 1 };
            return Err(short.unwrap_or(none));
        }
        let fitted: Vec<&ExtractedFeatures> = fitted.iter().collect();
        let train = |detector: &DetectorSpec| {
            let trained = Model::train_shared(detector, &fitted, seed.fork(detector.name()))?;
            Some((detector.name(), trained))
        };
        let models: Vec<_> = spec.detectors.iter().filter_map(train).collect();
        match models.iter().find_map(|(_, model)| model.as_ref().err().filter(|error| is_bad_option(error))) {
            Some(error) => Err(error.clone()),
            None => Ok(Self { shape, models }),
        }
    }

    /// The detector's model for one more subject; `None` if it isn't shared.
    pub(super) fn model(&self, detector: &str) -> Option<Result<Model, TrainError>> {
        self.models.iter().find(|(name, _)| *name == detector).map(|(_, model)| model.clone())
    }

    /// Refuses a history of other features or another step.
    pub(super) fn check(&self, history: &Window) -> Result<(), TrainError> {
        match &self.shape {
            Some((schema, step)) if *schema != **history.schema() || *step != history.grid().step() => {
                let why = "subjects that share models must have the same features and step".to_owned();
                Err(TrainError::BadOption { detector: NAME, why })
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn is_bad_option(error: &TrainError) -> bool {
    match error {
        TrainError::BadOption { .. } => true,
        TrainError::TooFewRows { .. } | TrainError::Failed { .. } => false,
    }
}

/// Which histories may share models, as indices into `histories`, in the order of each group's first: those with the same
/// features and step, of which the same features were mostly measured. A subject without traffic isn't asked to be like
/// those that have some.
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
/// use homeostat_detect::groups;
///
/// // Two workloads with the same queries are a group.
/// assert_eq!(groups(&[window("cart", 0, 400)?, window("web", 0, 400)?]), [vec![0, 1]]);
/// # Ok::<(), Any>(())
/// ```
pub fn groups(histories: &[Window]) -> Vec<Vec<usize>> {
    grouped(&histories.iter().map(kind).collect::<Vec<Kind>>())
}

/// What a history has in common with those it may share models with.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    measured: Vec<bool>,
    step: Duration,
    schema: Arc<Schema>,
}

/// The kind of a history: its features and step, and which of them were mostly measured. With [`grouped`] it is what
/// [`groups`] does, for whoever can't hold all histories at once.
pub fn kind(history: &Window) -> Kind {
    Kind { measured: mostly_measured(history), step: history.grid().step(), schema: Arc::clone(history.schema()) }
}

/// Histories of a kind, as indices into `kinds`, in the order of each group's first.
pub fn grouped(kinds: &[Kind]) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&Kind, Vec<usize>)> = Vec::new();
    for (idx, kind) in kinds.iter().enumerate() {
        match groups.iter_mut().find(|(of_group, _)| *of_group == kind) {
            Some((_, members)) => members.push(idx),
            None => groups.push((kind, vec![idx])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Which of a group's `n` histories [`SharedModels::train`] looks at, evenly spread, by position. Given these alone it gives
/// the same models as given all.
pub fn shared_sample(n: usize) -> impl Iterator<Item = usize> {
    let n_looked_at = n.min(HISTORIES_MAX);
    (0..n_looked_at).map(move |idx| idx * n / n_looked_at)
}

/// Which features at least half of the rows have that models are fitted on.
fn mostly_measured(history: &Window) -> Vec<bool> {
    let n_fit = history.grid().n_steps() * FIT_THIRDS / 3;
    let measured =
        |feature_idx: usize| 2 * (0..n_fit).filter(|row| !history.row(*row)[feature_idx].is_nan()).count() >= n_fit;
    (0..history.schema().n_features()).map(measured).collect()
}

#[cfg(test)]
mod tests;
