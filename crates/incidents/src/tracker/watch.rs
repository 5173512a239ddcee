//! What is kept of a subject: the rule's state, its open incident, and what its latest rows were like.

use std::time::Duration;

use homeostat_core::{PlannedEvent, Score, Timestamp};
use homeostat_detect::{Gate, Hysteresis};
use serde::{Deserialize, Serialize};

use super::SubjectRow;
use super::TrackerTimes;
use super::open::{Open, RowMeans};
use crate::replica_watch::OutlierReplica;

/// Confidence was measured where the rows before an incident were whole. For so many rows after a gap it is unknown: as far as
/// residuals look back.
const LOOK_BACK_ROWS: u32 = 20;

/// A subject without an incident that has had no row for so long is forgotten: nothing it remembers still means anything, and
/// clusters make new names every day.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) gate: Gate,
    pub(super) open: Option<Open>,
    /// Rows for which it has waited for a suspicious dependency.
    pub(super) waited_rows: u32,
    /// Until then it can't open an incident, because what it depends on has only just recovered.
    pub(super) settles_until: Option<Timestamp>,
    /// The planned event that an incident of it was opened in: what else the event explains is no news.
    #[serde(default)]
    pub(super) told_event: Option<EventKey>,
    /// Its replicas that are unlike the others, and when they were compared last.
    #[serde(default, alias = "apart")]
    pub(super) outliers: Vec<OutlierReplica>,
    #[serde(default)]
    pub(super) compared_at: Option<Timestamp>,
    /// Its newest row. Older ones, seen again after a restart or by newer models, change nothing.
    #[serde(default, alias = "scored_at")]
    seen_at: Option<Timestamp>,
    /// Rows to come until no gap is near any more.
    #[serde(default)]
    rows_near_gap: u32,
    /// Most features that a row of it had.
    #[serde(default)]
    n_present_max: usize,
}

/// Which planned event it is: one of the same name may come every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventKey {
    name: String,
    start: Timestamp,
}

impl EventKey {
    pub(super) fn of(event: &PlannedEvent) -> Self {
        Self { name: event.name.clone(), start: event.start }
    }
}

impl Watch {
    /// Fills in what a checkpoint of an earlier version didn't have.
    pub(super) fn complete(&mut self) {
        if let Some(open) = &mut self.open {
            open.complete();
            self.seen_at = self.seen_at.max(Some(open.incident().updated_at)).max(Some(open.fresh_at()));
        }
    }

    /// Forgets that rows later than `at` were seen.
    pub(super) fn rewind(&mut self, at: Timestamp) {
        self.seen_at = self.seen_at.map(|seen_at| seen_at.min(at));
    }

    /// Rows up to `at` were seen elsewhere.
    pub(super) fn has_been_seen_until(&mut self, at: Timestamp) {
        self.seen_at = self.seen_at.max(Some(at));
    }

    /// Whether a row of this moment is news.
    pub(super) fn is_new(&self, at: Timestamp) -> bool {
        self.seen_at.is_none_or(|seen_at| at > seen_at)
    }

    /// Whether its newest row isn't later than this moment.
    pub(super) fn has_seen(&self, at: Timestamp) -> bool {
        self.seen_at.is_none_or(|seen_at| seen_at <= at)
    }

    /// Whether no gap is so near that the rows before the newest one are in doubt.
    pub(super) fn is_whole(&self) -> bool {
        self.rows_near_gap == 0
    }

    /// Takes the next row into the rule, and into the incident, if there is one. `as_of` is when the row is looked at.
    pub(super) fn take_row(&mut self, row: &SubjectRow<'_>, as_of: Timestamp, rule: &Hysteresis, times: &TrackerTimes) {
        self.seen_at = Some(row.row.assessment.at);
        let n_present = row.row.features.iter().filter(|state| state.value.is_some()).count();
        self.n_present_max = self.n_present_max.max(n_present);
        // Some features come and go by themselves, as ratios do without traffic.
        let is_gap = 2 * n_present < self.n_present_max;
        self.rows_near_gap = if is_gap { LOOK_BACK_ROWS } else { self.rows_near_gap.saturating_sub(1) };
        self.gate.push(rule, row.row.assessment.score().map(Score::value));
        let means =
            RowMeans { alarms: self.gate.opens(rule), calm: self.gate.is_calm(rule), is_whole: self.is_whole(), as_of };
        if let Some(open) = &mut self.open {
            open.observe(row, &means, times);
        }
    }

    /// Whether it is to be forgotten.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        let newest = self.seen_at.max(self.compared_at);
        self.open.is_none() && newest.is_none_or(|newest| now.since(newest) > FORGOTTEN_AFTER)
    }

    /// Whether replicas that are unlike the others keep its incident open. What they alone opened stays until they were seen to be
    /// well; another incident isn't held open by a comparison of long ago.
    pub(super) fn is_held_by_replicas(&self, at: Timestamp, times: &TrackerTimes) -> bool {
        let by_replicas = self.open.as_ref().is_some_and(Open::is_by_replicas);
        let is_recent = self.compared_at.is_some_and(|compared_at| at.since(compared_at) <= times.stale_after);
        !self.outliers.is_empty() && (by_replicas || is_recent)
    }
}
