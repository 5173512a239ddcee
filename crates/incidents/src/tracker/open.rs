//! One open incident: how it grows, when it is worth telling, when it is over.

use std::time::Duration;

use homeostat_core::{
    Annotation, Calibrated, ClusterFact, CorrelationId, Evidence, Incident, IncidentChange, IncidentId, IncidentState,
    IncidentType, PlannedEvent, Score, Signal, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::cause::Causes;
use super::context::{covering, rollouts};
use super::evidence::{bring_up_to, lasting, merge};
use super::published::Published;
use super::reminder::Reminder;
use super::row_means::RowMeans;
use super::told_facts::{annotations, established_type};
use super::{ClusterContext, SubjectRow, TrackerTimes, is_flowing};
use crate::confidence::Calibration;
use crate::replica_watch::OutlierReplica;
use crate::typing::{
    DEVIATING_MIN, TypingContext, evidence_of, fits_event, fits_rollout, has_errors, incident_type, is_its_own,
    is_load, is_mere_load, sharpened,
};

/// Subjects listed as affected: a page that lists more helps nobody, and it bounds the incident's size.
pub(super) const AFFECTED_MAX: usize = 64;

/// A stale incident is open again when its data is at most this share of the staleness time old: where data always lags by about
/// that time, an incident must not go stale and come back at every step.
const FRESH_SHARE: (u32, u32) = (3, 4);

/// An incident is of another type once another fault has stood out alone for so many rows: as many as close one.
const OTHER_ROWS: u32 = 5;

/// With a step longer than the staleness time, a row that is merely due must not look like silence.
const STALE_STEPS_MIN: u32 = 3;

/// What is known of an incident's subject beside its own rows.
pub(super) struct Known<'a> {
    /// Incidents it may follow from.
    pub(super) causes: &'a Causes,
    /// Replicas of it that are unlike the others.
    pub(super) outliers: &'a [OutlierReplica],
    /// What the cluster itself says of it.
    pub(super) facts: &'a [ClusterFact],
}

/// An open incident, and what was published of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    /// Its evidence has the numbers of the newest row.
    pub(super) incident: Incident,
    /// The same evidence as it was when it stood out most: what types it.
    #[serde(default)]
    peaks: Vec<Evidence>,
    /// The features that stood out first: while one of them does, the fault goes on.
    #[serde(default)]
    first: Vec<String>,
    /// Rows for which nothing of that and something else has stood out.
    #[serde(default)]
    other_rows: u32,
    /// The highest score among rows with no gap shortly before them.
    #[serde(default)]
    whole_peak: Option<Score>,
    /// Whether its memory is on its way to its limit.
    #[serde(default)]
    memory_fills_up: bool,
    /// Since when it has been stale.
    #[serde(default)]
    stale_at: Option<Timestamp>,
    /// Silence for longer than this is stale.
    silence_max: Duration,
    /// The newest row that had a score and something of the evidence.
    fresh_at: Timestamp,
    /// Rows without any other in between in which all the evidence was there and normal.
    pub(super) normal_rows: u32,
    #[serde(flatten)]
    reminder: Reminder,
    /// Whether the newest row makes it call again.
    #[serde(default, alias = "calls")]
    notifies: bool,
    /// `None` until it was announced.
    #[serde(alias = "told")]
    published: Option<Published>,
    /// Rows in which the forecast took all the evidence for usual, less ten times those in which it didn't.
    #[serde(default)]
    pub(super) usual_rows: u32,
    /// Whether that is so many that its level is the new usual.
    #[serde(default, alias = "is_accepted")]
    pub(super) is_rebaselined: bool,
    /// Whether comparing replicas opened it, and its own rows didn't alarm since.
    #[serde(default)]
    pub(super) by_replicas: bool,
    /// Whether facts opened it, and its own rows didn't alarm since.
    #[serde(default)]
    by_facts: bool,
    /// The features by which it was opened so: replicas may have features that the workload hasn't.
    #[serde(default)]
    pub(super) replica_features: Vec<String>,
}

impl Open {
    /// An incident that opens with this row; neither annotated nor announced yet.
    pub(super) fn new(row: SubjectRow<'_>, at: Timestamp, score: Score, stale_after: Duration, is_whole: bool) -> Self {
        let silence_max = stale_after.max(row.step.saturating_mul(STALE_STEPS_MIN));
        let mut open = Self::with(row.subject, at, silence_max, score, evidence_of(row.schema, row.row));
        open.incident.votes.clone_from(&row.row.assessment.votes);
        open.whole_peak = is_whole.then_some(score);
        open.follow_limits(&row);
        open
    }

    /// An incident that opens because replicas are unlike the others. Its score is the threshold: the rows of the workload itself
    /// needn't alarm.
    pub(super) fn of_replicas(
        subject: &Subject,
        at: Timestamp,
        silence_max: Duration,
        outliers: &[OutlierReplica],
    ) -> Self {
        let evidence = outliers.first().map(|first| first.evidence.clone()).unwrap_or_default();
        let replica_features = evidence.iter().map(|one| one.feature.clone()).collect();
        let open = Self::with(subject, at, silence_max, Score::THRESHOLD, evidence);
        Self { by_replicas: true, replica_features, ..open }
    }

    /// An incident that opens because of what the cluster itself says. Its score is the threshold: no row need alarm.
    pub(super) fn of_facts(subject: &Subject, at: Timestamp, silence_max: Duration) -> Self {
        Self { by_facts: true, ..Self::with(subject, at, silence_max, Score::THRESHOLD, Vec::new()) }
    }

    /// An incident that a record has and this tracker hasn't. What was published of it is what the record says.
    pub(super) fn of_record(incident: Incident, silence_max: Duration) -> Self {
        let fresh = Self::with(&incident.subject, incident.updated_at, silence_max, incident.score, Vec::new());
        let by_facts = incident.evidence.is_empty() && incident.facts().next().is_some();
        let mut open = Self { published: Some(Published::of(&incident, None)), incident, by_facts, ..fresh };
        open.complete();
        open
    }

    /// Takes a record's state over where it is the newer one.
    pub(super) fn catch_up(&mut self, recorded: Incident) {
        if recorded.updated_at > self.incident.updated_at {
            self.published = Some(Published::of(&recorded, self.published.as_ref()));
            self.incident = recorded;
            self.peaks.clear();
            self.complete();
        }
    }

    fn with(subject: &Subject, at: Timestamp, silence_max: Duration, score: Score, evidence: Vec<Evidence>) -> Self {
        let incident = Incident {
            id: IncidentId::of(subject, at),
            correlation: CorrelationId::of(subject, at),
            subject: subject.clone(),
            incident_type: IncidentType::Unknown,
            state: IncidentState::Open,
            opened_at: at,
            updated_at: at,
            score,
            score_peak: score,
            confidence: Calibrated::UNKNOWN,
            evidence,
            votes: Vec::new(),
            affected: Vec::new(),
            annotations: Vec::new(),
            limits_ahead: Vec::new(),
        };
        Self {
            peaks: incident.evidence.clone(),
            incident,
            first: Vec::new(),
            other_rows: 0,
            whole_peak: None,
            memory_fills_up: false,
            stale_at: None,
            silence_max,
            fresh_at: at,
            normal_rows: 0,
            reminder: Reminder::opening(at, score),
            notifies: false,
            published: None,
            usual_rows: 0,
            is_rebaselined: false,
            by_replicas: false,
            by_facts: false,
            replica_features: Vec::new(),
        }
    }

    /// Fills in what a record, or a checkpoint of an earlier version, doesn't have.
    pub(super) fn complete(&mut self) {
        if self.peaks.is_empty() {
            self.peaks.clone_from(&self.incident.evidence);
        }
        if self.incident.confidence != Calibrated::UNKNOWN {
            self.whole_peak = self.whole_peak.or(Some(self.incident.score_peak));
        }
    }

    /// The newest row that had a score and something of the evidence.
    pub(super) fn fresh_at(&self) -> Timestamp {
        self.fresh_at
    }

    pub(super) fn incident(&self) -> &Incident {
        &self.incident
    }

    /// Whether a failing dependency wouldn't explain it: it is shared by all replicas.
    pub(super) fn is_its_own(&self) -> bool {
        self.by_replicas || self.by_facts || is_its_own(&self.peaks)
    }

    /// Whether it is load that callers pass down.
    pub(super) fn is_load(&self) -> bool {
        is_load(&self.peaks)
    }

    /// Whether a roll-out of the subject shortly before it opened explains it.
    pub(super) fn is_of_rollout(&self, context: &ClusterContext, times: &TrackerTimes) -> bool {
        fits_rollout(&self.peaks) && !rollouts(&self.incident, context, times).is_empty()
    }

    /// The planned event that explains it, and under which all that it explains is one incident.
    pub(super) fn event<'a>(&self, context: &'a ClusterContext, times: &TrackerTimes) -> Option<&'a PlannedEvent> {
        let Incident { subject, opened_at, .. } = &self.incident;
        let event = covering(subject, *opened_at, context, times)?;
        let is_over = event.end <= *opened_at;
        (fits_event(&self.peaks, is_over) && !self.by_replicas).then_some(event)
    }

    /// Whether it is nothing but load, or nothing stands out.
    pub(super) fn is_mere_load(&self) -> bool {
        is_mere_load(&self.peaks)
    }

    /// Whether something fails.
    pub(super) fn has_errors(&self) -> bool {
        has_errors(&self.peaks)
    }

    /// Takes the next row.
    pub(super) fn observe(&mut self, row: &SubjectRow<'_>, means: &RowMeans, times: &TrackerTimes) {
        let at = row.row.assessment.at;
        let fails = self.has_errors() || is_its_own(&self.peaks);
        self.notifies = self.reminder.is_due(at, means, row.step, fails);
        self.follow_limits(row);
        let some_there = self.judge_evidence(row, times);
        let Some(score) = means.score else {
            return;
        };
        if some_there {
            self.is_fresh(at, means.as_of);
        }
        self.incident.score = score;
        if score.is_alarming() {
            (self.by_replicas, self.by_facts) = (false, false);
            merge(&mut self.peaks, row);
        }
        self.look_for_another(row);
        self.list_evidence(row);
        if score > self.incident.score_peak {
            self.incident.score_peak = score;
            self.incident.votes.clone_from(&row.row.assessment.votes);
        }
        if means.is_whole && self.whole_peak.is_none_or(|peak| score > peak) {
            self.whole_peak = Some(score);
        }
    }

    /// Whether another fault stands out while nothing is left of this one: then it is of that type, and notifies again, because
    /// whoever knows of the first doesn't know of this one.
    fn look_for_another(&mut self, row: &SubjectRow<'_>) {
        if self.first.is_empty() {
            self.first = deviating(&self.peaks);
        }
        let now = lasting(row);
        let typing_context = TypingContext { memory_fills_up: self.memory_fills_up, ..TypingContext::default() };
        let found = incident_type(&now, typing_context);
        // What only replicas have, a workload's row says nothing of.
        let goes_on = self.first.is_empty()
            || !self.replica_features.is_empty()
            || now.iter().any(|one| self.first.contains(&one.feature));
        if goes_on || found == IncidentType::Unknown {
            self.other_rows = 0;
            return;
        }
        self.other_rows += 1;
        if self.other_rows < OTHER_ROWS {
            return;
        }
        (self.incident.incident_type, self.other_rows) = (found, 0);
        self.first = deviating(&now);
        self.peaks.retain(|peak| {
            let state = row.schema.position(&peak.feature).and_then(|idx| row.row.features.get(idx));
            state.is_none_or(|state| !state.normal)
        });
        merge(&mut self.peaks, row);
        self.notifies = true;
    }

    /// Lists its evidence with the numbers of this row.
    fn list_evidence(&mut self, row: &SubjectRow<'_>) {
        let known = std::mem::take(&mut self.incident.evidence);
        let newest = |peak: &Evidence| known.iter().find(|one| one.feature == peak.feature).unwrap_or(peak).clone();
        self.incident.evidence = self.peaks.iter().map(newest).collect();
        bring_up_to(&mut self.incident.evidence, row);
    }

    /// Data of its evidence came in, which is looked at as of `as_of`.
    fn is_fresh(&mut self, at: Timestamp, as_of: Timestamp) {
        self.fresh_at = self.fresh_at.max(at);
        let (share, of) = FRESH_SHARE;
        if self.incident.state == IncidentState::Stale && as_of.since(self.fresh_at) <= self.silence_max * share / of {
            self.incident.state = IncidentState::Open;
        }
    }

    /// Its replicas were compared at `at`: whether some are unlike the others, is told by annotations.
    pub(super) fn compared(&mut self, at: Timestamp) {
        if self.by_replicas {
            self.is_fresh(at, at);
        }
    }

    /// When the features of its evidence reach their limits, as of this row.
    fn follow_limits(&mut self, row: &SubjectRow<'_>) {
        let Incident { evidence, limits_ahead, .. } = &mut self.incident;
        limits_ahead.clear();
        limits_ahead.extend(evidence.iter().filter_map(|one| row.limits.ahead(&one.feature, row.row.assessment.at)));
        let memory = row.schema.features().iter().filter(|feature| feature.signal == Signal::Memory);
        let mut ahead = memory.filter_map(|feature| row.limits.ahead(&feature.name, row.row.assessment.at));
        self.memory_fills_up = ahead.next().is_some();
    }

    /// Whether its evidence has been back to normal, on fresh data, for so many rows.
    pub(super) fn is_normal(&self, rows: u32) -> bool {
        is_flowing(self.incident.state) && self.normal_rows >= rows
    }

    /// Whether its evidence is away from normal, on fresh data, for so long that it is taken for the new usual.
    pub(super) fn is_rebaselined(&self) -> bool {
        is_flowing(self.incident.state) && self.is_rebaselined
    }

    /// The cluster said something of it.
    pub(super) fn heard_of(&mut self, at: Timestamp) {
        self.is_fresh(at, at);
    }

    /// Whether facts opened it, and its own rows didn't alarm since.
    pub(super) fn is_by_facts(&self) -> bool {
        self.by_facts
    }

    /// Whether comparing replicas opened it, and its own rows didn't alarm since.
    pub(super) fn is_by_replicas(&self) -> bool {
        self.by_replicas
    }

    pub(super) fn rebaselined(mut self, at: Timestamp) -> Incident {
        self.incident.state = IncidentState::Rebaselined;
        self.incident.updated_at = at;
        self.incident
    }

    pub(super) fn resolved(mut self, at: Timestamp) -> Incident {
        self.incident.state = IncidentState::Resolved;
        self.incident.limits_ahead.clear();
        self.incident.updated_at = at;
        self.incident
    }

    /// Whether something planned, or an incident of what it depends on, explains why it alarms.
    fn is_excused(&self) -> bool {
        self.incident.annotations.iter().any(|annotation| match annotation {
            Annotation::PlannedEvent { .. } | Annotation::DependencyAffected { .. } => true,
            Annotation::RecentRollout { .. }
            | Annotation::ThresholdRule { .. }
            | Annotation::ReplicaOutlier { .. }
            | Annotation::ClusterFact { .. } => false,
        })
    }

    /// Whether it has been stale for so long that nobody waits for its data any more.
    pub(super) fn has_expired(&mut self, now: Timestamp, expires_after: Duration) -> bool {
        if self.incident.state != IncidentState::Stale {
            self.stale_at = None;
            return false;
        }
        now.since(*self.stale_at.get_or_insert(now)) > expires_after
    }

    pub(super) fn expired(mut self, now: Timestamp) -> Incident {
        self.incident.state = IncidentState::Expired;
        self.incident.limits_ahead.clear();
        self.incident.updated_at = now;
        self.incident
    }

    /// The change, if its data has been silent for too long and that wasn't told.
    pub(super) fn goes_stale(&mut self, now: Timestamp) -> Option<IncidentChange> {
        if !is_flowing(self.incident.state) || now.since(self.fresh_at) <= self.silence_max {
            return None;
        }
        self.incident.state = IncidentState::Stale;
        self.normal_rows = 0;
        self.incident.updated_at = now;
        self.published = Some(Published::of(&self.incident, self.published.as_ref()));
        Some(IncidentChange::Stale(self.incident.clone()))
    }

    pub(super) fn affect(&mut self, subject: &Subject) {
        let affected = &mut self.incident.affected;
        if affected.len() < AFFECTED_MAX && !affected.contains(subject) {
            affected.push(subject.clone());
        }
    }

    /// Brings annotations, type and confidence up to date.
    ///
    /// A planned event and a dependency's incident are annotated for as long as they last; a roll-out for good, since it may
    /// be the cause however long ago it is by now.
    pub(super) fn annotate(
        &mut self,
        at: Timestamp,
        context: &ClusterContext,
        known: &Known<'_>,
        times: &TrackerTimes,
        calibration: &Calibration,
    ) {
        let Known { causes, outliers, facts } = known;
        let incident = &mut self.incident;
        let event = covering(&incident.subject, at, context, times);
        let event = event.map(|event| Annotation::PlannedEvent { name: event.name.clone() });
        let rollouts = rollouts(incident, context, times);
        let dependencies = causes.iter().map(|cause| Annotation::DependencyAffected {
            dependency: cause.dependency.clone(),
            incident: cause.incident.clone(),
        });
        let typing_context = TypingContext {
            recent_rollout: !rollouts.is_empty(),
            dependency_in_incident: !causes.is_empty(),
            memory_fills_up: self.memory_fills_up,
        };
        let outliers = outliers.iter().map(OutlierReplica::annotation);
        let told = annotations(&incident.annotations, facts, at).into_iter();
        incident.annotations = told.chain(event).chain(rollouts).chain(dependencies).chain(outliers).collect();
        let found = incident_type(&self.peaks, typing_context);
        incident.incident_type = established_type(facts).unwrap_or_else(|| sharpened(incident.incident_type, found));
        // Calibration knows the detectors' scores of whole rows: not the comparing of replicas, and not what a gap stirs up.
        incident.confidence = match self.whole_peak {
            Some(score) if !self.by_replicas && !self.by_facts => calibration.confidence(incident.incident_type, score),
            Some(_) | None => Calibrated::UNKNOWN,
        };
    }

    /// What is worth telling since it was last told; at first, that it opened. While its subject `settles`, it calls nobody.
    pub(super) fn change(&mut self, at: Timestamp, settles: bool) -> Option<IncidentChange> {
        let now = Published::of(&self.incident, self.published.as_ref());
        if std::mem::take(&mut self.notifies) && self.published.is_some() && !settles && !self.is_excused() {
            self.reminder.notified(at, self.incident.score);
            self.published = Some(now);
            self.incident.updated_at = at;
            return Some(IncidentChange::Refired(self.incident.clone()));
        }
        match &self.published {
            None => {
                self.published = Some(now);
                Some(IncidentChange::Opened(self.incident.clone()))
            }
            Some(before) if before.differs(&now) => {
                self.published = Some(now);
                self.incident.updated_at = at;
                Some(IncidentChange::Updated(self.incident.clone()))
            }
            // Small steps add up: what was told stays what was told.
            Some(_) => None,
        }
    }
}

/// The features that deviate.
fn deviating(evidence: &[Evidence]) -> Vec<String> {
    let deviating = evidence.iter().filter(|one| one.deviation.abs() >= DEVIATING_MIN);
    deviating.map(|one| one.feature.clone()).collect()
}
