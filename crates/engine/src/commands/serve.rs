//! `homeostat serve`: the service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use homeostat_announce::{Announcer, Outbox, RealClock};
use homeostat_core::{Mode, Subject};
use homeostat_detect::Hysteresis;
use homeostat_execute::{Driver, Executor, Fence, PausePoint, Places, Registry};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};
use homeostat_ingest::PrometheusSource;
use homeostat_journal::Journal;
use homeostat_remediate::{KillSwitch, SafetyLimits};
use tokio::task::JoinHandle;

use crate::calibration::calibration_of;
use crate::clock::{self, CorrectedClock, WallClock};
#[cfg(feature = "kubernetes")]
use crate::config::KubernetesConfig;
use crate::config::{self, Config, JournalPlace, ListenAddress};
use crate::flags::ConfigArgs;
use crate::kill_switch;
use crate::labels::Desk;
use crate::serve::cycle::Cycle;
#[cfg(feature = "kubernetes")]
use crate::serve::facts;
use crate::serve::live::Reloader;
use crate::serve::metrics::Metrics;
use crate::serve::replica::Replica;
use crate::serve::service::{Around, Service, tracker_file};
use crate::serve::snapshot::Publisher;
use crate::signals::terminated;
use crate::source::{self, NotTrained};
use crate::training::Trained;
use crate::training::child::{ChildTrainer, Trainer};
use crate::training::purpose::Purpose;
use crate::web::{self, Api, listen};
use crate::witness::PrometheusWitness;

/// The first wait for a Prometheus or an API server that isn't there, and the longest: a second costs nobody anything, and half a
/// minute is the longest that anyone should wait after it came.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// How often the API server is asked for its version: twice a scrape interval of a minute, and no load.
const CHECK_EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Address the API listens on, such as 127.0.0.1:9476, localhost:9476 or :9476; overrides `server.listen_address`.
    /// Loopback only for now, as there is no authentication.
    #[arg(long = "web.listen-address", value_name = "ADDRESS:PORT")]
    pub(crate) listen_address: Option<ListenAddress>,
    /// Separate address for probes and metrics (/livez, /readyz, /metrics); overrides `server.probe_address`. It may be any
    /// address, as a kubelet and a Prometheus can't reach loopback.
    #[arg(long = "web.probe-address", value_name = "ADDRESS:PORT")]
    pub(crate) probe_address: Option<ListenAddress>,
    /// Storage directory, with the journal; overrides `storage.path`.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) storage: Option<PathBuf>,
    /// Native ONNX Runtime library to use instead of the embedded backend.
    #[arg(long = "onnx.library", env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub(crate) onnx_library: Option<PathBuf>,
    /// For crash tests: wait for a kill at this point of an action.
    #[arg(long = "test.pause-at", hide = true, value_name = "POINT")]
    pub(crate) pause_at: Option<PauseAt>,
    /// For crash tests: go on from there once this file exists.
    #[arg(long = "test.pause-until", hide = true, value_name = "FILE")]
    pub(crate) pause_until: Option<PathBuf>,
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
    let (journal, replica, fence) = journal(&config)?;
    let outbox = Outbox::open(&config.storage.join("outbox.db"))?;
    let time = Arc::new(RealClock::new(clock::now));
    let announcer = Announcer::new("homeostat", &config.channels, outbox, time)?;
    let announcer = Arc::new(match &config.leader_election {
        Some(_) => announcer.of_a_replica(),
        None => announcer,
    });
    let metrics = Arc::new(Metrics::new().with_channels(&announcer));
    // A slow receiver must not hold up detection: deliveries run beside the cycles. What the process before this
    // one left goes out now, however long training takes.
    let (end_deliveries, ended) = tokio::sync::oneshot::channel::<()>();
    let deliveries = tokio::spawn(Arc::clone(&announcer).run(async move { drop(ended.await) }));
    let switch = watch_kill_switch(&config.storage, &journal, &metrics)?;
    let calibration = calibration_of(&config)?;
    let clock = Arc::new(CorrectedClock::new(Arc::new(WallClock)));
    let (reloader, reload, live) =
        Reloader::new(args.config.file.clone(), Arc::clone(&config), Arc::clone(&metrics), Arc::clone(&clock) as _);
    let (publisher, snapshot) = Publisher::new();
    let desk = Arc::new(Desk::new(Arc::clone(&journal), publisher.clone()));
    let api = Api::new(Arc::clone(&metrics), snapshot, Arc::clone(&clock) as _, Arc::clone(&desk), reload)
        .context("starting the API's threads")?;
    // Listening begins before training: liveness must answer at once, readiness says that models are still being made.
    let _servers = listen(args, &config, &api).await?;
    // One future for the whole run: a second one would miss a signal that came in between.
    let end = terminated();
    tokio::pin!(end);
    let _reloading = AbortOnDrop(tokio::spawn(reloader.run()));
    let executor = executor(&config, fence).await?;
    let source = PrometheusSource::new(source::config_of_cycles(&config)?)?;
    let tracker = tracker(&config.storage, config.detection.options.opening, calibration);
    // Without models at first: what was under way when the process before this one ended is looked after before training,
    // which may take long.
    let monitor = Monitor::new(BTreeMap::new(), tracker).with_limits(&config.queries.limits())?;
    let monitor = Arc::new(Mutex::new(monitor.with_budgets(config.detection.budgets())));
    let _watching = config
        .kubernetes
        .as_ref()
        .map(|_| AbortOnDrop(tokio::spawn(watch_cluster(Arc::clone(&executor), Arc::clone(&metrics)))));
    let mut driver = driver(args, &config, executor, Arc::clone(&journal)).with_clock(Arc::clone(&clock) as _);
    if let Some(kubernetes) = &config.kubernetes {
        if kubernetes.assume_same_cluster {
            tracing::warn!(
                "kubernetes.assume_same_cluster is set: whether Prometheus watches this cluster isn't verified"
            );
        } else {
            let query = kubernetes.identity_query.clone();
            driver = driver.with_witness(Arc::new(PrometheusWitness::new(source.clone(), query, clock::now)));
        }
    }
    let context =
        ClusterContext { topology: config.topology.clone(), calendar: config.calendar.clone(), rollouts: Vec::new() };
    let cycle = Cycle::new(Arc::clone(&monitor), driver, config.mode, context).with_data_lag(config.offset);
    #[cfg(feature = "kubernetes")]
    let (cycle, _watching_objects) = watch_objects(&config, cycle, Arc::clone(&clock) as _, &metrics).await?;
    let trainer: Arc<dyn Trainer> = Arc::new(ChildTrainer::new(&args.config.file, Arc::clone(&config), journal));
    let around = Around { clock, live, publisher, trainer: Arc::clone(&trainer), switch, desk, replica };
    let mut service = Service::new(
        Arc::clone(&config),
        source,
        cycle,
        Arc::clone(&monitor),
        Arc::clone(&announcer),
        metrics,
        around,
    )?;
    tokio::select! {
        () = &mut end => return Ok(()),
        () = service.recover() => {}
    }
    let trained = tokio::select! {
        () = &mut end => return Ok(()),
        trained = models(&config, &*trainer, &service) => trained?,
    };
    service.take_models(trained);
    // A bundle may be of any time, and whoever made it chose its history.
    if config.detection.bundle.is_none() {
        tokio::select! {
            () = &mut end => return Ok(()),
            () = service.look_back() => {}
        }
    }
    api.score_with(monitor);
    tracing::info!(mode = %config.mode, "watching");
    service.run(end).await;
    service.end().await;
    drop(end_deliveries);
    deliveries.await.context("delivering the last events")?;
    tracing::info!("ended");
    Ok(())
}

/// A task that ends with whoever started it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens for the API on loopback, and for probes where they are wanted apart.
async fn listen(args: &ServeArgs, config: &Config, api: &Api) -> anyhow::Result<Vec<AbortOnDrop>> {
    let address = match &args.listen_address {
        None => config.listen_address,
        Some(address) => address.for_api().with_context(|| {
            format!(
                "--web.listen-address {address}: the API listens on loopback only, there is no authentication yet; \
                 for probes and metrics use --web.probe-address"
            )
        })?,
    };
    let limits = listen::Limits::default();
    let listener = listen::bind(&[address], "--web.listen-address").await?;
    let mut servers = vec![AbortOnDrop(listen::serve(listener, web::api_router(api.clone()), limits))];
    let probes = args.probe_address.as_ref().or(config.probe_address.as_ref());
    if let Some(probes) = probes {
        let listener = listen::bind(&probes.for_probes(), "--web.probe-address").await?;
        servers.push(AbortOnDrop(listen::serve(listener, web::probe_router(api.clone()), limits)));
    }
    tracing::info!(api = %address, probes = probes.map(ToString::to_string).unwrap_or_default(), "listening");
    Ok(servers)
}

/// The kill switch is obeyed and measured from the first moment on, and stops by SIGUSR1 too.
fn watch_kill_switch(
    storage: &Path,
    journal: &Arc<Journal>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Arc<kill_switch::Watch>> {
    let files = kill_switch::Files::new(storage);
    let switch = Arc::new(kill_switch::Watch::new(files, Arc::clone(journal), clock::now));
    let stopped = metrics.stopped.clone();
    let measure = move |switch: &KillSwitch| {
        stopped.set(i64::from(switch.engaged));
    };
    switch.spawn(measure).context("watching the kill switch")?;
    let mut signals = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())
        .context("listening for SIGUSR1")?;
    let signalled = Arc::clone(&switch);
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            signalled.stop_by_signal();
        }
    });
    Ok(switch)
}

/// Keeps asking whether the API server answers, so that a metric says so before an incident needs it. Logs changes.
async fn watch_cluster(executor: Arc<dyn Executor>, metrics: Arc<Metrics>) {
    let (mut was_up, mut retry) = (None, RETRY_FIRST);
    loop {
        let checked = executor.check().await;
        let is_up = checked.is_ok();
        metrics.kubernetes_up.set(i64::from(is_up));
        match &checked {
            Err(why) if was_up != Some(false) => {
                tracing::error!(why, "the Kubernetes API server isn't usable; no action can be executed");
            }
            Ok(()) if was_up != Some(true) => tracing::info!("the Kubernetes API server answers"),
            Ok(()) | Err(_) => {}
        }
        was_up = Some(is_up);
        tokio::time::sleep(if is_up { CHECK_EVERY } else { retry }).await;
        retry = if is_up { RETRY_FIRST } else { retry.saturating_mul(2).min(RETRY_MAX) };
    }
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

/// The models: of the bundle, or trained now. Waits for a Prometheus that isn't there yet: in a pod it often starts later, and
/// a service that ends instead is only restarted, ever more slowly.
async fn models(config: &Arc<Config>, trainer: &dyn Trainer, service: &Service) -> anyhow::Result<Trained> {
    if let Some(path) = config.detection.bundle.clone() {
        let config = Arc::clone(config);
        return tokio::task::spawn_blocking(move || source::load_bundle(&path, &config)).await?;
    }
    let mut wait = RETRY_FIRST;
    loop {
        match trainer.train(Purpose::Start).await {
            Ok(trained) => return Ok(trained),
            Err(error @ NotTrained::Never(_)) => return Err(error.into()),
            Err(NotTrained::NotYet(why)) => {
                service.starting(&why);
                again(&mut wait, &why, "no models yet, trying again").await;
            }
        }
    }
}

/// Says why and waits, each time twice as long.
async fn again(wait: &mut Duration, why: &str, what: &str) {
    tracing::warn!(why, wait = homeostat_core::format_duration(*wait), "{what}");
    tokio::time::sleep(*wait).await;
    *wait = wait.saturating_mul(2).min(RETRY_MAX);
}

fn tracker(storage: &Path, opening: Hysteresis, calibration: Calibration) -> Tracker {
    let mut tracker = Tracker::new(opening, TrackerTimes::default(), calibration);
    match std::fs::read_to_string(tracker_file(storage)) {
        Ok(json) => {
            if let Err(error) = tracker.restore(&json) {
                tracing::warn!(%error, "the saved tracker state can't be used; ongoing incidents are opened again");
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(%error, "the saved tracker state can't be read; ongoing incidents are opened again")
        }
    }
    tracker
}

fn driver(args: &ServeArgs, config: &Config, executor: Arc<dyn Executor>, journal: Arc<Journal>) -> Driver {
    let own_subjects = config.own_workload.iter().cloned().collect::<std::collections::BTreeSet<Subject>>();
    let own_namespaces = own_subjects.iter().map(|subject| subject.namespace.clone()).collect();
    let limits = SafetyLimits { own_subjects, own_namespaces, ..SafetyLimits::default() };
    let mut driver = Driver::new(executor, journal, config.policies.clone(), limits);
    driver.set_rego(config.rego.clone());
    match args.pause_at {
        None => driver,
        Some(wanted) => {
            let until = args.pause_until.clone();
            driver.with_pause(Arc::new(move |point| pause(wanted, point, until.as_deref())))
        }
    }
}

/// How often a paused test looks whether it may go on.
const PAUSE_LOOK: Duration = Duration::from_millis(20);

/// Stands still at the point that a crash test asked for, until it is killed or the file is there.
fn pause(wanted: PauseAt, point: PausePoint, until: Option<&Path>) {
    let is_here = match point {
        PausePoint::AfterJournal => wanted == PauseAt::AfterJournal,
        PausePoint::AfterApply => wanted == PauseAt::AfterApply,
    };
    if is_here {
        tracing::warn!(?point, "paused for a crash test");
        while until.is_none_or(|file| !file.exists()) {
            std::thread::park_timeout(PAUSE_LOOK);
        }
    }
}

/// Watches the cluster's objects for facts, if there is a cluster.
#[cfg(feature = "kubernetes")]
async fn watch_objects(
    config: &Config,
    cycle: Cycle,
    clock: Arc<dyn clock::Clock>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Cycle, Option<facts::Watching>)> {
    let Some(kubernetes) = config.kubernetes.as_ref().filter(|kubernetes| kubernetes.facts) else {
        return Ok((cycle, None));
    };
    let api = Arc::new(cluster(kubernetes).await?);
    let (reader, watching) = facts::start(api, &kubernetes.facts_namespaces, config.step, clock, Arc::clone(metrics));
    Ok((cycle.with_facts(facts::FactsFeed::new(reader)), Some(watching)))
}

/// Where the cluster is. It isn't asked yet.
#[cfg(feature = "kubernetes")]
async fn cluster(kubernetes: &KubernetesConfig) -> anyhow::Result<homeostat_execute::Cluster> {
    let spec = crate::serve::replica::kubernetes::connect_spec(kubernetes);
    homeostat_execute::Cluster::load(&spec).await.context("kubernetes")
}

/// The journal, who else may write it, and what keeps writes back while another one does.
#[cfg(feature = "kubernetes")]
fn journal(config: &Config) -> anyhow::Result<(Arc<Journal>, Replica, Option<Arc<Fence>>)> {
    use crate::serve::replica::kubernetes::SharedJournal;
    match (config.journal, &config.kubernetes) {
        (JournalPlace::Kubernetes, Some(kubernetes)) => {
            let shared = SharedJournal::open(config, kubernetes, &config.storage).context("storage.journal")?;
            let fence = shared.fence.clone();
            let journal = Arc::new(Journal::following(Box::new(Arc::clone(&shared.store)), "this replica is starting"));
            let replica = Replica::among(Arc::clone(&journal), shared.peers(Arc::clone(&journal)));
            Ok((journal, replica, fence))
        }
        (JournalPlace::Sqlite | JournalPlace::Kubernetes, _) => own_journal(config),
    }
}

/// Without a cluster client there is only one's own.
#[cfg(not(feature = "kubernetes"))]
fn journal(config: &Config) -> anyhow::Result<(Arc<Journal>, Replica, Option<Arc<Fence>>)> {
    match config.journal {
        JournalPlace::Kubernetes => anyhow::bail!("storage.journal: this homeostat was built without Kubernetes"),
        JournalPlace::Sqlite => own_journal(config),
    }
}

fn own_journal(config: &Config) -> anyhow::Result<(Arc<Journal>, Replica, Option<Arc<Fence>>)> {
    let journal = Arc::new(Journal::open(&config.storage.join("journal.db"))?);
    Ok((Arc::clone(&journal), Replica::alone(journal), None))
}

/// What acts. Nothing is asked of the cluster yet: detection doesn't wait for an API server, and [`watch_cluster`] says how it is.
/// Without a cluster, what acts elsewhere still does.
async fn executor(config: &Config, fence: Option<Arc<Fence>>) -> anyhow::Result<Arc<dyn Executor>> {
    let places = Places::default();
    #[cfg(feature = "kubernetes")]
    if let Some(kubernetes) = &config.kubernetes {
        let registry = Registry::new(places.with_cluster(cluster(kubernetes).await?));
        return Ok(Arc::new(match fence {
            Some(fence) => registry.behind(fence),
            None => registry,
        }));
    }
    #[cfg(not(feature = "kubernetes"))]
    drop(fence);
    if config.mode == Mode::Execute {
        tracing::warn!(
            "mode is execute but the config has no `kubernetes` section: only actions outside the cluster can be executed"
        );
    }
    Ok(Arc::new(Registry::new(places)))
}
