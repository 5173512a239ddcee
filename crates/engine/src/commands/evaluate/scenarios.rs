//! Simulated faults with known causes, watched without acting: who was named, and what it was called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use homeostat_core::Seed;
use homeostat_evaluate::Diagnosis;
use homeostat_incidents::Calibration;
use homeostat_simulate::ShopSpec;

use crate::closed_loop::{Watched, train_on_shop, watch_scenario};
use crate::config::Detection;

/// Healthy days that the models are trained on: what the demo and calibration take.
const TRAINING_DAYS: u32 = 3;

/// Plays so many scenarios, several at a time; the result doesn't depend on how many. `None` if it was stopped.
pub(super) async fn diagnose(
    n_scenarios: u32,
    seed: u64,
    detection: Detection,
    n_workers: usize,
    stopped: Arc<AtomicBool>,
) -> anyhow::Result<Option<Diagnosis>> {
    // Not the seed's own scenarios: those of `calibrate` are what typing and confidence were looked at with.
    let seed = Seed::new(seed).fork("diagnosis");
    let spec = ShopSpec { history_steps: TRAINING_DAYS as usize * 24 * 60, ..ShopSpec::default() };
    let trained_on = spec.clone();
    let training =
        tokio::task::spawn_blocking(move || train_on_shop(&trained_on, TRAINING_DAYS, seed, &detection, |_| {}));
    let (shop, trained) = training.await.context("training on the simulated shop")??;
    let mut workers = tokio::task::JoinSet::new();
    let n_workers = n_workers.max(1);
    for worker in 0..n_workers {
        // Models can't be read by two threads at once; each has its own.
        let (spec, shop, trained, stopped) = (spec.clone(), shop.clone(), trained.clone(), Arc::clone(&stopped));
        let runtime = tokio::runtime::Handle::current();
        workers.spawn_blocking(move || {
            let mut watched: Vec<(u32, Watched)> = Vec::new();
            for idx in (0..n_scenarios).skip(worker).step_by(n_workers) {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let scenario = seed.fork(&format!("scenario {idx}"));
                let watching = watch_scenario(&spec, &shop, &trained, scenario, Calibration::unknown());
                watched.push((idx, runtime.block_on(watching)?));
                tracing::info!(scenario = idx, of = n_scenarios, "simulated");
            }
            anyhow::Ok(watched)
        });
    }
    let mut watched = Vec::new();
    while let Some(some) = workers.join_next().await {
        watched.extend(some.context("playing scenarios")??);
    }
    watched.sort_by_key(|(idx, _)| *idx);
    let mut diagnosis = Diagnosis::default();
    for (_, one) in &watched {
        diagnosis.add(&one.truths, &one.changes);
    }
    Ok((!stopped.load(Ordering::Relaxed)).then_some(diagnosis))
}
