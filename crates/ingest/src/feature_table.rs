//! Tables of features without any config: every column a feature, a window for each subject.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{
    Direction, Feature, Grid, GridError, Schema, SchemaError, Signal, Subject, Timestamp, Window, WorkloadKind,
};
use ndarray::Array2;

use crate::matrix::{Labels, Sample};
use crate::readers::{ReadError, SampleSink, SeriesIdx, What, follows, series_text};
use crate::sample_distance::{distances, other_step};
use crate::subject_column::{SUBJECT_COLUMN, UNNAMED};

/// Cells of all windows at most: 50 million are 400 MB, as are the samples they are made of twice.
const CELLS_MAX: usize = 50_000_000;
/// Samples taken at most, 16 bytes each.
const SAMPLES_MAX: usize = 20_000_000;
/// Series at most: subjects times features.
const SERIES_MAX: usize = 100_000;

/// Why a table makes no windows. Each says what to change.
///
/// ```
/// use std::io::Cursor;
/// use homeostat_ingest::{FeatureTable, ReadOptions, TableError, read_samples};
///
/// let mut table = FeatureTable::new();
/// read_samples(Cursor::new("time,cpu\n60,0.5\n"), &ReadOptions::default(), &mut table)?;
/// assert!(matches!(table.windows(None), Err(TableError::OneRow)), "no second row says how far rows are apart");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// There are no measurements.
    #[error("the files hold no measurement")]
    Empty,
    /// One row is no history.
    #[error("there is one row only, so nothing says how far rows are apart")]
    OneRow,
    /// The rows aren't equally far apart.
    #[error(
        "{series}: the intervals are mixed: most rows are {} apart, but {at} comes {found_s} s after the row before; export with one step",
        homeostat_core::format_duration(*step)
    )]
    MixedIntervals {
        /// The feature and the subject.
        series: String,
        /// The usual interval.
        step: Duration,
        /// The row that doesn't fit.
        at: Timestamp,
        /// Its distance from the row before.
        found_s: f64,
    },
    /// The rows are further apart, or closer, than those that the models were trained on.
    #[error(
        "the rows are {} apart, the models were trained on rows {} apart; export with that step, or train models on this one",
        homeostat_core::format_duration(*found),
        homeostat_core::format_duration(*trained)
    )]
    StepMismatch {
        /// The usual distance of the rows.
        found: Duration,
        /// The models' step.
        trained: Duration,
    },
    /// Features that the models know are missing.
    #[error("the files have no column {}; the models were trained on them", features.join(", "))]
    MissingFeatures {
        /// Their names.
        features: Vec<String>,
    },
    /// The columns can't be features.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The rows can't be placed in time.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// More rows than fit.
    #[error("the rows reach from {start} to {end}, more than {CELLS_MAX} cells of {}; export a shorter range", homeostat_core::format_duration(*step))]
    TooLong {
        /// First row.
        start: Timestamp,
        /// Last row.
        end: Timestamp,
        /// Between rows.
        step: Duration,
    },
}

/// A sink for tables.
///
/// ```
/// use std::io::Cursor;
/// use homeostat_ingest::{FeatureTable, ReadOptions, read_samples};
///
/// let mut table = FeatureTable::new();
/// let text = "time,cpu,queue\n60,0.5,3\n120,,4\n180,0.7,5\n";
/// read_samples(Cursor::new(text), &ReadOptions::default(), &mut table)?;
/// let windows = table.windows(None)?;
/// assert_eq!(windows[0].schema().position("queue"), Some(1));
/// assert_eq!(windows[0].last_row().to_vec(), [0.7, 5.0]);
/// assert!(!windows[0].is_present(1, 0), "an empty cell is a gap");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct FeatureTable {
    /// In the order of columns.
    features: Vec<String>,
    series: Vec<(Subject, usize, Vec<Sample>)>,
    known: BTreeMap<(Subject, usize), SeriesIdx>,
    n_samples: usize,
}

impl FeatureTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The windows, one a subject in order, all over the same rows. `wanted` are the features and the step of models that
    /// exist; without it every column is a feature, whose every deviation counts, and the step is the usual distance of rows.
    pub fn windows(self, wanted: Option<(&Arc<Schema>, Duration)>) -> Result<Vec<Window>, TableError> {
        let schema = match wanted {
            Some((schema, _)) => Arc::clone(schema),
            None => Arc::new(self.schema()?),
        };
        let positions = self.positions(&schema)?;
        let step = match wanted {
            Some((_, trained)) => {
                match other_step(self.series.iter().map(|(_, _, samples)| samples.as_slice()), trained) {
                    Some(found) => return Err(TableError::StepMismatch { found, trained }),
                    None => trained,
                }
            }
            None => self.usual_step()?,
        };
        let (start, end) = self.range().ok_or(TableError::Empty)?;
        if self.empty_columns().count() == self.features.len() {
            return Err(TableError::Empty);
        }
        let unknown = self.features.iter().zip(&positions).filter(|(_, position)| position.is_none());
        let unknown: Vec<&str> = unknown.map(|(name, _)| name.as_str()).collect();
        if !unknown.is_empty() {
            tracing::warn!(columns = unknown.join(", "), "the models don't know these columns; they are ignored");
        }
        for name in self.empty_columns() {
            tracing::warn!(column = name, "the column is empty; it is ignored");
        }
        let n_rows = end.since(start).as_millis() / step.as_millis().max(1) + 1;
        let n_subjects =
            self.series.iter().map(|(subject, _, _)| subject).collect::<std::collections::BTreeSet<_>>().len();
        if n_rows.saturating_mul((schema.n_features() * n_subjects) as u128) > CELLS_MAX as u128 {
            return Err(TableError::TooLong { start, end, step });
        }
        let grid = Grid::new(start.align_down(step), step, usize::try_from(n_rows).unwrap_or(usize::MAX))?;
        let mut by_subject: BTreeMap<Subject, Array2<f64>> = BTreeMap::new();
        for (subject, feature_idx, samples) in self.series {
            let Some(column_idx) = positions[feature_idx] else { continue };
            let empty = || Array2::from_elem((grid.n_steps(), schema.n_features()), f64::NAN);
            let values = by_subject.entry(subject.clone()).or_insert_with(empty);
            let name = || format!("{} of {subject}", self.features[feature_idx]);
            place(&samples, start, &grid, name, |step_idx, value| values[[step_idx, column_idx]] = value)?;
        }
        // The arrays were made for this grid and schema, so each is a window.
        let window = |(subject, values)| Window::new(subject, grid, Arc::clone(&schema), values).ok();
        Ok(by_subject.into_iter().filter_map(window).collect())
    }

    /// Columns without any measurement.
    fn empty_columns(&self) -> impl Iterator<Item = &str> {
        let is_measured = |feature_idx: usize| {
            let of_feature = self.series.iter().filter(move |(_, idx, _)| *idx == feature_idx);
            of_feature.flat_map(|(_, _, samples)| samples).any(|sample| sample.value.is_finite())
        };
        let names = self.features.iter().enumerate();
        names.filter(move |(feature_idx, _)| !is_measured(*feature_idx)).map(|(_, name)| name.as_str())
    }

    /// What a column measures isn't known: every deviation of it counts.
    fn schema(&self) -> Result<Schema, SchemaError> {
        let feature = |name: &String| Feature {
            name: name.clone(),
            signal: Signal::Other,
            direction: Direction::Both,
            deviation_min: 0.0,
        };
        Schema::new(self.features.iter().map(feature).collect())
    }

    /// Each own feature's position in `schema`; all of the schema's must be there.
    fn positions(&self, schema: &Schema) -> Result<Vec<Option<usize>>, TableError> {
        let names = schema.features().iter().map(|feature| &feature.name);
        let missing: Vec<String> = names.filter(|name| !self.features.contains(name)).cloned().collect();
        if !missing.is_empty() {
            return Err(TableError::MissingFeatures { features: missing });
        }
        Ok(self.features.iter().map(|name| schema.position(name)).collect())
    }

    fn range(&self) -> Option<(Timestamp, Timestamp)> {
        let ends = self.series.iter().filter_map(|(_, _, samples)| Some((samples.first()?.at, samples.last()?.at)));
        ends.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// The most common distance of neighbours; of equally common ones the shortest.
    fn usual_step(&self) -> Result<Duration, TableError> {
        let counts = distances(self.series.iter().map(|(_, _, samples)| samples.as_slice()));
        match counts.into_iter().rev().max_by_key(|(_, n)| *n) {
            Some((step, _)) => Ok(step),
            None if self.series.iter().all(|(_, _, samples)| samples.is_empty()) => Err(TableError::Empty),
            None => Err(TableError::OneRow),
        }
    }
}

/// Gives each sample its row: a whole number of steps after `start`, which may lie between the grid's moments.
fn place(
    samples: &[Sample],
    start: Timestamp,
    grid: &Grid,
    name: impl Fn() -> String,
    mut put: impl FnMut(usize, f64),
) -> Result<(), TableError> {
    let step = grid.step();
    let mut before = start;
    for sample in samples {
        let offset_ms = sample.at.since(start).as_millis();
        let step_ms = step.as_millis().max(1);
        if offset_ms % step_ms != 0 {
            let found_s = sample.at.since(before).as_secs_f64();
            return Err(TableError::MixedIntervals { series: name(), step, at: sample.at, found_s });
        }
        if let Ok(step_idx) = usize::try_from(offset_ms / step_ms)
            && step_idx < grid.n_steps()
        {
            put(step_idx, sample.value);
        }
        before = sample.at;
    }
    Ok(())
}

impl SampleSink for FeatureTable {
    fn series(&mut self, what: What<'_>, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        let What::Feature(feature) = what else {
            let why = "it holds raw series; --config.file says, by its queries, which features to make of them";
            return Err(ReadError::Unsupported(why.to_owned()));
        };
        let feature_idx = match self.features.iter().position(|known| known == feature) {
            Some(feature_idx) => feature_idx,
            None => {
                self.features.push(feature.to_owned());
                self.features.len() - 1
            }
        };
        let key = (subject(labels)?, feature_idx);
        if let Some(known) = self.known.get(&key) {
            return Ok(Some(*known));
        }
        if self.series.len() >= SERIES_MAX {
            return Err(ReadError::TooMuch { what: "subjects times features", limit: SERIES_MAX });
        }
        let idx = SeriesIdx(self.series.len());
        self.series.push((key.0.clone(), feature_idx, Vec::new()));
        self.known.insert(key, idx);
        Ok(Some(idx))
    }

    fn sample(&mut self, series: SeriesIdx, sample: Sample) -> Result<(), ReadError> {
        let Some((subject, feature_idx, samples)) = self.series.get_mut(series.0) else { return Ok(()) };
        let feature = &self.features[*feature_idx];
        if !follows(samples.last().copied(), sample, || format!("{feature} of {subject}"))? {
            return Ok(());
        }
        self.n_samples += 1;
        if self.n_samples > SAMPLES_MAX {
            return Err(ReadError::TooMuch { what: "samples", limit: SAMPLES_MAX });
        }
        samples.push(sample);
        Ok(())
    }
}

/// The subject of a row: its column `subject` (`namespace/kind/name`, or a name), else `namespace` and `workload`, else the
/// one unnamed subject.
fn subject(labels: &Labels) -> Result<Subject, ReadError> {
    let text = |name: &str| labels.get(name).cloned();
    let external = |namespace: Option<String>, name: String| Subject {
        namespace: namespace.unwrap_or_else(|| UNNAMED.0.to_owned()),
        kind: WorkloadKind::External,
        name,
    };
    if let Some(subject) = text(SUBJECT_COLUMN) {
        if subject.contains('/') {
            return subject.parse().map_err(|error| ReadError::Unsupported(format!("column subject: {error}")));
        }
        return Ok(external(text("namespace"), subject));
    }
    match (text("namespace"), text("workload")) {
        (namespace, Some(workload)) => Ok(external(namespace, workload)),
        (None, None) if labels.is_empty() => Ok(external(None, UNNAMED.1.to_owned())),
        (_, None) => Err(ReadError::Unsupported(format!(
            "rows differ by {}, but no column says which subject they are about; add one called subject, or a config",
            series_text(labels)
        ))),
    }
}

#[cfg(test)]
mod tests;
