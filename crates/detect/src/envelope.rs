//! Which levels a time of the day has shown: how far the level of the last quarter of an hour lies outside all of them.
//!
//! The other detectors look at rows and at short windows. A level that is usual at night and held all morning, or one between
//! two usual ones, or one a little beyond all that was ever seen, makes rows that are each nearly usual; to this one they are new.

mod last_day;
mod medians;

use std::time::Duration;

use homeostat_core::{NotReady, RawScore, Scoring, Seed, Timestamp};
use serde::{Deserialize, Serialize};

use self::last_day::{HOUR_MS, HOURS, LastDay};
use self::medians::{LANES, medians};
use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{DetectorBytes, Fitted, HistoryShape, NoOptions, RestoredFile};
use crate::load_options::LoadOptions;
use crate::look_ahead::look_ahead;
use crate::restore_error::RestoreError;
use crate::row_buffer::{Channel, RowBuffer};

const NAME: &str = "envelope";

/// The level is the median of so much time: jobs, spikes and the way from one level to another are the other detectors'.
const LEVEL_OF: Duration = Duration::from_secs(15 * 60);

/// And of so many rows, whatever the step. On simulated services ten rows missed one family of a hundred more, thirty missed eight.
const LEVEL_ROWS: std::ops::RangeInclusive<usize> = 5..=15;

/// An hour that was seen on fewer days knows too little by itself: there the whole day counts.
const DAYS_MIN: usize = 3;

/// Levels are told apart as finely as this share of all that were seen; 128 bits for each hour.
const CELLS: u32 = u128::BITS;

/// One that was seen makes its neighbours known, too.
const CELLS_BESIDE: u32 = 1;

/// Levels farther from the mean than this, in training deviations, are spikes; they must not make the cells coarse.
const DEVIATIONS_MAX: f64 = 20.0;

/// A new level is no news for ever: what the same time of the day before had is known, too. Only one day back, so that a fault of yesterday
/// doesn't hide today's for longer, and only where the level stood within so many training deviations for the hour: an hour in which it
/// moved knows everything between.
const HOUR_WIDTH_MAX: f64 = 1.0;

/// Yesterday's hour knows so many training deviations beyond what it had.
const HOUR_MARGIN: f64 = 0.05;

/// Fewest rows whose level was there.
const LEVELS_MIN: usize = 10;

/// The share of features that must be there.
const PRESENT_SHARE_MIN: f64 = 0.5;

/// Novelty of a level at its time of the day.
///
/// The raw score is the largest, over features, of the distance between the median of the last quarter of an hour and the nearest
/// level that the same hour of the day, or one beside it, had in training or the day before; in training deviations, at most 20. A direction that doesn't
/// matter, and what is within the feature's `deviation_min`, count nothing.
///
/// It takes part in the alert, not in the ranking: a level that is new stays so for hours, while labels mark the moments at which
/// something happens (macro VUS-PR from recorded votes .575 without it in the ranking, .555 with it).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    features: Vec<FeatureLevels>,
    level_rows: usize,
}

/// The known levels of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FeatureLevels {
    /// Where the first cell begins, and how wide each is, in the feature's own unit; a width of 0 is a feature of which nothing is known.
    from: f64,
    width: f64,
    /// By hour of the day (local time), a bit for each cell. A level is known of an hour if that hour or one beside it has shown it: no day
    /// begins at the same minute as the one before.
    known: [u128; HOURS],
    /// A training deviation.
    deviation: f64,
    /// Differences that don't matter.
    dead_zone: (f64, f64),
    last_day: LastDay,
}

impl Envelope {
    /// Of the training rows' levels.
    pub fn new(history: &ExtractedFeatures) -> Self {
        let level_rows = (LEVEL_OF.as_secs_f64() / history.step().as_secs_f64()) as usize;
        let level_rows = level_rows.clamp(*LEVEL_ROWS.start(), *LEVEL_ROWS.end());
        let features = (0..history.n_features()).map(|idx| FeatureLevels::of(history, idx, level_rows));
        Self { features: features.collect(), level_rows }
    }
}

impl FeatureLevels {
    fn of(history: &ExtractedFeatures, feature_idx: usize, level_rows: usize) -> Self {
        let scaler = history.scaler();
        let (mean, deviation) = (scaler.mean(feature_idx), scaler.deviation(feature_idx, Channel::Level));
        let dead_zone = scaler.dead_zone(feature_idx);
        let nothing = Self { from: 0.0, width: 0.0, known: [0; HOURS], deviation, dead_zone, last_day: LastDay::EMPTY };
        let levels = levels(history, feature_idx, level_rows);
        if levels.len() < LEVELS_MIN
            || scaler.is_unmeasured(feature_idx)
            || !(mean.is_finite() && deviation.is_finite())
        {
            return nothing;
        }
        let within = |level: f64| level.clamp(mean - DEVIATIONS_MAX * deviation, mean + DEVIATIONS_MAX * deviation);
        let (least, most) = levels.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), (_, level)| {
            (least.min(within(*level)), most.max(within(*level)))
        });
        let width = ((most - least) / f64::from(CELLS)).max(deviation / f64::from(CELLS));
        if !(width.is_finite() && least.is_finite()) {
            return nothing;
        }
        let empty = Self { from: least, width, ..nothing };
        let known = empty.seen(levels.iter().map(|(at, level)| (*at, within(*level))));
        let mut trained = Self { known, ..empty };
        for (at, level) in &levels {
            trained.remember(*at, *level);
        }
        trained
    }

    /// Asks for what is read at any hour.
    fn look_ahead(&self) {
        look_ahead(std::slice::from_ref(&self.width));
        look_ahead(std::slice::from_ref(&self.last_day));
    }

    /// Asks for what is known of the newest hour.
    fn look_ahead_to_hour(&self) {
        let hour = usize::try_from(self.last_day.newest_hour().rem_euclid(HOURS as i64)).unwrap_or(0);
        look_ahead(&self.known[hour..=hour]);
    }

    fn remember(&mut self, at: Timestamp, level: f64) {
        self.last_day.push(at, (level - self.from) / self.width);
    }

    /// How far a level is outside what yesterday had at this time, where that was a level; in its own unit, 0 within it.
    fn beyond_yesterday(&self, at: Timestamp, level: f64) -> impl Iterator<Item = f64> {
        let deviations = self.width / self.deviation;
        let margin = HOUR_MARGIN * self.deviation;
        let standing = self.last_day.before(at).filter(move |(least, greatest)| {
            let width = (greatest - least) * deviations;
            (0.0..=HOUR_WIDTH_MAX).contains(&width)
        });
        standing.map(move |(least, greatest)| {
            let (least, greatest) =
                (self.from + least * self.width - margin, self.from + greatest * self.width + margin);
            level - level.clamp(least.min(greatest), greatest)
        })
    }

    /// The known cells of each hour.
    fn seen(&self, levels: impl Iterator<Item = (Timestamp, f64)>) -> [u128; HOURS] {
        let mut of_hour = [0_u128; HOURS];
        let mut days: [Vec<i64>; HOURS] = std::array::from_fn(|_| Vec::new());
        for (at, level) in levels {
            let hour = hour_of(at);
            of_hour[hour] |= beside(1 << self.cell(level));
            let day = at.as_millis().div_euclid(DAY_MS);
            // Rows come in the order of time.
            if days[hour].last() != Some(&day) {
                days[hour].push(day);
            }
        }
        let of_day = of_hour.iter().fold(0, |all, cells| all | cells);
        std::array::from_fn(|hour| {
            let hours = [(hour + HOURS - 1) % HOURS, hour, (hour + 1) % HOURS];
            let near = hours.iter().fold(0, |all, near| all | of_hour[*near]);
            let mut on: Vec<i64> = hours.iter().flat_map(|near| days[*near].iter().copied()).collect();
            on.sort_unstable();
            on.dedup();
            if on.len() < DAYS_MIN { of_day } else { near }
        })
    }

    /// The cell of a level; those beyond all that were seen are the first and the last.
    fn cell(&self, level: f64) -> u32 {
        (((level - self.from) / self.width).max(0.0) as u32).min(CELLS - 1)
    }

    /// How far a level is outside all that are known at this moment, in training deviations; `None` if none is.
    fn distance(&self, at: Timestamp, level: f64) -> Option<f64> {
        let known = self.known[hour_of(at)];
        let begin = |cell: u32| self.from + f64::from(cell) * self.width;
        let at_or_below = if level < self.from { 0 } else { u128::MAX >> (CELLS - 1 - self.cell(level)) };
        let (below, above) = (known & at_or_below, known & !at_or_below);
        // How far it is beyond the known levels below it, which is 0 within a known cell, and short of those above it.
        let beyond = (below != 0).then(|| (level - begin(CELLS - below.leading_zeros())).max(0.0));
        let short = (above != 0).then(|| level - begin(above.trailing_zeros()));
        let (least, most) = self.dead_zone;
        let matters = |difference: f64| (difference - difference.clamp(least, most)).abs();
        let distance = match (beyond, short) {
            // A direction that doesn't matter has no end of its dead zone.
            (Some(beyond), Some(short)) if least.is_finite() && most.is_finite() => matters(beyond).min(matters(short)),
            // Higher ones are known: it isn't new that it is high. Nor that it is low.
            (Some(_), Some(_)) => 0.0,
            (Some(one), None) | (None, Some(one)) => matters(one),
            (None, None) => return None,
        };
        if distance == 0.0 {
            return Some(0.0);
        }
        let distance = self.beyond_yesterday(at, level).map(matters).fold(distance, f64::min);
        Some((distance / self.deviation).min(DEVIATIONS_MAX))
    }
}

const DAY_MS: i64 = HOURS as i64 * HOUR_MS;

fn hour_of(at: Timestamp) -> usize {
    usize::try_from(at.as_millis().rem_euclid(DAY_MS) / HOUR_MS).unwrap_or(0)
}

/// The cells and those beside them.
fn beside(cells: u128) -> u128 {
    cells | cells << CELLS_BESIDE | cells >> CELLS_BESIDE
}

/// The levels of the newest row, from this feature on; NaN where there is none.
fn levels_from(row_buffer: &RowBuffer, first_feature: usize, level_rows: usize) -> [f64; LANES] {
    medians((0..level_rows).map(|back| {
        let row = row_buffer.row(back, Channel::Raw).and_then(|row| row.get(first_feature..)).unwrap_or(&[]);
        std::array::from_fn(|lane| row.get(lane).copied().unwrap_or(f64::NAN))
    }))
}

/// The levels of a history's rows, where there are some, by local time.
fn levels(history: &ExtractedFeatures, feature_idx: usize, level_rows: usize) -> Vec<(Timestamp, f64)> {
    let column = history.channel(Channel::Raw).column(feature_idx);
    let mut at = history.start();
    let mut levels = Vec::new();
    for first in (0..column.len()).step_by(LANES) {
        // Each lane is a row of its own.
        let of_rows = medians((0..level_rows).map(|back| {
            std::array::from_fn(|lane| {
                let row = (first + lane).checked_sub(back);
                row.and_then(|row| column.get(row)).copied().unwrap_or(f64::NAN)
            })
        }));
        for level in of_rows {
            if !level.is_nan() {
                levels.push((history.local_time().local(at), level));
            }
            at = at + history.step();
        }
    }
    levels
}

impl Detector for Envelope {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        if row_buffer.n_features() != self.features.len() {
            return Err(ScoreError::Shape { found: row_buffer.n_features(), wanted: self.features.len() });
        }
        let Some(at) = row_buffer.newest_at() else { return Ok(Scoring::NotReady(NotReady::TooFewSteps)) };
        let at = row_buffer.local_time().local(at);
        let (mut largest, mut n_present, mut n_known) = (0.0_f64, 0_usize, 0_usize);
        let Self { features, level_rows } = self;
        for (chunk_idx, chunk) in features.chunks_mut(LANES).enumerate() {
            let levels = levels_from(row_buffer, chunk_idx * LANES, *level_rows);
            for (feature, level) in chunk.iter_mut().zip(levels).filter(|(feature, _)| feature.width > 0.0) {
                n_known += 1;
                if level.is_nan() {
                    continue;
                }
                if let Some(distance) = feature.distance(at, level) {
                    n_present += 1;
                    largest = largest.max(distance);
                }
                feature.remember(at, level);
            }
        }
        if 2 * row_buffer.n_rows() < self.level_rows {
            return Ok(Scoring::NotReady(NotReady::TooFewSteps));
        }
        if n_present == 0 || (n_present as f64) < PRESENT_SHARE_MIN * n_known as f64 {
            return Ok(Scoring::NotReady(NotReady::TooManyGaps));
        }
        Ok(RawScore::new(largest).map_or(Scoring::NotReady(NotReady::TooManyGaps), Scoring::Scored))
    }
}

impl Fitted for Envelope {
    const NAME: &'static str = NAME;
    const RANKS: bool = false;
    const FAULT_ROWS_MIN: usize = *LEVEL_ROWS.end();
    type Spec = NoOptions;
    type Own = Self;

    fn train(_spec: &NoOptions, history: &ExtractedFeatures, _seed: Seed) -> Result<Self, TrainError> {
        let envelope = Self::new(history);
        if envelope.features.iter().all(|feature| feature.width <= 0.0) {
            let n_rows = history.n_rows();
            return Err(TrainError::TooFewRows {
                detector: NAME,
                found: n_rows.min(LEVELS_MIN - 1),
                needed: LEVELS_MIN,
            });
        }
        Ok(envelope)
    }

    fn look_ahead(&self, n_rows_before: usize) {
        match n_rows_before {
            3 => self.features.iter().for_each(FeatureLevels::look_ahead),
            2 => self.features.iter().for_each(FeatureLevels::look_ahead_to_hour),
            _ => {}
        }
    }

    fn own(&self) -> Result<Self, RestoreError> {
        Ok(self.clone())
    }

    fn restore(own: Self, _model: RestoredFile<'_, Self>, _options: &LoadOptions) -> Result<Self, RestoreError> {
        if !LEVEL_ROWS.contains(&own.level_rows) {
            return Err(RestoreError::state(format_args!("its level is of {} rows", own.level_rows)));
        }
        Ok(own)
    }

    fn own_bytes(&self) -> usize {
        size_of::<Self>() + self.features.capacity() * size_of::<FeatureLevels>()
    }

    fn estimated_bytes(_spec: &NoOptions, shape: HistoryShape) -> DetectorBytes {
        DetectorBytes { own: size_of::<Self>() + shape.n_features * size_of::<FeatureLevels>(), shared: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Window};
    use ndarray::Array2;

    use super::*;
    use crate::feature_extractor::FeatureExtractor;
    use crate::scaler::Scaler;

    const STEP: Duration = Duration::from_secs(300);
    const DAY_ROWS: usize = 288;

    /// Six days of rows of five minutes, and an extractor at their end.
    fn trained(direction: Direction, level: impl Fn(usize) -> f64) -> (Envelope, FeatureExtractor) {
        let feature = Feature { name: "cpu".into(), signal: Signal::Cpu, direction, deviation_min: 0.0 };
        let schema = Arc::new(Schema::new(vec![feature]).expect("a schema"));
        let grid = Grid::new(Timestamp::from_secs(0), STEP, 6 * DAY_ROWS).expect("a grid");
        let noise = |row: usize| Seed::new(row as u64).fork("noise").value() as f64 / u64::MAX as f64;
        let values = Array2::from_shape_fn((6 * DAY_ROWS, 1), |(row, _)| level(row) * (0.97 + 0.06 * noise(row)));
        let window = Window::new(Subject::deployment("shop", "cart"), grid, schema, values).expect("a window");
        let scaler = Scaler::fit(&window);
        let envelope = Envelope::new(&ExtractedFeatures::new(&window, &scaler));
        let mut extractor = FeatureExtractor::new(scaler, STEP);
        for step_idx in 0..grid.n_steps() {
            extractor.push(grid.at(step_idx), window.row(step_idx).iter().copied());
        }
        (envelope, extractor)
    }

    /// The score after an hour at this level, so many hours into the next day.
    fn after_an_hour(direction: Direction, of: impl Fn(usize) -> f64, hour: usize, level: f64) -> f64 {
        let (mut envelope, mut extractor) = trained(direction, &of);
        let mut last = None;
        for row in 0..(hour + 1) * DAY_ROWS / 24 {
            let at = Timestamp::from_secs(0) + STEP * (6 * DAY_ROWS + row) as u32;
            let value = if row < hour * DAY_ROWS / 24 { of(row) } else { level };
            extractor.push(at, std::iter::once(value));
            last = crate::contract::scored(envelope.score(extractor.row_buffer()));
        }
        last.expect("a score")
    }

    /// Now one level, now another, for a third of a day each.
    fn modes(row: usize) -> f64 {
        if (row / 96).is_multiple_of(2) { 1.0 } else { 2.5 }
    }

    /// Low at night, high by day.
    fn days(row: usize) -> f64 {
        if (96..240).contains(&(row % DAY_ROWS)) { 10.0 } else { 1.0 }
    }

    #[test]
    fn a_level_between_two_usual_ones_and_one_beyond_both_are_new() {
        let at = |level: f64| after_an_hour(Direction::Both, modes, 3, level);
        assert_eq!((at(1.0), at(2.5)), (0.0, 0.0));
        assert!(at(1.75) > 0.5 && at(5.0) > 2.0 && at(0.0) > 0.5, "{} {} {}", at(1.75), at(5.0), at(0.0));
    }

    #[test]
    fn the_nights_level_held_at_noon_is_new_and_at_night_it_is_not() {
        let at = |hour: usize| after_an_hour(Direction::Both, days, hour, 1.0);
        assert_eq!(at(2), 0.0);
        assert!(at(13) > 1.0, "{}", at(13));
    }

    #[test]
    fn a_direction_that_does_not_matter_is_never_new() {
        let at = |direction: Direction, level: f64| after_an_hour(direction, modes, 3, level);
        assert_eq!((at(Direction::Up, 0.0), at(Direction::Up, 1.75), at(Direction::Down, 5.0)), (0.0, 0.0, 0.0));
        assert!(at(Direction::Up, 5.0) > 2.0 && at(Direction::Down, 0.0) > 0.5);
    }

    #[test]
    fn a_level_that_lasts_is_no_news_after_a_day_and_a_higher_one_is() {
        let (mut envelope, mut extractor) = trained(Direction::Both, |_| 1.0);
        let mut after = |hours: usize, level: f64| {
            let mut last = None;
            for _ in 0..hours * DAY_ROWS / 24 {
                let at = extractor.row_buffer().newest_at().expect("rows") + STEP;
                extractor.push(at, std::iter::once(level));
                last = crate::contract::scored(envelope.score(extractor.row_buffer()));
            }
            last.expect("a score")
        };
        let first_hour = after(1, 2.0);
        assert!(first_hour > 10.0 && after(21, 2.0) == first_hour);
        assert_eq!(after(5, 2.0), 0.0);
        assert!(after(1, 3.0) > 10.0);
        // What it had before stays known.
        assert_eq!(after(1, 1.0), 0.0);
    }

    #[test]
    fn a_fault_of_yesterday_is_known_today_and_forgotten_tomorrow() {
        let fault = |day: usize, row: usize| {
            if day == 0 && (36..48).contains(&row) || day == 2 && row >= 36 { 9.0 } else { 1.0 }
        };
        let (mut envelope, mut extractor) = trained(Direction::Both, |_| 1.0);
        let mut last = None;
        for row in 0..2 * DAY_ROWS + 48 {
            let at = extractor.row_buffer().newest_at().expect("rows") + STEP;
            extractor.push(at, std::iter::once(fault(row / DAY_ROWS, row % DAY_ROWS)));
            last = crate::contract::scored(envelope.score(extractor.row_buffer()));
        }
        assert!(last.is_some_and(|score| score > 10.0), "{last:?}");
    }

    #[test]
    fn a_single_spike_is_left_to_the_others() {
        let (mut envelope, mut extractor) = trained(Direction::Both, modes);
        extractor.push(Timestamp::from_secs(0) + STEP * (6 * DAY_ROWS) as u32, std::iter::once(50.0));
        assert_eq!(crate::contract::scored(envelope.score(extractor.row_buffer())), Some(0.0));
    }
}
