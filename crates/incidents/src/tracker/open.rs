//! One open incident: how it grows, when it is worth telling, when it is over.

use std::time::Duration;

use homeostat_core::{
    Annotation, Calibrated, CorrelationId, Evidence, Fused, Incident, IncidentChange, IncidentId, IncidentState,
    IncidentType, Score, Subject, Timestamp,
};
use homeostat_detect::{ALARM_UNIT, ALARM_UNIT_ROWS_MIN};
use serde::{Deserialize, Serialize};

use super::cause::Causes;
use super::evidence::{evidence_of, merge};
use super::published::Published;
use super::{ClusterContext, SubjectRow, TrackerTimes, is_flowing};
use crate::confidence::Calibration;
use crate::replica_watch::OutlierReplica;
use crate::typing::{TypingContext, fits_rollout, incident_type, is_its_own, is_load, sharpened};

/// Subjects listed as affected: a page that lists more helps nobody, and it bounds the incident's size.
const AFFECTED_MAX: usize = 64;

/// Roll-outs listed. Of more than four in half an hour the earliest four are as good a hint.
const ROLLOUTS_MAX: usize = 4;

/// With a step longer than the staleness time, a row that is merely due must not look like silence.
const STALE_STEPS_MIN: u32 = 3;

/// What is known of an incident's subject beside its own rows.
pub(super) struct Known<'a> {
    /// Incidents it may follow from.
    pub(super) causes: &'a Causes,
    /// Replicas of it that are unlike the others.
    pub(super) outliers: &'a [OutlierReplica],
}

/// An open incident, and what was told of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) incident: Incident,
    /// Silence for longer than this is stale.
    silence_max: Duration,
    /// The newest row that had a score and something of the evidence.
    fresh_at: Timestamp,
    /// Rows without any other in between in which all the evidence was there and normal.
    pub(super) normal_rows: u32,
    /// When it called last: at its opening or when it alarmed anew.
    #[serde(default, alias = "called_at")]
    notified_at: Timestamp,
    /// Whether it has been calm since then.
    #[serde(default)]
    subsided: bool,
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
    /// The features by which it was opened so: replicas may have features that the workload hasn't.
    #[serde(default)]
    pub(super) replica_features: Vec<String>,
}

impl Open {
    /// An incident that opens with this row; neither annotated nor announced yet.
    pub(super) fn new(row: SubjectRow<'_>, at: Timestamp, stale_after: Duration) -> Self {
        let score = row.row.assessment.score().unwrap_or(Score::ZERO);
        let silence_max = stale_after.max(row.step.saturating_mul(STALE_STEPS_MIN));
        let mut open = Self::with(row.subject, at, silence_max, score, evidence_of(&row));
        open.incident.votes.clone_from(&row.row.assessment.votes);
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

    /// An incident that a record has and this tracker hasn't. What was published of it is what the record says.
    pub(super) fn of_record(incident: Incident, silence_max: Duration) -> Self {
        let fresh = Self::with(&incident.subject, incident.updated_at, silence_max, incident.score, Vec::new());
        Self { published: Some(Published::of(&incident, None)), incident, ..fresh }
    }

    /// Takes a record's state over where it is the newer one.
    pub(super) fn catch_up(&mut self, recorded: Incident) {
        if recorded.updated_at > self.incident.updated_at {
            self.published = Some(Published::of(&recorded, self.published.as_ref()));
            self.incident = recorded;
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
            incident,
            silence_max,
            fresh_at: at,
            normal_rows: 0,
            notified_at: at,
            subsided: false,
            notifies: false,
            published: None,
            usual_rows: 0,
            is_rebaselined: false,
            by_replicas: false,
            replica_features: Vec::new(),
        }
    }

    pub(super) fn incident(&self) -> &Incident {
        &self.incident
    }

    /// Whether a failing dependency wouldn't explain it: it is shared by all replicas.
    pub(super) fn is_its_own(&self) -> bool {
        self.by_replicas || is_its_own(&self.incident.evidence)
    }

    /// Whether it is load that callers pass down.
    pub(super) fn is_load(&self) -> bool {
        is_load(&self.incident.evidence)
    }

    /// Whether a roll-out of the subject shortly before it opened explains it.
    pub(super) fn is_of_rollout(&self, context: &ClusterContext, times: &TrackerTimes) -> bool {
        fits_rollout(&self.incident.evidence) && !rollouts(&self.incident, context, times).is_empty()
    }

    /// Takes the next row. `alarms`: it would open an incident if there were none; `calm`: enough calm rows to close one.
    pub(super) fn observe(&mut self, row: &SubjectRow<'_>, alarms: bool, calm: bool, times: &TrackerTimes) {
        let at = row.row.assessment.at;
        self.subsided |= calm;
        let lasts = at.since(self.notified_at) >= ALARM_UNIT.max(row.step.saturating_mul(ALARM_UNIT_ROWS_MIN));
        self.notifies = alarms && (self.subsided || lasts);
        self.follow_limits(row);
        let some_there = self.judge_evidence(row, times);
        let Fused::Scored { score, .. } = row.row.assessment.fused else {
            return;
        };
        if some_there {
            self.is_fresh(at);
        }
        self.incident.score = score;
        if score.is_alarming() {
            self.by_replicas = false;
            merge(&mut self.incident.evidence, row);
        }
        if score > self.incident.score_peak {
            self.incident.score_peak = score;
            self.incident.votes.clone_from(&row.row.assessment.votes);
        }
    }

    /// Data of its evidence came in.
    fn is_fresh(&mut self, at: Timestamp) {
        self.fresh_at = self.fresh_at.max(at);
        self.incident.state = IncidentState::Open;
    }

    /// Its replicas were compared at `at`: whether some are unlike the others, is told by annotations.
    pub(super) fn compared(&mut self, at: Timestamp) {
        if self.by_replicas {
            self.is_fresh(at);
        }
    }

    /// When the features of its evidence reach their limits, as of this row.
    fn follow_limits(&mut self, row: &SubjectRow<'_>) {
        let Incident { evidence, limits_ahead, .. } = &mut self.incident;
        limits_ahead.clear();
        limits_ahead.extend(evidence.iter().filter_map(|one| row.limits.ahead(&one.feature, row.row.assessment.at)));
    }

    /// Whether its evidence has been back to normal, on fresh data, for so many rows.
    pub(super) fn is_normal(&self, rows: u32) -> bool {
        is_flowing(self.incident.state) && self.normal_rows >= rows
    }

    /// Whether its evidence is away from normal, on fresh data, for so long that it is taken for the new usual.
    pub(super) fn is_rebaselined(&self) -> bool {
        is_flowing(self.incident.state) && self.is_rebaselined
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

    /// Whether it is silent for so long that its data won't come back.
    pub(super) fn is_expired(&self, now: Timestamp, expire_after: Duration) -> bool {
        self.incident.state == IncidentState::Stale && now.since(self.fresh_at) > expire_after
    }

    pub(super) fn expired(mut self, at: Timestamp) -> Incident {
        self.incident.state = IncidentState::Expired;
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
            Annotation::RecentRollout { .. } | Annotation::ReplicaOutlier { .. } => false,
        })
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
        let Known { causes, outliers } = known;
        let incident = &mut self.incident;
        // When an event ends, what it brought goes away again: that is as planned as the event.
        let covering = |moment: Timestamp| context.calendar.covering(&incident.subject, moment);
        let event = covering(at).or_else(|| covering(at - times.rollout_recent));
        let event = event.map(|event| Annotation::PlannedEvent { name: event.name.clone() });
        let rollouts = rollouts(incident, context, times);
        let dependencies = causes.iter().map(|cause| Annotation::DependencyAffected {
            dependency: cause.dependency.clone(),
            incident: cause.incident.clone(),
        });
        let typing_context =
            TypingContext { recent_rollout: !rollouts.is_empty(), dependency_in_incident: !causes.is_empty() };
        let outliers = outliers.iter().map(OutlierReplica::annotation);
        incident.annotations = event.into_iter().chain(rollouts).chain(dependencies).chain(outliers).collect();
        let found = incident_type(&incident.evidence, typing_context);
        incident.incident_type = sharpened(incident.incident_type, found);
        // Calibration knows the detectors' scores, not the comparing of replicas.
        incident.confidence = if self.by_replicas {
            Calibrated::UNKNOWN
        } else {
            calibration.confidence(incident.incident_type, incident.score_peak)
        };
    }

    /// What is worth telling since it was last told; at first, that it opened. While its subject `settles`, it calls nobody.
    pub(super) fn change(&mut self, at: Timestamp, settles: bool) -> Option<IncidentChange> {
        let now = Published::of(&self.incident, self.published.as_ref());
        if std::mem::take(&mut self.notifies) && self.published.is_some() && !settles && !self.is_excused() {
            (self.notified_at, self.subsided) = (at, false);
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

/// The roll-outs that may have caused it: those known so far, and those of the subject, not by us, shortly before it opened.
fn rollouts(incident: &Incident, context: &ClusterContext, times: &TrackerTimes) -> Vec<Annotation> {
    let is_rollout = |annotation: &&Annotation| match annotation {
        Annotation::RecentRollout { .. } => true,
        Annotation::PlannedEvent { .. } | Annotation::DependencyAffected { .. } | Annotation::ReplicaOutlier { .. } => {
            false
        }
    };
    let mut found: Vec<Annotation> = incident.annotations.iter().filter(is_rollout).cloned().collect();
    for rollout in &context.rollouts {
        let shortly_before =
            rollout.at <= incident.opened_at && incident.opened_at.since(rollout.at) <= times.rollout_recent;
        let annotation = Annotation::RecentRollout { at: rollout.at, revision: rollout.revision.clone() };
        if !rollout.by_us && rollout.subject == incident.subject && shortly_before && !found.contains(&annotation) {
            found.push(annotation);
        }
    }
    found.truncate(ROLLOUTS_MAX);
    found
}
