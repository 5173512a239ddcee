//! VUS-PR: the volume under the surface of precision-recall curves over the width of the buffer around events.
//!
//! Paparrizos et al., Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection, PVLDB
//! 15(11), 2022; the optimised form of TSB-AD's `RangeAUC_volume_opt`, with its constants.

use super::runs::Run;

/// Thresholds of each curve, at evenly spaced ranks of the scores.
const THRESHOLDS: usize = 250;

/// VUS-PR of scores against labels, with buffers from 0 to `buffer_rows_max` rows; `None` without a labelled row, or when
/// there isn't one score a row.
///
/// `labels` and `scores` have one value a row; scores must be finite. For each buffer of `w` rows the rows up to `w / 2`
/// before and after an event count as partly anomalous, by `√(1 − distance / w)`; recall is weighted by the share of events
/// that were found at all. Time: `O(n log n + w · m)` with m rows near events.
pub fn vus_pr(labels: &[bool], scores: &[f64], buffer_rows_max: usize) -> Option<f64> {
    let events = Run::all(labels);
    if events.is_empty() || labels.len() != scores.len() {
        return None;
    }
    let surface = Surface::new(labels, scores, &events, buffer_rows_max);
    let mut volume = 0.0;
    let mut found = [0.0; THRESHOLDS];
    for width in 0..=buffer_rows_max {
        // The events grow with every second width only.
        if width % 2 == 0 {
            found = surface.share_found(width / 2);
        }
        volume += surface.area(width, &found);
    }
    Some(volume / (buffer_rows_max + 1) as f64)
}

/// What doesn't depend on the width.
struct Surface<'a> {
    events: &'a [Run],
    /// For each row the first threshold that it reaches: lower is more anomalous.
    level: Vec<u8>,
    /// Rows that reach each threshold.
    n_reached: [f64; THRESHOLDS],
    /// Labelled rows that reach each threshold.
    n_true: [f64; THRESHOLDS],
    n_labelled: f64,
    near: Vec<Near>,
}

/// A row without a label that some buffer covers.
struct Near {
    level: u8,
    /// To the event before it and the event after it; 0 is none within reach.
    distances: Vec<u32>,
}

impl<'a> Surface<'a> {
    fn new(labels: &[bool], scores: &[f64], events: &'a [Run], buffer_rows_max: usize) -> Self {
        let level = levels(scores);
        let count = |wanted: &dyn Fn(usize) -> bool| {
            let mut counts = [0.0; THRESHOLDS];
            for (_, level) in level.iter().enumerate().filter(|(row, _)| wanted(*row)) {
                counts[usize::from(*level)] += 1.0;
            }
            summed(counts)
        };
        let n_reached = count(&|_| true);
        let n_true = count(&|row| labels[row]);
        let n_labelled = labels.iter().filter(|label| **label).count() as f64;
        let near = near_rows(labels, &level, events, buffer_rows_max / 2);
        Self { events, level, n_reached, n_true, n_labelled, near }
    }

    /// For each threshold the share of events, each widened by `reach` rows and joined where they touch, of which a row
    /// reaches it.
    fn share_found(&self, reach: usize) -> [f64; THRESHOLDS] {
        let last_row = self.level.len() - 1;
        let mut counts = [0.0; THRESHOLDS];
        let mut n_events = 0.0;
        let mut first = self.events[0].first.saturating_sub(reach);
        for (idx, event) in self.events.iter().enumerate() {
            let last = (event.last + reach).min(last_row);
            let next = self.events.get(idx + 1);
            // Joined with the next one: go on.
            if next.is_some_and(|next| event.last + 2 * reach >= next.first) {
                continue;
            }
            let best = self.level[first..=last].iter().min().copied().unwrap_or(u8::MAX);
            counts[usize::from(best)] += 1.0;
            n_events += 1.0;
            first = next.map_or(0, |next| next.first.saturating_sub(reach));
        }
        summed(counts).map(|count| count / n_events)
    }

    /// The area under the precision-recall curve for one width.
    fn area(&self, width: usize, found: &[f64; THRESHOLDS]) -> f64 {
        let extra = self.weight_nearby(width);
        let (mut area, mut recall_before) = (0.0, 0.0);
        for idx in 0..THRESHOLDS {
            let n_true = self.n_true[idx] + extra[idx];
            let recall = (n_true / (self.n_labelled + extra[idx] / 2.0)).min(1.0) * found[idx];
            area += (recall - recall_before) * (n_true / self.n_reached[idx]);
            recall_before = recall;
        }
        area
    }

    /// For each threshold the weight of the buffers' rows that reach it.
    fn weight_nearby(&self, width: usize) -> [f64; THRESHOLDS] {
        let mut weights = [0.0; THRESHOLDS];
        let reach = width / 2;
        if reach == 0 {
            return weights;
        }
        let by_distance: Vec<f64> = (0..=reach).map(|distance| (1.0 - distance as f64 / width as f64).sqrt()).collect();
        for near in &self.near {
            let within = near.distances.iter().filter_map(|distance| by_distance.get(*distance as usize));
            weights[usize::from(near.level)] += within.sum::<f64>().min(1.0);
        }
        summed(weights)
    }
}

/// For each row the index of the highest threshold it reaches. Thresholds stand at evenly spaced ranks, highest first.
fn levels(scores: &[f64]) -> Vec<u8> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let last = sorted.len() - 1;
    let step = last as f64 / (THRESHOLDS - 1) as f64;
    let thresholds: Vec<f64> = (0..THRESHOLDS)
        .map(|idx| if idx + 1 == THRESHOLDS { last } else { (idx as f64 * step) as usize })
        .map(|rank| sorted[rank])
        .collect();
    // 250 thresholds: an index always fits into a byte.
    scores.iter().map(|score| thresholds.partition_point(|threshold| threshold > score) as u8).collect()
}

/// The rows without a label within `reach` of an event, with their distances to each event in reach.
fn near_rows(labels: &[bool], level: &[u8], events: &[Run], reach: usize) -> Vec<Near> {
    let mut distances: Vec<Vec<u32>> = vec![Vec::new(); if reach > 0 { labels.len() } else { 0 }];
    for event in events {
        let after = (event.last + 1)..(event.last + reach + 1).min(distances.len());
        let before = event.first.saturating_sub(reach)..event.first.min(distances.len());
        for row in after {
            distances[row].push((row - event.last) as u32);
        }
        for row in before {
            distances[row].push((event.first - row) as u32);
        }
    }
    let rows = distances.into_iter().enumerate().filter(|(row, distances)| !labels[*row] && !distances.is_empty());
    rows.map(|(row, distances)| Near { level: level[row], distances }).collect()
}

/// Counts by threshold to counts at each threshold or above it.
fn summed(mut counts: [f64; THRESHOLDS]) -> [f64; THRESHOLDS] {
    let mut sum = 0.0;
    for count in &mut counts {
        sum += *count;
        *count = sum;
    }
    counts
}
