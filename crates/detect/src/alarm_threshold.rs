//! The alarm threshold of one subject, which moves so that the false-alarm budget holds while the subject drifts.
//!
//! It sees fused surprisals only: no label, no detector, no clock. Where it starts is [`InitialThreshold`]'s business.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::FalseAlarmBudget;
use crate::hysteresis::{Gate, Hysteresis};
use crate::look_ahead::look_ahead;

mod before;
mod recent;

use before::Before;
use recent::Recent;

/// How far one false alarm moves the logarithm of the threshold, at a budget of one a day. On labelled data .05 was too slow
/// for drifting series (1.3 to 1.9 × the budget) and .1 muted true incidents (event F1 .58 instead of .65).
const STEP_LOG: f64 = 0.07;

/// The share of the budget by which quiet moves the threshold down: slower than one alarm a budget moves it up.
const AIM: f64 = 0.65;

/// The largest step: with a very tight budget one alarm mustn't move the threshold by more than two thirds.
const STEP_LOG_MAX: f64 = 0.5;

/// Quiet moves the threshold down to half of where training put it and no further: what the history showed stays known.
const SHIFT_LOG_MIN: f64 = -0.7;

/// Noise moves it up to twenty times at most. What alarms beyond that isn't drift any more: train again.
const SHIFT_LOG_MAX: f64 = 3.0;

/// Shape of the tail by which an alarm's peak is judged. Heavier than the exponential that the initial threshold is fitted with: taking
/// a far false alarm for a true one costs the budget. A half still has a mean; on labelled data 0 to 1 differed little.
const PEAK_SHAPE: f64 = 0.5;

/// A lasting alarm counts once for each such time, as one that nobody could overlook; and that often it calls anew.
pub const ALARM_UNIT: Duration = Duration::from_secs(3600);

/// Alarming rows with a shorter pause between them are one alarm.
const PAUSE: Duration = Duration::from_secs(600);

/// Fewest rows of a unit, where rows are far apart.
pub const ALARM_UNIT_ROWS_MIN: u32 = 12;

/// After so many [units](ALARM_UNIT) without a pause an alarm is taken for a new normal, and each further unit counts as
/// a false alarm whatever its peak. Six hours: an incident that somebody works on is over or known by then.
const ACCEPTED_AFTER_UNITS: u32 = 6;

/// This share of the recent rows lies below the quantile that the threshold is held against: near enough to the threshold to say
/// where it must be, and low enough for incidents, which are rare, to hardly move it.
const RECENT_SHARE: f64 = 0.95;

/// After a week a row counts half: a weekly season is in it.
const RECENT_HALF_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Shares are of so much time at least: two hours and a half of it are a twentieth. After a short history, what only begins must not
/// be taken for what is usual.
const RECENT_MIN: Duration = Duration::from_secs(2 * 86_400);

/// The threshold is at least so many times that quantile at a budget of one a day, and the budget to the power of [`RECENT_POWER`] more:
/// 1.9 times at one in five days, 2.1 at one a week. On six labelled sets 1.2 to 1.35 kept both budgets on five. (Extrapolating
/// the recent rows' tail to the budget kept them, too, but left quiet subjects a quarter of a budget of one a week.)
const RECENT_TIMES: f64 = 1.3;
const RECENT_POWER: f64 = -0.25;

/// Of a lasting alarm so many units count among the recent rows: three hours are 2 % of a week, and no single
/// outage makes us blind to the next one. After so many it is the new normal, and what the forecast accepts is accepted here.
const LEARNED_UNITS: u32 = 3;
const ACCEPTED_UNITS: u32 = 24;

/// False alarms are counted over so many days: long enough to tell four a day from one.
const RATE_DAYS: f64 = 14.0;

/// Beyond so many budgets of false alarms the threshold rises, until there is [one](ENOUGH) again. At 1.5, true incidents are
/// muted where there is one a day: event F1 .53 instead of .69 on one set.
const TOO_MANY: f64 = 3.0;
const ENOUGH: f64 = 1.0;

/// Below this share of the budget it falls.
const TOO_FEW: f64 = 0.7;

/// Shape of the tail by which the threshold of a tighter budget follows from that of a looser one: the predictive tail of the initial threshold is a generalized
/// Pareto distribution with one over the number of clusters for its shape, and twenty clusters are wanted.
const TAIL_SHAPE: f64 = 0.05;

/// What training knows of a subject's alarms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InitialThreshold {
    /// The fused surprisal, in nats, above which incidents opened as often as the budget allows. Above 0.
    pub threshold_nats: f64,
    /// Mean excess of the peaks there, in nats. Above 0.
    pub excess_nats: f64,
}

impl InitialThreshold {
    /// For a budget so many times as tight: where peaks are so many times as rare, and the mean excess there.
    fn tighter(self, times: f64) -> Self {
        let beyond = self.excess_nats / TAIL_SHAPE * (times.powf(TAIL_SHAPE) - 1.0);
        Self { threshold_nats: self.threshold_nats + beyond, excess_nats: self.excess_nats + TAIL_SHAPE * beyond }
    }
}

/// The threshold as it moves: `max(initial · e^min(shift, 0), recent) · e^max(shift, 0)`.
///
/// *Recent* is a multiple of what most rows of the last weeks stay below: where false alarms multiply, usual rows have become
/// wilder, too. Incidents, which are rare, hardly move it.
///
/// The shift follows the false alarms of the last two weeks. Nobody says which alarms are false, so each counts by how false it
/// looks: an alarm whose highest opening level (the same as the initial threshold is fitted to: a single far
/// row counts a quarter) is the excess x above the threshold counts `w = 3 S(x)²`, S being the survival function of the
/// generalized Pareto distribution, `(1 + ξx/β)^(-1/ξ)`. If alarms come from the tail of normal rows, S is uniform on (0, 1) and w has the mean 1:
/// false alarms are counted without bias. An incident four scales out counts 3/81.
///
/// Beyond three budgets each alarm lifts the shift by η·w, until there is one again; with too few it falls by
/// `η · .65 B · Δt` a row (B the budget a day, Δt the row's share of a day). In between nothing moves: true incidents every day don't mute themselves.
///
/// Rows of an open alarm count once an hour, so an ongoing incident isn't learned; after six hours each hour counts fully.
/// The shift is bounded both ways. When an alarm that lasted has become usual to the detectors, the threshold goes back to where it was before, or to a
/// quarter above what is usual now.
///
/// Constant time and memory for each row; no state but this, saved as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmThreshold {
    initial: InitialThreshold,
    hysteresis: Hysteresis,
    /// η, for one false alarm.
    step_log: f64,
    /// `η · .65 B · Δt`, for one row.
    fall_log: f64,
    pause_rows: u32,
    unit_rows: u32,
    shift_log: f64,
    gate: Gate,
    /// The newest scored rows, as many as the gate looks at (64 at most), oldest first.
    recent_nats: Vec<f64>,
    alarm: Option<Alarm>,
    recent: Recent,
    /// How many times the recent rows' quantile the threshold is at least.
    recent_times: f64,
    /// Whether there were too many false alarms, and aren't few enough yet.
    rising: bool,
    /// False alarms a day of late, as they look.
    rate_per_day: f64,
    per_day: f64,
    row_days: f64,
    /// Where it was before an alarm that may have lifted it.
    before: Option<Box<Before>>,
    /// What it was trained for, where it keeps to a tighter budget. Stored is what it was trained for: see [`Self::as_trained`].
    #[serde(skip)]
    trained: Option<Box<Trained>>,
}

/// What a threshold was trained for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trained {
    initial: InitialThreshold,
    per_day: f64,
}

/// An alarm that isn't over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Alarm {
    /// Rows of this unit.
    rows: u32,
    /// Newest rows without alarm.
    calm_rows: u32,
    /// Units before this one.
    units: u32,
    /// The highest opening level of this unit's alarming rows.
    peak_nats: f64,
}

/// How a threshold moves by its budget.
struct Pace {
    step_log: f64,
    fall_log: f64,
    recent_times: f64,
}

impl Pace {
    fn of(per_day: f64, row_days: f64) -> Self {
        let step_log = (STEP_LOG / per_day.sqrt()).min(STEP_LOG_MAX);
        let fall_log = step_log * AIM * per_day * row_days;
        Self { step_log, fall_log, recent_times: RECENT_TIMES * per_day.powf(RECENT_POWER) }
    }
}

impl AlarmThreshold {
    /// Starts where training put it, for rows one a `step`.
    pub fn new(initial: InitialThreshold, budget: &FalseAlarmBudget, step: Duration, hysteresis: Hysteresis) -> Self {
        let per_day = budget.incidents_per_day();
        let rows_in = |time: Duration| time.as_secs_f64() / step.as_secs_f64();
        let row_days = step.as_secs_f64() / 86_400.0;
        let Pace { step_log, fall_log, recent_times } = Pace::of(per_day, row_days);
        let initial = InitialThreshold {
            threshold_nats: initial.threshold_nats.max(f64::MIN_POSITIVE),
            excess_nats: initial.excess_nats.max(f64::MIN_POSITIVE),
        };
        Self {
            initial,
            hysteresis,
            step_log,
            fall_log,
            pause_rows: rows_of(PAUSE, step).max(hysteresis.close_rows),
            unit_rows: rows_of(ALARM_UNIT, step).max(ALARM_UNIT_ROWS_MIN),
            shift_log: 0.0,
            gate: Gate::default(),
            recent_nats: Vec::new(),
            alarm: None,
            recent: Recent::new(rows_in(RECENT_HALF_LIFE), rows_in(RECENT_MIN)),
            recent_times,
            rising: false,
            rate_per_day: per_day,
            per_day,
            row_days,
            before: None,
            trained: None,
        }
    }

    /// Keeps to this budget, or to the one that it was trained for where that is tighter. What it has seen stays known.
    pub(crate) fn hold_to(&mut self, budget: &FalseAlarmBudget) {
        let trained = self.trained();
        let per_day = budget.incidents_per_day().min(trained.per_day);
        if per_day != self.per_day {
            self.keep(per_day, trained.initial.tighter(trained.per_day / per_day));
            self.trained = Some(Box::new(trained));
        }
    }

    /// As it keeps to the budget that it was trained for: what is stored.
    pub(crate) fn as_trained(&self) -> Self {
        let (mut own, trained) = (self.clone(), self.trained());
        if own.trained.take().is_some() {
            own.keep(trained.per_day, trained.initial);
        }
        own
    }

    fn trained(&self) -> Trained {
        self.trained.as_deref().copied().unwrap_or(Trained { initial: self.initial, per_day: self.per_day })
    }

    fn keep(&mut self, per_day: f64, initial: InitialThreshold) {
        let Pace { step_log, fall_log, recent_times } = Pace::of(per_day, self.row_days);
        (self.step_log, self.fall_log, self.recent_times) = (step_log, fall_log, recent_times);
        // Measured by its budget, it alarmed as often as before.
        self.rate_per_day *= per_day / self.per_day;
        (self.per_day, self.initial) = (per_day, initial);
    }

    /// Back where training put it, with nothing seen.
    pub fn restarted(&self) -> Self {
        Self {
            shift_log: 0.0,
            gate: Gate::default(),
            recent_nats: Vec::new(),
            alarm: None,
            rising: false,
            rate_per_day: self.per_day,
            before: None,
            ..self.clone()
        }
    }

    /// Asks for the memory that the next row will read.
    pub(crate) fn look_ahead(&self) {
        self.recent.look_ahead();
        look_ahead(&self.recent_nats);
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| size_of::<Before>() + before.heap_bytes());
        let trained = self.trained.as_ref().map_or(0, |_| size_of::<Trained>());
        self.recent.heap_bytes() + self.recent_nats.capacity() * size_of::<f64>() + before + trained
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(crate) fn is_consistent(&self) -> bool {
        self.recent.is_consistent() && self.before.as_ref().is_none_or(|before| before.is_consistent())
    }

    /// Where it is now, in nats.
    pub fn threshold_nats(&self) -> f64 {
        let lowered = self.initial.threshold_nats * self.shift_log.min(0.0).exp();
        lowered.max(self.recent_times * self.recent.quantile(RECENT_SHARE)) * self.shift_log.max(0.0).exp()
    }

    /// Where training put it, in nats.
    pub fn initial_nats(&self) -> f64 {
        self.initial.threshold_nats
    }

    /// Takes the next row's fused surprisal; the row itself is judged by where the threshold was before. A row without a score
    /// changes nothing but the gate: no time is paid for in which nothing could be seen. Gives where the threshold was for the row.
    pub fn push(&mut self, fused_nats: Option<f64>) -> f64 {
        let threshold = self.threshold_nats();
        self.gate.push(&self.hysteresis, fused_nats.map(|nats| nats / threshold));
        let Some(nats) = fused_nats else { return threshold };
        if self.recent_nats.len() >= self.hysteresis.of_rows as usize {
            self.recent_nats.remove(0);
        }
        self.recent_nats.push(nats);
        self.rate_per_day *= (-self.row_days / RATE_DAYS).exp();
        let mut shift = self.shift_log;
        self.rising = self.rate_per_day > self.per_day * if self.rising { ENOUGH } else { TOO_MANY };
        if self.rate_per_day < TOO_FEW * self.per_day {
            shift -= self.fall_log;
        }
        if self.alarm.is_none_or(|alarm| !(LEARNED_UNITS..ACCEPTED_UNITS).contains(&alarm.units)) {
            self.recent.push(nats);
        } else {
            self.recent.skip();
        }
        let alarms = self.gate.opens(&self.hysteresis);
        if alarms && self.alarm.is_none() && self.before.is_none() {
            self.before = Some(Box::new(Before::new(threshold, self.shift_log, self.recent.clone())));
        }
        if let Some(mut alarm) = self.alarm.take().or_else(|| alarms.then(Alarm::default)) {
            alarm.take_row(alarms.then(|| self.hysteresis.opening_level(&self.recent_nats)));
            let is_over = alarm.calm_rows >= self.pause_rows;
            if is_over || alarm.rows >= self.unit_rows {
                let falseness = self.falseness(&alarm, threshold, is_over);
                self.rate_per_day += falseness / RATE_DAYS;
                if self.rising || self.rate_per_day > TOO_MANY * self.per_day {
                    shift += self.step_log * falseness;
                }
                alarm = Alarm { units: alarm.units.saturating_add(1), calm_rows: alarm.calm_rows, ..Alarm::default() };
            }
            self.alarm = (!is_over).then_some(alarm);
        }
        self.shift_log = shift.clamp(SHIFT_LOG_MIN, SHIFT_LOG_MAX);
        self.settle(nats);
        threshold
    }

    /// Comes down again when what an alarm lifted it above has become usual.
    fn settle(&mut self, nats: f64) {
        let Some(mut before) = self.before.take() else { return };
        let lasts = self.alarm.is_some_and(|alarm| alarm.units >= LEARNED_UNITS);
        let level_nats = self.hysteresis.opening_level(&self.recent_nats);
        let settled = before.push(nats, level_nats, lasts, self.unit_rows);
        if let Some(settled) = settled.filter(|settled| *settled < self.threshold_nats()) {
            self.recent.clone_from(&before.recent);
            self.shift_log = 0.0;
            let lift = (settled / self.threshold_nats()).ln();
            self.shift_log = lift.clamp(before.shift_log.min(0.0), SHIFT_LOG_MAX);
        }
        self.before = (!before.is_over()).then_some(before);
    }

    /// The count w of an alarm's unit: 0 to 3, with mean 1 for false ones.
    fn falseness(&self, alarm: &Alarm, threshold: f64, is_over: bool) -> f64 {
        // The tail's scale moves with the threshold: drift stretches both.
        let scale = self.initial.excess_nats * threshold / self.initial.threshold_nats;
        let excess = (alarm.peak_nats - threshold).max(0.0) / scale;
        let survival = (1.0 + PEAK_SHAPE * excess).powf(-1.0 / PEAK_SHAPE);
        let by_peak = 3.0 * survival.powi(2);
        if alarm.units >= ACCEPTED_AFTER_UNITS && !is_over { by_peak.max(1.0) } else { by_peak }
    }
}

impl Alarm {
    /// Takes a row's opening level, or `None` of a row that doesn't alarm.
    fn take_row(&mut self, level_nats: Option<f64>) {
        self.rows = self.rows.saturating_add(1);
        match level_nats {
            Some(nats) => {
                self.calm_rows = 0;
                self.peak_nats = self.peak_nats.max(nats);
            }
            None => self.calm_rows = self.calm_rows.saturating_add(1),
        }
    }
}

fn rows_of(time: Duration, step: Duration) -> u32 {
    let rows = time.as_millis() / step.as_millis().max(1);
    u32::try_from(rows).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
