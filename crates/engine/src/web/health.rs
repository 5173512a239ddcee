//! Liveness, readiness and metrics: for the kubelet and for Prometheus. Also served apart, on any address.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Api;
use crate::serve::snapshot::{Phase, Role};

pub(super) async fn alive() -> &'static str {
    "homeostat is alive.\n"
}

/// Ready is: it has models, its cycles end, and there is something to look at.
pub(super) async fn ready(State(api): State<Api>) -> Response {
    let not_ready =
        |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("homeostat isn't ready: {why}.\n")).into_response();
    match &api.snapshot().phase {
        Phase::Starting { waits_for: None } => not_ready("it is still training or loading its models".to_owned()),
        Phase::Starting { waits_for: Some(what) } => not_ready(format!("it has no models yet: {what}")),
        Phase::Watching(sight) => match sight.blindness(api.elapsed()) {
            Some(blindness) => not_ready(blindness.to_string()),
            None => (StatusCode::OK, ready_text(&api.snapshot().role)).into_response(),
        },
    }
}

/// A replica that follows is as ready as one that acts: it takes over at any moment.
fn ready_text(role: &Role) -> String {
    match role {
        Role::Acts => "homeostat is ready.\n".to_owned(),
        Role::Follows { why } => format!("homeostat is ready, and doesn't act: {why}.\n"),
    }
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.metrics_text()).into_response()
}
