//! All subjects together: windows in, assessments and incident changes out.
//!
//! Rows of different subjects are taken in the order of time, whatever windows they came in: catching up after an outage
//! gives the same incidents as watching live.

use std::collections::BTreeMap;

use homeostat_core::{Incident, IncidentChange, Subject, Timestamp, Window};

use crate::ensemble::{Ensemble, Misfit};
use crate::feature_state::FeatureState;
use crate::tracker::{SubjectRow, Surroundings, Tracker};

/// The trained ensembles of all subjects and the tracker of their incidents.
#[derive(Clone, Debug)]
pub struct Monitor {
    /// By subject, in order.
    watched: Vec<Watched>,
    tracker: Tracker,
    /// Empty between observations; kept for its memory.
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
struct Watched {
    subject: Subject,
    ensemble: Ensemble,
}

/// A row that is due.
#[derive(Clone, Copy, Debug)]
struct Pending {
    at: Timestamp,
    watched_idx: usize,
    window_idx: usize,
    /// `None` is a step without data.
    step_idx: Option<usize>,
}

/// What an observation brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Windows that were scored: those of a known subject that fit its ensemble, with new rows or not.
    pub n_scored: usize,
    /// What happened to incidents, in order.
    pub changes: Vec<IncidentChange>,
    /// Subjects without a trained ensemble, in order: train them, or leave them out.
    pub unknown_subjects: Vec<Subject>,
    /// Subjects whose window doesn't fit what they were trained on, in order: they aren't watched until that is mended.
    pub misfits: Vec<(Subject, Misfit)>,
}

impl Monitor {
    /// A monitor of these subjects.
    pub fn new(ensembles: BTreeMap<Subject, Ensemble>, tracker: Tracker) -> Self {
        let watched = ensembles.into_iter().map(|(subject, ensemble)| Watched { subject, ensemble });
        Self { watched: watched.collect(), tracker, pending: Vec::new() }
    }

    /// Takes windows, at most one of each subject, whose rows may have been seen in part, and what is known of the world
    /// at `now`. It can't fail: what can't be scored is said so.
    pub fn observe(&mut self, now: Timestamp, windows: &[Window], around: &Surroundings) -> Observed {
        let mut observed = Observed::default();
        let mut pending = std::mem::take(&mut self.pending);
        for (window_idx, window) in windows.iter().enumerate() {
            let subject = window.subject();
            let Some(watched_idx) = self.position(subject) else {
                observed.unknown_subjects.push(subject.clone());
                continue;
            };
            let due = |at, step_idx| pending.push(Pending { at, watched_idx, window_idx, step_idx });
            match self.watched[watched_idx].ensemble.pending(window, due) {
                Ok(()) => observed.n_scored += 1,
                Err(misfit) => observed.misfits.push((subject.clone(), misfit)),
            }
        }
        observed.unknown_subjects.sort();
        observed.misfits.sort();
        // Within a moment in the order of subjects. Were there two windows of one, what was measured goes before a hole.
        pending.sort_unstable_by_key(|due| (due.at, due.watched_idx, due.step_idx.is_none(), due.window_idx));
        for moment in pending.chunk_by(|a, b| a.at == b.at) {
            let Some(at) = moment.first().map(|due| due.at) else { continue };
            for due in moment {
                let row = due.step_idx.map(|step_idx| windows[due.window_idx].row(step_idx));
                self.watched[due.watched_idx].ensemble.take(at, row);
            }
            let rows = moment.iter().filter_map(|due| {
                let Watched { subject, ensemble } = &self.watched[due.watched_idx];
                Some(SubjectRow { subject, schema: ensemble.schema(), step: ensemble.step(), row: ensemble.last()? })
            });
            observed.changes.extend(self.tracker.step(at, rows, around));
        }
        pending.clear();
        self.pending = pending;
        observed.changes.extend(self.tracker.pass_time(now));
        observed
    }

    /// A subject's ensemble.
    pub fn ensemble(&self, subject: &Subject) -> Option<&Ensemble> {
        self.position(subject).map(|idx| &self.watched[idx].ensemble)
    }

    fn position(&self, subject: &Subject) -> Option<usize> {
        self.watched.binary_search_by(|watched| watched.subject.cmp(subject)).ok()
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
        let ensemble = self.ensemble(subject)?;
        Some((ensemble.newest_at()?, ensemble.feature_states()?))
    }
}

#[cfg(test)]
mod tests;
