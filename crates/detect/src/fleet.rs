//! The ensembles of all subjects: windows in, each row scored once, in the order of time.
//!
//! It keeps no incidents. Rows of different subjects are taken moment by moment, whatever windows they came in: catching up
//! after an outage gives the same scores as watching live.

use std::collections::BTreeMap;

use homeostat_core::{Calendar, Feature, NotReady, Rollout, Schema, Scoring, Subject, Timestamp, Window};

use crate::budget::Budgets;
use crate::detector::ScoreError;
use crate::detectors::Model;
use crate::ensemble::{Ensemble, LOOK_AHEAD_ROWS, Misfit, RowUnderWay};
use crate::feature_state::FeatureState;
use crate::known_effect::KnownEffect;
use crate::recurrence::ExpectedTime;

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
#[derive(Debug)]
pub struct Fleet {
    /// By subject, in order.
    members: Vec<Member>,
    /// The models that subjects share.
    shared: Vec<Shared>,
    /// Those of the moment that took a row; kept for its memory.
    advanced: Vec<usize>,
    /// Memory for the moment under way.
    moment: Moment,
}

#[derive(Clone, Debug)]
struct Member {
    subject: Subject,
    ensemble: Ensemble,
    shares: Vec<Share>,
}

/// A subject's part in a shared model.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Which of the shared models it is.
    model_idx: usize,
    /// Which of the subject's votes it has.
    member_idx: usize,
}

/// A model that several subjects have, and the batch under way.
#[derive(Clone, Debug)]
struct Shared {
    model: Model,
    /// Of the rows that were taken for scoring, in their order.
    scorings: Vec<Result<Scoring, ScoreError>>,
    /// How many of them have become votes.
    n_taken: usize,
}

/// Empty between moments.
#[derive(Debug, Default)]
struct Moment {
    /// What is known beforehand of the features of the row that begins.
    known: Vec<KnownEffect>,
    /// Rows that were begun, with their subject's position.
    rows: Vec<(usize, RowUnderWay)>,
}

/// Rows of a batch: a whole block for every kernel of the forest, and few enough for what was read of them to be near still when
/// their votes are fused.
const BATCH_ROWS: usize = 128;

impl Clone for Fleet {
    /// The same subjects; memory for a moment under way is its own.
    fn clone(&self) -> Self {
        Self {
            members: self.members.clone(),
            shared: self.shared.clone(),
            advanced: self.advanced.clone(),
            moment: Moment::default(),
        }
    }
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
            shared: Vec::new(),
            advanced: Vec::new(),
            moment: Moment::default(),
        };
        let mut known = BTreeMap::new();
        for (subject, ensemble) in ensembles {
            fleet.add(subject, ensemble, &mut known);
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

    /// Each goes by what people say is meant to happen to it, and by nothing they said before.
    pub fn expect(&mut self, expected: &BTreeMap<Subject, Vec<ExpectedTime>>) {
        for member in &mut self.members {
            member.ensemble.expect(expected.get(&member.subject).map_or(&[], Vec::as_slice));
        }
    }

    /// Keeps to these budgets: each to its own, or to its part of what all may have together.
    pub fn hold_to(&mut self, budgets: &Budgets) {
        let budget = budgets.of_each(self.members.len());
        self.members.iter_mut().for_each(|member| member.ensemble.hold_to(&budget));
    }

    /// Adds a subject, after all those before it in order. `known` has the shared models by where they are.
    fn add(&mut self, subject: Subject, ensemble: Ensemble, known: &mut BTreeMap<usize, usize>) {
        let mut shares = Vec::new();
        for (member_idx, model) in ensemble.shared_models() {
            let Some(part) = model.shared_part() else { continue };
            let model_idx = *known.entry(part.address).or_insert_with(|| {
                self.shared.push(Shared { model: model.clone(), scorings: Vec::new(), n_taken: 0 });
                self.shared.len() - 1
            });
            shares.push(Share { model_idx, member_idx });
        }
        self.members.push(Member { subject, ensemble, shares });
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
        let batches = self.shared.iter().map(|shared| shared.model.own_bytes());
        own.sum::<usize>() + shared.into_values().sum::<usize>() + batches.sum::<usize>()
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
        // Were there two windows of one subject, what was measured goes before a gap.
        rows.sort_unstable_by_key(|due| (due.at, due.subject_idx, due.step_idx.is_none(), due.window_idx));
        found
    }

    /// Scores the rows of one moment, all of them from one call of [`due`](Self::due) with the same windows. Those that took
    /// a row are [`advanced`](Self::advanced) afterwards; the row is their ensemble's [`last`](Ensemble::last).
    pub fn score(&mut self, moment: &[DueRow], windows: &[Window], calendar: &Calendar, rollouts: &[Rollout]) {
        self.advanced.clear();
        for (batch_idx, batch) in moment.chunks(BATCH_ROWS).enumerate() {
            let next = &moment[moment.len().min((batch_idx + 1) * BATCH_ROWS)..];
            self.begin(batch, next, windows, (calendar, rollouts));
            self.shared.iter_mut().for_each(|Shared { model, scorings, .. }| model.score_waiting(scorings));
            self.finish();
        }
    }

    /// Begins the rows of a batch: what is a subject's alone votes, and what it shares takes its row for scoring, while all that is
    /// read for that is near. `next` is due afterwards.
    fn begin(
        &mut self,
        batch: &[DueRow],
        next: &[DueRow],
        windows: &[Window],
        (calendar, rollouts): (&Calendar, &[Rollout]),
    ) {
        let Self { members, shared, advanced, moment: Moment { known, rows } } = self;
        let coming = |idx: usize| batch.get(idx).or_else(|| next.get(idx.checked_sub(batch.len())?));
        for (idx, due) in batch.iter().enumerate() {
            for n_before in 1..=LOOK_AHEAD_ROWS {
                if let Some(coming) = coming(idx + n_before) {
                    members[coming.subject_idx].ensemble.look_ahead(n_before);
                }
            }
            let row = due.step_idx.map(|step_idx| windows[due.window_idx].row(step_idx));
            let Member { subject, ensemble, shares } = &mut members[due.subject_idx];
            fill_known(known, (calendar, rollouts), subject, ensemble.schema(), due.at);
            let Some(row) = ensemble.begin(due.at, row, known) else { continue };
            for share in shares {
                let Shared { model, scorings, .. } = &mut shared[share.model_idx];
                model.score_later(ensemble.row_buffer(), scorings);
            }
            rows.push((due.subject_idx, row));
            advanced.push(due.subject_idx);
        }
    }

    /// Finishes the rows that were begun: shared models' votes, then what all votes come to.
    fn finish(&mut self) {
        let Self { members, shared, advanced, moment: Moment { rows, .. } } = self;
        // The rows' subjects are the last that advanced.
        let mut coming = advanced[advanced.len() - rows.len()..].iter().skip(1);
        for (subject_idx, mut row) in rows.drain(..) {
            if let Some(next) = coming.next() {
                members[*next].ensemble.look_ahead_to_finish();
            }
            let Member { ensemble, shares, .. } = &mut members[subject_idx];
            for share in shares {
                let Shared { scorings, n_taken, .. } = &mut shared[share.model_idx];
                if let Some(scoring) = scorings.get_mut(*n_taken) {
                    let scoring = std::mem::replace(scoring, Ok(Scoring::NotReady(NotReady::TooFewSteps)));
                    ensemble.vote(&mut row, share.member_idx, scoring);
                }
                *n_taken += 1;
            }
            ensemble.finish(row);
        }
        for Shared { scorings, n_taken, .. } in shared {
            scorings.clear();
            *n_taken = 0;
        }
    }

    /// The subjects that took a row in the last [`score`](Self::score), by position.
    pub fn advanced(&self) -> &[usize] {
        &self.advanced
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
