//! When a policy may act: hours of the week by the clocks of a time zone, and freezes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use homeostat_core::{Timestamp, Weekday};
use homeostat_settings::Timezone;

/// When a policy may act. The default is always.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyCalendar {
    /// Whose clocks the hours are read from.
    pub timezone: Timezone,
    /// It acts within these hours only; none means at any hour.
    pub allowed: Vec<AllowedHours>,
    /// It doesn't act in these times, and starts nothing that may last into them.
    pub freezes: Vec<Freeze>,
}

/// Hours of the day on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHours {
    /// On these days; at least one.
    pub days: BTreeSet<Weekday>,
    /// From this time of the day.
    pub from: TimeOfDay,
    /// Until this one, which isn't within it any more.
    pub to: TimeOfDay,
}

/// A time in which nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// What it is called.
    pub name: String,
    /// From this moment.
    pub from: Timestamp,
    /// Until this one, which isn't within it any more.
    pub to: Timestamp,
}

/// A time of the day in minutes; 24:00 is its end.
///
/// ```
/// use homeostat_remediate::TimeOfDay;
///
/// assert_eq!("08:30".parse::<TimeOfDay>()?.to_string(), "08:30");
/// assert!("24:00".parse::<TimeOfDay>()? > "23:59".parse::<TimeOfDay>()?);
/// assert!("8".parse::<TimeOfDay>().is_err());
/// # Ok::<(), homeostat_remediate::NotATimeOfDay>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

/// A text that is no time of the day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid time {0:?}: write it as \"08:30\", in quotation marks, up to \"24:00\"")]
pub struct NotATimeOfDay(String);

const DAY_MINUTES: u16 = 24 * 60;
const MINUTE_MS: i64 = 60_000;

impl FromStr for TimeOfDay {
    type Err = NotATimeOfDay;

    fn from_str(text: &str) -> Result<Self, NotATimeOfDay> {
        let wrong = || NotATimeOfDay(text.to_owned());
        let two = |part: &str| {
            let is_two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_two_digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let (hours, minutes) = (two(hours).ok_or_else(wrong)?, two(minutes).ok_or_else(wrong)?);
        let total = hours * 60 + minutes;
        if minutes < 60 && total <= DAY_MINUTES { Ok(Self(total)) } else { Err(wrong()) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl AllowedHours {
    fn contains(&self, clock: Timestamp) -> bool {
        let minute = clock.as_millis().div_euclid(MINUTE_MS).rem_euclid(i64::from(DAY_MINUTES));
        let is_hour = i64::from(self.from.0) <= minute && minute < i64::from(self.to.0);
        is_hour && self.days.contains(&Weekday::of(clock))
    }
}

impl fmt::Display for AllowedHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.days.iter().map(|day| day.name()).collect();
        write!(f, "{} {}–{}", days.join(", "), self.from, self.to)
    }
}

impl PolicyCalendar {
    /// Whether it may act at this hour.
    pub fn allows(&self, at: Timestamp) -> bool {
        let clock = self.timezone.local_time.local(at);
        self.allowed.is_empty() || self.allowed.iter().any(|hours| hours.contains(clock))
    }

    /// The freeze that something from the one moment to the other, both included, would meet.
    pub fn freeze_within(&self, from: Timestamp, to: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.from <= to && from < freeze.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str) -> AllowedHours {
        let days = [Weekday::Monday, Weekday::Friday].into();
        AllowedHours { days, from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn hours_go_by_the_clocks_of_the_zone_also_when_they_change() {
        let timezone = "Europe/Berlin".parse().unwrap();
        let calendar = PolicyCalendar { timezone, allowed: vec![hours("09:00", "17:00")], ..PolicyCalendar::default() };
        for (at, allowed) in [
            // A Friday in winter, and a Monday in summer, two days after clocks were put forward.
            ("2026-03-27T07:59:59Z", false),
            ("2026-03-27T08:00:00Z", true),
            ("2026-03-27T15:59:59Z", true),
            ("2026-03-27T16:00:00Z", false),
            ("2026-03-30T07:00:00Z", true),
            ("2026-03-30T15:00:00Z", false),
            // A Saturday.
            ("2026-03-28T12:00:00Z", false),
        ] {
            assert_eq!(calendar.allows(at.parse().unwrap()), allowed, "{at}");
        }
        assert!(PolicyCalendar::default().allows(Timestamp::from_secs(0)));
    }

    #[test]
    fn a_day_ends_at_24_00() {
        let calendar = PolicyCalendar { allowed: vec![hours("22:00", "24:00")], ..PolicyCalendar::default() };
        assert!(calendar.allows("2026-03-27T23:59:59Z".parse().unwrap()));
        assert!(!calendar.allows("2026-03-28T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn nothing_that_may_last_into_a_freeze_is_allowed() {
        let at = Timestamp::from_secs;
        let freeze = Freeze { name: "sale".into(), from: at(100), to: at(200) };
        let calendar = PolicyCalendar { freezes: vec![freeze], ..PolicyCalendar::default() };
        let meets = |from, to| calendar.freeze_within(at(from), at(to)).is_some();
        assert!(meets(0, 100) && meets(150, 160) && meets(199, 900) && meets(50, 300));
        assert!(!meets(0, 99) && !meets(200, 300));
    }

    #[test]
    fn what_is_no_time_of_the_day_is_refused() {
        for text in ["", "8:30", "08:60", "24:01", "25:00", "08.30", "08:30:00", "-1:00", "٠٨:30"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }
}
