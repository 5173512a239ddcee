//! The ensembles of all subjects: windows in, each row scored once, in the order of time.
//!
//! It keeps no incidents. Rows of different subjects are taken moment by moment, whatever windows they came in: catching up
//! after an outage gives the same scores as watching live.

use std::collections::BTreeMap;
#[cfg(feature = "onnx")]
use std::sync::Arc;

use homeostat_core::{Calendar, Feature, Rollout, Schema, Subject, Timestamp, Window};

#[cfg(feature = "onnx")]
use crate::autoencoder::Autoencoder;
use crate::ensemble::{Ensemble, Misfit};
use crate::feature_state::FeatureState;
use crate::forecast::KnownEffect;

/// The trained ensembles of all subjects.
///
/// ```
/// use std::collections::BTreeMap;
/// use homeostat_core::Subject;
/// use homeostat_detect::Fleet;
///
/// let fleet = Fleet::new(BTreeMap::new());
/// assert!(fleet.ensemble(&Subject::deployment("shop", "cart")).is_none(), "nobody is watched");
/// ```
#[derive(Clone, Debug)]
pub struct Fleet {
    /// By subject, in order.
    members: Vec<Member>,
    /// Those of the moment that took a row; kept for its memory.
    advanced: Vec<usize>,
    /// What is known beforehand of the features of the row under way; kept for its memory.
    known: Vec<KnownEffect>,
    /// The autoencoders that subjects share, each with room for a batch.
    #[cfg(feature = "onnx")]
    autoencoders: Vec<Autoencoder>,
}

#[derive(Clone, Debug)]
struct Member {
    subject: Subject,
    ensemble: Ensemble,
    /// Which of the autoencoders is its own, and which of its votes it is.
    #[cfg(feature = "onnx")]
    batch: Option<Batched>,
}

#[cfg(feature = "onnx")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Batched {
    autoencoder_idx: usize,
    member_idx: usize,
}

/// A row that is due.
#[derive(Clone, Copy, Debug)]
pub struct DueRow {
    /// Its moment.
    pub at: Timestamp,
    /// Whose, by position in the fleet.
    pub subject_idx: usize,
    window_idx: usize,
    /// `None` is a step without data.
    step_idx: Option<usize>,
}

/// Which windows can be scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DueWindows {
    /// Those of a known subject that fit its ensemble, with new rows or not.
    pub n_scored: usize,
    /// Subjects without a trained ensemble, in order.
    pub unknown_subjects: Vec<Subject>,
    /// Subjects whose window doesn't fit what they were trained on, in order.
    pub misfits: Vec<(Subject, Misfit)>,
}

impl Fleet {
    /// The ensembles of these subjects.
    pub fn new(ensembles: BTreeMap<Subject, Ensemble>) -> Self {
        let mut fleet = Self {
            members: Vec::with_capacity(ensembles.len()),
            advanced: Vec::new(),
            known: Vec::new(),
            #[cfg(feature = "onnx")]
            autoencoders: Vec::new(),
        };
        for (subject, ensemble) in ensembles {
            fleet.add(subject, ensemble);
        }
        fleet
    }

    /// Takes these ensembles in the place of those of the same subjects, and those of subjects that had none. All others stay.
    pub fn replace(&mut self, ensembles: BTreeMap<Subject, Ensemble>) {
        let known = self.members.drain(..).map(|member| (member.subject, member.ensemble));
        let mut all: BTreeMap<Subject, Ensemble> = known.collect();
        all.extend(ensembles);
        *self = Self::new(all);
    }

    /// Adds a subject, after all those before it in order.
    fn add(&mut self, subject: Subject, ensemble: Ensemble) {
        #[cfg(feature = "onnx")]
        let batch = self.batch_of(&ensemble);
        self.members.push(Member {
            subject,
            ensemble,
            #[cfg(feature = "onnx")]
            batch,
        });
    }

    /// Where an ensemble's autoencoder runs: with all others that have the same.
    #[cfg(feature = "onnx")]
    fn batch_of(&mut self, ensemble: &Ensemble) -> Option<Batched> {
        let (own, member_idx) = (ensemble.autoencoder()?, ensemble.batched_idx()?);
        // The last first: subjects that share one mostly stand together.
        let known = self.autoencoders.iter().rposition(|known| Arc::ptr_eq(known.model(), own.model()));
        let autoencoder_idx = known.unwrap_or_else(|| {
            self.autoencoders.push(own.clone());
            self.autoencoders.len() - 1
        });
        Some(Batched { autoencoder_idx, member_idx })
    }

    /// Bytes of all ensembles, what they share counted once.
    pub fn memory_bytes(&self) -> usize {
        let own_bytes = |ensemble: &Ensemble| ensemble.own_bytes().iter().map(|(_, bytes)| bytes).sum::<usize>();
        let own = self.members.iter().map(|member| own_bytes(&member.ensemble));
        let shared: BTreeMap<usize, usize> = self
            .members
            .iter()
            .flat_map(|member| member.ensemble.shared_parts())
            .map(|part| (part.address, part.bytes))
            .collect();
        own.sum::<usize>() + shared.into_values().sum::<usize>()
    }

    /// Number of subjects.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no subject.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Subjects with their ensembles, in order; what [`DueRow::subject_idx`] counts.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, &Ensemble)> {
        self.members.iter().map(|member| (&member.subject, &member.ensemble))
    }

    /// The subject at a position and its ensemble.
    pub fn at(&self, subject_idx: usize) -> Option<(&Subject, &Ensemble)> {
        self.members.get(subject_idx).map(|member| (&member.subject, &member.ensemble))
    }

    /// A subject's ensemble.
    pub fn ensemble(&self, subject: &Subject) -> Option<&Ensemble> {
        self.position(subject).map(|idx| &self.members[idx].ensemble)
    }

    /// A subject's position.
    pub fn position(&self, subject: &Subject) -> Option<usize> {
        self.members.binary_search_by(|member| member.subject.cmp(subject)).ok()
    }

    /// The moment of a subject's newest row and where each feature stood in it, in the order of its schema. `None` for an
    /// unknown subject, and before its first row.
    pub fn feature_states(&self, subject: &Subject) -> Option<(Timestamp, &[FeatureState])> {
        let ensemble = self.ensemble(subject)?;
        Some((ensemble.newest_at()?, ensemble.feature_states()?))
    }

    /// Names the rows of these windows that are due, at most one window of each subject, into `rows`: in the order of time, and
    /// within a moment in the order of subjects.
    pub fn due(&self, windows: &[Window], rows: &mut Vec<DueRow>) -> DueWindows {
        let mut found = DueWindows::default();
        for (window_idx, window) in windows.iter().enumerate() {
            let subject = window.subject();
            let Some(subject_idx) = self.position(subject) else {
                found.unknown_subjects.push(subject.clone());
                continue;
            };
            let due = |at, step_idx| rows.push(DueRow { at, subject_idx, window_idx, step_idx });
            match self.members[subject_idx].ensemble.pending(window, due) {
                Ok(()) => found.n_scored += 1,
                Err(misfit) => found.misfits.push((subject.clone(), misfit)),
            }
        }
        found.unknown_subjects.sort();
        found.misfits.sort();
        // Were there two windows of one subject, what was measured goes before a hole.
        rows.sort_unstable_by_key(|due| (due.at, due.subject_idx, due.step_idx.is_none(), due.window_idx));
        found
    }

    /// Scores the rows of one moment, all of them from one call of [`due`](Self::due) with the same windows. Those that took
    /// a row are [`advanced`](Self::advanced) afterwards; the row is their ensemble's [`last`](Ensemble::last).
    pub fn score(&mut self, moment: &[DueRow], windows: &[Window], calendar: &Calendar, rollouts: &[Rollout]) {
        self.advanced.clear();
        for due in moment {
            let row = due.step_idx.map(|step_idx| windows[due.window_idx].row(step_idx));
            let Member { subject, ensemble, .. } = &mut self.members[due.subject_idx];
            fill_known(&mut self.known, (calendar, rollouts), subject, ensemble.schema(), due.at);
            if ensemble.advance(due.at, row, &self.known) {
                self.advanced.push(due.subject_idx);
            }
        }
        #[cfg(feature = "onnx")]
        self.run_autoencoders();
        for subject_idx in &self.advanced {
            self.members[*subject_idx].ensemble.conclude();
        }
    }

    /// The subjects that took a row in the last [`score`](Self::score), by position.
    pub fn advanced(&self) -> &[usize] {
        &self.advanced
    }

    /// Runs the rows of the moment through their networks, those of one network in one batch.
    #[cfg(feature = "onnx")]
    fn run_autoencoders(&mut self) {
        let Self { members, advanced, autoencoders, .. } = self;
        advanced.sort_unstable_by_key(|subject_idx| (members[*subject_idx].batch, *subject_idx));
        let mut rest = advanced.as_slice();
        while let Some(first) = rest.first() {
            let network = |idx: &usize| members[*idx].batch.map(|batch| batch.autoencoder_idx);
            let wanted = network(first);
            let (same, others) = rest.split_at(rest.partition_point(|idx| network(idx) == wanted));
            rest = others;
            let Some(autoencoder) = wanted.and_then(|idx| autoencoders.get_mut(idx)) else { continue };
            let scorings = autoencoder.score_batch(same.iter().map(|idx| members[*idx].ensemble.row_buffer()));
            for (subject_idx, scoring) in same.iter().zip(scorings) {
                let Member { ensemble, batch, .. } = &mut members[*subject_idx];
                if let Some(batch) = batch {
                    ensemble.settle(batch.member_idx, scoring.clone());
                }
            }
        }
    }
}

/// What is known beforehand of each feature of a subject; nothing, in most moments, without looking at features.
fn fill_known(
    known: &mut Vec<KnownEffect>,
    (calendar, rollouts): (&Calendar, &[Rollout]),
    subject: &Subject,
    schema: &Schema,
    at: Timestamp,
) {
    known.clear();
    let is_planned = calendar.covering(subject, at).is_some();
    if is_planned || rollouts.iter().any(|rollout| rollout.subject == *subject) {
        let of = |feature: &Feature| KnownEffect::of(calendar, rollouts, subject, feature.signal, at);
        known.extend(schema.features().iter().map(of));
    }
}
