//! The series of a dataset, spread over threads. The result doesn't depend on how many there are.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use homeostat_core::Seed;
use homeostat_detect::{EnsembleSpec, Hysteresis};
use homeostat_evaluate::{
    AlertRule, Dataset, JudgeOptions, Judged, LabelledSeries, Placement, Protocol, RunError, Scores, SeriesEntry,
    SeriesRun,
};

use super::EvaluateArgs;
use super::cache::Cache;
use super::files;
use super::shared::Shared;
use crate::config::Detection;
use crate::training::ensemble_spec;

/// What there is to do.
pub(super) struct Work {
    dataset_dir: PathBuf,
    runs: Vec<Run>,
    ensemble: EnsembleSpec,
    scores: Option<PathBuf>,
    placement: Placement,
    options: JudgeOptions,
    cache: Option<Cache>,
    /// What series share, by file and seed; empty unless asked for.
    shared: Shared,
    n_workers: usize,
    pub(super) protocol: Protocol,
}

/// One series with one seed.
struct Run {
    entry: SeriesEntry,
    seed: u64,
}

impl Work {
    pub(super) fn new(
        args: &EvaluateArgs,
        dir: &Path,
        dataset: Dataset,
        detection: &Detection,
    ) -> anyhow::Result<Self> {
        let seeds: Vec<u64> = (0..u64::from(args.seeds)).map(|idx| args.seed.wrapping_add(idx)).collect();
        let one = |seed: u64| dataset.entries().iter().map(move |entry| Run { entry: entry.clone(), seed });
        let mut runs: Vec<Run> = seeds.iter().flat_map(|seed| one(*seed)).collect();
        // The longest first, so that the last thread isn't left alone with one.
        runs.sort_by_key(|run| std::cmp::Reverse(run.entry.rows));
        let ensemble = ensemble_spec(detection);
        let budget = detection.budget;
        let detectors: Vec<String> = detection.detectors.iter().map(|name| (*name).to_owned()).collect();
        let cache = match &args.cache {
            Some(dir) => Some(
                Cache::open(dir, &format!("{ensemble:?} {:?} {}", args.stamps, args.share_models))
                    .context("--cache")?,
            ),
            None => None,
        };
        let placement = args.stamps.placement();
        let shared = if args.share_models {
            Shared::train(dir, &dataset, &ensemble, &seeds, placement)?
        } else {
            Shared::default()
        };
        let scored_by = args.scores.as_ref().map_or_else(|| "homeostat".to_owned(), |dir| dir.display().to_string());
        Ok(Self {
            dataset_dir: dir.to_owned(),
            n_workers: args.workers.map_or_else(super::cores, usize::from).min(runs.len()).max(1),
            runs,
            scores: args.scores.clone(),
            placement,
            options: JudgeOptions { ablation: args.ablation, budget, alerts: AlertRule::FixedThreshold },
            protocol: Protocol {
                scored_by,
                budget: budget.to_string(),
                budget_per_day: budget.incidents_per_day(),
                detectors: if args.scores.is_some() { Vec::new() } else { detectors },
                seeds: if args.scores.is_some() { Vec::new() } else { seeds },
                confidence: String::new(),
            },
            ensemble,
            cache,
            shared,
        })
    }

    /// The rule by which incidents open.
    pub(super) fn hysteresis(&self) -> Hysteresis {
        self.ensemble.hysteresis
    }

    pub(super) fn n_runs(&self) -> usize {
        self.runs.len()
    }

    /// Everything that could be done before `stopped`, in order of series.
    pub(super) fn run(&self, stopped: &AtomicBool) -> Vec<Judged> {
        let all: Vec<&Run> = self.runs.iter().collect();
        self.spread(&all, |run| self.judge(run, stopped), |run, n_done| self.tell(run, n_done))
    }

    /// Another program's scores of the same series, its alerts made by this rule.
    pub(super) fn run_peer(&self, dir: &Path, alerts: AlertRule, stopped: &AtomicBool) -> Vec<Judged> {
        let first_seed = self.runs.iter().map(|run| run.seed).min();
        let once: Vec<&Run> = self.runs.iter().filter(|run| Some(run.seed) == first_seed).collect();
        let options = JudgeOptions { alerts, ..self.options };
        let judge = |run: &Run| {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            let judged = self.series(&run.entry).and_then(|series| self.foreign(dir, run, &series, options));
            Some(judged.unwrap_or_else(|error| Judged::failed(&run.entry, run.seed, format!("{error:#}"))))
        };
        self.spread(&once, judge, |_, _| {})
    }

    /// Runs over threads until one gives nothing; `tell` hears of each that is done, and how many are.
    fn spread(
        &self,
        runs: &[&Run],
        judge: impl Fn(&Run) -> Option<Judged> + Sync,
        tell: impl Fn(&Run, usize) + Sync,
    ) -> Vec<Judged> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(runs.len()));
        std::thread::scope(|scope| {
            for _ in 0..self.n_workers {
                scope.spawn(|| {
                    while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let Some(judged) = judge(run) else { return };
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        done.push(judged);
                        tell(run, done.len());
                    }
                });
            }
        });
        let mut judged: Vec<Judged> = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        judged.sort_by(|a, b| a.judgement.key().cmp(&b.judgement.key()));
        judged
    }

    fn tell(&self, run: &Run, n_done: usize) {
        let name = format!("{}/{}", run.entry.set, run.entry.series);
        tracing::info!(series = name, seed = run.seed, done = n_done, of = self.runs.len(), "evaluated");
    }

    /// `None` if it was stopped.
    fn judge(&self, run: &Run, stopped: &AtomicBool) -> Option<Judged> {
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        let failed = |why: String| {
            tracing::warn!(series = run.entry.series, set = run.entry.set, why, "a series couldn't be evaluated");
            Some(Judged::failed(&run.entry, run.seed, why))
        };
        let series = match self.series(&run.entry) {
            Ok(series) => series,
            Err(error) => return failed(format!("{error:#}")),
        };
        if let Some(dir) = &self.scores {
            return match self.foreign(dir, run, &series, self.options) {
                Ok(judged) => Some(judged),
                Err(error) => failed(format!("{error:#}")),
            };
        }
        match self.detect(run, &series, stopped) {
            Ok(found) => Some(Judged::of_run(&run.entry, &series, run.seed, found, self.options)),
            Err(RunError::Stopped) => None,
            Err(error @ (RunError::Untrainable(_) | RunError::NoRows)) => {
                failed(format!("{:#}", anyhow::Error::new(error)))
            }
        }
    }

    fn series(&self, entry: &SeriesEntry) -> anyhow::Result<LabelledSeries> {
        files::read_series(&self.dataset_dir, entry, self.placement)
    }

    /// From the cache or anew.
    fn detect(&self, run: &Run, series: &LabelledSeries, stopped: &AtomicBool) -> Result<SeriesRun, RunError> {
        let key = self.cache.as_ref().map(|cache| cache.key(&run.entry, run.seed, series));
        if let Some(kept) = self.cache.as_ref().zip(key.as_deref()).and_then(|(cache, key)| cache.get(key)) {
            return Ok(kept);
        }
        let goes_on = || !stopped.load(Ordering::Relaxed);
        let found =
            SeriesRun::of(series, self.shared.of(&run.entry, run.seed), &self.ensemble, Seed::new(run.seed), &goes_on)?;
        if let Some((cache, key)) = self.cache.as_ref().zip(key.as_deref())
            && let Err(error) = cache.put(key, &found)
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "a result couldn't be saved; it is computed again if the evaluation is stopped"
            );
        }
        Ok(found)
    }

    /// Another program's scores of a series.
    fn foreign(&self, dir: &Path, run: &Run, series: &LabelledSeries, options: JudgeOptions) -> anyhow::Result<Judged> {
        let entry = &run.entry;
        let (path, file) = files::open_scores(dir, &entry.scores_path())?;
        let scores = Scores::read(file).with_context(|| path.display().to_string())?;
        let (train, scores) = scores.split(entry.rows, entry.train_rows).with_context(|| path.display().to_string())?;
        Ok(Judged::of_scores(entry, series, run.seed, train.as_ref(), scores, options))
    }
}
