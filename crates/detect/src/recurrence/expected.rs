//! What people say is meant to happen at a time of the day or the week.

use homeostat_core::{LocalTime, Timestamp};

use super::TIMES;
use super::period::{DAY, Period, WEEK};

/// How often it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// At this time of every day.
    Day,
    /// At this time of this day of every week.
    Week,
}

impl Every {
    fn period(self) -> Period {
        match self {
            Self::Day => DAY,
            Self::Week => WEEK,
        }
    }
}

/// A time at which something is meant to happen, as it happened once.
///
/// ```
/// use homeostat_core::Timestamp;
/// use homeostat_detect::{Every, ExpectedTime};
///
/// let at = |hour: i64| Timestamp::from_secs(3_600 * hour);
/// let backup = ExpectedTime { from: at(2), to: at(3), every: Every::Day, score_peak: 4.0 };
/// assert!(backup.holds(at(24 + 2)) && !backup.holds(at(24 + 3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedTime {
    /// When it began.
    pub from: Timestamp,
    /// When it was over; not part of it.
    pub to: Timestamp,
    /// How often it happens.
    pub every: Every,
    /// How far it went: the highest score, in alarm thresholds, as if nobody had expected it. What goes several times as far is news all the same.
    pub score_peak: f64,
}

impl ExpectedTime {
    /// Whether it is meant to happen at this moment.
    pub fn holds(&self, at: Timestamp) -> bool {
        let (from, period_ms) = (self.from.as_millis(), self.every.period().length_ms());
        (at.as_millis() - from).rem_euclid(period_ms) < self.to.as_millis() - from
    }

    /// By how much less a row says while it happens: what goes as far as it did is worth 3.2 times itself, as what recurs is.
    pub fn factor(&self) -> f64 {
        (TIMES * self.score_peak).max(1.0)
    }

    /// The same by local time.
    pub(crate) fn local(&self, local_time: &LocalTime) -> Self {
        // It lasts as long as it did, also where the clocks were changed meanwhile.
        let from = local_time.local(self.from);
        Self { from, to: from + self.to.since(self.from), ..*self }
    }
}
