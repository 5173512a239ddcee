//! One feature's forecast, a row at a time: seasons, and three levels that follow at three speeds.
//!
//! Everything in here is in standardised units: deviations of the training column from its mean. Fitting is in `fit`.

use serde::{Deserialize, Serialize};

use super::conformal::Conformal;
use super::ets::{Ets, EtsState};
use super::pace::Pace;
use super::profile::Profile;
use super::spread::Spread;
use super::within::within;
use crate::known_effect::KnownEffect;

/// Distances from the slow level enter it cut at this many deviations: a leak or a step moves it by at most two deviations
/// in 1.4 half-lives, and shows for hours.
const SLOW_CUT: f64 = 2.0;

/// Beyond this many deviations from the slow level a row is away from it, and nothing of it is learned as a season's course.
const AWAY: f64 = 3.0;

/// Distances enter the middle level cut at this many deviations, which is also where they stop counting: one spike moves it
/// by less than 1.4.
const MIDDLE_CUT: f64 = 20.0;

/// Beyond this many deviations a one-step error is extreme.
const EXTREME: f64 = 3.0;

/// After this many extreme one-step errors in a row the quick and the middle level start anew where the feature is: robust
/// smoothing with a small gain would be late for days.
const EXTREME_ROWS_MAX: u16 = 30;

/// Of a run of extreme errors, so many widen the interval. An outage isn't noise: thirty misses would make the interval
/// twenty times as wide, for days.
const EXTREME_ROWS_LEARNED: u16 = 3;

/// A roll-out moves the slow level by at most this many deviations. What a new version does beyond is a finding.
const ABSORBED_MAX: f64 = 10.0;

/// Shorter seasons look the same after an hour.
const DAY_MS: i64 = 86_400_000;

/// Standardised values are cut here, so that nothing that follows overflows.
const STANDARDISED_MAX: f64 = 1e15;

/// One feature's model and state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FeatureForecast {
    /// The training mean and deviation, in the feature's own unit.
    pub(super) centre: f64,
    pub(super) scale: f64,
    /// 1 / `scale`: to divide takes four times as long.
    pub(super) inverse_scale: f64,
    pub(super) seasons: Vec<Profile>,
    pub(super) ets: Ets,
    /// Where the quick and the slow level stood when the history began.
    pub(super) start_quick: f64,
    pub(super) start_slow: f64,
    pub(super) quick: EtsState,
    pub(super) middle: f64,
    pub(super) slow: f64,
    pub(super) quick_spread: Spread,
    pub(super) middle_spread: Spread,
    pub(super) slow_spread: Spread,
    pub(super) conformal: Conformal,
    /// What the present roll-out has moved the slow level by, in its deviations.
    pub(super) absorbed: f64,
    /// Rows without data since the last measurement.
    pub(super) n_gaps: u32,
    /// Rows away from the slow level, less those that weren't.
    pub(super) away_rows: u32,
    /// Extreme one-step errors in a row.
    pub(super) extreme_rows: u16,
}

/// A distance counts at most this many deviations: one feature must not drown the others.
const DISTANCE_CLIP: f64 = 20.0;

/// What a row was expected to be, and how far it was from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// By seasons and quick level, one step ahead.
    pub(super) quick: f64,
    /// By seasons and slow level.
    pub(super) slow: f64,
    /// The prediction interval around `quick`.
    pub(super) lower: f64,
    pub(super) upper: f64,
    /// `value` less what was expected by the quick, middle and slow level; NaN for a gap.
    pub(super) errors: [f64; 3],
    /// 1 / the deviations that these are to be held against.
    pub(super) inverses: [f64; 3],
}

impl FeatureForecast {
    /// What was expected of the next row; then takes the measurement in, which is in the feature's own unit. NaN is a gap:
    /// levels stay, no slope is drawn on through silence, the seasons' clocks go on, and the next one-step forecast is that
    /// much less sure.
    #[inline]
    pub(super) fn step(&mut self, value: f64, known: KnownEffect, pace: &Pace) -> Step {
        let seasonal: f64 = self.seasons.iter().map(Profile::at).sum();
        let quick = self.ets.forecast(self.quick);
        let silence = if self.n_gaps == 0 { 1.0 } else { self.ets.widening(self.n_gaps) };
        let sure = self.quick_spread.value() * silence;
        let inverses = [1.0 / sure, 1.0 / self.middle_spread.value(), 1.0 / self.slow_spread.value()];
        let reach = sure * known.widening();
        let mut step = Step {
            quick: seasonal + quick,
            slow: seasonal + self.slow,
            lower: seasonal + quick - self.conformal.below * reach,
            upper: seasonal + quick + self.conformal.above * reach,
            errors: [f64::NAN; 3],
            inverses: inverses.map(|inverse| inverse * known.excuse()),
        };
        if value.is_nan() {
            self.n_gaps = self.n_gaps.saturating_add(1);
            self.seasons.iter_mut().for_each(Profile::advance);
            return step;
        }
        let rest = self.standardised(value) - seasonal;
        step.errors = [rest - quick, rest - self.middle, rest - self.slow];
        self.take(rest, step.errors, inverses, known, pace);
        step
    }

    /// How far its course so many rows later is from that of the next row, of those seasons that go by the clock; `None` where it has none.
    pub(super) fn moved_by(&self, rows: i64) -> Option<f64> {
        let by_the_clock = || self.seasons.iter().filter(|season| season.period_ms() >= DAY_MS);
        by_the_clock().next()?;
        Some(by_the_clock().map(|season| season.at_rows_after(rows) - season.at()).sum())
    }

    /// How far a value is from what seasons and slow level expect of the next row; NaN for a gap.
    pub(super) fn slow_error(&self, value: f64) -> f64 {
        self.standardised(value) - self.seasons.iter().map(Profile::at).sum::<f64>() - self.slow
    }

    /// In deviations from the training mean.
    #[inline]
    pub(super) fn standardised(&self, value: f64) -> f64 {
        within((value - self.centre) * self.inverse_scale, -STANDARDISED_MAX, STANDARDISED_MAX)
    }

    /// A standardised value in the feature's own unit, finite.
    #[inline]
    pub(super) fn own(&self, standardised: f64) -> f64 {
        within(self.centre + self.scale * standardised, f64::MIN, f64::MAX)
    }

    /// Learns from a row. `rest` is what the seasons leave of it.
    #[inline]
    fn take(&mut self, rest: f64, errors: [f64; 3], inverses: [f64; 3], known: KnownEffect, pace: &Pace) {
        self.n_gaps = 0;
        let [quick_error, middle_error, slow_error] = errors;
        let [quick_distance, middle_distance, slow_distance] =
            [quick_error * inverses[0], middle_error * inverses[1], slow_error * inverses[2]];

        let extreme = quick_distance.abs() > EXTREME;
        self.extreme_rows = if extreme { self.extreme_rows + 1 } else { 0 };
        if pace.learns && known == KnownEffect::None {
            if self.extreme_rows <= EXTREME_ROWS_LEARNED {
                self.conformal.take(quick_distance);
            }
            self.quick_spread.take(quick_distance, pace.spread_rate);
            self.middle_spread.take(middle_distance, pace.spread_rate);
            self.slow_spread.take(slow_distance, pace.spread_rate);
        }
        self.learn_seasons(slow_error, slow_distance, known, pace);
        self.move_slow(slow_distance, inverses[2], known, pace);
        self.quick = self.ets.updated_robustly(self.quick, quick_error, self.quick_spread.value());
        let cut = MIDDLE_CUT * self.middle_spread.value();
        self.middle += pace.middle_rate * within(middle_error, -cut, cut);
        if self.extreme_rows == EXTREME_ROWS_MAX {
            self.quick = EtsState { level: rest, slope: 0.0 };
            self.middle = rest;
            self.extreme_rows = 0;
        }
    }

    /// A planned event is no habit, and neither is what is far away from the usual.
    #[inline]
    fn learn_seasons(&mut self, slow_error: f64, slow_distance: f64, known: KnownEffect, pace: &Pace) {
        let usual = slow_distance.abs() <= AWAY && known != KnownEffect::Event;
        let error = if pace.learns && usual { slow_error } else { 0.0 };
        for season in &mut self.seasons {
            season.learn_and_advance(error);
        }
    }

    /// The slow level takes up little of what is unusual; but what has lasted for `accept_rows` is the new usual, however far
    /// it is: an incident doesn't stay open for ever.
    #[inline]
    fn move_slow(&mut self, slow_distance: f64, inverse: f64, known: KnownEffect, pace: &Pace) {
        match known {
            KnownEffect::Event => {}
            KnownEffect::None => {
                self.absorbed = 0.0;
                let away = slow_distance.abs() > AWAY;
                self.away_rows = if away { self.away_rows + 1 } else { self.away_rows.saturating_sub(1) };
                if self.away_rows >= pace.accept_rows {
                    self.slow = self.middle;
                    self.away_rows = 0;
                } else {
                    self.slow += pace.slow_rate * self.slow_spread.value() * within(slow_distance, -SLOW_CUT, SLOW_CUT);
                }
            }
            KnownEffect::Rollout => {
                let left = (ABSORBED_MAX - self.absorbed).max(0.0);
                let wanted = pace.rollout_rate * (self.middle - self.slow) * inverse;
                let moved = wanted.clamp(-left, left);
                self.absorbed += moved.abs();
                self.slow += moved * self.slow_spread.value();
            }
        }
    }

    /// Rows that nobody measured. The caller turns the clocks.
    pub(super) fn skip(&mut self, n_rows: u32) {
        self.n_gaps = self.n_gaps.saturating_add(n_rows);
    }

    /// Back to where the history began. What was learned of seasons and spreads stays.
    pub(super) fn rewind(&mut self) {
        self.quick = EtsState { level: self.start_quick, slope: 0.0 };
        self.middle = self.start_quick;
        self.slow = self.start_slow;
        (self.absorbed, self.n_gaps, self.away_rows, self.extreme_rows) = (0.0, 0, 0, 0);
    }

    /// Turns the seasons' clocks to a moment.
    pub(super) fn seek(&mut self, at_ms: i64, step_ms: i64) {
        self.seasons.iter_mut().for_each(|season| season.seek(at_ms, step_ms));
    }

    /// Distances from the quick, middle and slow level in deviations, without what doesn't matter (`dead_zone`, in the feature's own
    /// unit), cut at ±[`DISTANCE_CLIP`]; NaN for a gap.
    #[inline]
    pub(super) fn distances(&self, dead_zone: (f64, f64), step: &Step) -> [f64; 3] {
        let (low, high) = (dead_zone.0 * self.inverse_scale, dead_zone.1 * self.inverse_scale);
        std::array::from_fn(|idx| {
            let error = step.errors[idx];
            within((error - within(error, low, high)) * step.inverses[idx], -DISTANCE_CLIP, DISTANCE_CLIP)
        })
    }

    /// Asks for the seasons' courses where the next row falls.
    pub(super) fn look_ahead(&self) {
        self.seasons.iter().for_each(Profile::look_ahead);
    }

    /// The periods of its seasons, in milliseconds.
    pub(super) fn periods_ms(&self) -> impl Iterator<Item = i64> {
        self.seasons.iter().map(Profile::period_ms)
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.seasons.capacity() * size_of::<Profile>() + self.seasons.iter().map(Profile::heap_bytes).sum::<usize>()
    }

    /// Whether its parts make sense together; one that was read from a file may not.
    pub(super) fn is_consistent(&self, step_ms: i64) -> bool {
        let numbers = [
            self.centre,
            self.start_quick,
            self.start_slow,
            self.quick.level,
            self.quick.slope,
            self.middle,
            self.slow,
            self.ets.alpha,
            self.ets.beta,
            self.ets.phi,
            self.absorbed,
        ];
        numbers.iter().all(|number| number.is_finite())
            && self.scale > 0.0
            && self.scale.is_finite()
            && self.inverse_scale == 1.0 / self.scale
            && self.extreme_rows < EXTREME_ROWS_MAX
            && self.seasons.len() <= super::season::SEASONS_MAX
            && self.seasons.iter().all(|season| season.is_consistent(step_ms))
            && [self.quick_spread, self.middle_spread, self.slow_spread].iter().all(Spread::is_consistent)
            && self.conformal.is_consistent()
    }
}
