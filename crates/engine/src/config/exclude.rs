//! `global.exclude` and `train --exclude`: times that models don't learn.

use std::str::FromStr;

use homeostat_core::{Exclusion, NotATimestamp, Timestamp};
use homeostat_settings::Reader;

use super::detection::read_patterns;

/// Reads the list; every problem is told.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<Exclusion> {
    let file = reader.file();
    let mut exclusions = Vec::new();
    for (idx, item) in reader.items("exclude").iter().enumerate() {
        let mut entry = Reader::new(file, &format!("global.exclude[{idx}]"), item, reader.problems());
        let from = entry.parsed::<Timestamp>("from");
        let from = entry.require("from", from);
        let to = entry.parsed::<Timestamp>("to");
        let to = entry.require("to", to);
        let reason = entry.text("reason").unwrap_or_else(|| "global.exclude".to_owned());
        let namespaces = read_patterns(&mut entry, "namespaces");
        let workloads = read_patterns(&mut entry, "workloads");
        if let (Some(from), Some(to)) = (from, to) {
            if to <= from {
                entry.reject("to", format_args!("must be after from, {from}"));
            }
            exclusions.push(Exclusion { from, to, reason, namespaces, workloads, subject: None });
        }
        entry.finish();
    }
    exclusions
}

/// `FROM/TO` of `train --exclude`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    from: Timestamp,
    to: Timestamp,
}

/// A text that is no interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnInterval {
    /// The two moments are missing.
    #[error("invalid interval {0:?}: write it as 2026-01-31T12:00:00Z/2026-01-31T14:00:00Z")]
    Parts(String),
    /// One of them is no moment.
    #[error(transparent)]
    Moment(#[from] NotATimestamp),
    /// It would hold nothing.
    #[error("invalid interval {0:?}: its end must be after its start")]
    Empty(String),
}

impl FromStr for Interval {
    type Err = NotAnInterval;

    fn from_str(text: &str) -> Result<Self, NotAnInterval> {
        let (from, to) = text.split_once('/').ok_or_else(|| NotAnInterval::Parts(text.to_owned()))?;
        let (from, to) = (from.parse()?, to.parse()?);
        if to <= from { Err(NotAnInterval::Empty(text.to_owned())) } else { Ok(Self { from, to }) }
    }
}

impl From<Interval> for Exclusion {
    fn from(Interval { from, to }: Interval) -> Self {
        let reason = "train --exclude".to_owned();
        Self { from, to, reason, namespaces: Vec::new(), workloads: Vec::new(), subject: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_two_moments_in_their_order() {
        let read = |text: &str| text.parse::<Interval>().map_err(|error| error.to_string());
        assert!(read("2026-01-31T12:00:00Z/2026-01-31T14:00:00+01:00").is_ok());
        for (text, why) in [
            ("2026-01-31T12:00:00Z", "write it as"),
            ("2026-01-31T12:00:00Z/later", "invalid time \"later\""),
            ("2026-01-31T12:00:00Z/2026-01-31T12:00:00Z", "must be after"),
        ] {
            let refused = read(text).expect_err("no interval");
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
