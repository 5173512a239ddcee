//! What was told of an incident, and whether what it is now is worth telling again.

use std::collections::BTreeSet;

use homeostat_core::{Annotation, Calibrated, Incident, IncidentState, IncidentType, Score, Subject};
use serde::{Deserialize, Serialize};

/// A confidence is told again once it has moved by so much: a twentieth is less than its own uncertainty.
const CONFIDENCE_STEP: f64 = 0.05;

/// A peak is told again once it has grown to so many times what was told.
const PEAK_STEP: f64 = 2.0;

/// What was told last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Published {
    incident_type: IncidentType,
    state: IncidentState,
    confidence: Calibrated,
    score_peak: Score,
    n_evidence: usize,
    affected: Vec<Subject>,
    annotations: Vec<Annotation>,
    /// The features of which it was ever told that their limit is ahead. When that will be is refreshed with every change, and
    /// is none itself: it moves with every row.
    #[serde(default)]
    limits: BTreeSet<String>,
}

impl Published {
    /// What is told of an incident now, after what was told `before`.
    pub(super) fn of(incident: &Incident, before: Option<&Published>) -> Self {
        let limits = incident.limits_ahead.iter().map(|limit| &limit.feature);
        Self {
            incident_type: incident.incident_type,
            state: incident.state,
            confidence: incident.confidence,
            score_peak: incident.score_peak,
            n_evidence: incident.evidence.len(),
            affected: incident.affected.clone(),
            annotations: incident.annotations.clone(),
            limits: limits.chain(before.iter().flat_map(|told| &told.limits)).cloned().collect(),
        }
    }

    /// Whether `now` is worth telling after this.
    pub(super) fn differs(&self, now: &Published) -> bool {
        let moved = |a: f64, b: f64| (a - b).abs() >= CONFIDENCE_STEP;
        self.incident_type != now.incident_type
            || self.state != now.state
            || moved(self.confidence.confidence.value(), now.confidence.confidence.value())
            || moved(self.confidence.lower.value(), now.confidence.lower.value())
            || now.score_peak.value() >= PEAK_STEP * self.score_peak.value()
            || self.n_evidence != now.n_evidence
            || self.affected != now.affected
            || self.annotations != now.annotations
            || !self.limits.is_superset(&now.limits)
    }
}
