//! What rises and comes down by itself: garbage collection, log rotation, a cache that is emptied.
//!
//! A rise that has come down from this height before is no way to exhaustion. Peaks that rise from tooth to tooth are.

use serde::{Deserialize, Serialize};

use super::trend::{Trend, trend};

/// Peaks remembered.
const PEAKS_MAX: usize = 8;

/// Fewest peaks that show a trend of their own: from three, half of the pairs agree by chance too often.
const PEAKS_MIN: usize = 4;

/// It has come down if it lost at least this share of its climb...
const DROP_SHARE_MIN: f64 = 0.5;

/// ...and this share of what was left to the limit before the climb. Less is noise.
const DROP_LIMIT_SHARE_MIN: f64 = 0.02;

/// What came down from this near to the limit was killed or is full, and didn't come down by itself. A share of the way from
/// the trough.
const NEAR_LIMIT_SHARE: f64 = 0.95;

/// A peak says where it comes down for as long as so many of its teeth: after that, it is another regime.
const PATIENCE_TEETH: i64 = 4;

/// How far beyond its peaks a tooth may go, as a share of its height.
const OVERSHOOT_SHARE: f64 = 0.25;

/// What the teeth say of a height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It hasn't come down, or not lately, or it is beyond where it comes down.
    NoTeeth,
    /// It is on its way to where it comes down by itself.
    ComesDown,
    /// It comes down, but from higher each time: the trend of the peaks.
    PeaksRise(Trend),
}

/// The peaks it came down from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Teeth {
    /// Moment and height, oldest first.
    peaks: Vec<(i64, f64)>,
    /// Lowest since the last peak, highest since that, and when.
    trough: Option<f64>,
    top: f64,
    top_ms: i64,
}

impl Teeth {
    pub(super) fn take(&mut self, at_ms: i64, height: f64, limit: f64) {
        let Some(trough) = self.trough else {
            (self.trough, self.top, self.top_ms) = (Some(height), height, at_ms);
            return;
        };
        if height >= self.top {
            (self.top, self.top_ms) = (height, at_ms);
            return;
        }
        let (climb, drop) = (self.top - trough, self.top - height);
        let way = limit - trough;
        if drop >= DROP_SHARE_MIN * climb && climb >= DROP_LIMIT_SHARE_MIN * way && drop >= DROP_LIMIT_SHARE_MIN * way {
            if climb < NEAR_LIMIT_SHARE * way {
                if self.peaks.len() == PEAKS_MAX {
                    self.peaks.remove(0);
                }
                self.peaks.push((self.top_ms, self.top));
            } else {
                self.peaks.clear();
            }
            (self.trough, self.top, self.top_ms) = (Some(height), height, at_ms);
        } else if height < trough {
            // Lower without a climb before: the tooth begins here.
            (self.trough, self.top, self.top_ms) = (Some(height), height, at_ms);
        }
    }

    /// What is to be thought of being at this height now.
    pub(super) fn verdict(&self, height: f64, now_ms: i64) -> Verdict {
        let (Some(first), Some(last), Some(trough)) = (self.peaks.first(), self.peaks.last(), self.trough) else {
            return Verdict::NoTeeth;
        };
        if self.peaks.len() >= PEAKS_MIN {
            let mut points = [(0.0, 0.0); PEAKS_MAX];
            let points = &mut points[..self.peaks.len().min(PEAKS_MAX)];
            for (point, (at_ms, height)) in points.iter_mut().zip(&self.peaks) {
                *point = (at_ms.saturating_sub(now_ms) as f64 / 1e3, *height);
            }
            let rise = trend(points).filter(|peaks| peaks.slope_min > 0.0);
            // Peaks that rise by next to nothing will come down for a long time yet: the time left says so.
            if let Some(rise) = rise {
                return Verdict::PeaksRise(rise);
            }
        }
        let between = (last.0 - first.0) / (self.peaks.len() as i64 - 1).max(1);
        // After one peak only, its tooth may take as long again as it has taken since.
        let patience = if self.peaks.len() == 1 { i64::MAX } else { between.saturating_mul(PATIENCE_TEETH) };
        let usual = self.peaks.iter().map(|(_, height)| *height).fold(f64::NEG_INFINITY, f64::max);
        let beyond = usual + OVERSHOOT_SHARE * (usual - trough).max(0.0);
        if height <= beyond && now_ms.saturating_sub(last.0) <= patience {
            Verdict::ComesDown
        } else {
            Verdict::NoTeeth
        }
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.peaks.capacity() * size_of::<(i64, f64)>()
    }

    /// Whether it is one of ours; one that was read from a file may not be.
    pub(super) fn is_consistent(&self) -> bool {
        self.peaks.len() <= PEAKS_MAX
            && self.peaks.iter().all(|(_, height)| height.is_finite())
            && self.top.is_finite()
            && self.trough.is_none_or(f64::is_finite)
    }
}
