//! How many false incidents are tolerable: of each subject, and of all together.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use homeostat_core::{format_duration, parse_duration};
use serde::{Deserialize, Serialize};

/// So many false incidents in so long, for each subject: `1 per 7d`.
///
/// ```
/// use homeostat_detect::FalseAlarmBudget;
///
/// let budget: FalseAlarmBudget = "1 per 7d".parse()?;
/// assert!((budget.incidents_per_day() - 1.0 / 7.0).abs() < 1e-12);
/// assert!("often".parse::<FalseAlarmBudget>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FalseAlarmBudget {
    incidents: u32,
    per: Duration,
}

/// A text that is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} isn't a false-alarm budget: write it like 1 per 7d (at least 1 incident, and a duration of at least a minute)"
)]
pub struct NotABudget(String);

/// The shortest time a budget may be about: below a minute every scrape would be its own period.
const PER_MIN: Duration = Duration::from_secs(60);

impl FalseAlarmBudget {
    /// False incidents a day that are tolerable.
    pub fn incidents_per_day(&self) -> f64 {
        f64::from(self.incidents) * 86_400.0 / self.per.as_secs_f64()
    }

    /// What each of so many subjects may have if all together may have this.
    ///
    /// ```
    /// # use homeostat_detect::FalseAlarmBudget;
    /// let of_all: FalseAlarmBudget = "1 per 1d".parse()?;
    /// assert_eq!(of_all.shared_by(60).to_string(), "1 per 60d");
    /// # Ok::<(), homeostat_detect::NotABudget>(())
    /// ```
    #[must_use]
    pub fn shared_by(self, n_subjects: usize) -> Self {
        let n = u32::try_from(n_subjects.max(1)).unwrap_or(u32::MAX);
        Self { per: self.per.saturating_mul(n), ..self }
    }

    /// Half as many.
    pub(crate) fn halved(self) -> Self {
        Self { per: self.per.saturating_mul(2), ..self }
    }
}

/// The budget of each subject, and of all together, if there is one.
///
/// ```
/// use homeostat_detect::Budgets;
///
/// let budgets = Budgets { each: "1 per 7d".parse()?, fleet: Some("1 per 1d".parse()?) };
/// assert_eq!(budgets.of_each(3).to_string(), "1 per 1w");
/// assert_eq!(budgets.of_each(60).to_string(), "1 per 60d");
/// # Ok::<(), homeostat_detect::NotABudget>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Of each subject.
    pub each: FalseAlarmBudget,
    /// Of all together.
    pub fleet: Option<FalseAlarmBudget>,
}

impl Budgets {
    /// What each of so many subjects may have: its own budget, or its part of all, whichever is tighter.
    pub fn of_each(&self, n_subjects: usize) -> FalseAlarmBudget {
        match self.fleet.map(|fleet| fleet.shared_by(n_subjects)) {
            Some(part) if part.incidents_per_day() < self.each.incidents_per_day() => part,
            Some(_) | None => self.each,
        }
    }
}

impl Default for FalseAlarmBudget {
    /// One a week for each subject.
    fn default() -> Self {
        Self { incidents: 1, per: Duration::from_secs(7 * 86_400) }
    }
}

impl FromStr for FalseAlarmBudget {
    type Err = NotABudget;
    fn from_str(text: &str) -> Result<Self, NotABudget> {
        let wrong = || NotABudget(text.to_owned());
        let mut words = text.split_whitespace();
        let (Some(incidents), Some("per"), Some(per), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong());
        };
        let incidents: u32 = incidents.parse().map_err(|_| wrong())?;
        let per = parse_duration(per).map_err(|_| wrong())?;
        if incidents == 0 || per < PER_MIN { Err(wrong()) } else { Ok(Self { incidents, per }) }
    }
}

impl fmt::Display for FalseAlarmBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}", self.incidents, format_duration(self.per))
    }
}

impl Serialize for FalseAlarmBudget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FalseAlarmBudget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back() {
        let budget: FalseAlarmBudget = "3 per 1d".parse().expect("a budget");
        assert_eq!(budget.incidents_per_day(), 3.0);
        assert_eq!(budget.to_string().parse(), Ok(budget));
        assert_eq!(FalseAlarmBudget::default().to_string(), "1 per 1w");
        for text in ["", "1", "1 per", "0 per 7d", "1 per 0", "1 per 1s", "-1 per 7d", "1 a 7d", "1 per 7d 2"] {
            assert!(text.parse::<FalseAlarmBudget>().is_err(), "{text}");
        }
    }
}
