//! The Prometheus client: range queries in pages, with retries, limits and counters. What goes over the wire is in
//! `exchange`; what an answer means is decided in `decode` and `fetch_error`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use homeostat_core::{Seed, Timestamp};
use prometheus_http_query::Client;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use crate::decode::{DecodeError, DecodeLimits};
use crate::fetch_error::FetchError;
use crate::matrix::Matrix;
use crate::preferred::Preferred;
use crate::prometheus_config::PrometheusConfig;
use crate::range::{POINTS_MAX, Page, pages};
use crate::stats::{Counters, FetchStats, add, add_time};

mod client;
mod exchange;

/// Why no client could be made; each is a matter of the config.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::Seed;
/// use homeostat_ingest::{PrometheusConfig, PrometheusSource, Secret, SourceError};
///
/// let config = PrometheusConfig::new("http://prometheus:9090".parse()?, Seed::new(1));
/// let never = PrometheusConfig { timeout: Duration::ZERO, ..config.clone() };
/// assert!(matches!(PrometheusSource::new(never), Err(SourceError::Zero { name: "timeout" })));
/// let two_lines = PrometheusConfig { headers: vec![("X-Scope-OrgID".into(), Secret::new("a\nb"))], ..config };
/// assert!(matches!(PrometheusSource::new(two_lines), Err(SourceError::Header { name }) if name == "X-Scope-OrgID"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The configured certificate authorities can't be used.
    #[error("the certificate authorities can't be read: {why}; give PEM text with one or more certificates")]
    Authorities {
        /// What is wrong with them.
        why: String,
    },
    /// The HTTP client could not be made, for instance because the machine has no root certificates.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
}

/// A Prometheus server to pull ranges from. Cheap to clone; clones share limits and counters.
///
/// ```
/// # async fn pulled() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use homeostat_core::{Seed, Timestamp};
/// use homeostat_ingest::{PrometheusConfig, PrometheusSource};
///
/// let source = PrometheusSource::new(PrometheusConfig::new("http://127.0.0.1:9090".parse()?, Seed::new(1)))?;
/// let (start, end) = ("2026-01-31T12:00:00Z".parse()?, "2026-01-31T13:00:00Z".parse::<Timestamp>()?);
/// let matrix = source.range("sum by (namespace) (up)", start, end, Duration::from_secs(60)).await?;
/// assert!(!matrix.is_partial(), "{:?}", matrix.warnings());
/// # Ok(())
/// # }
/// ```
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
    /// What the server last gave as the time, and when.
    date: Mutex<Option<(Timestamp, Instant)>>,
    /// Whose series are taken in however many others there are.
    preferred: RwLock<Option<Arc<Preferred>>>,
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

/// Something that answers range queries: a Prometheus server, or in tests whatever stands in for one.
pub trait RangeSource: Send + Sync {
    /// What to call it in messages, without credentials.
    fn name(&self) -> &str;

    /// The answer to `expr` from `start` to `end`, both included: see [`PrometheusSource::range`].
    fn range<'a>(
        &'a self,
        expr: &'a str,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Matrix, FetchError>> + Send + 'a>>;
}

impl RangeSource for PrometheusSource {
    fn name(&self) -> &str {
        self.server()
    }

    fn range<'a>(
        &'a self,
        expr: &'a str,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Matrix, FetchError>> + Send + 'a>> {
        Box::pin(PrometheusSource::range(self, expr, start, end, step))
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
        let client = client::client(&config)?;
        // More permits than a semaphore can hold are as good as none missing.
        let slots = Semaphore::new(config.concurrency_max.min(Semaphore::MAX_PERMITS));
        let shared = Shared {
            client,
            slots,
            counters: Counters::default(),
            n_requests: AtomicU64::new(0),
            date: Mutex::new(None),
            preferred: RwLock::new(None),
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

    /// The time by the server's clock, from the `Date` of its newest answer, and when that came in. Half a second more than it says:
    /// it has whole seconds, cut off.
    pub fn server_time(&self) -> Option<(Timestamp, Instant)> {
        *self.shared.date.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on an answer with more than `series_max` series is no error: theirs are taken in, and of others as many as there is
    /// room for. It holds for all clones.
    pub fn prefer(&self, preferred: Preferred) {
        *self.shared.preferred.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(preferred));
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
        let limits = shared.config.limits;
        let preferred = shared.preferred.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut n_samples = 0;
        let mut matrices = Vec::with_capacity(pages.len());
        for page in pages {
            let ask = Ask { expr, page, step, deadline, limits, preferred: preferred.as_ref() };
            let matrix = shared.page(&ask).await?;
            n_samples += matrix.n_samples();
            if n_samples > limits.samples_max {
                return Err(too_much(expr, "samples", limits.samples_max));
            }
            matrices.push(matrix);
        }
        let matrix = if matrices.len() == 1 { matrices.swap_remove(0) } else { Matrix::join(matrices) };
        // Series that come and go add up over the pages.
        if preferred.is_none() && matrix.series().len() > limits.series_max {
            return Err(too_much(expr, "series", limits.series_max));
        }
        Ok(matrix)
    }
}

fn too_much(expr: &str, what: &'static str, limit: usize) -> FetchError {
    FetchError::TooMuch { expr: expr.to_owned(), why: DecodeError::TooMuch { what, limit }.to_string() }
}

/// One page to be asked for.
struct Ask<'a> {
    expr: &'a str,
    page: Page,
    step: Duration,
    deadline: Instant,
    limits: DecodeLimits,
    preferred: Option<&'a Arc<Preferred>>,
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
}

fn retry_after_of(error: &FetchError) -> Option<Duration> {
    if let FetchError::ServerBusy { retry_after, .. } = error { *retry_after } else { None }
}

#[cfg(test)]
mod tests;
