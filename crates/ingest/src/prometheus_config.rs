//! How to ask one Prometheus server. Plain values; the source checks them when it is made.

use std::time::Duration;

use homeostat_core::Seed;

use crate::authorization::Authorization;
use crate::decode::DecodeLimits;
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// One server, and the load it may be put under.
///
/// ```
/// use homeostat_core::Seed;
/// use homeostat_ingest::{PrometheusConfig, PrometheusSource, Secret};
///
/// let mut config = PrometheusConfig::new("http://prometheus:9090".parse()?, Seed::new(1));
/// config.headers.push(("Authorization".into(), Secret::new("Bearer hunter2")));
/// assert!(!format!("{config:?}").contains("hunter2"));
/// assert_eq!(PrometheusSource::new(config)?.server(), "http://prometheus:9090"); // connects to nothing yet
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrometheusConfig {
    /// Where it is.
    pub url: ServerUrl,
    /// Headers of every request, such as `Authorization` or `X-Scope-OrgID`.
    pub headers: Vec<(String, Secret)>,
    /// Who asks, if the server wants to know.
    pub authorization: Option<Authorization>,
    /// Certificate authorities to trust instead of the machine's, as PEM text.
    pub ca_pem: Option<String>,
    /// Longest wait for a connection. Ten times a slow handshake: longer means that nobody is there.
    pub connect_timeout: Duration,
    /// Longest wait for one answer, body included; the server is told to give up then, too.
    pub timeout: Duration,
    /// Longest wait for one range: all its pages, attempts and pauses.
    pub deadline: Duration,
    /// Most requests at once, over everything that shares the source. Two: Prometheus serves 20 for all its users.
    pub concurrency_max: usize,
    /// Most bytes of one answer. A sample is some 25 bytes, so 128 MiB hold five million.
    pub bytes_max: usize,
    /// Most series and samples of one range.
    pub limits: DecodeLimits,
    /// How far behind the clock the newest step asked for is: samples of the last seconds are still being scraped,
    /// and a step must not be scored before it is complete.
    pub delay: Duration,
    /// How long Prometheus repeats a series' last sample; `None` leaves its default of 5 minutes. Four scrape
    /// intervals turn what would be a flat line of up to 5 minutes into the gap it is. Prometheus before 2.43 doesn't
    /// know the parameter; there the line stays flat, but only for series that end without a staleness marker, which
    /// scraped ones don't.
    pub lookback: Option<Duration>,
    /// When to ask again.
    pub retry: RetryPolicy,
    /// Where the jitter of retries comes from; give each shard its own.
    pub seed: Seed,
}

impl PrometheusConfig {
    /// The defaults for this server.
    pub fn new(url: ServerUrl, seed: Seed) -> Self {
        Self {
            url,
            headers: Vec::new(),
            authorization: None,
            ca_pem: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(120),
            concurrency_max: 2,
            bytes_max: 128 << 20,
            limits: DecodeLimits::default(),
            delay: Duration::from_secs(60),
            lookback: None,
            retry: RetryPolicy::default(),
            seed,
        }
    }
}
