//! Trains every subject's models from its history, several subjects at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use homeostat_core::{Seed, Subject, Timestamp, Window};
use homeostat_detect::{
    DetectorSpec, Ensemble, EnsembleSpec, Hysteresis, LoadOptions, OnnxError, OnnxRuntime, Restorer, Saver,
    SharedModels, TrainError, groups,
};

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
    /// The opening rule that the alarm boundaries were fitted to: what watches with these models must go by it, too.
    pub(crate) opening: Hysteresis,
}

/// The ONNX backend that the config names: the native library, or the embedded one.
pub(crate) fn onnx_runtime(library: Option<&Path>) -> Result<OnnxRuntime, OnnxError> {
    match library {
        Some(path) => OnnxRuntime::native(path),
        None => Ok(OnnxRuntime::embedded()),
    }
}

/// Which detectors to train, with their options, and the false-alarm budget.
pub(crate) fn ensemble_spec(detection: &Detection) -> EnsembleSpec {
    let wanted = |spec: &DetectorSpec| detection.detectors.contains(&spec.name());
    let defaults = DetectorSpec::all_default().into_iter().filter(wanted);
    let detectors = defaults.filter_map(|spec| detection.options.of(spec.name())).collect();
    EnsembleSpec { detectors, budget: detection.budget, hysteresis: detection.options.opening }
}

/// The same ensembles with their networks run by `runtime`: training always ends on the embedded backend.
fn on_runtime(
    ensembles: BTreeMap<Subject, Ensemble>,
    runtime: &OnnxRuntime,
) -> (BTreeMap<Subject, Ensemble>, Vec<(Subject, TrainError)>) {
    if runtime.backend() == OnnxRuntime::embedded().backend() {
        return (ensembles, Vec::new());
    }
    let options = LoadOptions { onnx: runtime.clone() };
    let (mut saver, mut restorer) = (Saver::default(), Restorer::new(&options));
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

/// Trains one ensemble for each window, on all cores; `progress` is told how many are done. Subjects of a kind
/// ([`groups`]) share models if `share` says so.
///
/// The result doesn't depend on the number of cores: each group and each subject has a seed of its own.
pub(crate) fn train(
    windows: &[Window],
    spec: &EnsembleSpec,
    share: bool,
    runtime: &OnnxRuntime,
    seed: Seed,
    progress: impl Fn(usize) + Sync,
) -> Trained {
    let none = SharedModels::none();
    let groups = if share { groups(windows) } else { Vec::new() };
    let groups: Vec<&Vec<usize>> = groups.iter().filter(|group| group.len() > 1).collect();
    let shared = on_all_cores(&groups, |group| {
        let histories: Vec<&Window> = group.iter().map(|idx| &windows[*idx]).collect();
        let first = histories[0].subject().to_string();
        // Without them each subject trains its own, and says itself what is wrong with its history.
        SharedModels::train(spec, &histories, seed.fork("group").fork(&first)).ok()
    });
    let mut shared_of: Vec<&SharedModels> = vec![&none; windows.len()];
    for (group, shared) in groups.iter().zip(&shared) {
        for idx in group.iter() {
            shared_of[*idx] = shared.as_ref().unwrap_or(&none);
        }
    }
    let done = AtomicUsize::new(0);
    let work: Vec<(&Window, &SharedModels)> = windows.iter().zip(shared_of).collect();
    let results = on_all_cores(&work, |(window, shared)| {
        let seed = seed.fork(&window.subject().to_string());
        let trained = Ensemble::train_with(shared, spec, window, seed);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        trained
    });
    let history = windows.first().map(|window| (window.grid().start(), window.grid().end()));
    let mut trained = Trained { history, opening: spec.hysteresis, ..Trained::default() };
    let mut ensembles = BTreeMap::new();
    for (window, result) in windows.iter().zip(results) {
        match result {
            Ok(ensemble) => {
                ensembles.insert(window.subject().clone(), ensemble);
            }
            Err(error) => trained.failures.push((window.subject().clone(), error)),
        }
    }
    let (ensembles, failures) = on_runtime(ensembles, runtime);
    trained.ensembles = ensembles;
    trained.failures.extend(failures);
    trained.failures.sort_by(|left, right| left.0.cmp(&right.0));
    trained
}

/// What `work` makes of each item, in their order, on all cores.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let n_workers = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
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
mod tests {
    use super::*;

    #[test]
    fn what_watches_goes_by_the_opening_rule_of_the_training() {
        let patient = Hysteresis { open_rows: 5, of_rows: 6, ..Hysteresis::default() };
        let spec = EnsembleSpec { hysteresis: patient, ..EnsembleSpec::default() };
        let trained = train(&[], &spec, true, &OnnxRuntime::embedded(), Seed::new(1), |_| {});
        assert_eq!(trained.opening, patient);
        assert!(trained.ensembles.is_empty() && trained.failures.is_empty());
    }
}
