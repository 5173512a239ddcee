//! The HTTP API: scoring, incidents, metrics, health. Loopback only, as there is no authentication yet; probes and metrics
//! may be served apart on any address.
//!
//! It reads the last [`Snapshot`] and never the journal, which only labels are written to. Only scoring looks at the models,
//! for as long as it takes to copy one.

mod health;
mod incidents;
mod label;
pub(crate) mod listen;
mod origin;
mod pool;
mod reload;
mod score;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::clock::Clock;
use crate::labels::Desk;
use crate::serve::cycle::SharedMonitor;
use crate::serve::live::ReloadHandle;
use crate::serve::metrics::Metrics;
use crate::serve::snapshot::{Snapshot, SnapshotReader};
use pool::Pool;

/// How long a request may take, all in all. Scoring takes milliseconds, a page of incidents less, a reload of the config a second.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Threads that score. Detection runs on the runtime's own, as many as there are cores; a second for scores suffices for
/// hundreds a second.
const SCORE_THREADS: usize = 2;
/// Requests that wait to be scored. With bodies of at most 2 MiB they hold 32 MiB, and are worked off within a second.
const SCORES_WAITING_MAX: usize = 16;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Arc<Metrics>,
    snapshot: SnapshotReader,
    clock: Arc<dyn Clock>,
    desk: Arc<Desk>,
    monitor: OnceLock<SharedMonitor>,
    scoring: Pool,
    reload: ReloadHandle,
    /// Differs from start to start, so that what a client keeps from an earlier one is out of date.
    boot: String,
}

impl Api {
    /// An API that shows what `snapshot` gives.
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        snapshot: SnapshotReader,
        clock: Arc<dyn Clock>,
        desk: Arc<Desk>,
        reload: ReloadHandle,
    ) -> std::io::Result<Self> {
        let boot = format!("{:x}", clock.now().as_millis());
        let scoring = Pool::new(SCORE_THREADS, SCORES_WAITING_MAX)?;
        let monitor = OnceLock::new();
        Ok(Self { shared: Arc::new(Shared { metrics, snapshot, clock, desk, monitor, scoring, reload, boot }) })
    }

    /// Models are there: from now on it scores.
    pub(crate) fn score_with(&self, monitor: SharedMonitor) {
        // It is called once; a second call would change nothing.
        let _ = self.shared.monitor.set(monitor);
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.snapshot.borrow())
    }

    fn elapsed(&self) -> Duration {
        self.shared.clock.elapsed()
    }

    fn boot(&self) -> &str {
        &self.shared.boot
    }

    fn metrics_text(&self) -> String {
        self.shared.metrics.text()
    }

    async fn reload(&self) -> Result<(), String> {
        self.shared.reload.reload().await
    }
}

/// Everything, for loopback.
pub(crate) fn api_router(api: Api) -> Router {
    let routes = Router::new()
        .route("/api/v1/score", post(score::score))
        .route("/api/v1/incidents", get(incidents::incidents))
        .route("/api/v1/incidents/{id}/label", post(label::label))
        .route("/-/reload", post(reload::reload))
        .merge(probe_routes());
    bounded(routes.layer(middleware::from_fn(origin::check))).with_state(api)
}

/// Health and metrics only, for any address.
pub(crate) fn probe_router(api: Api) -> Router {
    bounded(probe_routes()).with_state(api)
}

fn probe_routes() -> Router<Api> {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::alive))
        .route("/-/healthy", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/-/ready", get(health::ready))
}

fn bounded(routes: Router<Api>) -> Router<Api> {
    routes.layer(DefaultBodyLimit::max(score::BODY_BYTES_MAX)).layer(middleware::from_fn(in_time))
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => busy("it took too long"),
    }
}

/// An answer that says what was wrong, in the shape of Prometheus's own API.
pub(crate) fn problem(status: StatusCode, kind: &str, message: impl Into<String>) -> Response {
    (status, Json(json!({ "status": "error", "errorType": kind, "error": message.into() }))).into_response()
}

/// Too much is being asked for: come back in a second.
fn busy(why: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "too_busy", why);
    response.headers_mut().insert(axum::http::header::RETRY_AFTER, axum::http::HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
mod tests;
