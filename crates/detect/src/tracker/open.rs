//! One open incident: how it grows, when it is worth telling, when it is over.

use std::time::Duration;

use homeostat_core::{
    Annotation, Calibrated, CorrelationId, Fused, Incident, IncidentChange, IncidentId, IncidentState, IncidentType,
    Score, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::cause::Causes;
use super::evidence::{evidence_of, merge};
use super::{SubjectRow, Surroundings, TrackerTimes, is_flowing};
use crate::boundary::{UNIT, UNIT_ROWS_MIN};
use crate::confidence::Calibration;
use crate::typing::{Circumstances, fits_rollout, incident_type, is_its_own, is_load, sharpened};

/// Subjects listed as affected: a page that lists more helps nobody, and it bounds the incident's size.
const AFFECTED_MAX: usize = 64;

/// Roll-outs listed. Of more than four in half an hour the earliest four are as good a hint.
const ROLLOUTS_MAX: usize = 4;

/// A confidence is told again once it has moved by so much: a twentieth is less than its own uncertainty.
const CONFIDENCE_STEP: f64 = 0.05;

/// A peak is told again once it has grown to so many times what was told.
const PEAK_STEP: f64 = 2.0;

/// With a step longer than the staleness time, a row that is merely due must not look like silence.
const STALE_STEPS_MIN: u32 = 3;

/// An open incident, and what was told of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    incident: Incident,
    /// Silence for longer than this is stale.
    silence_max: Duration,
    /// The newest row that had a score and something of the evidence.
    fresh_at: Timestamp,
    /// Rows without any other in between in which all the evidence was there and normal.
    normal_rows: u32,
    /// When it called last: at its opening or when it alarmed anew.
    #[serde(default)]
    called_at: Timestamp,
    /// Whether it has been calm since then.
    #[serde(default)]
    subsided: bool,
    /// Whether the newest row makes it call again.
    #[serde(default)]
    calls: bool,
    /// `None` until it was announced.
    told: Option<Told>,
}

/// What was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    incident_type: IncidentType,
    state: IncidentState,
    confidence: Calibrated,
    score_peak: Score,
    n_evidence: usize,
    affected: Vec<Subject>,
    annotations: Vec<Annotation>,
}

impl Told {
    fn of(incident: &Incident) -> Self {
        Self {
            incident_type: incident.incident_type,
            state: incident.state,
            confidence: incident.confidence,
            score_peak: incident.score_peak,
            n_evidence: incident.evidence.len(),
            affected: incident.affected.clone(),
            annotations: incident.annotations.clone(),
        }
    }

    fn differs(&self, now: &Told) -> bool {
        let moved = |a: f64, b: f64| (a - b).abs() >= CONFIDENCE_STEP;
        self.incident_type != now.incident_type
            || self.state != now.state
            || moved(self.confidence.confidence.value(), now.confidence.confidence.value())
            || moved(self.confidence.lower.value(), now.confidence.lower.value())
            || now.score_peak.value() >= PEAK_STEP * self.score_peak.value()
            || self.n_evidence != now.n_evidence
            || self.affected != now.affected
            || self.annotations != now.annotations
    }
}

impl Open {
    /// An incident that opens with this row; neither annotated nor announced yet.
    pub(super) fn new(row: SubjectRow<'_>, at: Timestamp, stale_after: Duration) -> Self {
        let score = row.row.assessment.score().unwrap_or(Score::ZERO);
        let incident = Incident {
            id: IncidentId::of(row.subject, at),
            correlation: CorrelationId::of(row.subject, at),
            subject: row.subject.clone(),
            incident_type: IncidentType::Unknown,
            state: IncidentState::Open,
            opened_at: at,
            updated_at: at,
            score,
            score_peak: score,
            confidence: Calibrated::UNKNOWN,
            evidence: evidence_of(&row),
            votes: row.row.assessment.votes.clone(),
            affected: Vec::new(),
            annotations: Vec::new(),
        };
        let silence_max = stale_after.max(row.step.saturating_mul(STALE_STEPS_MIN));
        Self {
            incident,
            silence_max,
            fresh_at: at,
            normal_rows: 0,
            called_at: at,
            subsided: false,
            calls: false,
            told: None,
        }
    }

    pub(super) fn incident(&self) -> &Incident {
        &self.incident
    }

    /// Whether a failing dependency wouldn't explain it.
    pub(super) fn is_its_own(&self) -> bool {
        is_its_own(&self.incident.evidence)
    }

    /// Whether it is load that callers pass down.
    pub(super) fn is_load(&self) -> bool {
        is_load(&self.incident.evidence)
    }

    /// Whether a roll-out of the subject shortly before it opened explains it.
    pub(super) fn is_of_rollout(&self, around: &Surroundings, times: &TrackerTimes) -> bool {
        fits_rollout(&self.incident.evidence) && !rollouts(&self.incident, around, times).is_empty()
    }

    /// Takes the next row. `alarms`: it would open an incident if there were none; `calm`: enough calm rows to close one.
    pub(super) fn observe(&mut self, row: &SubjectRow<'_>, alarms: bool, calm: bool) {
        let at = row.row.assessment.at;
        self.subsided |= calm;
        let lasts = at.since(self.called_at) >= UNIT.max(row.step.saturating_mul(UNIT_ROWS_MIN));
        self.calls = alarms && (self.subsided || lasts);
        let states = |feature: &str| row.schema.position(feature).and_then(|idx| row.row.features.get(idx));
        let mut evidence = self.incident.evidence.iter().map(|one| states(&one.feature));
        let all_normal = evidence.clone().all(|state| state.is_some_and(|state| state.normal));
        let some_there = evidence.any(|state| state.is_some_and(|state| state.value.is_some()));
        self.normal_rows = if all_normal { self.normal_rows.saturating_add(1) } else { 0 };
        let Fused::Scored { score, .. } = row.row.assessment.fused else {
            return;
        };
        if some_there {
            self.fresh_at = self.fresh_at.max(row.row.assessment.at);
            self.incident.state = IncidentState::Open;
        }
        self.incident.score = score;
        if score.is_alarming() {
            merge(&mut self.incident.evidence, row);
        }
        if score > self.incident.score_peak {
            self.incident.score_peak = score;
            self.incident.votes.clone_from(&row.row.assessment.votes);
        }
    }

    /// Whether its evidence has been back to normal, on fresh data, for so many rows.
    pub(super) fn is_normal(&self, rows: u32) -> bool {
        is_flowing(self.incident.state) && self.normal_rows >= rows
    }

    pub(super) fn resolved(mut self, at: Timestamp) -> Incident {
        self.incident.state = IncidentState::Resolved;
        self.incident.updated_at = at;
        self.incident
    }

    /// Whether something planned, or an incident of what it depends on, explains why it alarms.
    fn is_excused(&self) -> bool {
        self.incident.annotations.iter().any(|annotation| match annotation {
            Annotation::PlannedEvent { .. } | Annotation::DependencyAffected { .. } => true,
            Annotation::RecentRollout { .. } => false,
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
        self.told = Some(Told::of(&self.incident));
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
        around: &Surroundings,
        causes: &Causes,
        times: &TrackerTimes,
        calibration: &Calibration,
    ) {
        let incident = &mut self.incident;
        // When an event ends, what it brought goes away again: that is as planned as the event.
        let covering = |moment: Timestamp| around.calendar.covering(&incident.subject, moment);
        let event = covering(at).or_else(|| covering(at - times.rollout_recent));
        let event = event.map(|event| Annotation::PlannedEvent { name: event.name.clone() });
        let rollouts = rollouts(incident, around, times);
        let dependencies = causes.iter().map(|cause| Annotation::DependencyAffected {
            dependency: cause.dependency.clone(),
            incident: cause.incident.clone(),
        });
        let circumstances =
            Circumstances { recent_rollout: !rollouts.is_empty(), dependency_in_incident: !causes.is_empty() };
        incident.annotations = event.into_iter().chain(rollouts).chain(dependencies).collect();
        let found = incident_type(&incident.evidence, circumstances);
        incident.incident_type = sharpened(incident.incident_type, found);
        incident.confidence = calibration.confidence(incident.incident_type, incident.score_peak);
    }

    /// What is worth telling since it was last told; at first, that it opened. While its subject `settles`, it calls nobody.
    pub(super) fn news(&mut self, at: Timestamp, settles: bool) -> Option<IncidentChange> {
        let now = Told::of(&self.incident);
        if std::mem::take(&mut self.calls) && self.told.is_some() && !settles && !self.is_excused() {
            (self.called_at, self.subsided) = (at, false);
            self.told = Some(now);
            self.incident.updated_at = at;
            return Some(IncidentChange::Renewed(self.incident.clone()));
        }
        match self.told.replace(now) {
            None => Some(IncidentChange::Opened(self.incident.clone())),
            Some(before) if before.differs(&Told::of(&self.incident)) => {
                self.incident.updated_at = at;
                Some(IncidentChange::Updated(self.incident.clone()))
            }
            // Small steps add up: what was told stays what was told.
            Some(before) => {
                self.told = Some(before);
                None
            }
        }
    }
}

/// The roll-outs that may have caused it: those known so far, and those of the subject, not by us, shortly before it opened.
fn rollouts(incident: &Incident, around: &Surroundings, times: &TrackerTimes) -> Vec<Annotation> {
    let is_rollout = |annotation: &&Annotation| match annotation {
        Annotation::RecentRollout { .. } => true,
        Annotation::PlannedEvent { .. } | Annotation::DependencyAffected { .. } => false,
    };
    let mut found: Vec<Annotation> = incident.annotations.iter().filter(is_rollout).cloned().collect();
    for rollout in &around.rollouts {
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
