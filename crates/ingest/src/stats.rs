//! What the client did, for the service's own metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a Prometheus client did since it was made. Counters only grow.
        ///
        /// ```
        /// use homeostat_core::Seed;
        /// use homeostat_ingest::{FetchStats, PrometheusConfig, PrometheusSource};
        ///
        /// let source = PrometheusSource::new(PrometheusConfig::new("http://prometheus:9090".parse()?, Seed::new(1)))?;
        /// assert_eq!(source.stats(), FetchStats::default(), "it has asked for nothing yet");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct FetchStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            /// All counters now. They are read one by one: a request that ends meanwhile may show in some only.
            pub(crate) fn snapshot(&self) -> FetchStats {
                FetchStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Requests that gave a matrix.
    requests_ok,
    /// Requests that found no server.
    requests_unreachable,
    /// Requests that took too long.
    requests_timeout,
    /// Requests that a busy or failing server turned away.
    requests_busy,
    /// Requests whose query the server refused.
    requests_bad_query,
    /// Requests whose answer was too large.
    requests_too_much,
    /// Requests with an answer that could not be read.
    requests_garbled,
    /// Requests that the server did not allow.
    requests_denied,
    /// Requests that were a second or later attempt; they are also in one of the counts above.
    retries,
    /// Bytes of answers read, failed ones included.
    bytes,
    /// Series decoded.
    series,
    /// Samples decoded.
    samples,
    /// Samples that were NaN or ±Inf and became gaps.
    samples_not_finite,
    /// Answers with warnings, which may lack data.
    answers_partial,
    /// Time spent in requests, in microseconds, summed over concurrent ones.
    busy_us,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn add_time(counter: &AtomicU64, time: Duration) {
    add(counter, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}
