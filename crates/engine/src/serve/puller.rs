//! What `serve` asks Prometheus in each cycle, and the rows that come of it: workloads, their replicas, roll-outs.
//!
//! It judges nothing: what the data is worth goes out as facts ([`DataQuality`]).

use std::sync::Arc;

use homeostat_core::{ReplicaWindow, Subject, Timestamp, Window};
use homeostat_ingest::{
    DataQuality, Due, Feed, FeedConfig, FetchError, Matrix, Missed, Preferred, PrometheusSource, Pull, Pulling,
    ReplicaFeed, RowFeed, SubjectRule, Taken,
};
use tokio::time::Instant;

use super::rollouts::RolloutWatch;
use super::window_rows::WINDOW_ROWS;
use crate::config::Config;

/// Replicas compared at most, of all workloads together; with 64 rows of 3 features each they take 30 MB.
const REPLICAS_MAX: usize = 20_000;
/// Rows ahead of the clock that are waited for: a small step back is made up for within a few cycles.
const AHEAD_STEPS_MAX: u32 = 2;

/// Asks and keeps the rows.
pub(crate) struct Puller {
    source: PrometheusSource,
    rule: SubjectRule,
    step: std::time::Duration,
    workloads: Pulling<Feed>,
    /// Nothing where nobody compares replicas.
    replicas: Option<Pulling<ReplicaFeed>>,
    /// Nothing where nobody asks for roll-outs.
    rollouts: Option<RolloutWatch>,
}

/// What Prometheus said in one cycle.
pub(crate) struct Pulled {
    /// The newest row.
    at: Timestamp,
    workloads: (Due, Pull),
    replicas: Option<(Due, Pull)>,
    rollouts: Option<Result<Matrix, FetchError>>,
}

/// What a cycle can see.
#[derive(Default)]
pub(crate) struct Seen {
    /// Rows of workloads.
    pub(crate) windows: Vec<Window>,
    /// Rows of replicas.
    pub(crate) replicas: Vec<ReplicaWindow>,
    /// What the workloads' data is worth.
    pub(crate) quality: DataQuality,
    /// Workloads that there was no room for.
    pub(crate) subjects_refused: u64,
    /// Replicas that there was no room for.
    pub(crate) replicas_refused: u64,
    /// Queries of replicas that weren't answered.
    pub(crate) replicas_failed: Vec<(String, FetchError)>,
    /// What an outage took for good.
    pub(crate) missed: Option<Missed>,
    /// Queries whose answers may lack data, each with the server's first warning.
    pub(crate) partial: Vec<(String, String)>,
}

impl Puller {
    /// What this config asks.
    pub(crate) fn new(config: &Config, source: PrometheusSource) -> anyhow::Result<Self> {
        let (rule, step) = (config.subjects.clone(), config.step);
        let feed = |queries, subjects_max| FeedConfig {
            queries,
            rule: rule.clone(),
            step,
            n_steps: WINDOW_ROWS,
            subjects_max,
        };
        let shared: Arc<PrometheusSource> = Arc::new(source.clone());
        let workloads = Feed::new(feed(config.queries.clone(), config.limits.workloads_max))?
            .with_scrape_interval(config.scrape_interval);
        let replicas = match &config.replicas {
            None => None,
            Some(replicas) => {
                let feed = ReplicaFeed::new(feed(replicas.queries.clone(), REPLICAS_MAX), replicas.label.clone())?;
                Some(Pulling::new(Arc::clone(&shared) as _, feed))
            }
        };
        Ok(Self {
            workloads: Pulling::new(shared, workloads),
            replicas,
            rollouts: config.rollouts.clone().map(|expr| RolloutWatch::new(expr, rule.clone())),
            source,
            rule,
            step,
        })
    }

    /// The time by the server's clock, and when it said so.
    pub(crate) fn server_time(&self) -> Option<(Timestamp, Instant)> {
        self.source.server_time()
    }

    /// Roll-outs of others.
    pub(crate) fn rollouts(&self) -> Option<&RolloutWatch> {
        self.rollouts.as_ref()
    }

    /// Those with models keep their place among series and rows, however many others there are.
    pub(crate) fn prefer(&mut self, watched: &[Subject]) {
        self.source.prefer(Preferred::new(self.rule.clone(), watched.iter().cloned()));
        self.workloads.prefer(watched.iter().cloned());
    }

    /// Goes back to `at` where rows far later than that were looked at: the clock was ahead. A step or two are caught up with.
    /// Whether it did.
    pub(crate) fn go_back(&mut self, at: Timestamp) -> bool {
        let Some(end) = self.workloads.end().filter(|end| *end > at + self.step * AHEAD_STEPS_MAX) else {
            return false;
        };
        tracing::warn!(ahead = %end, at = %at, "rows of the future were looked at, as the clock was ahead; going back");
        self.workloads.begin_anew();
        if let Some(replicas) = &mut self.replicas {
            replicas.begin_anew();
        }
        true
    }

    /// Asks for all that a cycle looks at, what matters most first. It changes nothing, so whoever waits may stop waiting.
    pub(crate) async fn ask(&self, at: Timestamp) -> Pulled {
        let workloads = ask(&self.workloads, at).await;
        let replicas = async {
            match &self.replicas {
                Some(replicas) => Some(ask(replicas, at).await),
                None => None,
            }
        };
        let rollouts = async {
            let watch = self.rollouts.as_ref()?;
            Some(self.source.range(watch.expr(), at, at, self.step).await)
        };
        let (replicas, rollouts) = tokio::join!(replicas, rollouts);
        Pulled { at, workloads, replicas, rollouts }
    }

    /// Takes in what was answered.
    pub(crate) fn take(&mut self, pulled: Pulled) -> (Seen, Pull) {
        let Pulled { at, workloads: (due, pull), replicas, rollouts } = pulled;
        if let (Some(watch), Some(rollouts)) = (&mut self.rollouts, rollouts) {
            watch.take(rollouts, at);
        }
        let partial = pull.partial(self.workloads.queries());
        let owned = |(query, warning): (&str, &str)| (query.to_owned(), warning.to_owned());
        let mut seen = Seen { partial: partial.map(owned).collect(), ..Seen::default() };
        if let Some(taken) = take(&mut self.workloads, &due, &pull) {
            seen.subjects_refused = taken.pushed.subjects_refused;
            seen.windows = taken.windows;
            seen.quality = taken.quality;
            seen.missed = taken.missed;
        }
        if let (Some(pulling), Some((due, pull))) = (&mut self.replicas, replicas) {
            if let Some(taken) = take(pulling, &due, &pull) {
                seen.replicas_refused = taken.pushed.subjects_refused;
                seen.replicas = taken.windows;
            }
            seen.replicas_failed = pull.failed;
        }
        (seen, pull)
    }
}

async fn ask<F: RowFeed>(pulling: &Pulling<F>, at: Timestamp) -> (Due, Pull) {
    let due = pulling.due(at);
    let pull = pulling.pull(&due).await;
    (due, pull)
}

fn take<F: RowFeed>(pulling: &mut Pulling<F>, due: &Due, pull: &Pull) -> Option<Taken<F::Window>> {
    match pulling.take(due, pull) {
        Ok(taken) => {
            for (query, unplaced) in pulling.queries().queries().iter().zip(&taken.pushed.unplaced) {
                if unplaced.series_unmatched > 0 || unplaced.samples_off_grid > 0 {
                    tracing::debug!(query = query.name, ?unplaced, "series or samples without a place");
                }
            }
            Some(taken)
        }
        Err(error) => {
            tracing::error!(%error, "this cycle's data can't be used; this is a bug, please report it");
            None
        }
    }
}

#[cfg(test)]
mod tests;
