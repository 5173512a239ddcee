//! Where the threshold was before an alarm that lasts, so that a change which has become usual doesn't blind for months.
//!
//! While something lasts the threshold rises above it, for nobody wants a call each hour. When the detectors have taken the new
//! level for usual, nothing is left of it in what rows say, but quiet brings the threshold down only by the budget's pace.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::recent::Recent;

/// So many units (hours, where rows are minutes) must have passed since the alarm, and be looked back on: a day and a half, as long as an incident
/// takes to be accepted. With a day, simulated launches called three times instead of twice.
const SETTLED_UNITS: usize = 36;

/// The threshold stays so much above the highest peak of that time: it is usual now. As for what was counted in the history.
const PEAK_TIMES: f64 = 1.25;

/// What still says more than so many times what an alarm needed hasn't become usual to the detectors; there the raised threshold is all that
/// keeps it from calling daily. (Log volumes that grew tenfold, noise and all, called three times a day without this.)
const SETTLED_TIMES_MAX: f64 = 2.5;

/// After so many units nothing is put back any more: what went on for a week is the normal that counts.
const UNITS_MAX: usize = 7 * 24;

/// The state of before, and what rows have said since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) threshold_nats: f64,
    pub(super) shift_log: f64,
    /// The rows of before and those that would have been usual then.
    pub(super) recent: Recent,
    /// Whether the alarm lasted; a short one has lifted nothing.
    lasted: bool,
    rows: u32,
    units: usize,
    /// The highest opening level of each of the last units, oldest first.
    peaks_nats: VecDeque<f64>,
}

impl Before {
    pub(super) fn new(threshold_nats: f64, shift_log: f64, recent: Recent) -> Self {
        Self { threshold_nats, shift_log, recent, lasted: false, rows: 0, units: 0, peaks_nats: VecDeque::new() }
    }

    /// Takes a row's surprisal and opening level, of `unit_rows` rows a unit; `lasts` while the alarm is a lasting one. Gives where the threshold should
    /// be, once a unit, if what was new has become usual.
    pub(super) fn push(&mut self, nats: f64, level_nats: f64, lasts: bool, unit_rows: u32) -> Option<f64> {
        self.lasted |= lasts;
        if nats < self.threshold_nats {
            self.recent.push(nats);
        } else {
            self.recent.skip();
        }
        if self.rows == 0 {
            self.peaks_nats.push_back(0.0);
        }
        if let Some(peak) = self.peaks_nats.back_mut() {
            *peak = peak.max(level_nats);
        }
        self.rows += 1;
        if self.rows < unit_rows {
            return None;
        }
        (self.rows, self.units) = (0, self.units + 1);
        let settled = self.settled().filter(|_| self.lasted);
        while self.peaks_nats.len() >= SETTLED_UNITS {
            self.peaks_nats.pop_front();
        }
        settled
    }

    /// Above what has been usual of late, if that is near enough to what was.
    fn settled(&self) -> Option<f64> {
        if self.units < SETTLED_UNITS {
            return None;
        }
        let peak = PEAK_TIMES * self.peaks_nats.iter().copied().fold(0.0, f64::max);
        (peak <= SETTLED_TIMES_MAX * self.threshold_nats).then(|| peak.max(self.threshold_nats))
    }

    /// Whether nothing can come of it any more.
    pub(super) fn is_over(&self) -> bool {
        self.units >= if self.lasted { UNITS_MAX } else { SETTLED_UNITS }
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.recent.heap_bytes() + self.peaks_nats.capacity() * size_of::<f64>()
    }

    /// Whether it is one that could have been saved.
    pub(super) fn is_consistent(&self) -> bool {
        self.recent.is_consistent()
            && self.peaks_nats.len() <= SETTLED_UNITS
            && [self.threshold_nats, self.shift_log].into_iter().all(f64::is_finite)
    }
}
