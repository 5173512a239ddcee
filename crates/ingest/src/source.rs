//! The Prometheus client: range queries in pages, with retries, limits and counters. The only file here that touches
//! the network; what an answer means is decided in `decode` and `fetch_error`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use homeostat_core::{Seed, Timestamp};
use prometheus_http_query::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::decode::{DecodeError, DecodeLimits, decode_matrix};
use crate::fetch_error::{FetchError, Refused};
use crate::matrix::Matrix;
use crate::prometheus_config::PrometheusConfig;
use crate::range::{POINTS_MAX, Page, pages};
use crate::stats::{Counters, FetchStats, add, add_time};

/// Why no client could be made; each is a matter of the config.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A header's name or value has characters that no header may have. The value is not repeated.
    #[error("header {name:?} can't be sent: its name or value has characters that no header may have")]
    Header {
        /// The header's name.
        name: String,
    },
    /// A limit of zero would mean never.
    #[error("{name} must be more than zero")]
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// The HTTP client could not be made, for instance because no root certificates can be read.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
}

/// A Prometheus server to pull ranges from. Cheap to clone; clones share limits and counters.
#[derive(Clone)]
pub struct PrometheusSource {
    shared: Arc<Shared>,
}

struct Shared {
    config: PrometheusConfig,
    client: Client,
    /// Permits for requests in flight.
    slots: Semaphore,
    counters: Counters,
    n_requests: AtomicU64,
    /// Set once the server answered 405 to a POST; then it is asked by GET.
    post_refused: AtomicBool,
    /// Most points per series of one page; smaller in tests.
    points_max: usize,
}

impl std::fmt::Debug for PrometheusSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrometheusSource").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// A failed attempt: why, and whether asking again at once makes sense.
struct Failed {
    error: FetchError,
    again: bool,
}

impl PrometheusSource {
    /// A client for this server. Connects to nothing yet.
    ///
    /// If the process has no TLS provider it installs `ring` as the default, since an HTTP client can't do without.
    pub fn new(config: PrometheusConfig) -> Result<Self, SourceError> {
        Self::with_points_max(config, POINTS_MAX)
    }

    fn with_points_max(config: PrometheusConfig, points_max: usize) -> Result<Self, SourceError> {
        for (name, is_zero) in [
            ("concurrency_max", config.concurrency_max == 0),
            ("timeout", config.timeout.is_zero()),
            ("deadline", config.deadline.is_zero()),
            ("attempts_max", config.retry.attempts_max == 0),
        ] {
            if is_zero {
                return Err(SourceError::Zero { name });
            }
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that someone else was faster, which is just as good.
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&config)?)
            .connect_timeout(config.connect_timeout)
            // A redirect would turn the POST into a GET, and may lead the credentials elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            // Prometheus is inside; a proxy from the environment is meant for the way out.
            .no_proxy()
            .build()
            .map_err(|error| SourceError::Client(chain(&error)))?;
        let client = Client::from(http, config.url.expose()).map_err(|error| SourceError::Client(chain(&error)))?;
        // More permits than a semaphore can hold are as good as none missing.
        let slots = Semaphore::new(config.concurrency_max.min(Semaphore::MAX_PERMITS));
        let shared = Shared {
            client,
            slots,
            counters: Counters::default(),
            n_requests: AtomicU64::new(0),
            post_refused: AtomicBool::new(false),
            points_max,
            config,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The newest step that is complete at `now`: behind it by the configured delay, on the step.
    pub fn newest_step(&self, now: Timestamp, step: Duration) -> Timestamp {
        (now - self.shared.config.delay).align_down(step)
    }

    /// What this client and its clones did so far.
    pub fn stats(&self) -> FetchStats {
        self.shared.counters.snapshot()
    }

    /// The server, without credentials.
    pub fn server(&self) -> &str {
        self.shared.config.url.shown()
    }

    /// Pulls `expr` from `start` to `end`, both aligned down to `step` and both included.
    ///
    /// Long ranges are asked for in pages. A request that the network or a busy server failed is repeated, with
    /// pauses, within the deadline; one that ran into its timeout isn't, since the server works on it still. Either
    /// the whole range comes back or an error: there is no half of it. Warnings of the server are in the matrix.
    pub async fn range(
        &self,
        expr: &str,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Result<Matrix, FetchError> {
        let shared = &*self.shared;
        let pages = pages(start, end, step, shared.points_max).map_err(|error| FetchError::from_range(error, expr))?;
        let deadline = Instant::now() + shared.config.deadline;
        let mut samples_left = shared.config.limits.samples_max;
        let mut matrices = Vec::with_capacity(pages.len());
        for page in pages {
            let limits = DecodeLimits { samples_max: samples_left, ..shared.config.limits };
            let ask = Ask { expr, page, step, deadline, limits };
            let matrix = shared.page(&ask).await?;
            samples_left = samples_left.saturating_sub(matrix.n_samples());
            matrices.push(matrix);
        }
        let matrix = if matrices.len() == 1 { matrices.swap_remove(0) } else { Matrix::join(matrices) };
        // Series that come and go add up over the pages.
        let series_max = shared.config.limits.series_max;
        if matrix.series().len() > series_max {
            let why = DecodeError::TooMuch { what: "series", limit: series_max }.to_string();
            return Err(FetchError::TooMuch { expr: expr.to_owned(), why });
        }
        Ok(matrix)
    }
}

/// One page to be asked for.
struct Ask<'a> {
    expr: &'a str,
    page: Page,
    step: Duration,
    deadline: Instant,
    limits: DecodeLimits,
}

impl Shared {
    /// One page, with as many attempts as allowed.
    async fn page(&self, ask: &Ask<'_>) -> Result<Matrix, FetchError> {
        let request = self.n_requests.fetch_add(1, Ordering::Relaxed);
        let seed: Seed = self.config.seed.fork(&format!("request-{request}"));
        let mut attempt = 1;
        let mut earlier: Option<FetchError> = None;
        loop {
            let Failed { error, again } = match self.attempt(ask).await {
                Ok(matrix) => return Ok(matrix),
                Err(failed) => failed,
            };
            // The deadline cut this attempt off: what failed before it says more than "too late".
            if Instant::now() >= ask.deadline
                && let Some(earlier) = earlier
            {
                return Err(earlier);
            }
            if !again || attempt >= self.config.retry.attempts_max {
                return Err(error);
            }
            let Some(wait) = self.config.retry.wait(attempt, retry_after_of(&error), seed) else {
                return Err(error);
            };
            if Instant::now() + wait >= ask.deadline {
                return Err(error);
            }
            tracing::debug!(reason = error.reason(), attempt, wait_ms = wait.as_millis() as u64, "asking again");
            add(&self.counters.retries, 1);
            earlier = Some(error);
            sleep(wait).await;
            attempt += 1;
        }
    }

    /// One attempt: waits for its turn, asks, counts.
    async fn attempt(&self, ask: &Ask<'_>) -> Result<Matrix, Failed> {
        let Ok(Ok(_slot)) = timeout_at(ask.deadline, self.slots.acquire()).await else {
            add(&self.counters.requests_timeout, 1);
            return Err(Failed { error: self.timeout(ask, self.config.deadline), again: false });
        };
        let began = Instant::now();
        let until = ask.deadline.min(began + self.config.timeout);
        let found = match timeout_at(until, self.exchange(ask)).await {
            Ok(found) => found,
            Err(_elapsed) => Err(Failed { error: self.timeout(ask, began.elapsed()), again: false }),
        };
        add_time(&self.counters.busy_us, began.elapsed());
        self.count(&found);
        found
    }

    fn timeout(&self, ask: &Ask<'_>, within: Duration) -> FetchError {
        FetchError::Timeout { server: self.config.url.shown().to_owned(), expr: ask.expr.to_owned(), within }
    }

    fn count(&self, found: &Result<Matrix, Failed>) {
        let counters = &self.counters;
        let by_result = match found {
            Ok(matrix) => {
                add(&counters.series, matrix.series().len() as u64);
                add(&counters.samples, matrix.n_samples() as u64);
                add(&counters.samples_not_finite, matrix.dropped().not_finite);
                add(&counters.answers_partial, u64::from(matrix.is_partial()));
                &counters.requests_ok
            }
            Err(failed) => match failed.error {
                FetchError::Unreachable { .. } => &counters.requests_unreachable,
                FetchError::Timeout { .. } => &counters.requests_timeout,
                FetchError::ServerBusy { .. } => &counters.requests_busy,
                FetchError::BadQuery { .. } => &counters.requests_bad_query,
                FetchError::TooMuch { .. } => &counters.requests_too_much,
                FetchError::Garbled { .. } => &counters.requests_garbled,
                FetchError::Denied { .. } => &counters.requests_denied,
            },
        };
        add(by_result, 1);
    }

    /// Sends one request and reads its whole answer.
    async fn exchange(&self, ask: &Ask<'_>) -> Result<Matrix, Failed> {
        let mut response = self.send(ask).await?;
        if response.status().as_u16() == 405 && !self.post_refused.swap(true, Ordering::Relaxed) {
            response = self.send(ask).await?;
        }
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let bytes_max = if status.is_success() { self.config.bytes_max } else { ERROR_BYTES_MAX };
        let body = self.body(ask, response, bytes_max).await?;
        let limits = ask.limits;
        // Decoding a large answer takes long enough to hold up everything else on this thread.
        let decoded = tokio::task::spawn_blocking(move || decode_matrix(&body, &limits)).await;
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

    async fn send(&self, ask: &Ask<'_>) -> Result<reqwest::Response, Failed> {
        let seconds = |at: Timestamp| at.as_millis().div_euclid(1000);
        let timeout_ms = i64::try_from(self.config.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut query = self
            .client
            .query_range(ask.expr, seconds(ask.page.start), seconds(ask.page.end), ask.step.as_secs_f64())
            .timeout(timeout_ms)
            // Newer servers stop at the limit themselves; one more than ours, so that we see it was passed.
            .query("limit", ask.limits.series_max.saturating_add(1));
        if let Some(lookback) = self.config.lookback {
            query = query.query("lookback_delta", format!("{}ms", lookback.as_millis()));
        }
        let by_get = self.post_refused.load(Ordering::Relaxed);
        let sent = if by_get { query.get_raw().await } else { query.post_raw().await };
        sent.map_err(|error| {
            let why = transport_words(&error);
            let error = FetchError::Unreachable { server: self.config.url.shown().to_owned(), why };
            Failed { error, again: true }
        })
    }

    /// Reads the body as far as `bytes_max`; more is an error for an answer and is cut off for an error's text.
    async fn body(&self, ask: &Ask<'_>, mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, Failed> {
        let is_answer = response.status().is_success();
        let too_much = || {
            let why = format!(
                "the answer has more than {bytes_max} bytes; narrow or aggregate the query, or raise the limit"
            );
            Failed { error: FetchError::TooMuch { expr: ask.expr.to_owned(), why }, again: false }
        };
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if is_answer && announced > bytes_max {
            return Err(too_much());
        }
        let mut body = Vec::with_capacity(announced.min(bytes_max));
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                let why = format!("it broke off after {} bytes: {}", body.len(), inner_words(&error));
                Failed { error: garbled(self.config.url.shown(), ask, why), again: true }
            })?;
            let Some(chunk) = chunk else { return Ok(body) };
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

fn headers(config: &PrometheusConfig) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let wrong = || SourceError::Header { name: name.clone() };
        let header: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

/// `Retry-After` in seconds. Its other form, a date, needs a clock that agrees with the server's; it counts as absent.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn retry_after_of(error: &FetchError) -> Option<Duration> {
    if let FetchError::ServerBusy { retry_after, .. } = error { *retry_after } else { None }
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

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        // Some layers repeat the one below.
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
