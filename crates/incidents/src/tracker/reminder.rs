//! When an incident that goes on is told again.

use std::time::Duration;

use homeostat_core::{Score, Timestamp};
use homeostat_detect::{ALARM_UNIT, ALARM_UNIT_ROWS_MIN};
use serde::{Deserialize, Serialize};

use super::row_means::RowMeans;

/// Each reminder of something that fails comes so many times as long after the one before: after an hour, then half a day, then six days.
const RARER_FAILING: u32 = 12;

/// What only changed is told once, and again if it still alarms after four days: by then it should have been accepted. A fourth replica that called
/// each hour was the most frequent call of all, 25 a change; with reminders after an hour and half a day it was three.
const CHANGED_AFTER: u32 = 100;

/// Beyond this many the next is years away.
const REMINDERS_MAX: u32 = 4;

/// A score so many times as high as any within an hour of the last notification is a fault that has grown worse. On labelled data 1.5 and 3 did
/// alike.
const WORSE_TIMES: f64 = 3.0;

/// What is said of a subject within this time is the same news.
pub(super) fn repeat_interval(step: Duration) -> Duration {
    ALARM_UNIT.max(step.saturating_mul(ALARM_UNIT_ROWS_MIN))
}

/// When somebody was notified of an incident, and what they have seen of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reminder {
    /// At its opening, or when it alarmed anew.
    #[serde(default, alias = "called_at")]
    notified_at: Timestamp,
    /// Whether it has been calm since then.
    #[serde(default)]
    subsided: bool,
    /// How often since it opened.
    #[serde(default)]
    n_reminders: u32,
    /// The highest score within an hour of that.
    #[serde(default)]
    known_peak: Option<Score>,
}

impl Reminder {
    /// Of an incident that opens with this score.
    pub(super) fn opening(at: Timestamp, score: Score) -> Self {
        Self { notified_at: at, subsided: false, n_reminders: 0, known_peak: Some(score) }
    }

    /// Takes the next row: whether it is one to notify of, where something `fails` or only changed.
    pub(super) fn is_due(&mut self, at: Timestamp, means: &RowMeans, step: Duration, fails: bool) -> bool {
        self.subsided |= means.calm;
        let since = at.since(self.notified_at);
        let worse = self.grows_worse(since, means.score, step);
        means.alarms && (self.subsided || worse || since >= self.next_after(step, fails)) || means.adds_up
    }

    /// Somebody is notified, and sees this score.
    pub(super) fn notified(&mut self, at: Timestamp, score: Score) {
        *self = Self { n_reminders: self.n_reminders.saturating_add(1), ..Self::opening(at, score) };
    }

    /// Whether this score is much higher than those that whoever was notified has seen.
    fn grows_worse(&mut self, since: Duration, score: Option<Score>, step: Duration) -> bool {
        if since < repeat_interval(step) {
            if score > self.known_peak {
                self.known_peak = score;
            }
            return false;
        }
        let known = self.known_peak.map(Score::value);
        score.zip(known).is_some_and(|(score, known)| score.value() > WORSE_TIMES * known)
    }

    /// How long after the last notification it reminds again.
    fn next_after(&self, step: Duration, fails: bool) -> Duration {
        let n_reminders = self.n_reminders.min(REMINDERS_MAX);
        let times = if fails {
            RARER_FAILING.saturating_pow(n_reminders)
        } else {
            CHANGED_AFTER.saturating_pow(n_reminders.saturating_add(1))
        };
        repeat_interval(step).saturating_mul(times)
    }
}
