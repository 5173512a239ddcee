//! One request and its answer: what goes over the wire.

use std::error::Error;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use homeostat_core::Timestamp;
use reqwest::header::{AGE, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

use super::client::chain;
use super::{Ask, Failed, Shared};
use crate::decode::{DecodeError, decode_preferring};
use crate::fetch_error::{FetchError, Refused};
use crate::matrix::Matrix;
use crate::stats::add;

impl Shared {
    /// Sends one request and reads its whole answer.
    pub(super) async fn exchange(&self, ask: &Ask<'_>) -> Result<Matrix, Failed> {
        let by_get = self.post_refused.load(Ordering::Relaxed);
        let mut response = self.send(ask, by_get).await?;
        if response.status().as_u16() == 405 && !by_get {
            self.post_refused.store(true, Ordering::Relaxed);
            response = self.send(ask, true).await?;
        }
        let status = response.status();
        // An error may come from anything in between, by whose clock nobody goes.
        if status.is_success() {
            self.note_date(response.headers());
        }
        let retry_after = retry_after(response.headers());
        let bytes_max = if status.is_success() { self.config.bytes_max } else { ERROR_BYTES_MAX };
        let body = self.body(ask, response, bytes_max).await?;
        let (limits, preferred) = (ask.limits, ask.preferred.cloned());
        // Decoding a large answer takes long enough to hold up everything else on this thread.
        let decoded = tokio::task::spawn_blocking(move || decode_preferring(&body, &limits, preferred.as_ref())).await;
        let decoded = decoded.unwrap_or_else(|error| Err(DecodeError::Malformed(error.to_string())));
        let server = self.config.url.shown();
        match decoded {
            Ok(matrix) if status.is_success() => Ok(matrix),
            Ok(_matrix) => {
                Err(Failed { error: garbled(server, ask, format!("data under status {status}")), again: false })
            }
            Err(error @ (DecodeError::CutShort(_) | DecodeError::Malformed(_) | DecodeError::WrongType { .. }))
                if status.is_success() =>
            {
                let again = matches!(error, DecodeError::CutShort(_));
                Err(Failed { error: garbled(server, ask, error.to_string()), again })
            }
            Err(body) => {
                let error = Refused { server, expr: ask.expr, status: status.as_u16(), retry_after, body }.error();
                // A 500 is a fault in the server that asking at once won't mend; 429, 502, 503 and 504 ask us to return.
                let again = matches!(error, FetchError::ServerBusy { .. }) && status.as_u16() != 500;
                Err(Failed { error, again })
            }
        }
    }

    fn note_date(&self, headers: &HeaderMap) {
        if let Some(at) = date(headers) {
            *self.date.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Instant::now()));
        }
    }

    async fn send(&self, ask: &Ask<'_>, by_get: bool) -> Result<reqwest::Response, Failed> {
        let seconds = |at: Timestamp| at.as_millis().div_euclid(1000);
        let timeout_ms = i64::try_from(self.config.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut query = self
            .client
            .query_range(ask.expr, seconds(ask.page.start), seconds(ask.page.end), ask.step.as_secs_f64())
            .timeout(timeout_ms);
        // Newer servers stop at the limit themselves; one more than ours, so that we see it was passed. Where somebody is preferred
        // the server must not choose whose series those are.
        if ask.preferred.is_none() {
            query = query.query("limit", ask.limits.series_max.saturating_add(1));
        }
        if let Some(authorization) = &self.config.authorization {
            let denied = |why: String| {
                let server = self.config.url.shown().to_owned();
                Failed { error: FetchError::Denied { server, why: format!("the credentials: {why}") }, again: false }
            };
            let value = authorization.header().map_err(denied)?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| denied("there are characters in them that no header may have".to_owned()))?;
            value.set_sensitive(true);
            query = query.header(AUTHORIZATION, value);
        }
        if let Some(lookback) = self.config.lookback {
            query = query.query("lookback_delta", format!("{}ms", lookback.as_millis()));
        }
        let sent = if by_get { query.get_raw().await } else { query.post_raw().await };
        sent.map_err(|error| {
            let why = transport_words(&error);
            let error = FetchError::Unreachable { server: self.config.url.shown().to_owned(), why };
            Failed { error, again: true }
        })
    }

    /// Reads the body as far as `bytes_max`. An answer must be whole; of a refusal's text any part will do.
    async fn body(&self, ask: &Ask<'_>, mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, Failed> {
        let is_answer = response.status().is_success();
        let too_much = || {
            let why = format!(
                "the answer has more than {bytes_max} bytes; narrow or aggregate the query, or raise limits.answer_mib"
            );
            Failed { error: FetchError::TooMuch { expr: ask.expr.to_owned(), why }, again: false }
        };
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if is_answer && announced > bytes_max {
            return Err(too_much());
        }
        let mut body = Vec::with_capacity(announced.min(bytes_max));
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(error) if is_answer => {
                    let why = format!("it broke off after {} bytes: {}", body.len(), inner_words(&error));
                    return Err(Failed { error: garbled(self.config.url.shown(), ask, why), again: true });
                }
                // Of a refusal the status says enough.
                Err(_broken_off) => return Ok(body),
            };
            add(&self.counters.bytes, chunk.len() as u64);
            if body.len() + chunk.len() > bytes_max {
                if is_answer {
                    return Err(too_much());
                }
                return Ok(body);
            }
            body.extend_from_slice(&chunk);
        }
    }
}

/// Most bytes of an error's text that are read. Prometheus's errors repeat the query, which has at most some KiB.
const ERROR_BYTES_MAX: usize = 64 << 10;

fn garbled(server: &str, ask: &Ask<'_>, why: String) -> FetchError {
    FetchError::Garbled { server: server.to_owned(), expr: ask.expr.to_owned(), why }
}

/// The server's time.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    // A cache in between would give the time at which it was filled.
    if headers.contains_key(AGE) {
        return None;
    }
    let text = headers.get(DATE)?.to_str().ok()?;
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(parsed.as_millisecond() + 500))
}

/// `Retry-After` in seconds. Its other form, a date, needs a clock that agrees with the server's; it counts as absent.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn transport_words(error: &prometheus_http_query::Error) -> String {
    if let prometheus_http_query::Error::Client(client) = error
        && let Some(inner) = client.inner()
    {
        return inner_words(inner);
    }
    chain(error)
}

/// What stands behind a transport error: its own text would repeat the URL.
fn inner_words(error: &reqwest::Error) -> String {
    match error.source() {
        Some(source) => chain(source),
        None if error.is_timeout() => "timed out".to_owned(),
        None => "the transport failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(reqwest::header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn the_servers_time_is_read_from_its_answers_and_not_from_a_cache() {
        let text = "Sat, 31 Jan 2026 12:00:00 GMT";
        let noon: Timestamp = "2026-01-31T12:00:00.5Z".parse().expect("a time");
        assert_eq!(date(&headers(&[(DATE, text)])), Some(noon));
        assert_eq!(date(&headers(&[(DATE, text), (AGE, "60")])), None);
        assert_eq!(date(&headers(&[(DATE, "now")])), None);
        assert_eq!(date(&headers(&[])), None);
    }
}
