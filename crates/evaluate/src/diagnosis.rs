//! Root cause and type, judged: who was named when somebody was called, and what it was called.
//!
//! On simulated faults whose cause is known. A metric from the simulator says whether the loop reasons rightly about causes
//! it can see; it says little about a real cluster.

use std::time::Duration;

use homeostat_core::{Incident, IncidentChange, IncidentType, Subject, Timestamp};
use homeostat_simulate::{FaultKind, FaultTruth};
use serde::{Deserialize, Serialize};

use crate::incident_record::IncidentRecord;
use crate::matching::{AFTERMATH, Due, match_incidents};

mod metrics;
mod text;

pub use metrics::DiagnosisMetrics;
pub(crate) use text::confusion;

/// Somebody is called this long after a fault's first incident: an incident that can't be typed is escalated by then, and
/// policy has decided on one that can.
const CALLED_AFTER: Duration = Duration::from_secs(5 * 60);

/// Incidents that opened this long before the first one that is due are on the screen, too, when somebody is called.
const SHOWN_BEFORE: Duration = Duration::from_secs(15 * 60);

/// Everything that was found about causes and types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Scenarios that were played.
    pub n_scenarios: usize,
    /// Incidents in all.
    pub n_incidents: usize,
    /// Incidents due to nothing.
    pub n_false_incidents: usize,
    /// One for each harmful fault.
    pub cases: Vec<FaultCase>,
}

/// One harmful fault and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCase {
    /// What it was.
    pub kind: FaultKind,
    /// The types that name it rightly, the best first.
    pub incident_types: Vec<IncidentType>,
    /// Whether any incident was due to it.
    pub detected: bool,
    /// When somebody was called.
    pub at_call: Said,
    /// When it was over.
    pub at_last: Said,
}

/// What was said of a fault at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The place of its cause among the suspects, 0 for the first; `None` if it wasn't among them.
    pub rank: Option<usize>,
    /// What the incident at the cause was called; `None` without one.
    pub incident_type: Option<IncidentType>,
}

impl Diagnosis {
    /// Adds one scenario: what happened, and what was told, in its order.
    pub fn add(&mut self, truths: &[FaultTruth], changes: &[IncidentChange]) {
        let records = IncidentRecord::of(changes);
        let dues = match_incidents(truths, records.iter().map(|record| &record.incident));
        self.n_scenarios += 1;
        self.n_incidents += records.len();
        self.n_false_incidents += dues.iter().filter(|due| **due == Due::Nothing).count();
        for (idx, truth) in truths.iter().enumerate().filter(|(_, truth)| !truth.harmless) {
            let due = records.iter().zip(&dues).filter(|(_, due)| due.truth_idx() == Some(idx));
            let first_at = due.map(|(record, _)| record.incident.opened_at).min();
            let said = |until: fn(Timestamp, &FaultTruth) -> Timestamp| {
                first_at.map_or_else(Said::default, |first_at| said(truth, changes, first_at, until(first_at, truth)))
            };
            self.cases.push(FaultCase {
                kind: truth.kind,
                incident_types: truth.incident_types.clone(),
                detected: first_at.is_some(),
                at_call: said(|first_at, _| first_at + CALLED_AFTER),
                at_last: said(|first_at, truth| (first_at + CALLED_AFTER).max(truth.over_at() + AFTERMATH)),
            });
        }
    }
}

fn said(truth: &FaultTruth, changes: &[IncidentChange], first_at: Timestamp, until: Timestamp) -> Said {
    let told: Vec<IncidentChange> =
        changes.iter().filter(|change| change.incident().updated_at <= until).cloned().collect();
    let shown: Vec<Incident> = IncidentRecord::of(&told)
        .into_iter()
        .map(|record| record.incident)
        .filter(|incident| incident.opened_at >= first_at - SHOWN_BEFORE)
        .collect();
    let at_cause = shown.iter().find(|incident| incident.subject == truth.subject && incident.opened_at >= truth.start);
    Said {
        rank: suspects(&shown).iter().position(|subject| *subject == &truth.subject),
        incident_type: at_cause.map(|incident| incident.incident_type),
    }
}

/// Who is suspected, first suspicion first, as a reader of these incidents would: those that follow from no other incident, in
/// order of opening, the higher score first; then those that do; then those that are only named as suffering.
fn suspects(incidents: &[Incident]) -> Vec<&Subject> {
    let mut order: Vec<&Incident> = incidents.iter().collect();
    order.sort_by(|a, b| {
        let key = |one: &Incident| (follows(one), one.opened_at);
        key(a).cmp(&key(b)).then(b.score_peak.value().total_cmp(&a.score_peak.value())).then(a.subject.cmp(&b.subject))
    });
    let suffering = order.iter().flat_map(|incident| &incident.affected);
    let mut suspects: Vec<&Subject> = Vec::new();
    for subject in order.iter().map(|incident| &incident.subject).chain(suffering) {
        if !suspects.contains(&subject) {
            suspects.push(subject);
        }
    }
    suspects
}

/// Whether an incident is told to follow from another one.
fn follows(incident: &Incident) -> bool {
    use homeostat_core::Annotation::{
        ClusterFact, DependencyAffected, PlannedEvent, RecentRollout, ReplicaOutlier, ThresholdRule,
    };
    incident.annotations.iter().any(|annotation| match annotation {
        DependencyAffected { .. } => true,
        PlannedEvent { .. }
        | RecentRollout { .. }
        | ThresholdRule { .. }
        | ReplicaOutlier { .. }
        | ClusterFact { .. } => false,
    })
}

#[cfg(test)]
mod tests;
