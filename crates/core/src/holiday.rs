//! Holidays: days of local time that are like another day of the week.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// The first working day.
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The first day of the weekend.
    Saturday,
    /// What most holidays are like.
    #[default]
    Sunday,
}

/// A text that names no day of the week.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown weekday {0:?}; use one of monday, tuesday, wednesday, thursday, friday, saturday, sunday")]
pub struct NotAWeekday(String);

impl Weekday {
    const ALL: [Self; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// The day of a moment by what a clock on the wall shows ([`LocalTime::local`](crate::LocalTime::local)).
    ///
    /// ```
    /// use homeostat_core::{Timestamp, Weekday};
    ///
    /// assert_eq!(Weekday::of("2026-12-25T23:59:59Z".parse()?), Weekday::Friday);
    /// # Ok::<(), homeostat_core::NotATimestamp>(())
    /// ```
    pub fn of(clock: Timestamp) -> Self {
        let day = (clock.as_millis().div_euclid(DAY_MS) + EPOCH_WEEKDAY).rem_euclid(7);
        Self::ALL.into_iter().find(|weekday| *weekday as i64 == day).unwrap_or_default()
    }

    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }
}

impl FromStr for Weekday {
    type Err = NotAWeekday;

    fn from_str(text: &str) -> Result<Self, NotAWeekday> {
        Self::ALL.into_iter().find(|day| day.name() == text).ok_or_else(|| NotAWeekday(text.to_owned()))
    }
}

impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A day of local time on which traffic and load are those of another day of the week.
///
/// ```
/// use homeostat_core::{Holiday, Weekday};
///
/// let christmas = Holiday::new("2026-12-25", Weekday::Sunday)?; // a Friday
/// assert_eq!(christmas.to_string(), "2026-12-25 like sunday");
/// assert!(Holiday::new("2026-02-30", Weekday::Sunday).is_err());
/// # Ok::<(), homeostat_core::NotADate>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Holiday {
    /// Days since the epoch.
    day: i32,
    like: Weekday,
}

/// A text that is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid date {0:?}: write it as 2026-12-25")]
pub struct NotADate(String);

const DAY_MS: i64 = 86_400_000;

/// The epoch was a Thursday, the fourth day of a week that begins on Monday.
const EPOCH_WEEKDAY: i64 = 3;

impl Holiday {
    /// The day of this date, such as `2026-12-25`, and which day of the week it is like.
    ///
    /// # Errors
    /// [`NotADate`].
    pub fn new(date: &str, like: Weekday) -> Result<Self, NotADate> {
        let refused = || NotADate(date.to_owned());
        let midnight: Timestamp = format!("{date}T00:00:00Z").parse().map_err(|_| refused())?;
        let day = i32::try_from(midnight.as_millis() / DAY_MS).map_err(|_| refused())?;
        Ok(Self { day, like })
    }

    /// Days since the epoch, by local time.
    pub(crate) fn day(self) -> i64 {
        i64::from(self.day)
    }

    /// Days to the next day of the weekday that it is like: 0 to 6.
    pub(crate) fn days_ahead(self) -> i64 {
        (self.like as i64 - self.day() - EPOCH_WEEKDAY).rem_euclid(7)
    }
}

impl fmt::Display for Holiday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp::from_millis(self.day() * DAY_MS).to_string();
        write!(f, "{} like {}", midnight.split('T').next().unwrap_or_default(), self.like)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holiday_is_as_many_days_before_the_day_that_it_is_like() {
        let ahead = |date: &str, like: Weekday| Holiday::new(date, like).expect("a date").days_ahead();
        // A Friday.
        let christmas = "2026-12-25";
        assert_eq!(Weekday::ALL.map(|like| ahead(christmas, like)), [3, 4, 5, 6, 0, 1, 2]);
        assert_eq!(ahead("1969-12-31", Weekday::Sunday), 4, "a Wednesday before the epoch");
    }

    #[test]
    fn what_is_no_date_or_no_weekday_is_refused_with_how_to_write_it() {
        for date in ["", "2026-13-01", "2026-12-25T00:00:00Z", "25.12.2026", "2027-02-29"] {
            let refused = Holiday::new(date, Weekday::Sunday).expect_err("no date").to_string();
            assert!(refused.contains("2026-12-25"), "{refused}");
        }
        assert_eq!("saturday".parse(), Ok(Weekday::Saturday));
        assert!("Sunnday".parse::<Weekday>().expect_err("no weekday").to_string().contains("sunday"));
    }
}
