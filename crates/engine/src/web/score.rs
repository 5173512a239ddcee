//! `POST /api/v1/score`: a window as JSON, its votes, score and confidence back. Nothing is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use homeostat_core::{Grid, Subject, Timestamp, Window, parse_duration};
use ndarray::Array2;
use serde::Deserialize;
use serde_json::json;

use super::{Api, problem};
use crate::typed::typed;

/// Steps of a window at most: far more than any detector looks back.
const STEPS_MAX: usize = 1000;

/// The request: each feature's values, oldest first, `null` for a hole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScoreRequest {
    /// Which subject's models to use.
    subject: Subject,
    /// The last row's moment.
    end: Timestamp,
    /// Time between rows, as `60s`; the step that the models were trained with.
    step: String,
    /// Values by feature; all of one length. A feature left out is all holes.
    features: BTreeMap<String, Vec<Option<f64>>>,
}

pub(super) async fn score(State(api): State<Api>, body: Result<Json<ScoreRequest>, JsonRejection>) -> Response {
    let request = match body {
        Ok(Json(request)) => request,
        Err(rejection) => return problem(rejection.status(), "bad_data", rejection.body_text()),
    };
    let Some(monitor) = api.monitor.get() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "models are still being trained or loaded");
    };
    let monitor = Arc::clone(monitor);
    // Scoring clones a model and runs it over the window: milliseconds of computing, off the async threads.
    let answer = tokio::task::spawn_blocking(move || {
        // A copy, so that scoring on request never holds up the service's own cycle.
        let found = monitor.lock().unwrap_or_else(PoisonError::into_inner).ensemble(&request.subject).cloned();
        let Some(ensemble) = found else {
            let message = format!("{} has no model; GET /metrics says how many have", request.subject);
            return problem(StatusCode::NOT_FOUND, "not_found", message);
        };
        let window = match window(&request, &ensemble) {
            Ok(window) => window,
            Err(why) => return problem(StatusCode::BAD_REQUEST, "bad_data", why),
        };
        // As `assess_once`, but its memory is kept for the explanation.
        let mut once = ensemble.restarted();
        let assessment = once.assess(&window);
        let typed = typed(window.schema(), window.last_row(), &assessment, &api.calibration);
        let data = json!({
            "subject": request.subject,
            "assessment": assessment,
            "type": typed.map(|(incident_type, _)| incident_type),
            "confidence": typed.map(|(_, confidence)| confidence),
            "forest_contributions": contributions(&once),
        });
        Json(json!({ "status": "success", "data": data })).into_response()
    });
    match answer.await {
        Ok(response) => response,
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()),
    }
}

/// Which features made the forest's vote, by name.
fn contributions(ensemble: &homeostat_detect::Ensemble) -> Option<BTreeMap<&str, f64>> {
    let features = ensemble.schema().features().iter().map(|feature| feature.name.as_str());
    Some(features.zip(ensemble.forest_contributions()?).collect())
}

fn window(request: &ScoreRequest, ensemble: &homeostat_detect::Ensemble) -> Result<Window, String> {
    let step = parse_duration(&request.step).map_err(|error| format!("step: {error}"))?;
    let schema = ensemble.schema();
    let n_steps = request.features.values().map(Vec::len).max().unwrap_or(0);
    if n_steps == 0 || n_steps > STEPS_MAX {
        return Err(format!("features: between 1 and {STEPS_MAX} steps are scored, not {n_steps}"));
    }
    let mut values = Array2::from_elem((n_steps, schema.n_features()), f64::NAN);
    for (name, series) in &request.features {
        let Some(feature_idx) = schema.position(name) else {
            let known: Vec<&str> = schema.features().iter().map(|feature| feature.name.as_str()).collect();
            return Err(format!("features: {name:?} is unknown; the model has {}", known.join(", ")));
        };
        if series.len() != n_steps {
            return Err(format!(
                "features: {name:?} has {} steps, others have {n_steps}; use null for a hole",
                series.len()
            ));
        }
        for (step_idx, value) in series.iter().enumerate() {
            values[[step_idx, feature_idx]] = value.unwrap_or(f64::NAN);
        }
    }
    let grid = Grid::ending_at(request.end, step, n_steps).map_err(|error| error.to_string())?;
    Window::new(request.subject.clone(), grid, Arc::clone(schema), values).map_err(|error| error.to_string())
}
