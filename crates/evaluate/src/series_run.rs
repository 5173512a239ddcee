//! One labelled series through the program's own path: trained on its first rows, the rest row by row through [`Monitor`].
//!
//! It doesn't look at labels; judging what comes out is [`SeriesJudgement`](crate::SeriesJudgement)'s.

use std::collections::BTreeMap;

use homeostat_core::{Assessment, IncidentChange, Score, Seed, Vote, Window};
use homeostat_detect::{Ensemble, EnsembleSpec, SharedModels, TrainError};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};
use serde::{Deserialize, Serialize};

use crate::dataset::LabelledSeries;

/// What detection said of the judged rows of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRun {
    /// The detectors that were trained, in the order of their votes.
    pub detectors: Vec<String>,
    /// Those that couldn't be, and why.
    pub missing: Vec<(String, String)>,
    /// The smoothed score, in alarm thresholds; one a row. A row without a score repeats the one before: not knowing is
    /// not calm.
    pub score: Vec<f64>,
    /// Whether an incident opened at the row or alarmed anew. That, and nothing else, is an alert: it is what calls somebody.
    /// An incident that merely stays open calls nobody.
    pub alert: Vec<bool>,
    /// Whether an incident was open after the row.
    pub open: Vec<bool>,
    /// By detector, then by row: how surprising the detector found it, in nats; NaN where it didn't vote.
    #[serde(alias = "surprise_nats")]
    pub surprisal_nats: Vec<Vec<f64>>,
    /// Rows without a score of their own.
    pub n_unscored: usize,
    /// The alarm threshold that training found, in nats: what `score` is in units of.
    #[serde(alias = "boundary_nats")]
    pub threshold_nats: f64,
}

/// Why a series has no run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was told to stop; run it again for a result.
    #[error("stopped before the end")]
    Stopped,
    /// Nothing could be trained on its first rows.
    #[error("no model could be trained")]
    Untrainable(#[source] TrainError),
    /// It has no rows to train on or none to judge.
    #[error("it has no rows to train on, or none to judge")]
    NoRows,
}

impl SeriesRun {
    /// Trains on the series' first rows and watches the rest as `serve` does: one row at a time through a [`Monitor`], with
    /// the default rules for opening and closing incidents and nothing known of the context.
    ///
    /// The result depends on the series, `shared`, `spec` and `seed` alone. `goes_on` is asked at every row; `false` ends the run.
    pub fn of(
        series: &LabelledSeries,
        shared: &SharedModels,
        spec: &EnsembleSpec,
        seed: Seed,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Self, RunError> {
        let window = &series.window;
        let subject = window.subject().clone();
        let history = series.history().ok_or(RunError::NoRows)?;
        let ensemble = Ensemble::train_with(shared, spec, &history, seed.fork(&subject.to_string()))
            .map_err(RunError::Untrainable)?;
        let mut run = Self::empty(&ensemble);
        let tracker = Tracker::new(spec.hysteresis, TrackerTimes::default(), Calibration::unknown());
        let mut monitor = Monitor::new(BTreeMap::from([(subject, ensemble)]), tracker);
        let context = ClusterContext::default();
        for step_idx in series.train_rows..window.grid().n_steps() {
            if !goes_on() {
                return Err(RunError::Stopped);
            }
            let row = window.slice_steps(step_idx, step_idx + 1).ok_or(RunError::NoRows)?;
            run.push(&mut monitor, &row, &context);
        }
        if run.score.is_empty() { Err(RunError::NoRows) } else { Ok(run) }
    }

    fn empty(ensemble: &Ensemble) -> Self {
        let detectors: Vec<String> = ensemble.detectors().map(str::to_owned).collect();
        Self {
            missing: ensemble.missing().iter().map(|one| (one.detector.clone(), one.why.clone())).collect(),
            score: Vec::new(),
            alert: Vec::new(),
            open: Vec::new(),
            surprisal_nats: vec![Vec::new(); detectors.len()],
            n_unscored: 0,
            // Before the first row it is where training put it.
            threshold_nats: ensemble.threshold_nats(),
            detectors,
        }
    }

    fn push(&mut self, monitor: &mut Monitor, row: &Window, context: &ClusterContext) {
        let at = row.grid().end();
        let observed = monitor.observe(at, std::slice::from_ref(row), context);
        self.alert.push(observed.changes.iter().any(IncidentChange::notifies));
        self.open.push(monitor.open_incidents().next().is_some());
        // A row of gaps gives the assessment of an earlier row again.
        let newest = monitor.ensemble(row.subject()).and_then(Ensemble::last);
        let assessment = newest.map(|row| &row.assessment).filter(|one| one.at == at);
        let smoothed = assessment.and_then(Assessment::smoothed_score).map(Score::value);
        self.n_unscored += usize::from(smoothed.is_none());
        self.score.push(smoothed.or_else(|| self.score.last().copied()).unwrap_or(0.0));
        for (name, column) in self.detectors.iter().zip(&mut self.surprisal_nats) {
            column.push(assessment.and_then(|assessment| surprisal_nats(assessment, name)).unwrap_or(f64::NAN));
        }
    }
}

fn surprisal_nats(assessment: &Assessment, detector: &str) -> Option<f64> {
    let named = assessment.votes.iter().find(|named| named.detector == detector)?;
    match &named.vote {
        Vote::Scored { tail, .. } => Some(tail.surprisal_nats()),
        Vote::NotReady { .. } | Vote::Failed { .. } => None,
    }
}

#[cfg(test)]
mod tests;
