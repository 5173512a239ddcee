//! Trains every subject's models from its history, several subjects at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use homeostat_core::{Seed, Subject, Timestamp, Window, sha256_hex};
use homeostat_detect::{
    DetectorSpec, Ensemble, EnsembleSpec, Hysteresis, LoadOptions, Restorer, Saver, SharedModels, TrainError,
};

mod checkpoint;
pub(crate) mod child;
mod estimate;
mod excluding;
mod histories;
mod network;
mod past_incidents;
pub(crate) mod purpose;
mod recipe;
mod work;

pub(crate) use checkpoint::{Checkpoint, Run};
pub(crate) use estimate::{Estimate, resident_bytes};
pub(crate) use excluding::excluding;
pub(crate) use histories::{Histories, InFile};
pub(crate) use network::{backend, load_options};
pub(crate) use past_incidents::{PastIncidents, held, past_incidents};
pub(crate) use recipe::recipe;
pub(crate) use work::Work;

use crate::config::Detection;

/// What training gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trained {
    /// Models by subject.
    pub(crate) ensembles: BTreeMap<Subject, Ensemble>,
    /// Subjects that couldn't be trained, and why.
    pub(crate) failures: Vec<(Subject, TrainError)>,
    /// First and last moment of the history, where it was trained now.
    pub(crate) history: Option<(Timestamp, Timestamp)>,
    /// The opening rule that the alarm thresholds were fitted to: what watches with these models must go by it, too.
    pub(crate) opening: Hysteresis,
}

/// Which detectors to train, with their options, and the false-alarm budget.
pub(crate) fn ensemble_spec(detection: &Detection) -> EnsembleSpec {
    let wanted = |spec: &DetectorSpec| detection.detectors.contains(&spec.name());
    let defaults = DetectorSpec::all_default().into_iter().filter(wanted);
    let detectors = defaults.filter_map(|spec| detection.options.of(spec.name())).collect();
    let local_time = detection.timezone.local_time.clone();
    EnsembleSpec { detectors, budget: detection.budget, hysteresis: detection.options.opening, local_time }
}

/// The same ensembles with their networks run by what `options` say: training always ends on the embedded backend.
fn on_runtime(
    ensembles: BTreeMap<Subject, Ensemble>,
    options: &LoadOptions,
) -> (BTreeMap<Subject, Ensemble>, Vec<(Subject, TrainError)>) {
    if backend(options) == backend(&LoadOptions::default()) {
        return (ensembles, Vec::new());
    }
    let (mut saver, mut restorer) = (Saver::default(), Restorer::new(options));
    let (mut moved, mut failures) = (BTreeMap::new(), Vec::new());
    for (subject, ensemble) in &ensembles {
        match saver.save(ensemble).and_then(|saved| restorer.restore(&saved)) {
            Ok(ensemble) => {
                moved.insert(subject.clone(), ensemble);
            }
            Err(error) => {
                let error = TrainError::Failed { detector: "autoencoder", why: error.to_string() };
                failures.push((subject.clone(), error));
            }
        }
    }
    (moved, failures)
}

/// Who is told how training goes on, and what it may take from a training before.
pub(crate) struct TrainHooks<'a> {
    /// What was fitted already; what is fitted now is kept there, too.
    pub(crate) kept: Option<&'a Checkpoint>,
    /// Is told how many subjects were fitted before.
    pub(crate) found: &'a (dyn Fn(usize) + Sync),
    /// Is told how many subjects are done each time one is.
    pub(crate) progress: &'a (dyn Fn(usize) + Sync),
}

/// Trains one ensemble for each history, on all cores; `progress` is told how many are done. Subjects of a kind share models if
/// `share` says so.
///
/// The result doesn't depend on the number of cores: each group and each subject has a seed of its own.
pub(crate) fn train(
    windows: &[Window],
    spec: &EnsembleSpec,
    share: bool,
    runtime: &LoadOptions,
    seed: Seed,
    progress: impl Fn(usize) + Sync,
) -> Trained {
    let work = Work::new(&windows, spec, share, seed);
    train_with_hooks(&work, runtime, &TrainHooks { kept: None, found: &|_| {}, progress: &progress })
}

/// The same, going on from what was kept: the models are the same as without, bit for bit.
pub(crate) fn train_with_hooks(work: &Work<'_>, runtime: &LoadOptions, aside: &TrainHooks<'_>) -> Trained {
    let keeper = Keeper::new(work, aside.kept);
    let mut found = keeper.found(work.histories.len());
    let is_wanted = |group: &Vec<usize>| group.iter().any(|idx| found[*idx].is_none());
    let wanted: Vec<usize> = (0..work.groups.len()).filter(|idx| is_wanted(&work.groups[*idx])).collect();
    let shared = on_all_cores(&wanted, |group_idx| work.shared(*group_idx));
    let shared: BTreeMap<usize, Option<SharedModels>> = wanted.into_iter().zip(shared).collect();
    let none = SharedModels::none();
    let left: Vec<usize> = (0..found.len()).filter(|idx| found[*idx].is_none()).collect();
    let n_done = AtomicUsize::new(found.len() - left.len());
    (aside.found)(found.len() - left.len());
    let fitted = on_all_cores(&left, |idx| {
        let shared = work.group_of(*idx).and_then(|group_idx| shared.get(&group_idx)?.as_ref());
        let trained = work.ensemble(*idx, shared.unwrap_or(&none));
        if let Ok(ensemble) = &trained {
            keeper.keep(*idx, ensemble);
        }
        (aside.progress)(n_done.fetch_add(1, Ordering::Relaxed) + 1);
        trained
    });
    let mut fitted: BTreeMap<usize, Result<Ensemble, TrainError>> = left.into_iter().zip(fitted).collect();
    let history = work.histories.grid().map(|grid| (grid.start(), grid.end()));
    let mut trained = Trained { history, opening: work.spec.hysteresis, ..Trained::default() };
    let mut ensembles = BTreeMap::new();
    for (idx, found) in found.iter_mut().enumerate() {
        let subject = work.histories.subject(idx).clone();
        match found.take().map(Ok).or_else(|| fitted.remove(&idx)) {
            Some(Ok(ensemble)) => {
                ensembles.insert(subject, ensemble);
            }
            Some(Err(error)) => trained.failures.push((subject, error)),
            None => {}
        }
    }
    let (ensembles, failures) = on_runtime(ensembles, runtime);
    trained.ensembles = ensembles;
    trained.failures.extend(failures);
    trained.failures.sort_by(|left, right| left.0.cmp(&right.0));
    trained
}

/// Keeps what is fitted, if there is where. That it can't be kept stops nothing: it is told once, and a stop would lose it.
struct Keeper<'a> {
    kept: Option<&'a Checkpoint>,
    keys: Vec<String>,
    has_failed: AtomicBool,
}

impl<'a> Keeper<'a> {
    fn new(work: &Work<'_>, kept: Option<&'a Checkpoint>) -> Self {
        let keys = kept.map(|_| work.keys(&program()?)).transpose();
        let (kept, keys) = match keys {
            Ok(keys) => (kept, keys.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "fitted models can't be saved");
                (None, Vec::new())
            }
        };
        if let Some(kept) = kept {
            kept.prune(&keys);
        }
        Self { kept, keys, has_failed: AtomicBool::new(false) }
    }

    /// What was fitted before, by window.
    fn found(&self, n_windows: usize) -> Vec<Option<Ensemble>> {
        let Some(kept) = self.kept else { return vec![None; n_windows] };
        let options = LoadOptions::default();
        let mut restorer = Restorer::new(&options);
        let found: Vec<Option<Ensemble>> = self.keys.iter().map(|key| restorer.restore(&kept.get(key)?).ok()).collect();
        let n_found = found.iter().flatten().count();
        if n_found > 0 {
            tracing::info!(fitted = n_found, of = n_windows, "resuming from {}", kept.dir().display());
        }
        found
    }

    fn keep(&self, idx: usize, ensemble: &Ensemble) {
        let (Some(kept), Some(key)) = (self.kept, self.keys.get(idx)) else { return };
        let saved = ensemble.save().map_err(anyhow::Error::from).and_then(|saved| kept.put(key, &saved));
        if let Err(error) = saved
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                error = format!("{error:#}"),
                "fitted models can't be saved; they are lost if training is stopped"
            );
        }
    }
}

/// The digest of this very build: another may fit other models.
fn program() -> anyhow::Result<String> {
    let program = std::env::current_exe().and_then(std::fs::read).context("reading this program")?;
    Ok(sha256_hex(&[&program]))
}

/// Threads at a time.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` makes of each item, in their order, on all cores.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let n_workers = cores().min(items.len());
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..n_workers {
            scope.spawn(|| {
                loop {
                    let idx = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(idx) else { return };
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((idx, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(idx, _)| *idx);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    //! For tests: incidents that somebody may have judged.
    pub(crate) use super::past_incidents::tests::incident;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_watches_goes_by_the_opening_rule_of_the_training() {
        let patient = Hysteresis { open_rows: 5, of_rows: 6, ..Hysteresis::default() };
        let spec = EnsembleSpec { hysteresis: patient, ..EnsembleSpec::default() };
        let trained = train(&[], &spec, true, &LoadOptions::default(), Seed::new(1), |_| {});
        assert_eq!(trained.opening, patient);
        assert!(trained.ensembles.is_empty() && trained.failures.is_empty());
    }
}
