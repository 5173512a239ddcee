//! What `serve` asks of single replicas, if the config says so: a second pull and its windows. Comparing is the monitor's.

use std::time::Duration;

use homeostat_core::{ReplicaWindow, Timestamp};
use homeostat_ingest::{FeedConfig, FeedError, PrometheusSource, Pull, QuerySet, ReplicaFeed};

use crate::config::Config;
use crate::serve::window_rows::{OVERLAP_STEPS, WINDOW_ROWS};

/// Replicas compared at most, of all workloads together; with 64 rows of 3 features each they take 30 MB.
const REPLICAS_MAX: usize = 20_000;

/// The replicas' queries and rows.
pub(crate) struct Replicas {
    queries: QuerySet,
    step: Duration,
    feed: ReplicaFeed,
}

impl Replicas {
    /// What the config says; nothing, if it says nothing.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(replicas) = &config.replicas else { return Ok(None) };
        let (queries, rule, step) = (replicas.queries.clone(), config.subjects.clone(), config.step);
        let feed =
            FeedConfig { queries: queries.clone(), rule, step, n_steps: WINDOW_ROWS, subjects_max: REPLICAS_MAX };
        Ok(Some(Self { queries, step, feed: ReplicaFeed::new(feed, replicas.label.clone())? }))
    }

    /// Asks for the steps until `at` that aren't known, and a few again, as for the workloads. At the first pull and after an outage
    /// that is as many as the windows hold, so that the comparison has learned at once what is usual.
    pub(crate) async fn pull(&self, source: &PrometheusSource, at: Timestamp) -> Pull {
        let pulled = source.pull(&self.queries, self.from(at), at, self.step).await;
        for (query, error) in &pulled.failed {
            tracing::warn!(query, %error, "a replica query failed; replicas aren't compared by this feature in this cycle");
        }
        pulled
    }

    /// The replicas' windows until `at`; none, where they can't be made, which is told.
    pub(crate) fn windows(&mut self, pulled: &Pull, at: Timestamp) -> Vec<ReplicaWindow> {
        self.try_windows(pulled, at).unwrap_or_else(|error| {
            tracing::error!(%error, "this cycle's replica data can't be used");
            Vec::new()
        })
    }

    fn try_windows(&mut self, pulled: &Pull, at: Timestamp) -> Result<Vec<ReplicaWindow>, FeedError> {
        let pushed = self.feed.push(&pulled.matrices, self.from(at), at)?;
        if pushed.subjects_refused > 0 {
            let refused = pushed.subjects_refused;
            tracing::warn!(refused, limit = REPLICAS_MAX, "too many replicas; narrow the queries of `replicas`");
        }
        for (query, unplaced) in self.queries.queries().iter().zip(&pushed.unplaced) {
            if unplaced.series_unmatched > 0 {
                let series = unplaced.series_unmatched;
                tracing::debug!(query = query.name, series, "series without the replica label");
            }
        }
        self.feed.windows_at(at)
    }

    /// Begins anew, as after a clock that was ahead.
    pub(crate) fn forget(&mut self) {
        self.feed.clear();
    }

    /// The first step to ask for.
    fn from(&self, at: Timestamp) -> Timestamp {
        let reach = self.step.saturating_mul(u32::try_from(WINDOW_ROWS - 1).unwrap_or(u32::MAX));
        match self.feed.end() {
            Some(end) => (end - self.step * OVERLAP_STEPS).max(at - reach).min(at),
            None => at - reach,
        }
    }
}

#[cfg(test)]
mod tests;
