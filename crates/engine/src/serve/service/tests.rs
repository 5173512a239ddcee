//! The service with a Prometheus, a receiver and a clock that do as the test says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::DATE;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use homeostat_core::{IncidentState, Mode, Subject};
use homeostat_detect::Hysteresis;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::clock::testing::FakeClock;
use crate::kill_switch;
use crate::labels::Desk;
use crate::pretend_executor::NoExecutor;
use crate::serve::live::Live;
use crate::serve::snapshot::SnapshotReader;
use crate::training::child::testing::OwnProcess;

mod gone;
mod labels;
mod replicas;

const MINUTE: Duration = Duration::from_secs(60);

/// What the Prometheus of a test answers.
#[derive(Default)]
struct Behaviour {
    /// It is away.
    is_down: bool,
    /// It has no series.
    is_empty: bool,
    /// Workloads that nobody trained models of, before the one that somebody did.
    n_others: usize,
    /// When the latency is ten times the usual, in Unix seconds, from and until.
    faults: Vec<(i64, i64)>,
    /// The newest sample that there is, in Unix seconds.
    newest: i64,
    /// What it says the time is.
    date: Option<Timestamp>,
}

type Shared = Arc<Mutex<Behaviour>>;

async fn answer(State(behaviour): State<Shared>, RawQuery(query): RawQuery, body: String) -> Response {
    let behaviour = behaviour.lock().expect("a lock");
    let form = format!("{}&{body}", query.unwrap_or_default());
    let number = |name: &str| -> i64 {
        let value = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse::<f64>().ok()).expect("a number") as i64
    };
    if behaviour.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let value = |at: i64| {
        let noise = 1.0 + (at / 60 * 7_919 % 1_009) as f64 / 1_009.0;
        if behaviour.faults.iter().any(|(from, until)| (*from..*until).contains(&at)) { noise * 10.0 } else { noise }
    };
    let end = number("end").min(behaviour.newest);
    let values: Vec<Value> = (number("start")..=end).step_by(60).map(|at| json!([at, value(at).to_string()])).collect();
    let series = |name: String| json!({ "metric": { "namespace": "shop", "workload": name }, "values": values });
    let names = (0..behaviour.n_others).map(|idx| format!("another-{idx}")).chain(["cart".to_owned()]);
    let result: Vec<Value> =
        if behaviour.is_empty || values.is_empty() { Vec::new() } else { names.map(series).collect() };
    let date = behaviour.date.map_or_else(
        // No time that can be read: the server would add its own.
        || "never".to_owned(),
        http_date,
    );
    let body = json!({ "status": "success", "data": { "resultType": "matrix", "result": result } });
    ([(DATE, date)], Json(body)).into_response()
}

/// As HTTP writes it. Only for the one day that the tests are about.
fn http_date(at: Timestamp) -> String {
    let seconds = at.as_millis() / 1000 - DAY_START;
    format!("Sat, 31 Jan 2026 {:02}:{:02}:{:02} GMT", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// 2026-01-31T00:00:00Z.
const DAY_START: i64 = 1_769_817_600;

/// A service under test, with what it stands in.
struct Scene {
    service: Service,
    clock: Arc<FakeClock>,
    behaviour: Shared,
    live: watch::Sender<Arc<Live>>,
    snapshot: SnapshotReader,
    storage: tempfile::TempDir,
    models: BTreeMap<Subject, homeostat_detect::Ensemble>,
    url: String,
}

impl Scene {
    /// At noon, with models of twelve hours.
    async fn at_noon() -> Self {
        Self::at_noon_with(Duration::ZERO, &[]).await
    }

    /// The same by a clock that is ahead, and with faults from and until so many minutes before noon.
    async fn at_noon_with(ahead: Duration, faults: &[(i64, i64)]) -> Self {
        let noon = Timestamp::from_secs(DAY_START + 12 * 3600);
        let before_noon = |minutes: i64| DAY_START + 12 * 3600 - minutes * 60;
        let faults = faults.iter().map(|(from, until)| (before_noon(*from), before_noon(*until))).collect();
        let behaviour: Shared = Arc::new(Mutex::new(Behaviour { newest: i64::MAX, faults, ..Behaviour::default() }));
        let app = Router::new().fallback(any(answer)).with_state(Arc::clone(&behaviour));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let storage = tempfile::tempdir().expect("a directory");
        let config = config(&url, &storage);
        let source = source(&config);
        let history = crate::source::pull_history(&config, &source, noon, storage.path()).await.expect("a history");
        let trained = crate::source::train_to_start(&config, history).await.expect("models");
        let models = trained.ensembles;
        assert_eq!(models.len(), 1);
        let clock = Arc::new(FakeClock::at(noon + ahead));
        let (mut service, live, snapshot) = service(&config, &storage, &clock, models.clone());
        behaviour.lock().expect("a lock").newest = noon.as_millis() / 1000;
        service.look_back().await;
        Self { service, clock, behaviour, live, snapshot, storage, models, url }
    }

    /// The process ends and another one starts on the same storage.
    async fn restart(mut self) -> Self {
        let config = config(&self.url, &self.storage);
        drop(self.service);
        (self.service, self.live, self.snapshot) = service(&config, &self.storage, &self.clock, self.models.clone());
        self.service.recover().await;
        self.service.look_back().await;
        self
    }

    fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().expect("a lock"));
    }

    /// From now on the latency is ten times the usual, for so many minutes.
    fn fault(&self, n_minutes: i64) {
        let now = self.true_now().as_millis() / 1000;
        self.change(|behaviour| behaviour.faults.push((now, now + n_minutes * 60)));
    }

    /// By the clock that nobody sets: noon and what has passed since.
    fn true_now(&self) -> Timestamp {
        Timestamp::from_secs(DAY_START + 12 * 3600) + self.clock.elapsed()
    }

    /// One cycle now.
    async fn cycle(&mut self) {
        self.change_newest();
        let at = self.service.begin_cycle().await;
        let pulled = self.service.puller.ask(at).await;
        self.service.cycle_once(at, pulled).await;
    }

    /// There are samples up to now, and none of the future.
    fn change_newest(&self) {
        let newest = self.true_now().as_millis() / 1000;
        self.change(|behaviour| behaviour.newest = newest);
    }

    /// So many cycles, a minute apart.
    async fn minutes(&mut self, n: u32) {
        for _ in 0..n {
            self.clock.pass(MINUTE);
            self.cycle().await;
        }
    }

    /// What the journal says of each incident, oldest first.
    fn incidents(&mut self) -> Vec<IncidentState> {
        let journal = Arc::clone(self.service.cycle.driver().journal());
        journal.incidents().expect("readable").iter().map(|incident| incident.state).collect()
    }

    fn blindness(&self) -> Option<String> {
        match &self.snapshot.borrow().phase {
            Phase::Watching(sight) => sight.blindness(self.clock.elapsed()).map(|blindness| blindness.to_string()),
            Phase::Starting { .. } => panic!("it has models"),
        }
    }
}

fn config(url: &str, storage: &tempfile::TempDir) -> Arc<Config> {
    let path = storage.path().join("config.yaml");
    let text = format!(
        "global: {{history: 14h, offset: 0s}}\ndetectors: [residual, forest, forecast]\nstorage: {{path: data}}\n\
         datasources:\n  - url: {url}\n    series_max: 50\nqueries:\n  latency: {{expr: l, signal: latency}}\n"
    );
    std::fs::write(&path, text).expect("written");
    std::fs::create_dir_all(storage.path().join("data")).expect("a directory");
    Arc::new(crate::config::load(&path).expect("a config").config)
}

fn source(config: &Config) -> PrometheusSource {
    PrometheusSource::new(crate::source::config_of_cycles(config).expect("an address")).expect("a client")
}

fn service(
    config: &Arc<Config>,
    storage: &tempfile::TempDir,
    clock: &Arc<FakeClock>,
    models: BTreeMap<Subject, homeostat_detect::Ensemble>,
) -> (Service, watch::Sender<Arc<Live>>, SnapshotReader) {
    use homeostat_announce::{Outbox, RealClock};
    use homeostat_execute::Driver;
    use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};
    use homeostat_journal::Journal;
    use homeostat_remediate::SafetyLimits;
    let data = storage.path().join("data");
    let journal = Arc::new(Journal::open(&data.join("journal.db")).expect("a journal"));
    let outbox = Outbox::open(&data.join("outbox.db")).expect("an outbox");
    let time = Arc::new(RealClock::new(crate::clock::now));
    let announcer = Announcer::new("test", &config.channels, outbox, time);
    let mut tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    if let Ok(state) = std::fs::read_to_string(tracker_file(&data)) {
        tracker.restore(&state).expect("what was saved");
    }
    let monitor = Arc::new(Mutex::new(Monitor::new(BTreeMap::new(), tracker)));
    let switch = kill_switch::Watch::new(kill_switch::Files::new(&data), Arc::clone(&journal), crate::clock::now);
    let (publisher, snapshot) = Publisher::new();
    let desk = Arc::new(Desk::new(Arc::clone(&journal), publisher.clone()));
    let replica = Replica::alone(Arc::clone(&journal));
    let driver = Driver::new(Arc::new(NoExecutor::default()), journal, Vec::new(), SafetyLimits::default());
    let cycle = Cycle::new(Arc::clone(&monitor), driver, Mode::Observe, ClusterContext::default());
    let (sender, live) = watch::channel(Arc::new(Live::of(config)));
    let clock = Arc::new(CorrectedClock::new(Arc::clone(clock) as _));
    let trainer = Arc::new(OwnProcess { config: Arc::clone(config), source: source(config) });
    let around = Around { clock, live, publisher, trainer, switch: Arc::new(switch), desk, replica };
    let announcer = Arc::new(announcer.expect("an outbox"));
    let metrics = Arc::new(Metrics::new());
    let mut service = Service::new(Arc::clone(config), source(config), cycle, monitor, announcer, metrics, around)
        .expect("a service");
    service.publish_recorded();
    service.take_models(Trained { ensembles: models, ..Trained::default() });
    (service, sender, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_opens_an_incident_which_resolves_when_it_is_over_and_both_are_shown() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    assert_eq!(scene.incidents(), []);
    scene.fault(10);
    scene.minutes(10).await;
    assert_eq!(scene.incidents(), [IncidentState::Open]);
    let shown =
        |scene: &Scene| scene.snapshot.borrow().incidents.page(None, 10, |_| true).expect("a page").0[0].state.clone();
    assert_eq!(shown(&scene), "open");
    scene.minutes(30).await;
    assert_eq!((scene.incidents(), shown(&scene)), (vec![IncidentState::Resolved], "resolved".to_owned()));
    assert_eq!(scene.blindness(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_an_hour_ahead_for_two_cycles_blinds_nobody() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.clock.set(scene.true_now() + MINUTE * 60);
    scene.cycle().await;
    scene.minutes(1).await;
    scene.clock.set(scene.true_now());
    scene.fault(10);
    scene.minutes(10).await;
    assert_eq!(scene.incidents(), [IncidentState::Open], "what began right afterwards is found");
    assert_eq!(scene.blindness(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_two_minutes_back_for_good_blinds_nobody_where_prometheus_says_its_time() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.clock.set(scene.true_now() - MINUTE * 2);
    scene.fault(10);
    for _ in 0..10 {
        scene.clock.pass(MINUTE);
        let now = scene.true_now();
        scene.change(|behaviour| behaviour.date = Some(now));
        scene.cycle().await;
    }
    assert_eq!(scene.incidents(), [IncidentState::Open]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_an_hour_ahead_from_the_start_is_set_right_and_it_sees_again() {
    let mut scene = Scene::at_noon_with(MINUTE * 60, &[]).await;
    // Nothing says that this is wrong, so rows of the future are looked at, and are empty.
    scene.minutes(7).await;
    assert!(scene.blindness().is_some(), "that is told");
    scene.clock.set(scene.true_now());
    scene.minutes(3).await;
    scene.fault(10);
    scene.minutes(10).await;
    assert_eq!(scene.incidents(), [IncidentState::Open], "not an hour later");
    assert_eq!(scene.blindness(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_began_and_ended_in_a_pause_is_told() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.fault(10);
    scene.clock.pass(MINUTE * 45);
    scene.cycle().await;
    assert_eq!(scene.incidents(), [IncidentState::Resolved], "both are known after one cycle");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_began_before_the_start_is_told_if_it_goes_on() {
    for minutes in [10, 20, 40, 60, 110] {
        let mut scene = Scene::at_noon_with(Duration::ZERO, &[(minutes, -60)]).await;
        scene.minutes(1).await;
        assert_eq!(scene.incidents(), [IncidentState::Open], "begun {minutes} minutes before the start");
        scene.minutes(5).await;
        assert_eq!(scene.incidents(), [IncidentState::Open], "told once");
    }
    let mut scene = Scene::at_noon_with(Duration::ZERO, &[(100, 40)]).await;
    scene.minutes(5).await;
    assert_eq!(scene.incidents(), [], "what was over before the start calls nobody");
    let mut scene = Scene::at_noon().await;
    scene.minutes(30).await;
    assert_eq!(scene.incidents(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_prometheus_is_caught_up_on() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.change(|behaviour| behaviour.is_down = true);
    scene.fault(10);
    scene.minutes(3).await;
    scene.change(|behaviour| behaviour.is_down = false);
    scene.minutes(7).await;
    assert_eq!(scene.incidents(), [IncidentState::Open]);
}

impl Scene {
    /// Prometheus is away from now on, and back for the cycle after so many minutes.
    async fn outage(&mut self, n_minutes: u32) {
        self.change(|behaviour| behaviour.is_down = true);
        self.minutes(1).await;
        self.clock.pass(MINUTE * (n_minutes - 2));
        self.cycle().await;
        self.change(|behaviour| behaviour.is_down = false);
        self.minutes(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_as_many_rows_as_a_window_holds_hides_no_fault() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.fault(10);
    scene.outage(64).await;
    assert_eq!(scene.incidents(), [IncidentState::Resolved], "it began and ended in the outage");
    assert!(scene.service.metrics.text().contains("homeostat_steps_missed_total 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_longer_outage_took_is_counted_and_what_goes_on_is_found() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.fault(600);
    scene.outage(100).await;
    assert_eq!(scene.incidents(), [IncidentState::Open]);
    let metrics = scene.service.metrics.text();
    assert!(metrics.contains("homeostat_steps_missed_total 36"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_series_than_allowed_blind_nobody_who_has_a_model() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.change(|behaviour| behaviour.n_others = 200);
    scene.fault(10);
    scene.minutes(7).await;
    assert_eq!(scene.incidents(), [IncidentState::Open]);
    assert_eq!(scene.blindness(), None);
    let metrics = scene.service.metrics.text();
    assert!(metrics.contains("homeostat_source_series_left_out 150"), "{metrics}");
    assert!(metrics.contains("homeostat_source_state{state=\"healthy\"} 1"), "{metrics}");
    scene.change(|behaviour| behaviour.n_others = 0);
    scene.minutes(1).await;
    assert!(scene.service.metrics.text().contains("homeostat_source_series_left_out 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_answers_resolve_nothing_and_make_it_not_ready_until_there_is_data() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.fault(600);
    scene.minutes(10).await;
    scene.change(|behaviour| behaviour.is_empty = true);
    scene.minutes(4).await;
    assert_eq!(scene.blindness(), None, "four minutes are no outage");
    scene.minutes(6).await;
    assert_eq!(scene.incidents(), [IncidentState::Stale]);
    let told = scene.blindness().expect("blind for ten minutes");
    assert!(told.starts_with("no new sample for "), "{told}");
    let metrics = scene.service.metrics.text();
    assert!(metrics.contains("homeostat_subjects_blind 1"), "{metrics}");
    assert!(metrics.contains("homeostat_source_state{state=\"no-data\"} 1"), "{metrics}");
    scene.change(|behaviour| behaviour.is_empty = false);
    scene.minutes(1).await;
    assert_eq!(scene.blindness(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_a_fault_going_on_tells_nothing_twice_and_nothing_false() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(5).await;
    scene.fault(60);
    scene.minutes(10).await;
    assert_eq!(scene.incidents(), [IncidentState::Open]);
    let mut scene = scene.restart().await;
    assert_eq!(scene.snapshot.borrow().incidents.page(None, 10, |_| true).expect("a page").0.len(), 1);
    scene.minutes(5).await;
    assert_eq!(scene.incidents(), [IncidentState::Open], "the same one, still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_config_holds_from_the_next_cycle_on() {
    let mut scene = Scene::at_noon().await;
    scene.minutes(1).await;
    let mut live = Live::clone(&scene.live.borrow());
    live.mode = Mode::Recommend;
    let path = scene.storage.path().join("config.yaml");
    let text = std::fs::read_to_string(&path).expect("a config");
    std::fs::write(&path, format!("{text}channels: {{pager: {{type: webhook, url: 'http://127.0.0.1:1'}}}}\n"))
        .expect("written");
    live.channels = crate::config::load(&path).expect("a config").config.channels;
    scene.live.send_replace(Arc::new(live));
    let channels = |scene: &Scene| -> Vec<String> {
        scene.service.announcer.status().channels.into_iter().map(|channel| channel.name).collect()
    };
    assert_eq!((scene.service.cycle.mode(), channels(&scene)), (Mode::Observe, vec!["log".to_owned()]));
    scene.minutes(1).await;
    assert_eq!(scene.service.cycle.mode(), Mode::Recommend);
    assert_eq!(channels(&scene), ["log", "pager"]);
}
