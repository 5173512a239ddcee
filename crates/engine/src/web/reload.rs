//! `POST /-/reload`: reads the config again, as SIGHUP does, and says what came of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Api, problem};

pub(super) async fn reload(State(api): State<Api>) -> Response {
    match api.reload().await {
        Ok(()) => (StatusCode::OK, "The config was reloaded.\n").into_response(),
        Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, "bad_config", why),
    }
}
