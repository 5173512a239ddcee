//! The latest rows of the subjects that somebody decides about, as their models judged them: whether a fault goes on, and whether
//! an action helped, is asked of rows, not of the newest one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use homeostat_core::{Score, Subject, Timestamp};
use homeostat_detect::{Ensemble, FeatureState, Fleet, Hysteresis};

/// Rows kept of a subject in an open incident: more than decisions look at. Thousands of incidents may be open at once.
const ROWS_IN_INCIDENT_MAX: usize = 8;

/// Rows kept of a followed subject. Whoever follows it takes new ones each cycle, so this must hold what comes at once: after a
/// restart the whole window, after an outage what was missed.
const ROWS_FOLLOWED_MAX: usize = 512;

/// A row, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedRow {
    /// Its moment.
    pub at: Timestamp,
    /// Whether it counts towards closing an incident: it was scored, and below what incidents are closed at.
    pub is_calm: bool,
    /// Whether it would open an incident by itself.
    pub opens_at_once: bool,
    /// Where each feature stood, in the order of the subject's schema.
    pub features: Vec<FeatureState>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RowLog {
    rows: BTreeMap<Subject, VecDeque<JudgedRow>>,
    followed: BTreeSet<Subject>,
}

impl RowLog {
    /// From now on these are followed, and no others.
    pub(super) fn follow(&mut self, subjects: BTreeSet<Subject>) {
        self.followed = subjects;
    }

    /// Takes the newest row of each subject that is followed or in one of these incidents, unless it is known.
    pub(super) fn take<'a>(
        &mut self,
        in_incidents: impl Iterator<Item = &'a Subject>,
        fleet: &Fleet,
        rule: &Hysteresis,
    ) {
        let Self { rows, followed } = self;
        let mut take = |subject: &Subject, n_rows_max: usize| {
            let Some(row) = fleet.ensemble(subject).and_then(|ensemble| judged(ensemble, rule)) else { return };
            let kept = rows.entry(subject.clone()).or_default();
            if kept.back().is_some_and(|newest| newest.at >= row.at) {
                return;
            }
            while kept.len() >= n_rows_max {
                kept.pop_front();
            }
            kept.push_back(row);
        };
        in_incidents
            .filter(|subject| !followed.contains(subject))
            .for_each(|subject| take(subject, ROWS_IN_INCIDENT_MAX));
        followed.iter().for_each(|subject| take(subject, ROWS_FOLLOWED_MAX));
    }

    /// Forgets those that are neither followed nor in one of these incidents.
    pub(super) fn forget<'a>(&mut self, in_incidents: impl Iterator<Item = &'a Subject>) {
        if self.rows.is_empty() {
            return;
        }
        let in_incidents: BTreeSet<&Subject> = in_incidents.collect();
        self.rows.retain(|subject, _| self.followed.contains(subject) || in_incidents.contains(subject));
    }

    /// Forgets rows later than `at`, to which a clock that was ahead led.
    pub(super) fn rewind(&mut self, at: Timestamp) {
        self.rows.values_mut().for_each(|rows| rows.retain(|row| row.at <= at));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Subject, &VecDeque<JudgedRow>)> {
        self.rows.iter()
    }
}

fn judged(ensemble: &Ensemble, rule: &Hysteresis) -> Option<JudgedRow> {
    let row = ensemble.last()?;
    let score = row.assessment.score().map(Score::value);
    let is_calm = score.is_some_and(|score| rule.is_calm(score));
    let opens_at_once = score.is_some_and(|score| score >= rule.at_once);
    Some(JudgedRow { at: row.assessment.at, is_calm, opens_at_once, features: row.features.clone() })
}
