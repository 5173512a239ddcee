use std::sync::Arc;

use homeostat_core::{Feature, Grid, IncidentId, IncidentState, Schema, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{DetectorSpec, Ensemble, EnsembleSpec, Hysteresis};
use homeostat_incidents::{Calibration, Monitor, Tracker, TrackerTimes};
use homeostat_ingest::{PresetParams, QuerySet, preset};
use homeostat_journal::Journal;
use rand::RngCore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::testing::FakeClock;
use crate::serve::incident_list::{Row, state_name};
use crate::serve::readiness::Sight;
use crate::serve::snapshot::{Phase, Publisher};

mod labels;

fn api() -> Api {
    api_and_publisher().0
}

fn api_and_publisher() -> (Api, Publisher, Arc<FakeClock>) {
    api_of(Arc::new(Journal::in_memory().expect("a journal")))
}

fn api_of(journal: Arc<Journal>) -> (Api, Publisher, Arc<FakeClock>) {
    let (publisher, snapshot) = Publisher::new();
    let clock = Arc::new(FakeClock::at(Timestamp::from_secs(1_000)));
    let api = Api::new(
        Arc::new(Metrics::new()),
        snapshot,
        Arc::clone(&clock) as _,
        Arc::new(Desk::new(journal, publisher.clone())),
        ReloadHandle::to_nobody(),
    );
    (api.expect("threads"), publisher, clock)
}

/// Around 10, nearly normal: twelve uniforms.
fn noise(n_steps: usize) -> Vec<f64> {
    let mut rng = Seed::new(3).rng();
    let mut uniform = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
    (0..n_steps).map(|_| 4.0 + (0..12).map(|_| uniform()).sum::<f64>()).collect()
}

/// A model of one feature that wobbles around 10.
fn monitor() -> SharedMonitor {
    let feature =
        Feature { name: "latency".into(), signal: Signal::Latency, direction: Default::default(), deviation_min: 0.0 };
    let schema = Arc::new(Schema::new(vec![feature]).expect("a schema"));
    let values = noise(3000);
    let grid = Grid::new(Timestamp::from_secs(0), std::time::Duration::from_secs(60), values.len()).expect("a grid");
    let values = ndarray::Array2::from_shape_vec((values.len(), 1), values).expect("one column");
    let subject = Subject::deployment("shop", "cart");
    let window = Window::new(subject.clone(), grid, schema, values).expect("a window");
    let detectors =
        DetectorSpec::all_default().into_iter().filter(|spec| ["forest", "dbscan"].contains(&spec.name())).collect();
    let spec = EnsembleSpec { detectors, ..EnsembleSpec::default() };
    let ensemble = Ensemble::train(&spec, &window, Seed::new(1)).expect("trained");
    let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    Arc::new(std::sync::Mutex::new(Monitor::new([(subject, ensemble)].into(), tracker)))
}

/// Sends one request and gives status and body.
async fn ask(app: Router, request: &str) -> (u16, String) {
    let (status, answer) = ask_whole(app, request).await;
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

/// Sends one request and gives status and all of the answer.
async fn ask_whole(app: Router, request: &str) -> (u16, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = listen::serve(listener, app, listen::Limits::default());
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    server.abort();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

async fn post(api: Api, body: &str) -> (u16, String) {
    let head =
        "POST /api/v1/score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    ask(api_router(api), &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

async fn get(api: Api, path: &str) -> (u16, String) {
    ask(api_router(api), &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn it_lives_before_it_is_ready_and_is_no_longer_ready_when_it_is_blind() {
    let (api, publisher, clock) = api_and_publisher();
    assert_eq!(get(api.clone(), "/livez").await.0, 200);
    assert_eq!(get(api.clone(), "/readyz").await.0, 503);
    let request = r#"{"subject":"a/deployment/b","end":"1970-01-01T10:00:00Z","step":"60s","features":{}}"#;
    assert_eq!(post(api.clone(), request).await.0, 503);
    api.score_with(monitor());
    let sight = Sight::new(Duration::from_secs(60), clock.elapsed());
    publisher.publish(|snapshot| snapshot.phase = Phase::Watching(sight));
    assert_eq!(get(api.clone(), "/-/ready").await.0, 200);
    clock.pass(Duration::from_secs(301));
    let (status, text) = get(api.clone(), "/readyz").await;
    assert!(status == 503 && text.contains("no cycle has ended for 5m1s"), "{text}");
    let (status, text) = get(api, "/metrics").await;
    assert!(status == 200 && text.contains("homeostat_build_info") && text.contains("# EOF"), "{text}");
}

#[tokio::test]
async fn probes_apart_show_health_and_metrics_and_nothing_else_whatever_name_they_are_asked_by() {
    let ask = |path: &'static str| async move {
        ask(probe_router(api()), &format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n")).await.0
    };
    assert_eq!((ask("/livez").await, ask("/readyz").await, ask("/metrics").await), (200, 503, 200));
    assert_eq!((ask("/api/v1/incidents").await, ask("/-/reload").await), (404, 404));
}

#[tokio::test]
async fn a_foreign_name_that_leads_to_loopback_reads_nothing() {
    for (method, more, status) in [
        ("GET", "Host: evil.example:9476\r\n", 403),
        ("GET", "Host: 127.0.0.1:9476\r\n", 200),
        ("POST", "Host: 127.0.0.1:9476\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n", 403),
    ] {
        let path = if method == "GET" { "/api/v1/incidents" } else { "/-/reload" };
        let request = format!("{method} {path} HTTP/1.1\r\n{more}Connection: close\r\n\r\n");
        let (found, text) = ask(api_router(api()), &request).await;
        assert_eq!(found, status, "{request}{text}");
    }
}

fn incident(name: &str, state: IncidentState) -> Row {
    let subject = Subject::deployment("shop", name);
    let id = IncidentId::of(&subject, Timestamp::from_secs(0));
    let json = format!(r#"{{"incident":{{"subject":"{subject}"}},"decision":null}}"#).into();
    let (subject, is_over) = (subject.to_string(), state.is_over());
    let state = state_name(state).to_owned();
    Row { id, state, is_over, subject, incident_type: "memory-leak".to_owned(), json }
}

#[tokio::test]
async fn incidents_come_in_pages_and_unchanged_ones_are_not_sent_again() {
    let (api, publisher, _) = api_and_publisher();
    let put = |name: &str, state| {
        publisher.publish(|snapshot| Arc::make_mut(&mut snapshot.incidents).put(incident(name, state)));
    };
    for name in ["a", "b", "c"] {
        put(name, IncidentState::Open);
    }
    let subjects = |text: &str| -> (Vec<String>, serde_json::Value) {
        let answer: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let rows = answer["data"].as_array().expect("rows").clone();
        let of = |row: &serde_json::Value| row["incident"]["subject"].as_str().expect("a subject").to_owned();
        (rows.iter().map(of).collect(), answer["next"].clone())
    };
    let (_, text) = get(api.clone(), "/api/v1/incidents?limit=2").await;
    let (first, next) = subjects(&text);
    assert_eq!(first, ["shop/deployment/c", "shop/deployment/b"]);
    let (_, text) = get(api.clone(), &format!("/api/v1/incidents?before={}", next.as_str().expect("an id"))).await;
    assert_eq!(subjects(&text), (vec!["shop/deployment/a".to_owned()], serde_json::Value::Null));
    put("a", IncidentState::Resolved);
    let (_, text) = get(api.clone(), "/api/v1/incidents?state=open&type=memory-leak").await;
    assert_eq!(subjects(&text).0.len(), 2);
    for wrong in ["limit=0", "limit=many", "state=opne", "before=inc-none", "page=2"] {
        let (status, text) = get(api.clone(), &format!("/api/v1/incidents?{wrong}")).await;
        assert_eq!(status, 400, "{wrong}: {text}");
    }
    let request = |tag: &str| {
        format!(
            "GET /api/v1/incidents HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
        )
    };
    let (status, whole) = ask_whole(api_router(api.clone()), &request("\"old\"")).await;
    let tag = whole.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    assert_eq!(status, 200);
    assert_eq!(ask(api_router(api.clone()), &request(&tag)).await, (304, String::new()));
    put("b", IncidentState::Stale);
    assert_eq!(ask(api_router(api), &request(&tag)).await.0, 200);
}

fn window_json(last: f64) -> String {
    let mut values: Vec<String> = noise(30).iter().map(ToString::to_string).collect();
    values.push(last.to_string());
    format!(
        r#"{{"subject":"shop/deployment/cart","end":"1970-01-01T10:30:00Z","step":"60s","features":{{"latency":[{}]}}}}"#,
        values.join(",")
    )
}

#[tokio::test]
async fn a_window_is_scored_and_everything_in_the_answer_has_its_name() {
    let api = api();
    api.score_with(monitor());
    let (status, usual) = post(api.clone(), &window_json(10.5)).await;
    assert_eq!(status, 200, "{usual}");
    let (_, far) = post(api.clone(), &window_json(60.0)).await;
    let data = |body: &str| serde_json::from_str::<serde_json::Value>(body).expect("JSON")["data"].clone();
    let (usual_data, far_data) = (data(&usual), data(&far));
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(number(&usual_data["score"]) < 1.0 && number(&far_data["score"]) >= 1.0, "{usual}\n{far}");
    assert_eq!((&usual_data["alarming"], &far_data["alarming"]), (&false.into(), &true.into()));
    let latency = |data: &serde_json::Value| data["features"]["latency"].clone();
    assert_eq!(number(&latency(&far_data)["observed"]), 60.0);
    assert!(number(&latency(&far_data)["expected"]) < 15.0 && number(&latency(&far_data)["deviation"]) > 5.0, "{far}");
    let reasons = [&usual_data, &far_data].map(|data| number(&latency(data)["forest_contribution"]));
    assert!(reasons[1] > reasons[0] + 0.1, "{reasons:?}");
    assert_eq!(far_data["detectors"]["forest"]["vote"], "scored", "{far}");
    let (_, again) = post(api, &window_json(10.5)).await;
    assert_eq!(usual, again, "nothing is kept from request to request");
}

/// A model of the preset's features, with all detectors, of a workload like the one in the README's request.
fn monitor_of_the_preset() -> SharedMonitor {
    let params = PresetParams::for_intervals(Duration::from_secs(30), Duration::from_secs(60));
    let preset = preset("kubernetes-workload", &params).expect("a preset");
    let schema = Arc::clone(QuerySet::new(preset.queries).expect("queries").schema());
    let usual = |name: &str| match name {
        "memory" => 0.5,
        "cpu" => 0.2,
        "latency" => 0.083,
        "traffic" => 25.0,
        _counts => 0.0,
    };
    let n_steps = 1_000;
    let noise = noise(n_steps * schema.n_features());
    let values = ndarray::Array2::from_shape_fn((n_steps, schema.n_features()), |(step, feature)| {
        // Noise of some per cent.
        usual(&schema.features()[feature].name) * (1.0 + (noise[step * schema.n_features() + feature] - 10.0) / 30.0)
    });
    let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), n_steps).expect("a grid");
    let subject = Subject::deployment("shop", "payment-api");
    let window = Window::new(subject.clone(), grid, schema, values).expect("a window");
    let ensemble = Ensemble::train(&EnsembleSpec::default(), &window, Seed::new(1)).expect("trained");
    let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    Arc::new(std::sync::Mutex::new(Monitor::new([(subject, ensemble)].into(), tracker)))
}

#[tokio::test]
async fn the_readmes_request_is_answered_with_a_score() {
    let api = api();
    api.score_with(monitor_of_the_preset());
    let (status, text) = post(api, include_str!("../../../../examples/score-request.json")).await;
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status, 200, "{text}");
    assert!(
        answer["data"]["score"].as_f64().is_some_and(|score| score >= 1.0),
        "its latency is five times the usual: {text}"
    );
}

#[tokio::test]
async fn a_window_too_short_to_score_is_told_what_to_send() {
    let api = api();
    api.score_with(monitor());
    let body =
        r#"{"subject":"shop/deployment/cart","end":"1970-01-01T10:30:00Z","step":"60s","features":{"latency":[null]}}"#;
    let (status, text) = post(api, body).await;
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &answer["data"]["score"]), (200, &serde_json::Value::Null));
    assert!(answer["data"]["why_no_score"].as_str().is_some_and(|why| why.contains("are needed; send ")), "{text}");
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let api = api();
    api.score_with(monitor());
    let long = format!(r#"{{"subject":"{}"}}"#, "x".repeat(score::BODY_BYTES_MAX));
    assert_eq!(post(api.clone(), &long).await.0, 413);
    let request = "POST /api/v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert_eq!(ask(api_router(api), request).await.0, 415, "what a web page may send without being asked first");
}

#[tokio::test]
async fn more_scores_than_there_is_room_for_are_told_to_come_back() {
    let api = api();
    api.score_with(monitor());
    let places: Vec<_> = std::iter::from_fn(|| api.shared.scoring.place()).collect();
    assert_eq!(places.len(), SCORE_THREADS + SCORES_WAITING_MAX);
    let head =
        "POST /api/v1/score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    let (status, text) = ask_whole(api_router(api.clone()), &format!("{head}Content-Length: 2\r\n\r\n{{}}")).await;
    assert!(status == 503 && text.contains("retry-after: 1"), "{text}");
    drop(places);
    assert_eq!(post(api, &window_json(10.5)).await.0, 200);
}

#[tokio::test]
async fn wrong_windows_are_told_what_is_wrong() {
    let api = api();
    api.score_with(monitor());
    for (body, status, part) in [
        ("{", 400, "JSON"),
        (r#"{"subject":"cart"}"#, 422, "namespace/kind/name"),
        (
            r#"{"subject":"shop/deployment/none","end":"1970-01-01T10:00:00Z","step":"60s","features":{"latency":[1]}}"#,
            404,
            "no model",
        ),
        (
            r#"{"subject":"shop/deployment/cart","end":"1970-01-01T10:00:00Z","step":"60s","features":{"memory":[1]}}"#,
            400,
            "the model has latency",
        ),
        (
            r#"{"subject":"shop/deployment/cart","end":"1970-01-01T10:00:00Z","step":"fast","features":{"latency":[1]}}"#,
            400,
            "invalid duration",
        ),
        (
            r#"{"subject":"shop/deployment/cart","end":"1970-01-01T10:00:00Z","step":"60s","features":{}}"#,
            400,
            "between 1 and",
        ),
        (
            r#"{"subject":"shop/deployment/cart","end":"1970-01-01T10:00:00Z","step":"60s","features":{},"extra":1}"#,
            422,
            "unknown field",
        ),
    ] {
        let (found, text) = post(api.clone(), body).await;
        assert!(found == status && text.contains(part), "{body}: {found} {text}");
    }
}
