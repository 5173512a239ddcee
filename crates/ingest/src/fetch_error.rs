//! Why a fetch failed, split by what the caller does next; and how answers of a server become such a reason.

use std::time::Duration;

use crate::decode::DecodeError;
use crate::range::RangeError;

/// Why there is no matrix. Every message names the query or the server and says what to do.
///
/// ```
/// use homeostat_ingest::FetchError;
///
/// let (server, why) = ("http://prometheus:9090".to_owned(), "status 503: starting".to_owned());
/// assert!(FetchError::ServerBusy { server, why, retry_after: None }.is_passing());
/// let wrong = FetchError::BadQuery { expr: "sum(".into(), why: "unclosed left parenthesis".into() };
/// assert!(!wrong.is_passing(), "no retry mends a query");
/// assert_eq!(wrong.reason(), "bad-query");
/// assert_eq!(wrong.to_string(), r#"Prometheus refuses the query "sum(": unclosed left parenthesis"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No server there. Try again next round; the data of this round is unknown.
    #[error("can't reach Prometheus at {server}: {why}; check the URL, DNS and network policy")]
    Unreachable {
        /// The server, without credentials.
        server: String,
        /// The transport's own words.
        why: String,
    },
    /// No whole answer in time. Try again next round; if it stays, the query is too expensive.
    #[error(
        "Prometheus at {server} gave no whole answer to {expr:?} within {within:?}; simplify the query or raise the timeout"
    )]
    Timeout {
        /// The server, without credentials.
        server: String,
        /// The query.
        expr: String,
        /// How long we waited, attempts included.
        within: Duration,
    },
    /// The server is there but turns requests away. Try again later, not sooner than `retry_after`.
    #[error("Prometheus at {server} is busy or failing ({why}); trying again later")]
    ServerBusy {
        /// The server, without credentials.
        server: String,
        /// Status and the server's own words.
        why: String,
        /// How long the server asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The query is wrong; no retry helps. Correct the config.
    #[error("Prometheus refuses the query {expr:?}: {why}")]
    BadQuery {
        /// The query.
        expr: String,
        /// Prometheus's own words.
        why: String,
    },
    /// The answer is too large, here or there. Narrow the query.
    #[error("the query {expr:?} gives too much: {why}")]
    TooMuch {
        /// The query.
        expr: String,
        /// Which limit.
        why: String,
    },
    /// The answer can't be read: half of it, no JSON, another API. Nothing of it was used.
    #[error("{server} gave no readable answer to {expr:?}: {why}; check that the URL is Prometheus's own")]
    Garbled {
        /// The server, without credentials.
        server: String,
        /// The query.
        expr: String,
        /// What was wrong.
        why: String,
    },
    /// Not allowed. Correct the credentials.
    #[error("Prometheus at {server} refuses access ({why}); check the credentials and the tenant")]
    Denied {
        /// The server, without credentials.
        server: String,
        /// Status and the server's own words.
        why: String,
    },
}

impl FetchError {
    /// Whether the same request may succeed without anyone changing anything.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::ServerBusy { .. } => true,
            // Half an answer is a connection that broke; what isn't Prometheus stays that way, but one more try is cheap.
            Self::Garbled { .. } => true,
            Self::BadQuery { .. } | Self::TooMuch { .. } | Self::Denied { .. } => false,
        }
    }

    /// The stable name of the reason, for metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::ServerBusy { .. } => "busy",
            Self::BadQuery { .. } => "bad-query",
            Self::TooMuch { .. } => "too-much",
            Self::Garbled { .. } => "garbled",
            Self::Denied { .. } => "denied",
        }
    }

    pub(crate) fn from_range(error: RangeError, expr: &str) -> Self {
        let (expr, why) = (expr.to_owned(), error.to_string());
        match error {
            RangeError::TooLong => Self::TooMuch { expr, why },
            RangeError::Step | RangeError::Backwards { .. } => Self::BadQuery { expr, why },
        }
    }
}

/// A whole answer that isn't a success: what status, headers and body say together.
pub(crate) struct Refused<'a> {
    pub(crate) server: &'a str,
    pub(crate) expr: &'a str,
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// What decoding the body gave: for Prometheus's own errors [`DecodeError::Failed`].
    pub(crate) body: DecodeError,
}

impl Refused<'_> {
    pub(crate) fn error(self) -> FetchError {
        let (server, expr) = (self.server.to_owned(), self.expr.to_owned());
        let (kind, words) = match &self.body {
            DecodeError::Failed { kind, message } => (kind.as_str(), message.clone()),
            DecodeError::TooMuch { .. } => return FetchError::TooMuch { expr, why: self.body.to_string() },
            DecodeError::WrongType { .. } | DecodeError::CutShort(_) | DecodeError::Malformed(_) => {
                ("", words_for(self.status).to_owned())
            }
        };
        let why = format!("status {}: {words}", self.status);
        let is_ours = !kind.is_empty();
        match self.status {
            401 | 403 => FetchError::Denied { server, why },
            413 | 414 => FetchError::TooMuch { expr, why },
            429 | 500 | 502 | 503 | 504 => FetchError::ServerBusy { server, why, retry_after: self.retry_after },
            // 400 bad_data, 422 execution, and "status: error" under a 200, as some proxies make of it.
            200..=299 | 400 | 422 if is_ours => refusal_by_kind(kind, words, server, expr, self.retry_after),
            // Redirects, 404 and the like: whatever answers there, it isn't this API.
            _other_status => FetchError::Garbled { server, expr, why },
        }
    }
}

/// What to say where the body says nothing that can be read.
fn words_for(status: u16) -> &'static str {
    match status {
        300..=399 => "it redirects; configure the address that it leads to",
        404 => "there is no such API at this address",
        _other_status => "no reason given",
    }
}

fn refusal_by_kind(
    kind: &str,
    words: String,
    server: String,
    expr: String,
    retry_after: Option<Duration>,
) -> FetchError {
    match kind {
        "timeout" | "canceled" | "unavailable" | "internal" => {
            FetchError::ServerBusy { server, why: format!("{kind}: {words}"), retry_after }
        }
        _bad_data_or_execution if is_size_refusal(&words) => FetchError::TooMuch { expr, why: words },
        _bad_data_or_execution => FetchError::BadQuery { expr, why: words },
    }
}

/// Prometheus and its kin have no error type for "too much"; these are the words they use: Prometheus for points and
/// samples, Thanos for series, Mimir for its `err-mimir-max-…` limits, VictoriaMetrics for its `-search.max…` flags.
fn is_size_refusal(words: &str) -> bool {
    const SIZE_WORDS: [&str; 5] = [
        "exceeded maximum resolution",
        "would load too many samples",
        "exceeded series limit",
        "err-mimir-max-",
        "-search.max",
    ];
    SIZE_WORDS.iter().any(|size_words| words.contains(size_words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: &str, message: &str) -> FetchError {
        let body = DecodeError::Failed { kind: kind.into(), message: message.into() };
        Refused { server: "http://p:9090", expr: "up", status, retry_after: None, body }.error()
    }

    #[test]
    fn the_reason_follows_status_and_the_servers_words() {
        for (status, kind, words, reason) in [
            (400, "bad_data", "parse error: unexpected (", "bad-query"),
            (422, "execution", "many-to-many matching not allowed", "bad-query"),
            (400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries", "too-much"),
            (422, "execution", "query processing would load too many samples into memory", "too-much"),
            (422, "execution", "the query exceeded the limit (err-mimir-max-chunks-per-query)", "too-much"),
            (503, "timeout", "query timed out in expression evaluation", "busy"),
            (500, "internal", "disk", "busy"),
            (429, "too_many_requests", "slow down", "busy"),
            (200, "bad_data", "parse error", "bad-query"),
            (200, "unavailable", "starting", "busy"),
            (401, "unauthorized", "who", "denied"),
            (403, "forbidden", "no", "denied"),
            (413, "x", "large", "too-much"),
            (404, "not_found", "page", "garbled"),
            (302, "x", "moved", "garbled"),
        ] {
            assert_eq!(refused(status, kind, words).reason(), reason, "{status} {kind} {words}");
        }
    }

    #[test]
    fn a_400_that_is_not_prometheuss_is_another_server() {
        let body = DecodeError::Malformed("expected value at line 1".into());
        let error = Refused { server: "http://p", expr: "up", status: 400, retry_after: None, body }.error();
        assert_eq!(error.reason(), "garbled");
    }

    #[test]
    fn only_what_may_pass_is_passing() {
        assert!(refused(503, "timeout", "").is_passing() && !refused(400, "bad_data", "").is_passing());
        assert!(!refused(401, "x", "").is_passing());
    }
}
