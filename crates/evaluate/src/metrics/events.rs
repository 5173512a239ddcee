//! Whole events against whole alerts: what was found, how late, and how often nothing was there.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::runs::Run;

/// How alerts become episodes and when an episode counts as true, in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRule {
    /// Alerts with at most so many rows between them are one episode.
    pub gap_rows: usize,
    /// An episode this near to an event is true.
    pub near_rows: usize,
    /// A lasting alert counts again after so many rows, so that an alarm that is always on isn't one episode.
    pub episode_rows_max: usize,
}

impl EventRule {
    /// The rule for rows `step` apart: ten minutes, ten minutes and an hour, and at least 5, 2 and 12 rows.
    pub fn of_step(step: Duration) -> Self {
        let rows_in = |seconds: f64| (seconds / step.as_secs_f64().max(1e-3)) as usize;
        Self {
            gap_rows: rows_in(600.0).max(5),
            near_rows: rows_in(600.0).max(2),
            episode_rows_max: rows_in(3600.0).max(12),
        }
    }

    /// The episodes of these alerts, in order.
    pub fn episodes(&self, alerts: &[bool]) -> Vec<Run> {
        let mut joined: Vec<Run> = Vec::new();
        for run in Run::all(alerts) {
            match joined.last_mut() {
                Some(before) if run.first - before.last - 1 <= self.gap_rows => before.last = run.last,
                Some(_) | None => joined.push(run),
            }
        }
        let cut = joined.into_iter().flat_map(|run| {
            (run.first..=run.last)
                .step_by(self.episode_rows_max.max(1))
                .map(move |first| Run { first, last: (first + self.episode_rows_max - 1).min(run.last) })
        });
        cut.collect()
    }
}

/// What one series' alerts found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Labelled events.
    pub n_events: usize,
    /// Events during which there was an alert.
    pub n_found: usize,
    /// Episodes of alerts.
    pub n_episodes: usize,
    /// Episodes at or near an event.
    pub n_true: usize,
    /// Rows from the start of each found event to its first alert.
    pub delays_rows: Vec<usize>,
}

impl EventCounts {
    /// Counts, and says of each episode whether it is true.
    pub fn count(alerts: &[bool], labels: &[bool], rule: &EventRule) -> (Self, Vec<(Run, bool)>) {
        let events = Run::all(labels);
        let episodes = rule.episodes(alerts);
        let found = events.iter().filter_map(|event| alerts[event.first..=event.last].iter().position(|alert| *alert));
        let delays_rows: Vec<usize> = found.collect();
        let mut near = vec![false; labels.len()];
        for event in &events {
            let last = (event.last + rule.near_rows).min(labels.len() - 1);
            near[event.first.saturating_sub(rule.near_rows)..=last].fill(true);
        }
        let judged: Vec<(Run, bool)> = episodes
            .into_iter()
            .map(|episode| (episode, near[episode.first..=episode.last].iter().any(|near| *near)))
            .collect();
        let counts = Self {
            n_events: events.len(),
            n_found: delays_rows.len(),
            n_episodes: judged.len(),
            n_true: judged.iter().filter(|(_, is_true)| *is_true).count(),
            delays_rows,
        };
        (counts, judged)
    }
}

/// What the alerts of several series found together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventTotals {
    /// Labelled events.
    pub n_events: usize,
    /// Found events over all events.
    pub recall: f64,
    /// True episodes over all episodes; 0 without any.
    pub precision: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Episodes with nothing there, for each series and day.
    pub false_alarms_per_day: f64,
    /// Median over found events; `None` if none was found.
    pub delay_s_median: Option<f64>,
}

impl EventTotals {
    /// Adds up series: counts, the days they cover and the time between their rows.
    pub fn of<'a>(series: impl IntoIterator<Item = (&'a EventCounts, f64, Duration)>) -> Self {
        let (mut n_events, mut n_found, mut n_episodes, mut n_true, mut n_days) = (0, 0, 0, 0, 0.0);
        let mut delays_s: Vec<f64> = Vec::new();
        for (counts, days, step) in series {
            n_events += counts.n_events;
            n_found += counts.n_found;
            n_episodes += counts.n_episodes;
            n_true += counts.n_true;
            n_days += days;
            delays_s.extend(counts.delays_rows.iter().map(|rows| *rows as f64 * step.as_secs_f64()));
        }
        let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let (recall, precision) = (share(n_found, n_events), share(n_true, n_episodes));
        let f1 = if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 };
        let false_alarms_per_day = if n_days > 0.0 { (n_episodes - n_true) as f64 / n_days } else { 0.0 };
        Self { n_events, recall, precision, f1, false_alarms_per_day, delay_s_median: median(&mut delays_s) }
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

/// Candidates for a threshold, at most; log-spaced quantiles of the distinct scores when there are more of these.
const CANDIDATES_MAX: usize = 4000;

/// The lowest threshold above which `scores` have at most `n_episodes_max` episodes: what a program without alerts of its own
/// is given, from the scores of its training rows. Must not be called with judged rows. `None` without a score.
pub fn threshold_for_budget(scores: &[f64], n_episodes_max: f64, rule: &EventRule) -> Option<f64> {
    let mut candidates = scores.to_vec();
    candidates.sort_by(f64::total_cmp);
    candidates.dedup();
    if candidates.len() > CANDIDATES_MAX {
        let distinct = candidates.clone();
        candidates = (0..CANDIDATES_MAX).rev().map(|idx| quantile(&distinct, 1.0 - log_spaced(idx))).collect();
        candidates.dedup();
    }
    let mut best = *candidates.last()?;
    for candidate in candidates.into_iter().rev() {
        let alerts: Vec<bool> = scores.iter().map(|score| *score > candidate).collect();
        if rule.episodes(&alerts).len() as f64 > n_episodes_max.max(0.0) {
            break;
        }
        best = candidate;
    }
    Some(best)
}

/// From 1e-7 to 1 in [`CANDIDATES_MAX`] steps of equal ratio.
fn log_spaced(idx: usize) -> f64 {
    match idx {
        0 => 1e-7,
        _ if idx + 1 == CANDIDATES_MAX => 1.0,
        _ => 10_f64.powf(-7.0 + 7.0 * idx as f64 / (CANDIDATES_MAX - 1) as f64),
    }
}

/// The quantile of ascending values, linear between them.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * part
}
