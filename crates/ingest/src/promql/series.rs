//! One series of one leaf, evaluated step by step as its samples come: what lies behind the window is forgotten.

use std::collections::VecDeque;

use homeostat_core::Timestamp;

use super::{Column, Leaf};
use crate::matrix::{Labels, Sample};

/// Samples within one range at most: a day of seconds. More is a range that was meant in another unit.
pub(crate) const WINDOW_SAMPLES_MAX: usize = 100_000;

/// The state of a series.
#[derive(Clone, Debug)]
pub(crate) struct LeafSeries {
    pub(crate) labels: Labels,
    recent: VecDeque<Sample>,
    column: Column,
}

impl LeafSeries {
    pub(crate) fn new(labels: Labels) -> Self {
        Self { labels, recent: VecDeque::new(), column: Column::default() }
    }

    /// Cells of its column so far.
    pub(crate) fn n_cells(&self) -> usize {
        self.column.values.len()
    }

    /// Takes the next sample, later than all before; `false` says that the window holds too many.
    pub(crate) fn push(&mut self, leaf: &Leaf, step_ms: i64, mut sample: Sample) -> bool {
        sample.at = Timestamp::from_millis(sample.at.as_millis().saturating_add(leaf.offset_ms));
        self.advance(leaf, step_ms, sample.at.as_millis().div_euclid(step_ms), sample.at);
        if leaf.function.is_none() {
            // The newest alone matters; NaN ends the series until the next.
            self.recent.clear();
        }
        if sample.value.is_nan() {
            return true;
        }
        self.recent.push_back(sample);
        self.recent.len() <= WINDOW_SAMPLES_MAX
    }

    /// The column up to and including the step `last`.
    pub(crate) fn finish(mut self, leaf: &Leaf, step_ms: i64, last: i64) -> (Labels, Column) {
        self.advance(leaf, step_ms, last, Timestamp::from_millis(i64::MAX));
        // Samples asked for with an offset reach beyond the export's end; there, other queries know nothing.
        self.column.cut_after(last);
        (self.labels, self.column)
    }

    /// Evaluates the steps not done yet, up to `last`, that lie before `before`: at its own moment a sample counts already.
    fn advance(&mut self, leaf: &Leaf, step_ms: i64, last: i64, before: Timestamp) {
        let Some(oldest) = self.recent.front() else { return };
        // The first step that sees anything.
        let first = (oldest.at.as_millis() + step_ms - 1).div_euclid(step_ms);
        let mut step = self.column.end().map_or(first, |end| end.max(first));
        while step <= last {
            let at = Timestamp::from_millis(step.saturating_mul(step_ms));
            if at >= before {
                return;
            }
            let left_edge = at.as_millis().saturating_sub(leaf.window_ms);
            while self.recent.front().is_some_and(|oldest| oldest.at.as_millis() <= left_edge) {
                self.recent.pop_front();
            }
            if self.recent.is_empty() {
                return;
            }
            let samples = self.recent.make_contiguous();
            let value = match leaf.function {
                Some(function) => function.value(samples, at, leaf.window_ms),
                None => samples.last().map(|sample| sample.value),
            };
            self.column.put(step, value.filter(|value| value.is_finite()).unwrap_or(f64::NAN));
            step += 1;
        }
    }
}
