//! The closed loop, judged: what was found, named, done and cured, and what should have been left alone.

mod line;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use homeostat_core::{IncidentChange, Subject, Timestamp};
use homeostat_simulate::FaultTruth;
use serde::Serialize;

use crate::action_outcome::{ActionOutcome, Verification};
use crate::incident_record::IncidentRecord;
use crate::matching::{AFTERMATH, Due, match_incidents};
use homeostat_core::Proportion;

pub use line::FaultLine;

/// What was watched, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// From when on incidents could be opened: the end of training.
    pub from: Timestamp,
    /// Until when; what goes on then is counted as it stands.
    pub until: Timestamp,
    /// How many subjects.
    pub n_subjects: usize,
}

/// From a fault's beginning to the incident that is due to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Delays {
    /// The middle one; of an even number, the greater of the two in the middle.
    pub median_s: u64,
    /// The longest.
    pub max_s: u64,
}

/// What a run came to. Faults are the harmful ones, unless "harmless" is said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scorecard {
    /// What was watched.
    pub observed: Observed,
    /// One line per fault, harmless ones too, in order of beginning.
    pub faults: Vec<FaultLine>,
    /// Faults with an incident due to them, at the cause or at one that suffers.
    pub detected: Proportion,
    /// Of the detected, those with an incident at the cause itself.
    pub located: Proportion,
    /// Of the located, those whose incident is rightly named, as it was last told.
    pub typed_right: Proportion,
    /// How long detection took; `None` if nothing was detected.
    pub delays: Option<Delays>,
    /// Incidents in all.
    pub n_incidents: usize,
    /// Of those, how many weren't resolved when watching ended.
    pub n_open_at_end: usize,
    /// Incidents due to nothing.
    pub n_false_incidents: usize,
    /// The same per subject and week; `None` if nothing was watched. A few days of one shop say little about it.
    pub false_incidents_per_subject_week: Option<f64>,
    /// Of those that suffered from a fault without being its cause, those that nothing was done to meanwhile.
    pub dependants_left_alone: Proportion,
    /// Incidents opened for one that only suffered: noise, if no harm.
    pub n_incidents_of_dependants: usize,
    /// Harmless events that happened.
    pub n_harmless: usize,
    /// Harmless events during which something was done to those they touch, no fault being there to answer. Must be 0.
    pub n_harmless_acted_on: usize,
    /// Of the incidents due to harmless events, those that name the planned event.
    pub harmless_annotated: Proportion,
    /// Actions executed.
    pub n_actions: usize,
    /// Actions whose verification hasn't ended.
    pub n_actions_pending: usize,
    /// Of the actions whose verification has ended, those that were found to have helped.
    pub verification_pass: Proportion,
    /// Actions after which it was worse.
    pub n_made_worse: usize,
    /// Actions found to have helped although the fault was still there: verification was wrong. Must be 0.
    pub n_wrongly_verified: usize,
    /// Faults that an action cured, and verification found so.
    pub automated_recovery: Proportion,
    /// Mean time from beginning to cure of those, seconds.
    pub mttr_s: Option<f64>,
    /// How long the same faults would have lasted, seconds: set by the scenario, so only a comparison within it.
    pub mttr_unaided_s: Option<f64>,
}

impl Scorecard {
    /// Counts. `changes` in the order they were told; `truths` and `actions` in any.
    pub fn of(
        observed: Observed,
        truths: &[FaultTruth],
        changes: &[IncidentChange],
        actions: &[ActionOutcome],
    ) -> Self {
        let mut truths = truths.to_vec();
        truths.sort_by_key(|truth| truth.start);
        let records = IncidentRecord::of(changes);
        let dues = match_incidents(&truths, records.iter().map(|record| &record.incident));
        let faults: Vec<FaultLine> =
            (0..truths.len()).map(|idx| FaultLine::of(idx, &truths[idx], &records, &dues, actions)).collect();
        let harmful = || faults.iter().filter(|line| !line.truth.harmless);
        let detected = || harmful().filter(|line| line.detected_at.is_some());
        let located = || detected().filter(|line| line.typed.is_some());
        let recovered: Vec<&FaultTruth> = harmful().filter(|line| line.recovered).map(|line| &line.truth).collect();
        let ended = || actions.iter().filter(|action| action.verification != Verification::Pending);
        let n_false_incidents = dues.iter().filter(|due| **due == Due::Nothing).count();
        Self {
            observed,
            detected: Proportion::count(harmful().map(|line| line.detected_at.is_some())),
            located: Proportion::count(detected().map(|line| line.typed.is_some())),
            typed_right: Proportion::count(located().map(FaultLine::is_typed_right)),
            delays: delays(harmful().filter_map(FaultLine::delay)),
            n_incidents: records.len(),
            n_open_at_end: records.iter().filter(|record| record.resolved_at.is_none()).count(),
            n_false_incidents,
            false_incidents_per_subject_week: observed.per_subject_week(n_false_incidents),
            dependants_left_alone: dependants_left_alone(&truths, actions),
            n_incidents_of_dependants: dues.iter().filter(|due| matches!(due, Due::Affected(_))).count(),
            n_harmless: truths.iter().filter(|truth| truth.harmless).count(),
            n_harmless_acted_on: n_harmless_acted_on(&truths, actions),
            harmless_annotated: harmless_annotated(&truths, &records, &dues),
            n_actions: actions.len(),
            n_actions_pending: actions.len() - ended().count(),
            verification_pass: Proportion::count(ended().map(|action| action.verification == Verification::Recovered)),
            n_made_worse: actions.iter().filter(|action| action.verification == Verification::MadeWorse).count(),
            n_wrongly_verified: actions.iter().filter(|action| is_wrongly_verified(action, &truths)).count(),
            automated_recovery: Proportion::count(harmful().map(|line| line.recovered)),
            mttr_s: mean_s(recovered.iter().map(|truth| truth.over_at().since(truth.start))),
            mttr_unaided_s: mean_s(recovered.iter().map(|truth| truth.runs_until.since(truth.start))),
            faults,
        }
    }

    /// A table for a terminal of 80 columns.
    pub fn text(&self) -> String {
        text::render(self)
    }
}

impl Observed {
    fn per_subject_week(&self, n: usize) -> Option<f64> {
        const WEEK_S: f64 = 7.0 * 86_400.0;
        let subject_weeks = self.until.since(self.from).as_secs_f64() / WEEK_S * self.n_subjects as f64;
        (subject_weeks > 0.0).then(|| n as f64 / subject_weeks)
    }
}

fn delays(delays: impl Iterator<Item = Duration>) -> Option<Delays> {
    let mut seconds: Vec<u64> = delays.map(|delay| delay.as_secs()).collect();
    seconds.sort_unstable();
    Some(Delays { median_s: *seconds.get(seconds.len() / 2)?, max_s: *seconds.last()? })
}

fn mean_s(durations: impl ExactSizeIterator<Item = Duration>) -> Option<f64> {
    let n = durations.len();
    (n > 0).then(|| durations.map(|duration| duration.as_secs_f64()).sum::<f64>() / n as f64)
}

/// Whether this moment lies in the fault or its aftermath.
fn explains(truth: &FaultTruth, at: Timestamp) -> bool {
    truth.start <= at && at <= truth.over_at() + AFTERMATH
}

/// Whether it had a harmful fault of its own to answer at this moment.
fn has_own_fault(truths: &[FaultTruth], subject: &Subject, at: Timestamp) -> bool {
    truths.iter().any(|truth| !truth.harmless && truth.subject == *subject && explains(truth, at))
}

fn dependants_left_alone(truths: &[FaultTruth], actions: &[ActionOutcome]) -> Proportion {
    let harmful = truths.iter().filter(|truth| !truth.harmless);
    Proportion::count(harmful.flat_map(|truth| {
        truth.affected.iter().map(|dependant| {
            // Acting on one that has a fault of its own at the time is no mistake.
            !actions.iter().any(|action| {
                let (at, subject) = (action.executed_at, &action.subject);
                subject == dependant && explains(truth, at) && !has_own_fault(truths, subject, at)
            })
        })
    }))
}

fn n_harmless_acted_on(truths: &[FaultTruth], actions: &[ActionOutcome]) -> usize {
    let acted_on = |truth: &&FaultTruth| {
        actions.iter().any(|action| {
            let (at, subject) = (action.executed_at, &action.subject);
            let touched = truth.subject == *subject || truth.affected.contains(subject);
            // Whatever an action on a mere dependant of another fault is, it isn't the harmless event's.
            let otherwise = truths.iter().any(|other| {
                !other.harmless
                    && explains(other, at)
                    && (other.subject == *subject || other.affected.contains(subject))
            });
            touched && explains(truth, at) && !otherwise
        })
    };
    truths.iter().filter(|truth| truth.harmless).filter(acted_on).count()
}

fn harmless_annotated(truths: &[FaultTruth], records: &[IncidentRecord], dues: &[Due]) -> Proportion {
    let due_to_harmless = records
        .iter()
        .zip(dues)
        .filter(|(_, due)| due.truth_idx().is_some_and(|idx| truths.get(idx).is_some_and(|truth| truth.harmless)));
    Proportion::count(due_to_harmless.map(|(record, _)| record.incident.planned_event().is_some()))
}

/// Found to have helped, while a fault of the very subject hadn't ended.
fn is_wrongly_verified(action: &ActionOutcome, truths: &[FaultTruth]) -> bool {
    let Some(at) = action.verified_at.filter(|_| action.verification == Verification::Recovered) else { return false };
    truths.iter().any(|truth| {
        let began_before = truth.start <= action.executed_at;
        !truth.harmless && truth.subject == action.subject && began_before && at < truth.over_at()
    })
}
