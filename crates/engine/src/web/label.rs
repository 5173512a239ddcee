//! `POST /api/v1/incidents/{id}/label`: what somebody says an incident was.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use homeostat_core::{IncidentId, IncidentLabel, Verdict};
use serde::Deserialize;
use serde_json::json;

use super::{Api, problem};
use crate::labels::LabelError;

/// What is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelRequest {
    /// `null` withdraws what was said before.
    verdict: Option<Verdict>,
    by: String,
    #[serde(default)]
    note: String,
}

pub(super) async fn label(
    State(api): State<Api>,
    Path(id): Path<String>,
    request: Result<Json<LabelRequest>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return problem(rejection.status(), "bad_data", rejection.body_text()),
    };
    let Ok(incident) = serde_json::from_value::<IncidentId>(id.into()) else {
        return problem(StatusCode::BAD_REQUEST, "bad_data", "the path names no incident");
    };
    let LabelRequest { verdict, by, note } = request;
    let at = api.shared.clock.now();
    let label = IncidentLabel { incident, verdict, by, note, at };
    let (desk, for_desk) = (api.shared.desk.clone(), label.clone());
    // It waits for the disk.
    let taken = tokio::task::spawn_blocking(move || desk.take(&for_desk, at)).await;
    match taken {
        Ok(Ok(_)) => Json(json!({ "status": "success", "data": label })).into_response(),
        Ok(Err(error)) => {
            let (status, kind) = match &error {
                LabelError::NoSuchIncident(_) => (StatusCode::NOT_FOUND, "not_found"),
                LabelError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_data"),
                LabelError::NotWritten(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            };
            problem(status, kind, error.to_string())
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()),
    }
}
