use std::sync::{Arc, Mutex};

use axum::extract::{RawQuery, State};
use axum::routing::any;
use axum::{Json, Router};
use homeostat_core::Subject;
use serde_json::{Value, json};

use super::*;

type Asked = Arc<Mutex<Vec<(i64, i64)>>>;

/// A Prometheus with four pods of one workload, which answers for every step that it is asked for and notes which those were.
async fn prometheus() -> (String, Asked) {
    let asked = Asked::default();
    let app = Router::new().fallback(any(answer)).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

async fn answer(State(asked): State<Asked>, RawQuery(query): RawQuery, body: String) -> Json<Value> {
    let text = query.filter(|query| !query.is_empty()).unwrap_or(body);
    let number = |key: &str| -> i64 {
        let pair = text.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}="))).expect("a parameter");
        pair.parse::<f64>().expect("seconds") as i64
    };
    let (start, end) = (number("start"), number("end"));
    asked.lock().expect("no panic").push((start, end));
    let values: Vec<Value> = (start..=end).step_by(60).map(|at| json!([at, "0.25"])).collect();
    let series =
        |pod: &str| json!({ "metric": { "namespace": "shop", "workload": "cart", "pod": pod }, "values": values });
    let result: Vec<Value> = ["cart-a", "cart-b", "cart-c", "cart-d"].map(series).into();
    Json(json!({ "status": "success", "data": { "resultType": "matrix", "result": result } }))
}

fn config(url: &str) -> Config {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.yaml");
    let text = format!(
        "datasources:\n  - url: {url}\nqueries:\n  latency: l\n\
         replicas:\n  queries:\n    latency: {{expr: pod_latency, signal: latency, direction: up}}\n"
    );
    std::fs::write(&path, text).expect("written");
    crate::config::load(&path).map(|loaded| loaded.config).expect("a config")
}

fn puller(config: &Config) -> Puller {
    let source = PrometheusSource::new(crate::source::config_of_cycles(config).expect("a source")).expect("a client");
    Puller::new(config, source).expect("a puller")
}

#[tokio::test]
async fn replicas_are_asked_for_as_much_as_windows_hold_and_then_for_what_is_new() {
    let (url, asked) = prometheus().await;
    let config = config(&url);
    let mut puller = puller(&config);
    let at = Timestamp::from_secs(60 * 10_000);
    let pulled = puller.ask(at).await;
    let (seen, _) = puller.take(pulled);
    assert!(seen.replicas_failed.is_empty(), "{:?}", seen.replicas_failed);
    let names: Vec<&str> = seen.replicas.iter().map(|one| one.replica.as_str()).collect();
    assert_eq!(names, ["cart-a", "cart-b", "cart-c", "cart-d"]);
    assert!(seen.replicas.iter().all(|one| *one.window.subject() == Subject::deployment("shop", "cart")));
    assert!(
        seen.replicas.iter().all(|one| one.window.n_present() == WINDOW_ROWS),
        "the first pull brings all that windows hold"
    );
    let next = at + config.step;
    asked.lock().expect("no panic").clear();
    let pulled = puller.ask(next).await;
    assert_eq!(puller.take(pulled).0.replicas[0].window.n_present(), WINDOW_ROWS);
    let asked = asked.lock().expect("no panic").clone();
    let n_steps: Vec<i64> = asked.iter().map(|(start, end)| (end - start) / 60 + 1).collect();
    assert!(n_steps.iter().all(|n_steps| *n_steps == 5), "the new one, the last and three before it: {n_steps:?}");
}

#[tokio::test]
async fn no_answer_gives_no_windows_and_no_error() {
    let config = config("http://127.0.0.1:1");
    let mut puller = puller(&config);
    let pulled = puller.ask(Timestamp::from_secs(60 * 10_000)).await;
    let (seen, pull) = puller.take(pulled);
    assert!(seen.windows.is_empty() && seen.replicas.is_empty());
    assert_eq!((pull.failed.len(), seen.replicas_failed.len()), (1, 1));
    assert_eq!(seen.quality.state(), homeostat_ingest::SourceState::Unanswered);
}
