//! A window as the net reads it: clipped, gaps filled, and how much of it was there. Training and scoring share it.

use super::AutoencoderFeature;

/// Residuals are cut here: one spike of 200 deviations would own every weight, and no reconstruction at all of 10
/// deviations is already far beyond the tail.
const CLIP: f64 = 10.0;

/// How much of a window is there, of what training knew.
#[derive(Clone, Copy, Default)]
pub(super) struct Coverage {
    cells: Count,
    newest: Count,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    present: usize,
    wanted: usize,
}

impl Coverage {
    pub(super) fn add(&mut self, row: Count, is_newest: bool) {
        self.cells.present += row.present;
        self.cells.wanted += row.wanted;
        if is_newest {
            self.newest = row;
        }
    }

    /// At least half of the window, and of the newest row: with less, the net mostly reads our own filling back.
    pub(super) fn suffices(self) -> bool {
        [self.cells, self.newest].iter().all(|count| count.present > 0 && 2 * count.present >= count.wanted)
    }
}

/// Writes one row of residuals as the net reads it, gaps as the feature's mean.
pub(super) fn put_row<'a>(
    cells: &mut [f32],
    row: impl IntoIterator<Item = &'a f64>,
    features: &[AutoencoderFeature],
) -> Count {
    let mut count = Count::default();
    for ((cell, value), feature) in cells.iter_mut().zip(row).zip(features) {
        let is_present = feature.seen && !value.is_nan();
        *cell = if is_present { clipped(*value) as f32 } else { feature.mean };
        count.present += usize::from(is_present);
        count.wanted += usize::from(feature.seen);
    }
    count
}

pub(super) fn clipped(value: f64) -> f64 {
    value.clamp(-CLIP, CLIP)
}
