//! The HTTP API: scoring, incidents, metrics, health. Loopback only: there is no authentication yet.

mod score;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use homeostat_incidents::Calibration;
use homeostat_journal::Journal;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::serve::cycle::SharedMonitor;
use crate::serve::metrics::Metrics;

/// Largest body of a request: 1000 steps of 64 features are under 2 MiB of JSON.
const BODY_BYTES_MAX: usize = 4 << 20;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    metrics: Arc<Metrics>,
    journal: Arc<Journal>,
    monitor: Arc<OnceLock<SharedMonitor>>,
    calibration: Arc<Calibration>,
}

impl Api {
    /// An API that isn't ready yet.
    pub(crate) fn new(metrics: Arc<Metrics>, journal: Arc<Journal>, calibration: Calibration) -> Self {
        Self { metrics, journal, monitor: Arc::new(OnceLock::new()), calibration: Arc::new(calibration) }
    }

    /// Models are there: from now on it scores and is ready.
    pub(crate) fn ready(&self, monitor: SharedMonitor) {
        // It is called once; a second set would change nothing.
        let _ = self.monitor.set(monitor);
    }
}

/// Starts listening.
pub(crate) async fn listen(address: SocketAddr, api: Api) -> anyhow::Result<JoinHandle<()>> {
    let listener = tokio::net::TcpListener::bind(address).await.with_context(|| {
        format!("listening on {address}; another process may have the port, choose one with --web.listen-address")
    })?;
    let app = router(api);
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "the HTTP API ended");
        }
    }))
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/score", post(score::score))
        .route("/api/v1/incidents", get(incidents))
        .route("/metrics", get(metrics))
        .route("/livez", get(alive))
        .route("/-/healthy", get(alive))
        .route("/readyz", get(ready))
        .route("/-/ready", get(ready))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

/// An answer that says what was wrong, in the shape of Prometheus's own API.
pub(crate) fn problem(status: StatusCode, kind: &str, message: impl Into<String>) -> Response {
    (status, Json(json!({ "status": "error", "errorType": kind, "error": message.into() }))).into_response()
}

async fn alive() -> &'static str {
    "homeostat is alive.\n"
}

async fn ready(State(api): State<Api>) -> Response {
    if api.monitor.get().is_some() {
        (StatusCode::OK, "homeostat is ready.\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "homeostat is still training or loading its models.\n").into_response()
    }
}

async fn metrics(State(api): State<Api>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.metrics.text()).into_response()
}

async fn incidents(State(api): State<Api>) -> Response {
    match api.journal.incidents() {
        Ok(mut incidents) => {
            incidents.reverse();
            let rows: Vec<serde_json::Value> = incidents
                .iter()
                .map(|incident| {
                    let decision = api.journal.decision(&incident.id).ok().flatten();
                    json!({ "incident": incident, "decision": decision })
                })
                .collect();
            Json(json!({ "status": "success", "data": rows })).into_response()
        }
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string()),
    }
}

#[cfg(test)]
mod tests;
