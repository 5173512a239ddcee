//! Which levels a feature had in the last day, hour by hour.

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Hours of a day.
pub(super) const HOURS: usize = 24;
pub(super) const HOUR_MS: i64 = 3_600_000;

/// Hours kept: those beside the same hour of yesterday, up to the present one.
const HOURS_KEPT: usize = HOURS + 2;

/// The levels of the last hours, each hour's least and greatest, in cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LastDay {
    /// Hours of local time since the epoch, of the newest.
    newest_hour: i64,
    ranges: [(f32, f32); HOURS_KEPT],
}

/// An hour without a level.
const NO_RANGE: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

impl LastDay {
    pub(super) const EMPTY: Self = Self { newest_hour: i64::MIN, ranges: [NO_RANGE; HOURS_KEPT] };

    /// Hours since the epoch of the newest hour.
    pub(super) fn newest_hour(&self) -> i64 {
        self.newest_hour
    }

    fn slot(hour: i64) -> usize {
        usize::try_from(hour.rem_euclid(HOURS_KEPT as i64)).unwrap_or(0)
    }

    /// Takes a level in. Of moments before the newest hour nothing is learned. All moments here are of local time.
    pub(super) fn push(&mut self, at: Timestamp, cells: f64) {
        let hour = at.as_millis().div_euclid(HOUR_MS);
        if hour < self.newest_hour {
            return;
        }
        let n_passed = hour.saturating_sub(self.newest_hour).min(HOURS_KEPT as i64);
        for passed in 0..n_passed {
            self.ranges[Self::slot(hour - passed)] = NO_RANGE;
        }
        self.newest_hour = hour;
        let (least, greatest) = &mut self.ranges[Self::slot(hour)];
        (*least, *greatest) = (least.min(cells as f32), greatest.max(cells as f32));
    }

    /// What the same hour of the day before had, and those beside it.
    pub(super) fn before(&self, at: Timestamp) -> impl Iterator<Item = (f64, f64)> {
        let hour = at.as_millis().div_euclid(HOUR_MS);
        // Only what is kept: rows may come from before the newest hour, or long after it.
        let kept = self.newest_hour.saturating_sub(HOURS_KEPT as i64 - 1)..=self.newest_hour;
        let hours = [HOURS as i64 + 1, HOURS as i64, HOURS as i64 - 1].map(|back| hour - back);
        hours.into_iter().filter(move |hour| kept.contains(hour)).map(|hour| {
            let (least, greatest) = self.ranges[Self::slot(hour)];
            (f64::from(least), f64::from(greatest))
        })
    }
}
