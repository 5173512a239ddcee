//! The whole loop on the simulated shop: what the demo shows and what calibration learns from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use homeostat_core::{IncidentChange, Mode, Seed, Timestamp};
use homeostat_evaluate::{ActionOutcome, Observed, Scorecard, Verification};
use homeostat_execute::{Driver, DriverEvent};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};
use homeostat_journal::Journal;
use homeostat_remediate::{KillSwitch, PlanId, Policy, SafetyLimits, Verdict};
use homeostat_simulate::{FaultTruth, Scenario, Shop, ShopSpec};

use crate::serve::cycle::{Cycle, Tick};
use crate::shop_executor::SharedShop;
use crate::training::{self, Trained};

/// Rows of the windows that each tick scores: more than any tick is behind, few enough to copy at every step.
const WINDOW_ROWS: usize = 5;

/// A shop with the engine around it.
pub(crate) struct ClosedLoop {
    shop: SharedShop,
    cycle: Cycle,
    began_at: Timestamp,
    changes: Vec<IncidentChange>,
    actions: BTreeMap<PlanId, ActionOutcome>,
    /// Whether pods are compared with each other.
    compares_replicas: bool,
}

/// Runs a healthy shop for `days` and trains every subject's models on it.
pub(crate) fn train_on_shop(
    spec: &ShopSpec,
    days: u32,
    seed: Seed,
    detection: &crate::config::Detection,
    progress: impl Fn(usize) + Sync,
) -> anyhow::Result<(Shop, Trained)> {
    let mut shop = Shop::new(spec.clone(), seed.fork("shop"), start()).context("the shop")?;
    shop.advance_to(start() + Duration::from_secs(u64::from(days) * 86_400));
    let runtime = training::load_options(detection.onnx_library.as_deref())?;
    let ensembles = training::ensemble_spec(detection);
    let (share, seed) = (detection.share_models, seed.fork("training"));
    let trained = training::train(&shop.history(), &ensembles, share, &runtime, seed, progress);
    Ok((shop, trained))
}

/// Every shop opens on the same Monday: times in the output can be compared from run to run.
fn start() -> Timestamp {
    Timestamp::from_secs(1_767_571_200) // 2026-01-05T00:00:00Z
}

/// A scenario that was watched and left alone.
pub(crate) struct Watched {
    /// What really happened.
    pub(crate) truths: Vec<FaultTruth>,
    /// What was told, in its order.
    pub(crate) changes: Vec<IncidentChange>,
}

/// Plays one scenario in mode observe: what detection says of a fault that nobody cures.
pub(crate) async fn watch_scenario(
    spec: &ShopSpec,
    shop: &Shop,
    trained: &Trained,
    seed: Seed,
    calibration: Calibration,
) -> anyhow::Result<Watched> {
    let scenario = Scenario::draw(spec, shop.now(), seed);
    let mut shop = shop.reseeded(seed.fork("noise"));
    for fault in scenario.faults {
        shop.schedule(fault).context("scheduling a scenario's fault")?;
    }
    let journal = Arc::new(Journal::in_memory()?);
    let mut closed = ClosedLoop::new(shop, trained, calibration, Vec::new(), journal, Mode::Observe).await?;
    while closed.now() < scenario.until {
        closed.step().await;
    }
    let truths = closed.shop().lock().truths().to_vec();
    Ok(Watched { truths, changes: closed.changes })
}

/// What of a shop has a limit: its memory is a share of the pods' own.
fn limits() -> BTreeMap<String, f64> {
    BTreeMap::from([("memory".to_owned(), 1.0)])
}

impl ClosedLoop {
    /// Puts the engine around a shop whose models are trained.
    pub(crate) async fn new(
        shop: Shop,
        trained: &Trained,
        calibration: Calibration,
        policies: Vec<Policy>,
        journal: Arc<Journal>,
        mode: Mode,
    ) -> anyhow::Result<Self> {
        let tracker = Tracker::new(trained.opening, TrackerTimes::default(), calibration);
        let monitor = Monitor::new(trained.ensembles.clone(), tracker).with_limits(&limits())?;
        let monitor = Arc::new(Mutex::new(monitor));
        let context = ClusterContext { topology: shop.topology().clone(), ..ClusterContext::default() };
        let began_at = shop.now();
        let shop = SharedShop::new(shop);
        let mut driver = Driver::new(Arc::new(shop.clone()), journal, policies, SafetyLimits::default());
        let _nothing_to_recover = driver.recover(began_at).await;
        let cycle = Cycle::new(monitor, driver, mode, context);
        let (changes, actions) = (Vec::new(), BTreeMap::new());
        Ok(Self { shop, cycle, began_at, changes, actions, compares_replicas: false })
    }

    /// The same, with the pods of each service compared with each other.
    #[cfg(test)]
    pub(crate) fn comparing_replicas(self) -> Self {
        Self { compares_replicas: true, ..self }
    }

    /// What happened to incidents so far.
    #[cfg(test)]
    pub(crate) fn changes(&self) -> &[IncidentChange] {
        &self.changes
    }

    /// The shop.
    pub(crate) fn shop(&self) -> &SharedShop {
        &self.shop
    }

    /// The shop's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.shop.lock().now()
    }

    /// One simulated step and one tick of the engine.
    pub(crate) async fn step(&mut self) -> Tick {
        let (now, windows, replicas) = {
            let mut shop = self.shop.lock();
            shop.advance();
            self.cycle.context.rollouts = shop.rollouts().cloned().collect();
            self.cycle.context.calendar = shop.calendar().clone();
            let replicas = if self.compares_replicas { shop.replica_windows(WINDOW_ROWS) } else { Vec::new() };
            (shop.now(), shop.windows(WINDOW_ROWS), replicas)
        };
        let tick = self.cycle.tick(now, &windows, &replicas, &KillSwitch::default()).await;
        self.changes.extend(tick.changes.iter().cloned());
        for event in &tick.events {
            self.note_action(event, now);
        }
        tick
    }

    /// The scorecard of everything since the engine was put around the shop.
    pub(crate) fn scorecard(&self) -> Scorecard {
        let shop = self.shop.lock();
        let observed = Observed { from: self.began_at, until: shop.now(), n_subjects: shop.subjects().count() };
        let actions: Vec<ActionOutcome> = self.actions.values().cloned().collect();
        Scorecard::of(observed, shop.truths(), &self.changes, &actions)
    }

    fn note_action(&mut self, event: &DriverEvent, now: Timestamp) {
        match event {
            DriverEvent::Applied { plan } => {
                self.actions.insert(
                    plan.id.clone(),
                    ActionOutcome {
                        plan: plan.id.clone(),
                        incident: plan.incident.clone(),
                        subject: plan.target.subject.clone(),
                        kind: plan.step.action.clone(),
                        executed_at: now,
                        verified_at: None,
                        verification: Verification::Pending,
                    },
                );
            }
            DriverEvent::Verdict { plan, verdict } => {
                if let Some(action) = self.actions.get_mut(&plan.id) {
                    action.verified_at = Some(now);
                    action.verification = match verdict {
                        Verdict::Pending => Verification::Pending,
                        Verdict::Recovered => Verification::Recovered,
                        Verdict::NotRecovered { made_worse: false, .. } => Verification::NotRecovered,
                        Verdict::NotRecovered { made_worse: true, .. } => Verification::MadeWorse,
                        Verdict::Overridden | Verdict::Unknown { .. } => Verification::Unknown,
                    };
                }
            }
            DriverEvent::Decided { .. }
            | DriverEvent::ApplyFailed { .. }
            | DriverEvent::Undone { .. }
            | DriverEvent::Restored { .. }
            | DriverEvent::Stuck { .. }
            | DriverEvent::PolicyFrozen { .. }
            | DriverEvent::Escalate(_)
            | DriverEvent::JournalTrouble { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
