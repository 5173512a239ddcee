//! `homeostat serve`: the service.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use homeostat_announce::{Announcer, Outbox, RealClock};
use homeostat_core::{Mode, Subject};
use homeostat_detect::Hysteresis;
use homeostat_execute::{Driver, Executor, PausePoint};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};
use homeostat_ingest::PrometheusSource;
use homeostat_journal::Journal;
use homeostat_remediate::SafetyLimits;

use crate::clock;
use crate::config::{self, Config};
use crate::flags::ConfigArgs;
use crate::no_executor::NoExecutor;
use crate::serve::cycle::Cycle;
use crate::serve::metrics::Metrics;
use crate::serve::service::{Service, tracker_file};
use crate::source::{self, NotTrained};
use crate::training::Trained;
use crate::web::{self, Api};

/// The first wait for a Prometheus or an API server that isn't there yet, and the longest: a second costs nobody anything,
/// and half a minute is the longest that anyone should wait after it came.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The calibration that ships with homeostat, measured on simulated faults.
const CALIBRATION: &str = include_str!("../../../../models/calibration.json");

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where to listen, instead of the config's `server.listen_address`. Loopback only for now.
    #[arg(long = "web.listen-address", value_name = "ADDRESS:PORT")]
    pub(crate) listen_address: Option<std::net::SocketAddr>,
    /// Where to keep the journal, instead of the config's `storage.path`.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) storage: Option<PathBuf>,
    /// The native ONNX Runtime to use instead of the embedded backend.
    #[arg(long = "onnx.library", env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub(crate) onnx_library: Option<PathBuf>,
    /// For crash tests: wait for a kill at this point of an action.
    #[arg(long = "test.pause-at", hide = true, value_name = "POINT")]
    pub(crate) pause_at: Option<PauseAt>,
}

/// Points at which a crash test may stop the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PauseAt {
    /// The intent is on disk, nothing was written to the cluster.
    AfterJournal,
    /// The cluster has the write, the journal doesn't know yet.
    AfterApply,
}

pub(crate) async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = Arc::new(load(args)?);
    std::fs::create_dir_all(&config.storage)
        .with_context(|| format!("storage.path: making {}", config.storage.display()))?;
    let journal = Arc::new(Journal::open(&config.storage.join("journal.db"))?);
    let outbox = Outbox::open(&config.storage.join("outbox.db"))?;
    let time = Arc::new(RealClock::new(clock::now));
    let announcer = Arc::new(Announcer::new("homeostat", &config.channels, outbox, time)?);
    let metrics = Arc::new(Metrics::new().with_channels(&announcer));
    // A slow receiver must not hold up detection: deliveries run beside the cycles. What the process before this
    // one left goes out now, however long training takes.
    let (end_deliveries, ended) = tokio::sync::oneshot::channel::<()>();
    let deliveries = tokio::spawn(Arc::clone(&announcer).run(async move { drop(ended.await) }));
    let calibration = calibration_of(&config)?;
    let api = Api::new(Arc::clone(&metrics), Arc::clone(&journal), calibration.clone());
    // Listening begins before training: liveness must answer at once, readiness says that models are still being made.
    let address = args.listen_address.unwrap_or(config.listen_address);
    if !address.ip().is_loopback() {
        bail!("--web.listen-address {address}: only loopback is accepted, there is no authentication yet");
    }
    let server = web::listen(address, api.clone()).await?;
    // One future for the whole run: a second one would miss a signal that came in between.
    let end = terminated();
    tokio::pin!(end);
    let (executor, trained) = tokio::select! {
        () = &mut end => return Ok(()),
        made = prepare(&config) => made?,
    };
    let source = PrometheusSource::new(source::config_of_cycles(&config)?)?;
    let tracker = tracker(&config.storage, config.detection.options.opening, calibration);
    let monitor = Arc::new(Mutex::new(Monitor::new(trained.ensembles, tracker).with_limits(&config.queries.limits())?));
    api.ready(Arc::clone(&monitor));
    let driver = driver(args, &config, executor, journal);
    let context =
        ClusterContext { topology: config.topology.clone(), calendar: config.calendar.clone(), rollouts: Vec::new() };
    let cycle = Cycle::new(Arc::clone(&monitor), driver, config.mode, context);
    let mut service = Service::new(Arc::clone(&config), source, cycle, monitor, Arc::clone(&announcer), metrics)?;
    tracing::info!(mode = %config.mode, %address, "watching");
    service.recover().await;
    service.run(end).await;
    drop(end_deliveries);
    deliveries.await.context("delivering the last events")?;
    tracing::info!("ended");
    server.abort();
    Ok(())
}

fn load(args: &ServeArgs) -> anyhow::Result<Config> {
    let mut config = config::load_or_explain(&args.config.file)?;
    if let Some(storage) = &args.storage {
        config.storage.clone_from(storage);
    }
    if args.onnx_library.is_some() {
        config.detection.onnx_library.clone_from(&args.onnx_library);
    }
    Ok(config)
}

/// The executor and the models. Waits for a Prometheus or an API server that isn't there yet: in a pod they often start
/// later, and a service that ends instead is only restarted, ever more slowly.
async fn prepare(config: &Arc<Config>) -> anyhow::Result<(Arc<dyn Executor>, Trained)> {
    let executor = executor(config).await?;
    if let Some(path) = &config.detection.bundle {
        return Ok((executor, source::load_bundle(path, config)?));
    }
    let source = PrometheusSource::new(source::config_of(config)?)?;
    let mut wait = RETRY_FIRST;
    loop {
        match source::train_on_history(config, &source).await {
            Ok(trained) => return Ok((executor, trained)),
            Err(error @ NotTrained::Never(_)) => return Err(error.into()),
            Err(NotTrained::NotYet(why)) => again(&mut wait, &why, "no models yet, trying again").await,
        }
    }
}

/// Says why and waits, each time twice as long.
async fn again(wait: &mut Duration, why: &str, what: &str) {
    tracing::warn!(why, wait = homeostat_core::format_duration(*wait), "{what}");
    tokio::time::sleep(*wait).await;
    *wait = wait.saturating_mul(2).min(RETRY_MAX);
}

/// How sure incidents are.
pub(super) fn calibration() -> anyhow::Result<Calibration> {
    serde_json::from_str(CALIBRATION).context("the shipped calibration")
}

/// The calibration that the config names, else the one that ships with homeostat.
pub(super) fn calibration_of(config: &Config) -> anyhow::Result<Calibration> {
    config.detection.calibration.clone().map_or_else(calibration, Ok)
}

fn tracker(storage: &Path, opening: Hysteresis, calibration: Calibration) -> Tracker {
    let mut tracker = Tracker::new(opening, TrackerTimes::default(), calibration);
    match std::fs::read_to_string(tracker_file(storage)) {
        Ok(json) => {
            if let Err(error) = tracker.restore(&json) {
                tracing::warn!(%error, "the tracker's saved state can't be used; incidents that go on open anew");
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the tracker's saved state can't be read; incidents that go on open anew"),
    }
    tracker
}

fn driver(args: &ServeArgs, config: &Config, executor: Arc<dyn Executor>, journal: Arc<Journal>) -> Driver {
    let own_subjects = config.own_workload.iter().cloned().collect::<std::collections::BTreeSet<Subject>>();
    let own_namespaces = own_subjects.iter().map(|subject| subject.namespace.clone()).collect();
    let limits = SafetyLimits { own_subjects, own_namespaces, ..SafetyLimits::default() };
    let driver = Driver::new(executor, journal, config.policies.clone(), limits);
    match args.pause_at {
        None => driver,
        Some(wanted) => driver.with_pause(Arc::new(move |point| pause(wanted, point))),
    }
}

/// Stands still at the point that a crash test asked for, until it is killed.
fn pause(wanted: PauseAt, point: PausePoint) {
    let is_here = match point {
        PausePoint::AfterJournal => wanted == PauseAt::AfterJournal,
        PausePoint::AfterApply => wanted == PauseAt::AfterApply,
    };
    if is_here {
        tracing::warn!(?point, "paused for a crash test");
        loop {
            std::thread::park();
        }
    }
}

async fn executor(config: &Config) -> anyhow::Result<Arc<dyn Executor>> {
    #[cfg(feature = "kubernetes")]
    if let Some(kubernetes) = &config.kubernetes {
        use homeostat_execute::{ConnectError, ConnectSpec, KubernetesExecutor};
        let spec = ConnectSpec {
            kubeconfig: kubernetes.kubeconfig.clone(),
            context: kubernetes.context.clone(),
            timeout: kubernetes.timeout,
        };
        let mut wait = RETRY_FIRST;
        loop {
            match KubernetesExecutor::connect(&spec).await {
                Ok(executor) => return Ok(Arc::new(executor)),
                Err(error @ ConnectError::Unreachable { .. }) => {
                    again(&mut wait, &error.to_string(), "no API server yet, trying again").await;
                }
                Err(error @ (ConnectError::NoConfig { .. } | ConnectError::Unauthorised { .. })) => {
                    return Err(error).context("kubernetes");
                }
            }
        }
    }
    if config.mode == Mode::Execute {
        tracing::warn!("there is no `kubernetes` section: nothing can be executed");
    }
    Ok(Arc::new(NoExecutor))
}

/// SIGTERM or Ctrl-C.
pub(super) async fn terminated() {
    let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(term) => term,
        Err(error) => {
            tracing::error!(%error, "SIGTERM can't be watched for; use Ctrl-C");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
