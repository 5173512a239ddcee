//! Trains every subject's models from its history, several subjects at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use homeostat_core::{Seed, Subject, Timestamp, Window};
use homeostat_detect::{DetectorSpec, Ensemble, EnsembleSpec, LoadOptions, OnnxError, OnnxRuntime, TrainError};

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
}

/// The ONNX backend that the config names: the native library, or the embedded one.
pub(crate) fn onnx_runtime(library: Option<&Path>) -> Result<OnnxRuntime, OnnxError> {
    match library {
        Some(path) => OnnxRuntime::native(path),
        None => Ok(OnnxRuntime::embedded()),
    }
}

/// Which detectors to train, and the false-alarm budget.
pub(crate) fn ensemble_spec(detection: &Detection) -> EnsembleSpec {
    let wanted = |spec: &DetectorSpec| detection.detectors.contains(&spec.name());
    let detectors = DetectorSpec::all_default().into_iter().filter(wanted).collect();
    EnsembleSpec { detectors, budget: detection.budget, ..EnsembleSpec::default() }
}

/// The same ensemble with its network run by `runtime`: training always ends on the embedded backend.
fn on_runtime(ensemble: Ensemble, runtime: &OnnxRuntime) -> Result<Ensemble, TrainError> {
    if runtime.backend() == OnnxRuntime::embedded().backend() {
        return Ok(ensemble);
    }
    let options = LoadOptions { onnx: runtime.clone() };
    ensemble
        .save()
        .and_then(|saved| Ensemble::restore(&saved, &options))
        .map_err(|error| TrainError::Failed { detector: "autoencoder", why: error.to_string() })
}

/// Trains one ensemble for each window, on all cores; `progress` is told how many are done.
///
/// The result doesn't depend on the number of cores: each subject has a seed of its own.
pub(crate) fn train(
    windows: &[Window],
    spec: &EnsembleSpec,
    runtime: &OnnxRuntime,
    seed: Seed,
    progress: impl Fn(usize) + Sync,
) -> Trained {
    let n_workers = std::thread::available_parallelism().map_or(1, usize::from).min(windows.len()).max(1);
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(windows.len()));
    std::thread::scope(|scope| {
        for _ in 0..n_workers {
            scope.spawn(|| {
                while let Some(window) = windows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let subject = window.subject();
                    let trained = Ensemble::train(spec, window, seed.fork(&subject.to_string()))
                        .and_then(|ensemble| on_runtime(ensemble, runtime));
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((subject.clone(), trained));
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    let history = windows.first().map(|window| (window.grid().start(), window.grid().end()));
    let mut trained = Trained { history, ..Trained::default() };
    for (subject, result) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match result {
            Ok(ensemble) => {
                trained.ensembles.insert(subject, ensemble);
            }
            Err(error) => trained.failures.push((subject, error)),
        }
    }
    trained.failures.sort_by(|left, right| left.0.cmp(&right.0));
    trained
}
