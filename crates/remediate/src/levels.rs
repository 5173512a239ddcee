//! Where signals stood when an action was decided, and whether it made them worse (I17). Pure.

use std::collections::BTreeMap;

use homeostat_core::{Signal, Timestamp};
use serde::{Deserialize, Serialize};

use crate::observation::{NEWEST_AGE_MAX, Observation, by_moment};
use crate::plan::VerifySpec;

/// Where each signal stood when an action was decided, by feature name.
pub type Levels = BTreeMap<String, Level>;

/// Where a signal stood.
///
/// ```
/// use homeostat_remediate::Level;
///
/// let before = Level { deviation: 12.0, value: 0.2 };
/// assert_eq!(serde_json::to_string(&before)?, r#"{"deviation":12.0,"value":0.2}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// How far it was from normal, in training deviations; never negative.
    pub deviation: f64,
    /// What was measured then.
    pub value: f64,
}

/// The level before an action is the largest deviation of so many of the newest rows: a fault's signals swing, and a single row
/// may lie in a dip.
const LEVEL_ROWS: usize = 3;

/// Worse is at least twice as far from normal as before. While a fault goes on its signals swing by tens of percent by
/// themselves.
const WORSE_TIMES: f64 = 2.0;

/// And at least so many training deviations further: within four a signal is normal, so what was well before isn't called worse
/// before it has left its normal range.
const WORSE_BY_DEVIATIONS: f64 = 4.0;

/// Where the scale of deviations ends: what is that far away, or further, is at 200.
const DEVIATIONS_MAX: f64 = 200.0;

impl Level {
    /// What a row shows, if the signal was measured in it.
    fn of(seen: &Observation) -> Option<Self> {
        let (deviation, value) = (seen.deviation?, seen.value?);
        (deviation.is_finite() && value.is_finite()).then_some(Self { deviation: deviation.abs(), value })
    }

    /// Whether the signal is clearly further from normal in this row. Where twice the deviation would be beyond the scale, twice
    /// the measurement counts, or half of it, if too little is what is wrong.
    fn is_exceeded_by(self, seen: &Observation) -> bool {
        let Some(now) = Self::of(seen) else { return false };
        let worse_from = (self.deviation * WORSE_TIMES).max(self.deviation + WORSE_BY_DEVIATIONS);
        if worse_from <= DEVIATIONS_MAX {
            return now.deviation >= worse_from;
        }
        let is_as_far = now.deviation >= self.deviation;
        is_as_far
            && match seen.deviation {
                Some(signed) if signed < 0.0 => now.value * WORSE_TIMES <= self.value,
                Some(_) | None => now.value >= self.value * WORSE_TIMES,
            }
    }
}

/// Where the signals stood when an action was decided, by the newest rows. A signal that wasn't measured has no level, and isn't
/// compared later.
pub fn levels(features: &[String], observations: &[Observation]) -> Levels {
    let mut levels = Levels::new();
    for (name, rows) in by_feature(features, observations) {
        let newest = &rows[rows.len().saturating_sub(LEVEL_ROWS)..];
        let furthest = newest.iter().filter_map(|seen| Level::of(seen));
        if let Some(level) = furthest.max_by(|a, b| a.deviation.total_cmp(&b.deviation)) {
            levels.insert(name.to_owned(), level);
        }
    }
    levels
}

/// Which signal has been clearly worse than when the action was decided, on every row of the latest stabilisation time, if one
/// has. What a roll-out itself stirs up in that time after the write doesn't count, so this is known after twice that time at
/// the earliest.
pub(crate) fn worse(
    spec: &VerifySpec,
    before: &Levels,
    observations: &[Observation],
    fresh_from: Timestamp,
    now: Timestamp,
) -> Option<String> {
    by_feature(&spec.features, observations).into_iter().find_map(|(name, rows)| {
        let level = *before.get(name)?;
        let fresh: Vec<&Observation> = rows.into_iter().filter(|seen| seen.at > fresh_from && seen.at <= now).collect();
        let run: Vec<&&Observation> = fresh.iter().rev().take_while(|seen| level.is_exceeded_by(seen)).collect();
        let (newest, oldest) = (run.first()?, run.last()?);
        let lasts = newest.at.since(oldest.at) >= spec.settle;
        let is_enough = run.len() >= spec.fresh_points_min.max(1) as usize;
        let is_recent = now.since(newest.at) <= NEWEST_AGE_MAX;
        let now_at = Level::of(newest)?;
        (lasts && is_enough && is_recent).then(|| {
            format!(
                "{name} is at {:.4}, {:.1} deviations from normal, and was at {:.4}, {:.1} deviations; worse since {}",
                now_at.value, now_at.deviation, level.value, level.deviation, oldest.at
            )
        })
    })
}

/// The observations of what can become worse, oldest first: what opened the incident, and what users and pods suffer from. CPU,
/// memory and traffic of a workload whose pods were just started are no sign of harm.
fn by_feature<'a>(features: &[String], observations: &'a [Observation]) -> BTreeMap<&'a str, Vec<&'a Observation>> {
    let counts = |seen: &&Observation| features.contains(&seen.feature) || is_suffering(seen.signal);
    let mut found: BTreeMap<&str, Vec<&Observation>> = BTreeMap::new();
    for seen in observations.iter().filter(counts) {
        found.entry(&seen.feature).or_default().push(seen);
    }
    found.values_mut().for_each(by_moment);
    found
}

fn is_suffering(signal: Signal) -> bool {
    match signal {
        Signal::ErrorRatio | Signal::Latency | Signal::Restarts | Signal::OomKills | Signal::ReplicasUnavailable => {
            true
        }
        Signal::Memory | Signal::Cpu | Signal::CpuThrottling | Signal::Traffic | Signal::QueueLag | Signal::Other => {
            false
        }
    }
}
