//! What clocks on the wall show: how far local time is from UTC, since when, and which days are holidays.
//!
//! A plain table. Which zone it is of, and where its rules come from, is for whoever makes it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::holiday::Holiday;
use crate::timestamp::Timestamp;

/// Local time of one place, daylight saving time included: a table of offsets from UTC; and its holidays. Cheap to clone. The default is UTC
/// without holidays.
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
#[serde(try_from = "Saved", into = "Saved")]
pub struct LocalTime {
    /// Ascending; nothing is UTC.
    offsets: Option<Arc<[OffsetSince]>>,
    /// By day, each once; nothing where there are none.
    holidays: Option<Arc<[Holiday]>>,
}

/// A moment by local time, written as if it were UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMoment {
    /// What a clock on the wall shows.
    pub clock: Timestamp,
    /// The same time on the next day of the weekday that a holiday is like; on other days the same.
    pub weekday: Timestamp,
}

impl LocalMoment {
    /// Whether it is of a holiday, unless that is like its own weekday.
    pub fn is_holiday(self) -> bool {
        self.clock != self.weekday
    }
}

impl From<Timestamp> for LocalMoment {
    /// Of UTC without holidays.
    fn from(at: Timestamp) -> Self {
        Self { clock: at, weekday: at }
    }
}

/// Local time as it is stored.
#[derive(Serialize, Deserialize)]
struct Saved {
    offsets: Vec<OffsetSince>,
    holidays: Vec<Holiday>,
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
        Self::try_from(Saved { offsets: offsets.into_iter().map(since).collect(), holidays: Vec::new() })
    }

    /// The same with these holidays and no others. Of two of the same day the first counts.
    #[must_use]
    pub fn with_holidays(self, holidays: impl IntoIterator<Item = Holiday>) -> Self {
        let mut holidays: Vec<Holiday> = holidays.into_iter().collect();
        holidays.sort_by_key(|holiday| holiday.day());
        holidays.dedup_by_key(|holiday| holiday.day());
        Self { holidays: (!holidays.is_empty()).then(|| holidays.into()), ..self }
    }

    /// Its holidays, by day.
    pub fn holidays(&self) -> &[Holiday] {
        self.holidays.as_deref().unwrap_or_default()
    }

    /// Whether it is UTC at all times, without holidays: the default.
    pub fn is_plain_utc(&self) -> bool {
        self.offsets.is_none() && self.holidays.is_none()
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

    /// The moment by what a clock shows, and by the weekday that its day is like.
    #[inline]
    pub fn moment(&self, at: Timestamp) -> LocalMoment {
        let clock = self.local(at);
        let Some(holidays) = &self.holidays else { return clock.into() };
        let day = clock.as_millis().div_euclid(DAY_MS);
        let found = holidays.binary_search_by_key(&day, |holiday| holiday.day());
        let days_ahead = found.ok().and_then(|idx| holidays.get(idx)).map_or(0, |holiday| holiday.days_ahead());
        LocalMoment { clock, weekday: Timestamp::from_millis(clock.as_millis().saturating_add(days_ahead * DAY_MS)) }
    }

    /// Whether the course of the week isn't that of UTC from the one moment to the other: clocks were changed between them, or one of them is of a
    /// holiday.
    pub fn changes_between(&self, a: Timestamp, b: Timestamp) -> bool {
        let ahead_ms = |at: Timestamp| self.moment(at).weekday.as_millis().saturating_sub(at.as_millis());
        !self.is_plain_utc() && ahead_ms(a) != ahead_ms(b)
    }

    /// The same until this moment, and so many seconds later from it on. Unchanged where that would be farther from UTC than local time ever was.
    #[must_use]
    pub fn changed(&self, at: Timestamp, by_s: i32) -> Self {
        let at_ms = at.as_millis();
        let mut offsets = self.offsets.as_deref().map(<[OffsetSince]>::to_vec).unwrap_or_default();
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
        let holidays = self.holidays().to_vec();
        Self::try_from(Saved { offsets, holidays }).unwrap_or_else(|_| self.clone())
    }

    /// The same without what changes before `from` or after `to`: what is kept with models for the time in which they are used.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Self {
        let days = [from, to].map(|at| self.local(at).as_millis().div_euclid(DAY_MS));
        let holidays = self.holidays().iter().filter(|holiday| (days[0]..=days[1]).contains(&holiday.day())).copied();
        let offsets = self.offsets.as_ref().and_then(|offsets| {
            let first = offsets.partition_point(|offset| offset.since_ms <= from.as_millis()).saturating_sub(1);
            let end = offsets.partition_point(|offset| offset.since_ms <= to.as_millis()).max(first + 1);
            offsets.get(first..end).map(Arc::from)
        });
        Self { offsets, holidays: None }.with_holidays(holidays)
    }
}

const DAY_MS: i64 = 86_400_000;

/// What is local less what is UTC.
fn offset_ms(offsets: &[OffsetSince], at_ms: i64) -> i64 {
    let n_since = offsets.partition_point(|offset| offset.since_ms <= at_ms);
    offsets.get(n_since.saturating_sub(1)).map_or(0, |offset| 1_000 * i64::from(offset.offset_s))
}

impl TryFrom<Saved> for LocalTime {
    type Error = NotLocalTime;

    fn try_from(Saved { offsets, holidays }: Saved) -> Result<Self, NotLocalTime> {
        if !offsets.is_sorted_by(|a, b| a.since_ms < b.since_ms) {
            return Err(NotLocalTime::NotInOrder);
        }
        if offsets.iter().any(|offset| !(-OFFSET_S_MAX..=OFFSET_S_MAX).contains(&offset.offset_s)) {
            return Err(NotLocalTime::TooFar);
        }
        let is_utc = offsets.iter().all(|offset| offset.offset_s == 0);
        Ok(Self { offsets: (!is_utc).then(|| offsets.into()), holidays: None }.with_holidays(holidays))
    }
}

impl From<LocalTime> for Saved {
    fn from(local_time: LocalTime) -> Self {
        let offsets = local_time.offsets.as_ref().map(|offsets| offsets.to_vec()).unwrap_or_default();
        Self { offsets, holidays: local_time.holidays().to_vec() }
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
            assert!(none.is_plain_utc() && none == LocalTime::default());
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
    fn a_holiday_is_a_day_of_its_weekday_from_midnight_to_midnight_of_local_time() {
        use crate::holiday::Weekday;

        // The epoch was a Thursday; a Friday that is like a Sunday, an hour ahead of UTC.
        let holiday = Holiday::new("1970-01-02", Weekday::Sunday).expect("a date");
        let clocks = LocalTime::new([(at(0), 3_600)]).expect("a table").with_holidays([holiday, holiday]);
        assert_eq!(clocks.holidays(), [holiday]);
        let ahead = |hour: i64| {
            let LocalMoment { clock, weekday } = clocks.moment(at(hour * HOUR));
            assert_eq!(clock, at((hour + 1) * HOUR));
            weekday.since(clock).as_secs() / 3_600
        };
        assert_eq!([0, 22, 23, 46, 47].map(ahead), [0, 0, 48, 48, 0]);
        let changes = |a: i64, b: i64| clocks.changes_between(at(a * HOUR), at(b * HOUR));
        assert!(changes(22, 23) && changes(46, 47) && !changes(23, 46) && !changes(22, 47));
        assert!(clocks.between(at(47 * HOUR), at(99 * HOUR)).holidays().is_empty());
        assert_eq!(clocks.between(at(0), at(30 * HOUR)), clocks);
        let text = serde_json::to_string(&clocks).expect("JSON");
        assert_eq!(serde_json::from_str::<LocalTime>(&text).expect("read"), clocks);
    }

    #[test]
    fn what_is_stored_comes_back_and_what_is_no_table_is_refused() {
        let text = serde_json::to_string(&changing()).expect("JSON");
        assert_eq!(serde_json::from_str::<LocalTime>(&text).expect("read"), changing());
        assert_eq!(LocalTime::new([(at(9), 60), (at(9), 120)]), Err(NotLocalTime::NotInOrder));
        assert_eq!(LocalTime::new([(at(9), 17 * 3_600)]), Err(NotLocalTime::TooFar));
    }
}
