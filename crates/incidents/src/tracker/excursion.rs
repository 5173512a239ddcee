//! What has added up over many rows: it opens an incident once, and holds it open until it is over, if no row alarms by itself.

use std::time::Duration;

use homeostat_core::{Score, Timestamp};
use homeostat_detect::{Gate, Hysteresis};
use serde::{Deserialize, Serialize};

/// Below this share of its highest, what adds up is over: nothing adds to it any more. Below the threshold alone it isn't: a slow leak may pause for
/// some minutes, and the averages of a fault that has ended come to a half within some twenty rows.
const FALLEN_SHARE: f64 = 0.5;

/// What was told and has ended is news again if it adds up to so many times what it had reached: a slow leak may pause for some minutes. Less would tell the ups and
/// downs of one fault.
const AGAIN_TIMES: f64 = 1.5;

/// The opening rule for the lasting score, and whether somebody knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Excursion {
    gate: Gate,
    /// Whether the newest row alarms.
    alarms: bool,
    /// Whether somebody was notified since it was calm last.
    is_told: bool,
    /// When somebody was notified of the subject last.
    told_at: Option<Timestamp>,
    /// Whether an incident stands for it, and in how many rows it has been over since.
    has_incident: bool,
    quiet_rows: u32,
    /// The highest lasting score since it was calm, and what of that an incident has stood for.
    peak: Option<Score>,
    #[serde(default)]
    told_peak: Option<Score>,
}

impl Excursion {
    /// Takes the lasting score of the row at this moment; `None` is a row without one. What was told within `same_news` is the same news, and so
    /// is all of it while an incident is open, and until it goes far beyond what it had reached by then.
    pub(super) fn push(
        &mut self,
        rule: &Hysteresis,
        (at, lasting_score): (Timestamp, Option<Score>),
        same_news: Duration,
        is_open: bool,
    ) {
        self.gate.push(rule, lasting_score.map(Score::value));
        self.alarms = lasting_score.is_some_and(Score::is_alarming) && self.gate.opens(rule);
        let is_same_news = self.told_at.is_some_and(|told_at| at.since(told_at) < same_news);
        if is_open || is_same_news {
            self.told_peak = if lasting_score > self.peak { lasting_score } else { self.peak };
        } else if self.is_beyond_told(lasting_score) {
            (self.is_told, self.told_peak) = (false, lasting_score);
        }
        if lasting_score > self.peak {
            self.peak = lasting_score;
        }
        // The averages still fall when the fault is over: the incident needn't wait for that, only the next one.
        let stands = match (lasting_score, self.peak) {
            (Some(score), Some(peak)) => score.value() >= FALLEN_SHARE * peak.value(),
            (None, _) | (_, None) => false,
        };
        self.quiet_rows = if stands { 0 } else { self.quiet_rows.saturating_add(1) };
        self.has_incident &= self.quiet_rows < rule.close_rows;
        if self.gate.is_calm(rule) {
            (self.is_told, self.peak, self.told_peak) = (false, None, None);
        }
        self.is_told |= self.is_news() && is_same_news;
    }

    fn is_beyond_told(&self, lasting_score: Option<Score>) -> bool {
        let (Some(score), Some(told)) = (lasting_score, self.told_peak) else { return false };
        // What falls from its highest was that high when somebody was called, or soon after, and is ending.
        self.alarms && lasting_score >= self.peak && score.value() > AGAIN_TIMES * told.value()
    }

    /// Whether the newest row alarms.
    pub(super) fn alarms(&self) -> bool {
        self.alarms
    }

    /// Whether it alarms, and nobody was notified since it began.
    pub(super) fn is_news(&self) -> bool {
        self.alarms && !self.is_told
    }

    /// Somebody is notified of the subject, or knows what explains it.
    pub(super) fn tell(&mut self, at: Timestamp) {
        (self.is_told, self.told_at) = (true, Some(at));
    }

    /// Somebody is notified of an incident that no row alarms in by itself: it lasts as long as this does. One that has far rows ends with its
    /// signals, however long the averages need to forget it.
    pub(super) fn hold(&mut self) {
        self.has_incident |= self.alarms;
    }

    /// Whether the incident that stands for it must stay open.
    pub(super) fn goes_on(&self) -> bool {
        self.has_incident
    }
}
