//! Turns measured rows into a row buffer, one row at a time; the batch form runs the very same steps.

use std::time::Duration;

use homeostat_core::{LocalTime, Timestamp, Window};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::constant_units::ConstantUnits;
use crate::row_buffer::{BUFFER_ROWS_MAX, CHANNELS, Channel, RowBuffer};
use crate::scaler::Scaler;

/// A scaler with the row buffer it has filled so far.
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
/// use homeostat_detect::{Channel, FeatureExtractor, Pushed, Scaler};
///
/// let history = window("cart", 0, 400)?;
/// let mut extractor = FeatureExtractor::new(Scaler::fit(&history), history.grid().step());
/// let at = |minute: i64| Timestamp::from_secs(60 * minute);
/// extractor.push(at(0), [1.5, 1.5].into_iter());
/// assert_eq!(extractor.push(at(3), [1.5, f64::NAN].into_iter()), Pushed::Appended { gaps: 2 });
/// assert_eq!(extractor.push(at(1), [9.0, 9.0].into_iter()), Pushed::AlreadySeen);
/// let level = extractor.row_buffer().row(0, Channel::Level).ok_or("no row")?;
/// assert!(level[0].abs() < 1.0 && level[1].is_nan(), "deviations; a gap stays a gap");
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "SavedFeatureExtractor", into = "SavedFeatureExtractor")]
pub struct FeatureExtractor {
    scaler: Scaler,
    constant_units: ConstantUnits,
    step: Duration,
    row_buffer: RowBuffer,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is the row buffer's newest row now; this many steps before it had no data and are rows of gaps.
    Appended {
        /// Rows of gaps put in.
        gaps: usize,
    },
    /// It isn't newer than what was seen, so nothing changed.
    AlreadySeen,
}

/// The longest look-back of a residual.
const LOOK_BACK_MAX: usize = 20;

impl FeatureExtractor {
    /// An extractor with an empty row buffer; `step` is the time between rows.
    pub fn new(scaler: Scaler, step: Duration) -> Self {
        let n_features = scaler.n_features();
        let constant_units = ConstantUnits::new(scaler.constants_without_unit());
        Self { row_buffer: RowBuffer::new(n_features), scaler, constant_units, step }
    }

    /// The same, with days and hours that go by this local time instead of UTC.
    #[must_use]
    pub fn in_local_time(self, local_time: LocalTime) -> Self {
        Self { row_buffer: self.row_buffer.in_local_time(local_time), ..self }
    }

    /// After this moment local time is so many seconds later than it was.
    pub(crate) fn change_clock(&mut self, at: Timestamp, change_s: i32) {
        let local_time = self.row_buffer.local_time().changed(at + Duration::from_millis(1), change_s);
        self.row_buffer.set_local_time(local_time);
    }

    /// The training statistics.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// The time between rows.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.scaler.heap_bytes() + self.row_buffer.heap_bytes() + self.constant_units.heap_bytes()
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(crate) fn is_consistent(&self) -> bool {
        let n_features = self.scaler.n_features();
        self.row_buffer.n_features() == n_features
            && self.constant_units.is_consistent(n_features)
            && !self.step.is_zero()
    }

    /// The same statistics with an empty row buffer.
    pub(crate) fn emptied(&self) -> Self {
        let emptied = Self::new(self.scaler.clone(), self.step).in_local_time(self.row_buffer.local_time().clone());
        Self { constant_units: self.constant_units.clone(), ..emptied }
    }

    /// The rows so far.
    pub fn row_buffer(&self) -> &RowBuffer {
        &self.row_buffer
    }

    /// Takes the row measured at `at`, `(n_features)` with NaN for gaps. Steps that were left out become rows of gaps.
    pub fn push(&mut self, at: Timestamp, row: impl ExactSizeIterator<Item = f64> + Clone) -> Pushed {
        let mut gaps = 0;
        if let Some(newest) = self.row_buffer.newest_at() {
            if at <= newest {
                return Pushed::AlreadySeen;
            }
            let missed = at.since(newest).as_millis() / self.step.as_millis().max(1);
            // More gaps than the row buffer holds would only push each other out.
            gaps = usize::try_from(missed.saturating_sub(1)).unwrap_or(usize::MAX).min(BUFFER_ROWS_MAX);
            let steps = u32::try_from(gaps).unwrap_or(u32::MAX);
            for back in (1..=steps).rev() {
                let n_features = self.scaler.n_features();
                self.append(at - self.step * back, std::iter::repeat_n(f64::NAN, n_features));
            }
        }
        self.append(at, row);
        Pushed::Appended { gaps }
    }

    /// What was never measured in training doesn't deviate in a row that has measurements: a detector that needs whole rows
    /// isn't kept from its work by a query that finds nothing.
    fn append(&mut self, at: Timestamp, row: impl Iterator<Item = f64> + Clone) {
        let Self { scaler, row_buffer, constant_units, .. } = self;
        let is_measured = row.clone().any(f64::is_finite);
        let mut new = row_buffer.push(at);
        for (cell, value) in new.cells(Channel::Raw).iter_mut().zip(row) {
            *cell = if value.is_finite() { value } else { f64::NAN };
        }
        constant_units.take(new.cells(Channel::Raw));
        for first in (0..scaler.n_features()).step_by(LANES) {
            let means = Means::before(new.row_buffer(), first);
            for idx in first..scaler.n_features().min(first + LANES) {
                let value = new.cells(Channel::Raw)[idx];
                let is_unmeasured = is_measured && scaler.is_unmeasured(idx);
                for channel in CHANNELS {
                    let difference = match channel.look_back() {
                        None if channel == Channel::Raw => continue,
                        None => value - scaler.mean(idx),
                        Some(rows) => value - means.of(rows, idx - first),
                    };
                    new.cells(channel)[idx] = if is_unmeasured { 0.0 } else { scaler.scaled(idx, channel, difference) };
                }
            }
        }
    }
}

/// Features whose means are taken side by side: one at a time, each addition waits for the one before.
const LANES: usize = 4;

/// Rows that residuals look back at, in the order of their channels.
const LOOK_BACKS: [usize; 4] = [1, 3, 5, LOOK_BACK_MAX];

/// The means of some features over the rows before the newest, for each look-back.
struct Means([[f64; LANES]; LOOK_BACKS.len()]);

impl Means {
    /// Of the features from this one on.
    fn before(row_buffer: &RowBuffer, first_feature: usize) -> Self {
        let mut sums = [[0.0; LANES]; LOOK_BACKS.len()];
        let mut n_present = [[0.0; LANES]; LOOK_BACKS.len()];
        // Oldest first, as `residual` adds them up.
        for back in (1..=LOOK_BACK_MAX).rev() {
            let Some(row) = row_buffer.row(back, Channel::Raw).and_then(|row| row.get(first_feature..)) else {
                continue;
            };
            let cells: [f64; LANES] = match row.first_chunk() {
                Some(cells) => *cells,
                None => std::array::from_fn(|lane| row.get(lane).copied().unwrap_or(f64::NAN)),
            };
            let (values, present) =
                (cells.map(|cell| if cell.is_nan() { 0.0 } else { cell }), cells.map(one_if_present));
            for (idx, look_back) in LOOK_BACKS.iter().enumerate() {
                if back <= *look_back {
                    (0..LANES).for_each(|lane| sums[idx][lane] += values[lane]);
                    (0..LANES).for_each(|lane| n_present[idx][lane] += present[lane]);
                }
            }
        }
        Self(std::array::from_fn(|idx| {
            std::array::from_fn(|lane| {
                let (sum, n) = (sums[idx][lane], n_present[idx][lane]);
                // As few are no mean; 0 / 0 isn't one either.
                if 2.0 * n < LOOK_BACKS[idx] as f64 { f64::NAN } else { sum / n }
            })
        }))
    }

    /// NaN where less than half of the rows are there.
    fn of(&self, look_back: usize, lane: usize) -> f64 {
        LOOK_BACKS.iter().position(|rows| *rows == look_back).map_or(f64::NAN, |idx| self.0[idx][lane])
    }
}

fn one_if_present(cell: f64) -> f64 {
    if cell.is_nan() { 0.0 } else { 1.0 }
}

/// An extractor as it is saved: the rows that residuals look back at once more, by feature, oldest first.
#[derive(Serialize, Deserialize)]
struct SavedFeatureExtractor {
    scaler: Scaler,
    step: Duration,
    row_buffer: RowBuffer,
    recent: Vec<Vec<f64>>,
    constant_units: ConstantUnits,
}

impl From<FeatureExtractor> for SavedFeatureExtractor {
    fn from(FeatureExtractor { scaler, constant_units, step, row_buffer }: FeatureExtractor) -> Self {
        let of_feature = |idx: usize| {
            let rows = (0..LOOK_BACK_MAX).rev().filter_map(|back| row_buffer.row(back, Channel::Raw));
            rows.map(|row| row[idx]).collect()
        };
        let recent = (0..scaler.n_features()).map(of_feature).collect();
        Self { scaler, step, row_buffer, recent, constant_units }
    }
}

impl TryFrom<SavedFeatureExtractor> for FeatureExtractor {
    type Error = &'static str;

    fn try_from(saved: SavedFeatureExtractor) -> Result<Self, Self::Error> {
        let SavedFeatureExtractor { scaler, step, row_buffer, recent, constant_units } = saved;
        if recent.len() == scaler.n_features() {
            Ok(Self { scaler, constant_units, step, row_buffer })
        } else {
            Err("a saved extractor has recent rows of another number of features")
        }
    }
}

/// A whole training window, extracted: what detectors are fitted on.
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
/// use homeostat_detect::{Channel, ExtractedFeatures, Scaler};
///
/// let history = window("cart", 0, 400)?;
/// let extracted = ExtractedFeatures::new(&history, &Scaler::fit(&history));
/// assert_eq!(extracted.channel(Channel::Level).dim(), (400, 2));
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExtractedFeatures {
    start: Timestamp,
    step: Duration,
    scaler: Scaler,
    channels: Vec<Array2<f64>>,
    local_time: LocalTime,
}

impl ExtractedFeatures {
    /// Runs a window through an [`FeatureExtractor`], row by row.
    pub fn new(window: &Window, scaler: &Scaler) -> Self {
        let grid = window.grid();
        let mut extractor = FeatureExtractor::new(scaler.clone(), grid.step());
        let shape = (grid.n_steps(), scaler.n_features());
        let mut channels = vec![Array2::from_elem(shape, f64::NAN); CHANNELS.len()];
        for step_idx in 0..grid.n_steps() {
            extractor.push(grid.at(step_idx), window.row(step_idx).iter().copied());
            for channel in CHANNELS {
                if let Some(row) = extractor.row_buffer().row(0, channel) {
                    channels[channel.index()]
                        .row_mut(step_idx)
                        .iter_mut()
                        .zip(row)
                        .for_each(|(cell, value)| *cell = *value);
                }
            }
        }
        let (start, step, scaler) = (grid.start(), grid.step(), scaler.clone());
        Self { start, step, scaler, channels, local_time: LocalTime::default() }
    }

    /// The same rows, whose days and hours go by this local time instead of UTC.
    #[must_use]
    pub fn in_local_time(self, local_time: LocalTime) -> Self {
        Self { local_time, ..self }
    }

    /// What its days and hours go by.
    pub fn local_time(&self) -> &LocalTime {
        &self.local_time
    }

    /// One channel, `(n_rows, n_features)`; gaps are NaN.
    pub fn channel(&self, channel: Channel) -> &Array2<f64> {
        &self.channels[channel.index()]
    }

    /// The statistics it was scaled with.
    pub fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.channels[0].nrows()
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.channels[0].ncols()
    }

    /// The first row's moment.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The time between rows.
    pub fn step(&self) -> Duration {
        self.step
    }
}

#[cfg(test)]
mod tests;
