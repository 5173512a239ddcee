//! `GET /api/v1/incidents`: pages of the incidents in the last snapshot, newest first.

use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Api, problem};
use crate::serve::incident_list::state_name;

/// Incidents of a page unless asked for more, and at most: a row has about 2 KiB.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Which page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    limit: Option<usize>,
    /// The `next` of the page before.
    before: Option<String>,
    state: Option<String>,
    subject: Option<String>,
    r#type: Option<String>,
}

pub(super) async fn incidents(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<axum::extract::Query<PageQuery>, QueryRejection>,
) -> Response {
    let query = match query {
        Ok(query) => query.0,
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, "bad_data", rejection.body_text()),
    };
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return problem(StatusCode::BAD_REQUEST, "bad_data", format!("limit: must lie between 1 and {LIMIT_MAX}"));
    }
    let state = match query.state.as_deref().map(parsed_state).transpose() {
        Ok(state) => state,
        Err(why) => return problem(StatusCode::BAD_REQUEST, "bad_data", why),
    };
    let list = api.snapshot().incidents.clone();
    let etag = format!("\"{}-{}\"", api.boot(), list.version());
    if headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).is_some_and(|known| has_tag(known, &etag)) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    let page = list.page(query.before.as_deref(), limit, |row| {
        state.is_none_or(|state| state_name(state) == row.state)
            && query.subject.as_ref().is_none_or(|subject| *subject == row.subject)
            && query.r#type.as_ref().is_none_or(|wanted| *wanted == row.incident_type)
    });
    let Some((rows, has_more)) = page else {
        let message = "before: there is no such incident any more; begin again without it";
        return problem(StatusCode::BAD_REQUEST, "bad_data", message);
    };
    // Rows are JSON already, and written once for all readers.
    let data: Vec<&str> = rows.iter().map(|row| &*row.json).collect();
    let next = rows.last().filter(|_| has_more).map_or(serde_json::Value::Null, |row| row.id.as_str().into());
    let body = format!(r#"{{"status":"success","data":[{}],"next":{next}}}"#, data.join(","));
    ([(CONTENT_TYPE, "application/json".to_owned()), (ETAG, etag)], body).into_response()
}

fn parsed_state(text: &str) -> Result<homeostat_core::IncidentState, String> {
    serde_json::from_value(text.into()).map_err(|error| format!("state: {error}"))
}

/// Whether `If-None-Match` names this tag.
fn has_tag(known: &str, etag: &str) -> bool {
    known.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
