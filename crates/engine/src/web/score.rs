//! `POST /api/v1/score`: a window as JSON; its score, type and confidence back, with what each detector and each feature says.
//! Nothing is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Bytes};
use homeostat_core::{Assessment, Fused, Grid, NotReady, Subject, Timestamp, Vote, Window, parse_duration};
use homeostat_detect::Ensemble;
use homeostat_incidents::{Calibration, row_typing};
use ndarray::Array2;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Api, busy, problem};

/// Largest body of a request: [`VALUES_MAX`] numbers of up to 24 characters, with their commas, are under 1 MiB.
pub(super) const BODY_BYTES_MAX: usize = 2 << 20;
/// Rows of a window at most: far more than any detector looks back.
const STEPS_MAX: usize = 1000;
/// Rows times features at most. A request of this size keeps a thread busy for a tenth of a second.
const VALUES_MAX: usize = 32_000;
/// How long a client may take to send its body. On loopback 2 MiB take milliseconds.
const BODY_MAX: Duration = Duration::from_secs(10);
/// Subjects that are named where somebody asks for one that has no model.
const SUBJECTS_NAMED: usize = 5;

/// The request: each feature's values, oldest first, `null` for a gap.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoreRequest {
    /// Which subject's models to use.
    subject: Subject,
    /// The last row's moment.
    end: Timestamp,
    /// Time between rows, as `60s`; the step that the models were trained with.
    step: String,
    /// Values by feature; all of one length. A feature left out is a gap throughout.
    features: BTreeMap<String, Vec<Option<f64>>>,
}

pub(super) async fn score(State(api): State<Api>, request: Request) -> Response {
    if !is_json(request.headers()) {
        let why = "send JSON, with the header Content-Type: application/json";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_data", why);
    }
    // Before the body is read: what waits for a place in memory is bounded by the places.
    let Some(place) = api.shared.scoring.place() else {
        return busy("too many windows are being scored");
    };
    let body = match tokio::time::timeout(BODY_MAX, to_bytes(request.into_body(), BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            let why = format!("the body can't be read, or has more than {BODY_BYTES_MAX} bytes: {error}");
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", why);
        }
        Err(_elapsed) => return problem(StatusCode::REQUEST_TIMEOUT, "timeout", "the body didn't come in time"),
    };
    let for_work = api.clone();
    match api.shared.scoring.run(place, move || scored(&for_work, &body)).await {
        Ok(Ok(data)) => Json(json!({ "status": "success", "data": data })).into_response(),
        Ok(Err(response)) => *response,
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads and scores a window: milliseconds of computing, on a thread of the pool.
fn scored(api: &Api, body: &Bytes) -> Result<Value, Box<Response>> {
    let wrong = |status, why: String| Box::new(problem(status, "bad_data", why));
    let request: ScoreRequest = serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        wrong(status, format!("the body isn't a request in JSON: {error}"))
    })?;
    let Some(monitor) = api.shared.monitor.get() else {
        let why = "models are still being trained or loaded; GET /readyz says when they are there";
        return Err(Box::new(problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why)));
    };
    // A copy, so that scoring on request never holds up the service's own cycle.
    let found = {
        let monitor = monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let known = || monitor.subjects().take(SUBJECTS_NAMED).map(ToString::to_string).collect::<Vec<_>>();
        let calibration = || monitor.tracker().calibration().clone();
        monitor.ensemble(&request.subject).map(|ensemble| (ensemble.restarted(), calibration())).ok_or_else(known)
    };
    let (mut ensemble, calibration) = found.map_err(|known| {
        let why = format!("{} has no model; among those that have one are {}", request.subject, known.join(", "));
        Box::new(problem(StatusCode::NOT_FOUND, "not_found", why))
    })?;
    let window = window(&request, &ensemble).map_err(|why| wrong(StatusCode::BAD_REQUEST, why))?;
    let assessment = ensemble.assess(&window);
    Ok(shown(&calibration, &request.subject, &window, &ensemble, &assessment))
}

/// The answer, everything with its name.
fn shown(
    calibration: &Calibration,
    subject: &Subject,
    window: &Window,
    ensemble: &Ensemble,
    assessment: &Assessment,
) -> Value {
    let typed = ensemble.last().and_then(|row| row_typing(window.schema(), row, calibration));
    let mut data = json!({
        "subject": subject,
        "at": assessment.at,
        "score": assessment.score(),
        "alarming": assessment.score().is_some_and(homeostat_core::Score::is_alarming),
        "type": typed.map(|(incident_type, _)| incident_type),
        "confidence": typed.map(|(_, confidence)| confidence),
        "detectors": detectors(assessment),
        "features": features(window, ensemble, assessment),
    });
    match assessment.fused {
        Fused::Scored { lasting_score, smoothed_score, .. } => {
            data["lasting_score"] = json!(lasting_score);
            data["smoothed_score"] = json!(smoothed_score);
        }
        Fused::TooFewVotes { n_scored, n_needed } => {
            data["why_no_score"] = json!(why_no_score(window, assessment, n_scored, n_needed));
        }
    }
    data
}

fn detectors(assessment: &Assessment) -> Map<String, Value> {
    let votes = assessment.votes.iter();
    votes.map(|vote| (vote.detector.to_string(), serde_json::to_value(&vote.vote).unwrap_or_default())).collect()
}

fn features(window: &Window, ensemble: &Ensemble, assessment: &Assessment) -> Map<String, Value> {
    let contributions = ensemble.forest_contributions();
    let of = |(idx, feature): (usize, &homeostat_core::Feature)| {
        let observed = Some(window.last_row()[idx]).filter(|value| value.is_finite());
        let said = json!({
            "signal": feature.signal,
            "observed": observed,
            "expected": assessment.expected.get(idx).copied().flatten(),
            "deviation": assessment.deviations.get(idx).copied().flatten(),
            "forest_contribution": contributions.as_ref().and_then(|all| all.get(idx)),
        });
        (feature.name.clone(), said)
    };
    window.schema().features().iter().enumerate().map(of).collect()
}

/// What to send instead, so that there is a score.
fn why_no_score(window: &Window, assessment: &Assessment, n_scored: usize, n_needed: usize) -> String {
    let mut why = format!("{n_scored} detectors could score this window, {n_needed} are needed");
    let says = |wanted| assessment.votes.iter().any(|vote| vote.vote == Vote::NotReady { why: wanted });
    if says(NotReady::TooFewSteps) {
        why.push_str(&format!("; send more than {} rows, 64 are enough for every detector", window.grid().n_steps()));
    }
    if says(NotReady::TooManyGaps) {
        let names: Vec<&str> = window.schema().features().iter().map(|feature| feature.name.as_str()).collect();
        why.push_str(&format!("; send values of more features, the model has {}", names.join(", ")));
    }
    why
}

fn window(request: &ScoreRequest, ensemble: &Ensemble) -> Result<Window, String> {
    let step = parse_duration(&request.step).map_err(|error| format!("step: {error}"))?;
    let schema = ensemble.schema();
    let n_steps = request.features.values().map(Vec::len).max().unwrap_or(0);
    if n_steps == 0 || n_steps > STEPS_MAX {
        return Err(format!("features: between 1 and {STEPS_MAX} steps are scored, not {n_steps}"));
    }
    if n_steps * schema.n_features() > VALUES_MAX {
        let most = VALUES_MAX / schema.n_features().max(1);
        return Err(format!(
            "features: {n_steps} steps of {} features are too many, at most {most} steps are scored",
            schema.n_features()
        ));
    }
    let mut values = Array2::from_elem((n_steps, schema.n_features()), f64::NAN);
    for (name, series) in &request.features {
        let Some(feature_idx) = schema.position(name) else {
            let known: Vec<&str> = schema.features().iter().map(|feature| feature.name.as_str()).collect();
            return Err(format!("features: {name:?} is unknown; the model has {}", known.join(", ")));
        };
        if series.len() != n_steps {
            return Err(format!(
                "features: {name:?} has {} steps, others have {n_steps}; use null for a gap",
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
