//! All subjects together: windows in, assessments and incident changes out.
//!
//! Rows of different subjects are taken in the order of time, whatever windows they came in: catching up after an outage
//! gives the same incidents as watching live.

use std::collections::BTreeMap;

use homeostat_core::{Assessment, Incident, IncidentChange, Subject, Timestamp, Window};

use crate::ensemble::{AssessedRow, Ensemble};
use crate::feature_state::FeatureState;
use crate::tracker::{SubjectRow, Surroundings, Tracker};

/// The trained ensembles of all subjects and the tracker of their incidents.
#[derive(Clone, Debug)]
pub struct Monitor {
    ensembles: BTreeMap<Subject, Ensemble>,
    tracker: Tracker,
}

/// What an observation brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// One for each window of a known subject, by subject: the newest row's.
    pub assessments: Vec<(Subject, Assessment)>,
    /// What happened to incidents, in order.
    pub changes: Vec<IncidentChange>,
    /// Subjects without a trained ensemble, in order: train them, or leave them out.
    pub unknown_subjects: Vec<Subject>,
}

impl Monitor {
    /// A monitor of these subjects.
    pub fn new(ensembles: BTreeMap<Subject, Ensemble>, tracker: Tracker) -> Self {
        Self { ensembles, tracker }
    }

    /// Takes windows, at most one of each subject, whose rows may have been seen in part, and what is known of the world
    /// at `now`. It can't fail: a window that doesn't fit its ensemble is an assessment of failed votes.
    pub fn observe(&mut self, now: Timestamp, windows: &[Window], around: &Surroundings) -> Observed {
        let mut by_subject: Vec<&Window> = windows.iter().collect();
        by_subject.sort_by_key(|window| window.subject());
        let mut observed = Observed { assessments: Vec::new(), changes: Vec::new(), unknown_subjects: Vec::new() };
        let mut rows: Vec<(Subject, AssessedRow)> = Vec::new();
        for window in by_subject {
            let subject = window.subject();
            let Some(ensemble) = self.ensembles.get_mut(subject) else {
                observed.unknown_subjects.push(subject.clone());
                continue;
            };
            rows.extend(ensemble.assess_rows(window).unwrap_or_default().into_iter().map(|row| (subject.clone(), row)));
            // Every row has been seen by now, so this gives the newest again, or says why the window doesn't fit.
            observed.assessments.push((subject.clone(), ensemble.assess(window)));
        }
        // A stable sort: within a moment rows stay in the order of subjects.
        rows.sort_by_key(|(_, row)| row.assessment.at);
        for moment in rows.chunk_by(|a, b| a.1.assessment.at == b.1.assessment.at) {
            let Some((_, first)) = moment.first() else { continue };
            let subject_rows: Vec<SubjectRow<'_>> = moment
                .iter()
                .filter_map(|(subject, row)| {
                    let ensemble = self.ensembles.get(subject)?;
                    Some(SubjectRow { subject, schema: ensemble.schema(), step: ensemble.step(), row })
                })
                .collect();
            observed.changes.extend(self.tracker.step(first.assessment.at, &subject_rows, around));
        }
        observed.changes.extend(self.tracker.pass_time(now));
        observed
    }

    /// The ensembles, by subject.
    pub fn ensembles(&self) -> &BTreeMap<Subject, Ensemble> {
        &self.ensembles
    }

    /// The tracker, whose state must survive a restart: see [`Tracker::save`].
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Open and stale incidents, by subject.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.tracker.open_incidents()
    }

    /// The moment of a subject's newest row and where each feature stood in it, in the order of its schema: what recovery
    /// is verified against. `None` for an unknown subject, and before its first row.
    pub fn feature_states(&self, subject: &Subject) -> Option<(Timestamp, &[FeatureState])> {
        let ensemble = self.ensembles.get(subject)?;
        Some((ensemble.newest_at()?, ensemble.feature_states()?))
    }
}

#[cfg(test)]
mod tests;
