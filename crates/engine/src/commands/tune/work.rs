//! Jobs of a search, spread over threads.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::Context;
use homeostat_core::Seed;
use homeostat_detect::{EnsembleSpec, FalseAlarmBudget, SharedModels};
use homeostat_evaluate::{
    AlertRule, Job, JudgeOptions, Judged, LabelledSeries, Placement, RunError, Scores, SeriesEntry, SeriesRun,
    TrialOutcome,
};

use super::TuneArgs;
use crate::commands::evaluate::files;
use crate::config::Detection;
use crate::training::ensemble_spec;

/// Finished runs that may wait to be noted; workers wait beyond that.
const WAITING_MAX: usize = 64;

/// How often progress is told: at every so many runs.
const TOLD_EVERY: usize = 50;

/// What jobs need.
pub(super) struct Work {
    dataset_dir: PathBuf,
    entries: Vec<SeriesEntry>,
    ensembles: Vec<EnsembleSpec>,
    placement: Placement,
    options: JudgeOptions,
    n_workers: usize,
}

impl Work {
    pub(super) fn new(
        args: &TuneArgs,
        entries: Vec<SeriesEntry>,
        detections: &[Detection],
        budget: FalseAlarmBudget,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            dataset_dir: args.dataset.clone(),
            entries,
            ensembles: detections.iter().map(ensemble_spec).collect(),
            placement: args.stamps.placement(),
            options: JudgeOptions { ablation: false, budget, alerts: AlertRule::FixedThreshold },
            n_workers: args.workers.map_or(cores, usize::from),
        }
    }

    /// Runs the jobs and gives each outcome to `note`, on this thread; ends early when `stopped` or when a series can't be
    /// read or an outcome can't be noted.
    pub(super) fn run(
        &self,
        jobs: &[Job],
        stopped: &AtomicBool,
        note: &mut dyn FnMut(Job, TrialOutcome) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (next, gave_up) = (AtomicUsize::new(0), AtomicBool::new(false));
        let goes_on = || !stopped.load(Ordering::Relaxed) && !gave_up.load(Ordering::Relaxed);
        let (sender, receiver) = mpsc::sync_channel(WAITING_MAX);
        std::thread::scope(|scope| {
            for _ in 0..self.n_workers.min(jobs.len()).max(1) {
                let (sender, next, goes_on) = (sender.clone(), &next, &goes_on);
                scope.spawn(move || {
                    // Jobs come series by series: what was read last is mostly what is wanted next.
                    let mut last: Option<(usize, LabelledSeries)> = None;
                    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let Some(result) = self.one(*job, &mut last, goes_on).transpose() else { return };
                        if sender.send(result.map(|outcome| (*job, outcome))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut ended = Ok(());
            for (n_done, result) in receiver.into_iter().enumerate() {
                if ended.is_ok() {
                    ended = result.and_then(|(job, outcome)| note(job, outcome));
                    gave_up.store(ended.is_err(), Ordering::Relaxed);
                }
                if (n_done + 1) % TOLD_EVERY == 0 {
                    tracing::info!(done = n_done + 1, of = jobs.len(), "run finished");
                }
            }
            ended
        })
    }

    /// `None` if it was stopped.
    fn one(
        &self,
        job: Job,
        last: &mut Option<(usize, LabelledSeries)>,
        goes_on: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<TrialOutcome>> {
        let entry = self.entries.get(job.series).context("a job of a series that isn't there")?;
        let spec = self.ensembles.get(job.trial).context("a job of a trial that isn't there")?;
        if !goes_on() {
            return Ok(None);
        }
        if last.as_ref().is_none_or(|(series, _)| *series != job.series) {
            *last =
                Some((job.series, files::read_series(&self.dataset_dir, entry, self.placement).context("--dataset")?));
        }
        let Some((_, series)) = last else { return Ok(None) };
        let judged = match SeriesRun::of(series, &SharedModels::none(), spec, Seed::new(job.seed), goes_on) {
            Ok(run) => {
                let scores = Scores { score: run.score, alert: Some(run.alert), ..Scores::default() };
                Judged::of_scores(entry, series, job.seed, None, scores, self.options)
            }
            Err(RunError::Stopped) => return Ok(None),
            Err(error @ (RunError::Untrainable(_) | RunError::NoRows)) => {
                Judged::failed(entry, job.seed, format!("{:#}", anyhow::Error::new(error)))
            }
        };
        Ok(Some(TrialOutcome::of(&judged.judgement)))
    }
}
