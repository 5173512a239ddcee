//! Forecasting as a detector: how far each feature is from what its own past says.

mod clock_watch;
mod conformal;
mod ets;
mod feature;
mod fit;
mod history_rows;
mod pace;
mod profile;
mod season;
mod spread;
#[cfg(test)]
mod tests;
mod within;

use std::time::Duration;

use homeostat_core::{LocalTime, NotReady, RawScore, Scoring, Seed, Timestamp};
use homeostat_settings::Reader;
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{
    DetectorBytes, Expectations, Fitted, HistoryShape, OptionFiles, RestoredFile, TunedSetting, checked, size,
};
use crate::known_effect::KnownEffect;
use crate::load_options::LoadOptions;
use crate::look_ahead::look_ahead;
use crate::restore_error::RestoreError;
use crate::row_buffer::{Channel, RowBuffer};
use crate::scaler::Scaler;
use clock_watch::ClockWatch;
use feature::FeatureForecast;
use history_rows::HistoryRows;
use pace::Pace;

const NAME: &str = "forecast";

/// A feature's forecast without its seasons: smoothing, errors, states and scale.
const FEATURE_BYTES: usize = 400;

/// Fewest rows with at least half of their measurements.
const TRAIN_ROWS_MIN: usize = 32;

/// Within so many deviations of the slow level a row is usual: where the slow level stops counting it as away.
const USUAL: f64 = 3.0;

/// What the squares of the distances from the quick, middle and slow level count; together 1. Alone it would rank better with
/// little of the slow level (.476 VUS-PR on labelled data with 1 : 1 : 0.3, .443 with 1 : 1 : 1), which drifts in quiet times,
/// too. But jumps are what all other detectors see; slow level is what none of them has: the ensemble ranks better with much
/// of it (.551 with 1 : 1 : 0.3, .558 with 1 : 1 : 3), and a leak stands out.
const WEIGHTS: [f64; 3] = [0.2, 0.2, 0.6];

/// Options of the forecasting detector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForecastSpec {
    season_cycles_min: usize,
    slow_half_life_ms: u64,
    accept_ms: u64,
}

impl Default for ForecastSpec {
    /// A season must fit three times into the history: from two cycles, chance can't be told from habit. The slow level
    /// has a half-life of six hours: a leak over an hour or a night stands out, a working week doesn't. What has lasted for a
    /// day is the new usual.
    fn default() -> Self {
        Self { season_cycles_min: 3, slow_half_life_ms: 6 * 3_600_000, accept_ms: 24 * 3_600_000 }
    }
}

impl ForecastSpec {
    /// `season_cycles_min` in 2 to 100; `slow_half_life` from a minute to 30 days.
    pub fn new(season_cycles_min: usize, slow_half_life: Duration) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(2..=100).contains(&season_cycles_min) {
            return bad(format!("season_cycles_min must be 2 to 100, not {season_cycles_min}"));
        }
        let (min, max) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
        if !(min..=max).contains(&slow_half_life) {
            return bad(format!("slow_half_life must be 1m to 30d, not {}s", slow_half_life.as_secs_f64()));
        }
        let slow_half_life_ms = u64::try_from(slow_half_life.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { season_cycles_min, slow_half_life_ms, ..Self::default() })
    }

    /// After what time a level that is away from the usual is accepted as the new usual: an hour to 30 days. It bounds how
    /// long a lasting change keeps an incident open.
    pub fn accepting_after(mut self, accept_after: Duration) -> Result<Self, TrainError> {
        if !(Duration::from_secs(3_600)..=Duration::from_secs(30 * 86_400)).contains(&accept_after) {
            let why = format!("accept_after must be 1h to 30d, not {}s", accept_after.as_secs_f64());
            return Err(TrainError::BadOption { detector: NAME, why });
        }
        self.accept_ms = u64::try_from(accept_after.as_millis()).unwrap_or(u64::MAX);
        Ok(self)
    }

    /// How often a season must fit into the history.
    pub fn season_cycles_min(&self) -> usize {
        self.season_cycles_min
    }

    /// Bytes of a feature's seasons, if it has every one that fits into `n_rows` rows of training.
    pub(crate) fn season_bytes_max(&self, n_rows: usize, step_ms: usize) -> usize {
        season::bytes_max(n_rows, step_ms, self.season_cycles_min)
    }
}

/// Where a measurement is expected to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end, in the feature's own unit.
    pub lower: f64,
    /// The upper end, in the feature's own unit.
    pub upper: f64,
}

impl Interval {
    /// Whether a measurement lies in it, ends included.
    pub fn holds(&self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }
}

/// Seasons and exponential smoothing for each feature, updated in constant time a row and without allocating.
///
/// A one-step forecast follows a slow leak and so never sees it. Therefore each feature is held against three levels, all on
/// top of its seasons (hour, day, week: those that the history shows):
///
/// - the **quick** one: exponential smoothing, one step ahead. It sees jumps.
/// - the **middle** one: an average with a half-life of ten rows. It sees what builds up over some rows.
/// - the **slow** one: an average with a half-life of hours that takes distances in only up to two deviations, so it hardly
///   follows what is unusual. It sees leaks, and steps for as long as they last, but a day at most.
///
/// The raw score is the mean over features of the weighted mean (1 : 1 : 3) of `min(d, 20)²`, where `d` are the distances from the three in
/// deviations of their own errors, without the direction that doesn't matter and without `deviation_min`. Normal
/// rows score about 1.
///
/// What is learned from a row, and what isn't: `docs/decisions/0012-forecast-follows-in-bounds.md`. Prediction intervals
/// ([`intervals`](Self::intervals)) hold 99 % of rows by tracking the quantile of the one-step errors.
///
/// Rows come in order. A row older than the last one starts the levels over from where the training history began, so that
/// the history itself can be replayed.
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
/// use homeostat_detect::{ExtractedFeatures, Forecast, ForecastSpec, Scaler};
///
/// let history = window("cart", 0, 600)?;
/// let extracted = ExtractedFeatures::new(&history, &Scaler::fit(&history));
/// let mut forecast = Forecast::train(&ForecastSpec::default(), &extracted, Seed::new(1))?;
/// forecast.observe(Timestamp::from_secs(60 * 600), &[1.5, 1.5], &[])?;
/// assert!(forecast.intervals()[0].holds(1.5) && !forecast.intervals()[0].holds(9.0));
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SavedForecast")]
pub struct Forecast {
    features: Vec<FeatureForecast>,
    scaler: Scaler,
    pace: Pace,
    step_ms: i64,
    /// The moment of the last row taken in.
    last_ms: i64,
    expected: Vec<f64>,
    intervals: Vec<Interval>,
    /// Read every five minutes only.
    clock_watch: Box<ClockWatch>,
    /// The change of the clock that the newest row has shown, until it is taken.
    #[serde(skip)]
    clock_change_s: Option<i32>,
    /// Whether the newest row's features lay near the slow level. Of the newest row only, so it needn't be saved.
    #[serde(skip)]
    usual: Vec<bool>,
}

/// A [`Forecast`] without what is of its newest row only; as it was read it isn't checked yet.
#[derive(Deserialize)]
struct SavedForecast {
    features: Vec<FeatureForecast>,
    scaler: Scaler,
    pace: Pace,
    step_ms: i64,
    last_ms: i64,
    expected: Vec<f64>,
    intervals: Vec<Interval>,
    clock_watch: Box<ClockWatch>,
}

impl TryFrom<SavedForecast> for Forecast {
    type Error = &'static str;

    fn try_from(saved: SavedForecast) -> Result<Self, Self::Error> {
        let n_features = saved.features.len();
        let is_consistent = saved.step_ms > 0
            && [saved.scaler.n_features(), saved.expected.len(), saved.intervals.len()] == [n_features; 3]
            && saved.pace.is_consistent()
            && saved.clock_watch.is_consistent()
            && saved.features.iter().all(|feature| feature.is_consistent(saved.step_ms));
        is_consistent.then(|| saved.before_its_next_row()).ok_or("the saved forecast's parts don't fit each other")
    }
}

impl SavedForecast {
    fn before_its_next_row(self) -> Forecast {
        let Self { features, scaler, pace, step_ms, last_ms, expected, intervals, clock_watch } = self;
        let (clock_change_s, usual) = (None, vec![false; features.len()]);
        Forecast { features, scaler, pace, step_ms, last_ms, expected, intervals, clock_watch, clock_change_s, usual }
    }
}

impl Forecast {
    /// Fits each feature on its raw column. A feature on which nothing can be fitted (constant, mostly gaps) is held
    /// against its mean. Draws nothing from `seed`: fitting is deterministic.
    pub fn train(spec: &ForecastSpec, history: &ExtractedFeatures, _seed: Seed) -> Result<Self, TrainError> {
        let raw = history.channel(Channel::Raw);
        let n_unmeasured = (0..history.n_features()).filter(|idx| history.scaler().is_unmeasured(*idx)).count();
        let usable = |row: &ndarray::ArrayView1<'_, f64>| {
            let n_measured = row.iter().filter(|value| !value.is_nan()).count();
            n_measured > 0 && 2 * n_measured >= row.len() - n_unmeasured
        };
        let found = raw.rows().into_iter().filter(usable).count();
        if found < TRAIN_ROWS_MIN {
            return Err(TrainError::TooFewRows { detector: NAME, found, needed: TRAIN_ROWS_MIN });
        }
        let start_ms = history.start().as_millis();
        let step_ms = i64::try_from(history.step().as_millis()).unwrap_or(i64::MAX).max(1);
        let pace = Pace::new(spec.slow_half_life_ms, spec.accept_ms, step_ms, history.n_rows());
        let rows = HistoryRows { start: history.start(), step_ms, local_time: history.local_time() };
        let fit =
            |column: ndarray::ArrayView1<'_, f64>| fit::fit(&column.to_vec(), &rows, spec.season_cycles_min, &pace);
        let features: Vec<FeatureForecast> = raw.columns().into_iter().map(fit).collect();
        let n_steps = i64::try_from(history.n_rows()).unwrap_or(i64::MAX) - 1;
        let last_ms = start_ms.saturating_add(n_steps.saturating_mul(step_ms));
        let expected: Vec<f64> = (0..features.len()).map(|idx| history.scaler().mean(idx)).collect();
        let intervals = expected.iter().map(|mean| Interval { lower: *mean, upper: *mean }).collect();
        let (scaler, clock_watch) = (history.scaler().clone(), Box::default());
        let fitted = SavedForecast { features, scaler, pace, step_ms, last_ms, expected, intervals, clock_watch };
        Ok(fitted.before_its_next_row())
    }

    /// What was expected of each feature at the newest row, `(n_features)`, in its own unit: by the quick or the slow level,
    /// whichever it is farther from. Before the first row, the training means.
    pub fn expected(&self) -> &[f64] {
        &self.expected
    }

    /// Where each feature was expected at the newest row, `(n_features)`, one step ahead: 99 % of usual rows lie inside.
    /// Wider after gaps and during a [`KnownEffect`]. Before the first row, the training means alone.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// Whether the newest row's feature lay near its slow level, which accepts a lasting new level after a day: within three
    /// deviations, without the direction that doesn't matter. Not so of a gap.
    pub fn is_usual(&self, feature_idx: usize) -> bool {
        self.usual.get(feature_idx).copied().unwrap_or(false)
    }

    /// The periods of a feature's seasons.
    pub fn periods(&self, feature_idx: usize) -> impl Iterator<Item = Duration> {
        let features = self.features.get(feature_idx).into_iter();
        features.flat_map(|feature| feature.periods_ms().map(|ms| Duration::from_millis(ms.unsigned_abs())))
    }

    /// Bytes held. The scaler's are counted where it comes from, with the extractor.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of::<ClockWatch>()
            + self.features.capacity() * size_of::<FeatureForecast>()
            + self.features.iter().map(FeatureForecast::heap_bytes).sum::<usize>()
            + self.expected.capacity() * size_of::<f64>()
            + self.intervals.capacity() * size_of::<Interval>()
            + self.usual.capacity()
    }

    /// Scores the row measured at `at`, `(n_features)` with NaN for gaps, and learns from it. `known` says what is known
    /// beforehand about each feature; features beyond its end have [`KnownEffect::None`]. Days and hours are those of UTC. Allocates nothing.
    pub fn observe(&mut self, at: Timestamp, row: &[f64], known: &[KnownEffect]) -> Result<Scoring, ScoreError> {
        self.observe_in(&LocalTime::default(), at, row, known)
    }

    /// The same with days and hours of this local time.
    fn observe_in(
        &mut self,
        local_time: &LocalTime,
        at: Timestamp,
        row: &[f64],
        known: &[KnownEffect],
    ) -> Result<Scoring, ScoreError> {
        let n_features = self.features.len();
        if row.len() != n_features {
            return Err(ScoreError::Shape { found: row.len(), wanted: n_features });
        }
        self.advance_to(at, local_time);
        if !known.contains(&KnownEffect::Event) && ClockWatch::looks_at(at.as_millis(), self.step_ms) {
            self.watch_clock(at, row);
        }
        let (mut energy, mut n_present) = (0.0, 0_usize);
        let cells = self.intervals.iter_mut().zip(&mut self.expected);
        for (idx, ((feature, value), (interval, expected))) in self.features.iter_mut().zip(row).zip(cells).enumerate()
        {
            let known = known.get(idx).copied().unwrap_or_default();
            let step = feature.step(*value, known, &self.pace);
            *interval = Interval { lower: feature.own(step.lower), upper: feature.own(step.upper) };
            let [quick, middle, slow] = feature.distances(self.scaler.dead_zone(idx), &step);
            *expected = feature.own(if quick.abs() > slow.abs() { step.quick } else { step.slow });
            self.usual[idx] = slow.abs() <= USUAL;
            if !value.is_nan() {
                energy += WEIGHTS[0] * quick * quick + WEIGHTS[1] * middle * middle + WEIGHTS[2] * slow * slow;
                n_present += 1;
            }
        }
        let n_unmeasured = (0..n_features).filter(|idx| self.scaler.is_unmeasured(*idx)).count();
        if 2 * n_present < n_features - n_unmeasured || n_present == 0 {
            return Ok(Scoring::NotReady(NotReady::TooManyGaps));
        }
        RawScore::new(energy / n_present as f64)
            .map(Scoring::Scored)
            .map_err(|error| ScoreError::Model { why: error.to_string() })
    }

    /// Scores the row buffer's newest row; `known` as in [`Self::observe`].
    pub(crate) fn score_knowing(
        &mut self,
        row_buffer: &RowBuffer,
        known: &[KnownEffect],
    ) -> Result<Scoring, ScoreError> {
        let (Some(at), Some(row)) = (row_buffer.newest_at(), row_buffer.row(0, Channel::Raw)) else {
            if row_buffer.n_features() != self.features.len() {
                return Err(ScoreError::Shape { found: row_buffer.n_features(), wanted: self.features.len() });
            }
            return Ok(Scoring::NotReady(NotReady::TooFewSteps));
        };
        self.observe_in(row_buffer.local_time(), at, row, known)
    }

    /// Takes the row in as evidence of a changed clock, before anything is learned of it.
    fn watch_clock(&mut self, at: Timestamp, row: &[f64]) {
        let [earlier, later] = ClockWatch::changes_rows(self.step_ms);
        let with_a_day = self.features.iter().zip(row).filter_map(|(feature, value)| {
            let moved = [feature.moved_by(earlier)?, feature.moved_by(later)?];
            Some((feature.slow_error(*value), moved))
        });
        self.clock_change_s = self.clock_watch.take(at.as_millis(), self.step_ms, with_a_day);
    }

    /// Brings the states to the row before `at`.
    fn advance_to(&mut self, at: Timestamp, local_time: &LocalTime) {
        let last = Timestamp::from_millis(self.last_ms);
        let since = at.as_millis().saturating_sub(self.last_ms);
        self.last_ms = at.as_millis();
        if since == self.step_ms && !local_time.changes_between(last, at) {
            return;
        }
        let missed = u32::try_from((since / self.step_ms - 1).max(0)).unwrap_or(u32::MAX);
        for feature in &mut self.features {
            if since < 0 {
                feature.rewind();
            } else {
                feature.skip(missed);
            }
            feature.seek(local_time.moment(at).weekday.as_millis(), self.step_ms);
        }
    }
}

impl Detector for Forecast {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        self.score_knowing(row_buffer, &[])
    }
}

impl Expectations for Forecast {
    fn expected(&self, feature_idx: usize) -> Option<f64> {
        self.expected.get(feature_idx).copied().filter(|expected| expected.is_finite())
    }

    fn is_usual(&self, feature_idx: usize) -> bool {
        self.is_usual(feature_idx)
    }
}

impl Fitted for Forecast {
    const NAME: &'static str = NAME;
    const TUNED: &'static [TunedSetting] = &[
        (
            "forecast.season_cycles_min",
            &[
                ("3", &[]),
                ("2", &[("detection.forecast.season_cycles_min", "2")]),
                ("5", &[("detection.forecast.season_cycles_min", "5")]),
            ],
        ),
        (
            "forecast.slow_half_life",
            &[
                ("6h", &[]),
                ("1h", &[("detection.forecast.slow_half_life", "1h")]),
                ("1d", &[("detection.forecast.slow_half_life", "1d")]),
            ],
        ),
        (
            "forecast.accept_after",
            &[
                ("1d", &[]),
                ("6h", &[("detection.forecast.accept_after", "6h")]),
                ("3d", &[("detection.forecast.accept_after", "3d")]),
            ],
        ),
    ];
    type Spec = ForecastSpec;
    type Own = Self;

    fn train(spec: &ForecastSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train(spec, history, seed)
    }

    fn score_knowing(&mut self, row_buffer: &RowBuffer, known: &[KnownEffect]) -> Result<Scoring, ScoreError> {
        self.score_knowing(row_buffer, known)
    }

    fn share_statistics(&mut self, scaler: &Scaler) {
        self.scaler.share_with(scaler);
    }

    fn look_ahead(&self, n_rows_before: usize) {
        match n_rows_before {
            3 => look_ahead(&self.features),
            2 => self.features.iter().for_each(|feature| look_ahead(&feature.seasons)),
            1 => self.features.iter().for_each(FeatureForecast::look_ahead),
            _ => {}
        }
    }

    fn own(&self) -> Result<Self, RestoreError> {
        Ok(self.clone())
    }

    fn restore(own: Self, _model: RestoredFile<'_, Self>, _options: &LoadOptions) -> Result<Self, RestoreError> {
        Ok(own)
    }

    fn own_bytes(&self) -> usize {
        self.memory_bytes()
    }

    fn estimated_bytes(spec: &ForecastSpec, shape: HistoryShape) -> DetectorBytes {
        let seasons = spec.season_bytes_max(shape.n_rows, shape.step_ms);
        DetectorBytes { own: shape.n_features * (FEATURE_BYTES + seasons), shared: 0 }
    }

    fn read_options(reader: &mut Reader<'_>, _files: &OptionFiles<'_>) -> Option<ForecastSpec> {
        let default = ForecastSpec::default();
        let season_cycles_min = size(reader, "season_cycles_min", default.season_cycles_min());
        let slow_half_life = reader.duration("slow_half_life");
        let accept_after = reader.duration("accept_after");
        let slow_half_life = slow_half_life.unwrap_or(Duration::from_millis(default.slow_half_life_ms));
        let accept_after = accept_after.unwrap_or(Duration::from_millis(default.accept_ms));
        let spec = ForecastSpec::new(season_cycles_min, slow_half_life);
        checked::<Self>(reader, spec.and_then(|spec| spec.accepting_after(accept_after)))
    }

    fn expectations(&self) -> Option<&dyn Expectations> {
        Some(self)
    }

    fn take_clock_change(&mut self) -> Option<i32> {
        self.clock_change_s.take()
    }
}
