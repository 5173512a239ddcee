use axum::extract::{RawQuery, State};
use axum::routing::any;
use axum::{Json, Router};
use homeostat_core::Subject;
use homeostat_ingest::PrometheusSource;
use serde_json::{Value, json};

use super::*;
use crate::source;
use crate::training::child::testing::OwnProcess;

/// A Prometheus that has one workload, or none.
async fn prometheus(has_workload: bool) -> String {
    let app = Router::new().fallback(any(answer)).with_state(has_workload);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn answer(State(has_workload): State<bool>, RawQuery(query): RawQuery, body: String) -> Json<Value> {
    let text = query.filter(|query| !query.is_empty()).unwrap_or(body);
    let number = |key: &str| -> i64 {
        let pair = text.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}="))).expect("a parameter");
        pair.parse::<f64>().expect("seconds") as i64
    };
    // Something that wobbles, of no period.
    let value = |at: i64| 1.0 + (at / 60 * 7_919 % 1_009) as f64 / 1_009.0;
    let values: Vec<Value> =
        (number("start")..=number("end")).step_by(60).map(|at| json!([at, value(at).to_string()])).collect();
    let series = json!({ "metric": { "namespace": "shop", "workload": "cart" }, "values": values });
    let result = if has_workload { vec![series] } else { Vec::new() };
    Json(json!({ "status": "success", "data": { "resultType": "matrix", "result": result } }))
}

fn retraining(url: &str, now: Timestamp) -> Retraining {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.yaml");
    let text = format!(
        "global: {{history: 12h, retrain_every: 1d}}\ndetectors: [forest, forecast]\n\
         datasources:\n  - url: {url}\nqueries:\n  latency: l\n"
    );
    std::fs::write(&path, text).expect("written");
    let config = Arc::new(crate::config::load(&path).expect("a config").config);
    let source = PrometheusSource::new(source::config_of(&config).expect("an address")).expect("a client");
    let trainer = OwnProcess { config: Arc::clone(&config), source };
    Retraining::of(&config, Arc::new(trainer), now).expect("asked for")
}

const DAY: Duration = Duration::from_secs(86_400);

/// Turns until the training under way has ended.
async fn trained(retraining: &mut Retraining, now: Timestamp) -> Option<Trained> {
    while !retraining.running.as_ref().is_none_or(JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    retraining.tick(now).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_trains_when_it_is_due_and_not_before_and_no_cycle_waits_for_it() {
    let start = Timestamp::from_secs(1_800_000_000);
    let mut retraining = retraining(&prometheus(true).await, start);
    assert!(retraining.tick(start + DAY / 2).await.is_none() && retraining.running.is_none(), "it isn't due");
    let due = start + DAY;
    assert!(retraining.tick(due).await.is_none() && retraining.running.is_some(), "it has begun, and nobody waited");
    let trained = trained(&mut retraining, due + DAY / 24).await.expect("models");
    assert!(trained.ensembles.contains_key(&Subject::deployment("shop", "cart")));
    assert_eq!(retraining.due_at, due + DAY / 24 + DAY, "a day after it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_in_an_hour() {
    let start = Timestamp::from_secs(1_800_000_000);
    let mut retraining = retraining(&prometheus(false).await, start);
    retraining.tick(start + DAY).await;
    assert!(trained(&mut retraining, start + DAY).await.is_none(), "there was nothing to learn from");
    assert_eq!(retraining.due_at, start + DAY + AGAIN_AFTER);
}
