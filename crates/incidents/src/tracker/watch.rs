//! What is kept of a subject: the rule's state, its open incident, and what its latest rows were like.

use std::time::Duration;

use homeostat_core::{ClusterFact, PlannedEvent, Score, Standing, Timestamp};
use homeostat_detect::{Gate, Hysteresis};
use serde::{Deserialize, Serialize};

use super::SubjectRow;
use super::TrackerTimes;
use super::data_fault::DataFault;
use super::excursion::Excursion;
use super::open::Open;
use super::reminder::repeat_interval;
use super::row_means::RowMeans;
use super::row_memory::RowMemory;
use crate::replica_watch::OutlierReplica;

/// Confidence was measured where the rows before an incident were whole. For so many rows after a gap it is unknown: as far as
/// residuals look back.
const LOOK_BACK_ROWS: u32 = 20;

/// A subject without an incident that has had no row for so long is forgotten: nothing it remembers still means anything, and
/// clusters make new names every day.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Watch {
    pub(super) gate: Gate,
    #[serde(default)]
    pub(super) excursion: Excursion,
    pub(super) open: Option<Open>,
    /// Rows for which it has waited for a suspicious dependency.
    pub(super) waited_rows: u32,
    /// Since when it waits because its values fall together with another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) falls_since: Option<Timestamp>,
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
    /// What the cluster says of it, and when it last said anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) facts: Vec<ClusterFact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) facts_at: Option<Timestamp>,
    /// Its newest row. Older ones, seen again after a restart or by newer models, change nothing.
    #[serde(default, alias = "scored_at")]
    seen_at: Option<Timestamp>,
    /// Rows to come until no gap is near any more.
    #[serde(default)]
    rows_near_gap: u32,
    /// Most features that a row of it had.
    #[serde(default)]
    n_present_max: usize,
    /// What is wrong with its data, if that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data_fault: Option<DataFault>,
    /// When its series came back lately, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    returns: Vec<Timestamp>,
    /// What its rows were like.
    #[serde(skip)]
    pub(super) memory: RowMemory,
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
        if let Some(fault) = &mut self.data_fault {
            fault.since = fault.since.min(at);
        }
    }

    /// Rows up to `at` were seen elsewhere.
    pub(super) fn has_been_seen_until(&mut self, at: Timestamp) {
        self.seen_at = self.seen_at.max(Some(at));
    }

    /// Its newest row.
    pub(super) fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at
    }

    /// Its series ended for so long that nobody waits for them.
    pub(super) fn forget_rows(&mut self) {
        self.seen_at = None;
    }

    /// Its series are back at `now`; what was longer than `span` ago doesn't matter any more.
    pub(super) fn returned(&mut self, now: Timestamp, span: Duration) {
        self.returns.retain(|at| now.since(*at) <= span);
        self.returns.push(now);
    }

    /// How often its series came back since this moment.
    pub(super) fn returned_since(&self, since: Timestamp) -> usize {
        self.returns.iter().filter(|at| **at >= since).count()
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
        self.memory.push(row.row.assessment.at, row.step, &row.row.features);
        let n_present = row.row.features.iter().filter(|state| state.value.is_some()).count();
        self.n_present_max = self.n_present_max.max(n_present);
        // Some features come and go by themselves, as ratios do without traffic.
        let is_gap = 2 * n_present < self.n_present_max;
        self.rows_near_gap = if is_gap { LOOK_BACK_ROWS } else { self.rows_near_gap.saturating_sub(1) };
        let assessment = &row.row.assessment;
        self.gate.push(rule, assessment.score().map(Score::value));
        let lasting = (assessment.at, assessment.lasting_score());
        self.excursion.push(rule, lasting, repeat_interval(row.step), self.open.is_some());
        let means = RowMeans {
            score: score_of(row, &self.excursion),
            alarms: self.gate.opens(rule),
            adds_up: self.excursion.is_news(),
            calm: self.gate.is_calm(rule),
            is_whole: self.is_whole(),
            as_of,
        };
        if let Some(open) = &mut self.open {
            open.observe(row, &means, times);
        }
    }

    /// Takes what the cluster says of it at `at`, which may be nothing.
    pub(super) fn take_facts(&mut self, at: Timestamp, facts: Vec<ClusterFact>) {
        if !facts.is_empty() {
            self.facts_at = Some(at);
            if let Some(open) = &mut self.open {
                open.heard_of(at);
            }
        }
        self.facts = facts;
    }

    /// Whether the newest row opens an incident, if none is open.
    pub(super) fn opens(&self, row: &SubjectRow<'_>, rule: &Hysteresis) -> bool {
        self.alarms_by_row(row, rule) || self.excursion.is_news()
    }

    /// Whether the newest rows alarm by themselves.
    pub(super) fn alarms_by_row(&self, row: &SubjectRow<'_>, rule: &Hysteresis) -> bool {
        row.row.assessment.score().is_some_and(Score::is_alarming) && self.gate.opens(rule)
    }

    /// Somebody is notified of its incident.
    pub(super) fn notified(&mut self, at: Timestamp, rule: &Hysteresis) {
        self.excursion.tell(at);
        if !self.gate.opens(rule) {
            self.excursion.hold();
        }
    }

    /// Whether it has been calm for long enough, and what added up is over.
    pub(super) fn is_calm(&self, rule: &Hysteresis) -> bool {
        self.gate.is_calm(rule) && !self.excursion.goes_on()
    }

    /// Whether it is to be forgotten.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        let newest = self.seen_at.max(self.compared_at);
        self.open.is_none()
            && self.data_fault.is_none()
            && newest.is_none_or(|newest| now.since(newest) > FORGOTTEN_AFTER)
    }

    /// Whether a fact that opens incidents keeps its incident open. What nobody has looked at lately holds nothing.
    pub(super) fn is_held_by_facts(&self, at: Timestamp, times: &TrackerTimes) -> bool {
        let is_recent = self.facts_at.is_some_and(|facts_at| at.since(facts_at) <= times.stale_after);
        is_recent && self.facts.iter().any(|fact| fact.standing == Standing::Opens)
    }

    /// Whether replicas that are unlike the others keep its incident open. What they alone opened stays until they were seen to be
    /// well; another incident isn't held open by a comparison of long ago.
    pub(super) fn is_held_by_replicas(&self, at: Timestamp, times: &TrackerTimes) -> bool {
        let by_replicas = self.open.as_ref().is_some_and(Open::is_by_replicas);
        let is_recent = self.compared_at.is_some_and(|compared_at| at.since(compared_at) <= times.stale_after);
        !self.outliers.is_empty() && (by_replicas || is_recent)
    }
}

/// The row's score: its own, or that of what has added up, while that alarms.
pub(super) fn score_of(row: &SubjectRow<'_>, excursion: &Excursion) -> Option<Score> {
    let assessment = &row.row.assessment;
    let lasting = assessment.lasting_score().filter(|_| excursion.alarms()).unwrap_or(Score::ZERO);
    assessment.score().map(|score| if lasting > score { lasting } else { score })
}
