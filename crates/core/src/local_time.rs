//! What clocks on the wall show: how far local time is from UTC, and since when.
//!
//! A plain table. Which zone it is of, and where its rules come from, is for whoever makes it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Local time of one place, daylight saving time included: a table of offsets from UTC. Cheap to clone. The default is UTC.
///
/// ```
/// use homeostat_core::{LocalTime, Timestamp};
///
/// let march: Timestamp = "2026-03-29T01:00:00Z".parse()?;
/// let berlin = LocalTime::new([(Timestamp::from_secs(0), 3_600), (march, 7_200)])?;
/// let at = |text: &str| text.parse().map(|at| berlin.local(at).to_string());
/// assert_eq!(at("2026-03-29T00:59:00Z")?, "2026-03-29T01:59:00Z");
/// assert_eq!(at("2026-03-29T01:00:00Z")?, "2026-03-29T03:00:00Z", "two o'clock doesn't exist on that day");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OffsetSince>", into = "Vec<OffsetSince>")]
pub struct LocalTime {
    /// Ascending; nothing is UTC.
    offsets: Option<Arc<[OffsetSince]>>,
}

/// An offset from UTC, and since when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OffsetSince {
    since_ms: i64,
    offset_s: i32,
}

/// No offset that was ever in use is larger than 15 and a half hours.
const OFFSET_S_MAX: i32 = 16 * 3_600;

/// A table that isn't one of local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLocalTime {
    /// Its moments must ascend.
    #[error("the changes of local time aren't in the order of time")]
    NotInOrder,
    /// An offset is larger than any that was ever in use.
    #[error("local time is never more than 16 hours from UTC")]
    TooFar,
}

impl LocalTime {
    /// Each offset in seconds, east is positive, with the moment since which it holds, in the order of time. The first one holds before its
    /// moment, too.
    ///
    /// # Errors
    /// [`NotLocalTime`].
    pub fn new(offsets: impl IntoIterator<Item = (Timestamp, i32)>) -> Result<Self, NotLocalTime> {
        let since = |(at, offset_s): (Timestamp, i32)| OffsetSince { since_ms: at.as_millis(), offset_s };
        Self::try_from(offsets.into_iter().map(since).collect::<Vec<_>>())
    }

    /// Whether it is UTC at all times.
    pub fn is_utc(&self) -> bool {
        self.offsets.is_none()
    }

    /// What a clock on the wall shows at this moment, written as if it were UTC: its time of the day and day of the week are local.
    /// The hour that is repeated in autumn comes twice, and the one left out in spring never.
    #[inline]
    pub fn local(&self, at: Timestamp) -> Timestamp {
        match &self.offsets {
            None => at,
            Some(offsets) => Timestamp::from_millis(at.as_millis().saturating_add(offset_ms(offsets, at.as_millis()))),
        }
    }

    /// Whether clocks were changed between the two moments.
    pub fn changes_between(&self, a: Timestamp, b: Timestamp) -> bool {
        match &self.offsets {
            None => false,
            Some(offsets) => offset_ms(offsets, a.as_millis()) != offset_ms(offsets, b.as_millis()),
        }
    }

    /// The same until this moment, and so many seconds later from it on. Unchanged where that would be farther from UTC than local time ever was.
    #[must_use]
    pub fn changed(&self, at: Timestamp, by_s: i32) -> Self {
        let at_ms = at.as_millis();
        let mut offsets: Vec<OffsetSince> = self.clone().into();
        match offsets.first_mut() {
            // It holds before its moment, too.
            Some(first) => first.since_ms = i64::MIN,
            None => offsets.push(OffsetSince { since_ms: i64::MIN, offset_s: 0 }),
        }
        let n_before = offsets.partition_point(|offset| offset.since_ms < at_ms);
        let before_s = offsets.get(n_before - 1).map_or(0, |offset| offset.offset_s);
        // Of a change at this very moment, that one is what is changed.
        if offsets.get(n_before).is_none_or(|offset| offset.since_ms > at_ms) {
            offsets.insert(n_before, OffsetSince { since_ms: at_ms, offset_s: before_s });
        }
        offsets.iter_mut().skip(n_before).for_each(|offset| offset.offset_s += by_s);
        Self::try_from(offsets).unwrap_or_else(|_| self.clone())
    }

    /// The same without what changes before `from` or after `to`: what is kept with models for the time in which they are used.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Self {
        let Some(offsets) = &self.offsets else { return Self::default() };
        let first = offsets.partition_point(|offset| offset.since_ms <= from.as_millis()).saturating_sub(1);
        let end = offsets.partition_point(|offset| offset.since_ms <= to.as_millis()).max(first + 1);
        Self { offsets: offsets.get(first..end).map(Arc::from) }
    }
}

/// What is local less what is UTC.
fn offset_ms(offsets: &[OffsetSince], at_ms: i64) -> i64 {
    let n_since = offsets.partition_point(|offset| offset.since_ms <= at_ms);
    offsets.get(n_since.saturating_sub(1)).map_or(0, |offset| 1_000 * i64::from(offset.offset_s))
}

impl TryFrom<Vec<OffsetSince>> for LocalTime {
    type Error = NotLocalTime;

    fn try_from(offsets: Vec<OffsetSince>) -> Result<Self, NotLocalTime> {
        if !offsets.is_sorted_by(|a, b| a.since_ms < b.since_ms) {
            return Err(NotLocalTime::NotInOrder);
        }
        if offsets.iter().any(|offset| !(-OFFSET_S_MAX..=OFFSET_S_MAX).contains(&offset.offset_s)) {
            return Err(NotLocalTime::TooFar);
        }
        let is_utc = offsets.iter().all(|offset| offset.offset_s == 0);
        Ok(Self { offsets: (!is_utc).then(|| offsets.into()) })
    }
}

impl From<LocalTime> for Vec<OffsetSince> {
    fn from(local_time: LocalTime) -> Self {
        local_time.offsets.map(|offsets| offsets.to_vec()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// An hour ahead, two between the hours 100 and 200.
    fn changing() -> LocalTime {
        LocalTime::new([(at(0), 3_600), (at(100 * HOUR), 7_200), (at(200 * HOUR), 3_600)]).expect("a table")
    }

    #[test]
    fn an_hour_is_left_out_in_spring_and_repeated_in_autumn() {
        let local = |hour: i64| changing().local(at(hour * HOUR)).as_millis() / 1_000 / HOUR;
        assert_eq!([-5, 99, 100, 199, 200].map(local), [-4, 100, 102, 201, 201]);
        let changes = |a: i64, b: i64| changing().changes_between(at(a * HOUR), at(b * HOUR));
        assert!(changes(99, 100) && changes(150, 250) && !changes(99, 250) && !changes(0, 50));
    }

    #[test]
    fn a_change_adds_to_all_that_comes_after_it_and_its_opposite_takes_it_back() {
        let local = |table: &LocalTime, hour: i64| table.local(at(hour * HOUR)).as_millis() / 1_000 / HOUR - hour;
        let utc = LocalTime::default().changed(at(50 * HOUR), 3_600);
        assert_eq!([-9, 49, 50, 900].map(|hour| local(&utc, hour)), [0, 0, 1, 1]);
        for changed_at in [-20, 50, 100, 150, 200, 300] {
            let table = changing().changed(at(changed_at * HOUR), -3_600);
            for hour in [-30, -19, 49, 51, 99, 101, 149, 151, 199, 201, 400] {
                let wanted = local(&changing(), hour) - i64::from(hour >= changed_at);
                assert_eq!(local(&table, hour), wanted, "{changed_at} {hour}");
            }
        }
        let back = utc.changed(at(90 * HOUR), -3_600);
        assert_eq!([49, 89, 90].map(|hour| local(&back, hour)), [0, 1, 0]);
        let mut far = LocalTime::default();
        (0..40).for_each(|hour| far = far.changed(at(hour * HOUR), 3_600));
        assert_eq!(local(&far, 1_000), 16);
    }

    #[test]
    fn what_has_no_offset_is_utc() {
        for none in [LocalTime::new([]), LocalTime::new([(at(0), 0), (at(9), 0)])] {
            let none = none.expect("a table");
            assert!(none.is_utc() && none == LocalTime::default());
            assert_eq!(none.local(at(7)), at(7));
        }
    }

    #[test]
    fn a_part_of_the_table_says_the_same_within_its_time() {
        let part = changing().between(at(150 * HOUR), at(160 * HOUR));
        assert_eq!(part.local(at(155 * HOUR)), changing().local(at(155 * HOUR)));
        assert!(!part.changes_between(at(0), at(300 * HOUR)), "only what is needed is kept");
        let before = changing().between(at(-9 * HOUR), at(-8 * HOUR));
        assert_eq!(before.local(at(0)), at(HOUR));
    }

    #[test]
    fn what_is_stored_comes_back_and_what_is_no_table_is_refused() {
        let text = serde_json::to_string(&changing()).expect("JSON");
        assert_eq!(serde_json::from_str::<LocalTime>(&text).expect("read"), changing());
        assert_eq!(LocalTime::new([(at(9), 60), (at(9), 120)]), Err(NotLocalTime::NotInOrder));
        assert_eq!(LocalTime::new([(at(9), 17 * 3_600)]), Err(NotLocalTime::TooFar));
    }
}
