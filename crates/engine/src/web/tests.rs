use std::sync::Arc;

use homeostat_core::{Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{DetectorSpec, Ensemble, EnsembleSpec, Hysteresis};
use homeostat_incidents::{Monitor, Tracker, TrackerTimes};
use homeostat_journal::Journal;
use rand::RngCore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn api() -> Api {
    let journal = Arc::new(Journal::in_memory().expect("a journal"));
    Api::new(Arc::new(Metrics::new()), journal, Calibration::unknown())
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
async fn ask(api: Api, request: &str) -> (u16, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, router(api)).await });
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    server.abort();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

async fn post(api: Api, body: &str) -> (u16, String) {
    let head = "POST /api/v1/score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n";
    ask(api, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

async fn get(api: Api, path: &str) -> (u16, String) {
    ask(api, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn it_lives_before_it_is_ready() {
    let api = api();
    assert_eq!(get(api.clone(), "/livez").await.0, 200);
    assert_eq!(get(api.clone(), "/readyz").await.0, 503);
    assert_eq!(
        post(api.clone(), r#"{"subject":"a/deployment/b","end":"1970-01-01T10:00:00Z","step":"60s","features":{}}"#)
            .await
            .0,
        503
    );
    api.ready(monitor());
    assert_eq!(get(api.clone(), "/-/ready").await.0, 200);
    let (status, text) = get(api, "/metrics").await;
    assert!(status == 200 && text.contains("homeostat_build_info") && text.contains("# EOF"), "{text}");
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
async fn a_window_is_scored_and_a_far_one_alarms() {
    let api = api();
    api.ready(monitor());
    let score = |body: &str| -> f64 {
        let answer: serde_json::Value = serde_json::from_str(body).expect("JSON");
        answer["data"]["assessment"]["score"].as_f64().expect("a score")
    };
    let (status, usual) = post(api.clone(), &window_json(10.5)).await;
    assert_eq!(status, 200, "{usual}");
    let (_, far) = post(api.clone(), &window_json(60.0)).await;
    assert!(score(&usual) < 1.0 && score(&far) >= 1.0, "{usual}\n{far}");
    let contribution = |body: &str| -> f64 {
        let answer: serde_json::Value = serde_json::from_str(body).expect("JSON");
        answer["data"]["forest_contributions"]["latency"].as_f64().expect("the forest's reason")
    };
    assert!(contribution(&far) > contribution(&usual) + 0.1, "{} {}", contribution(&far), contribution(&usual));
    let (_, again) = post(api, &window_json(10.5)).await;
    assert_eq!(usual, again, "nothing is kept from request to request");
}

#[tokio::test]
async fn wrong_windows_are_told_what_is_wrong() {
    let api = api();
    api.ready(monitor());
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
            "no duration",
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
