//! One set of queries asked of one source, step by step: what is due, asking for it, and taking in the answers. Workloads,
//! replicas and every further server are each one of these.
//!
//! It asks again for what wasn't answered: after an outage of the way to Prometheus its rows are there still, and a gap in
//! them would be our own. Reading no clock, it can be driven by any.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{ReplicaWindow, Subject, Timestamp, Window};

use crate::due::Due;
use crate::feed::{Feed, FeedError, Pushed};
use crate::matrix::Matrix;
use crate::pull::{Pull, pull_from};
use crate::quality::DataQuality;
use crate::query::QuerySet;
use crate::replica_feed::ReplicaFeed;
use crate::scrapes::SCRAPES_EXPR;
use crate::source::RangeSource;

/// Rows kept up to date from pulls: of workloads ([`Feed`]) or of single replicas ([`ReplicaFeed`]).
pub trait RowFeed {
    /// What it gives.
    type Window;

    /// The rows.
    fn rows(&self) -> &Feed;

    /// The rows, to be written.
    fn rows_mut(&mut self) -> &mut Feed;

    /// As [`Feed::clear`].
    fn forget(&mut self);

    /// As [`Feed::push`].
    ///
    /// # Errors
    /// As [`Feed::push`].
    fn take(&mut self, matrices: &[Option<Matrix>], start: Timestamp, end: Timestamp) -> Result<Pushed, FeedError>;

    /// As [`Feed::windows_at`].
    ///
    /// # Errors
    /// As [`Feed::windows_at`].
    fn windows(&mut self, at: Timestamp) -> Result<Vec<Self::Window>, FeedError>;
}

impl RowFeed for Feed {
    type Window = Window;

    fn rows(&self) -> &Feed {
        self
    }

    fn rows_mut(&mut self) -> &mut Feed {
        self
    }

    fn forget(&mut self) {
        self.clear();
    }

    fn take(&mut self, matrices: &[Option<Matrix>], start: Timestamp, end: Timestamp) -> Result<Pushed, FeedError> {
        self.push(matrices, start, end)
    }

    fn windows(&mut self, at: Timestamp) -> Result<Vec<Window>, FeedError> {
        self.windows_at(at)
    }
}

impl RowFeed for ReplicaFeed {
    type Window = ReplicaWindow;

    fn rows(&self) -> &Feed {
        self.feed()
    }

    fn rows_mut(&mut self) -> &mut Feed {
        self.feed_mut()
    }

    fn forget(&mut self) {
        self.clear();
    }

    fn take(&mut self, matrices: &[Option<Matrix>], start: Timestamp, end: Timestamp) -> Result<Pushed, FeedError> {
        self.push(matrices, start, end)
    }

    fn windows(&mut self, at: Timestamp) -> Result<Vec<ReplicaWindow>, FeedError> {
        self.windows_at(at)
    }
}

/// Rows that nothing was seen of and that are asked for no more: nobody answered for longer than a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The first of them.
    pub from: Timestamp,
    /// The last of them.
    pub until: Timestamp,
    /// How many.
    pub n_steps: u64,
}

/// What a pull brought.
#[derive(Clone, Debug)]
pub struct Taken<W> {
    /// One window for each subject or replica with data.
    pub windows: Vec<W>,
    /// What an outage took for good, told at its end.
    pub missed: Option<Missed>,
    /// What was done with the answers.
    pub pushed: Pushed,
    /// How good the data is.
    pub quality: DataQuality,
}

/// A source, its queries and the rows that came of them.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use homeostat_core::{Seed, Timestamp};
/// use homeostat_ingest::{Feed, FeedConfig, PrometheusConfig, PrometheusSource, Pulling, Query, QuerySet, SubjectRule};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let (queries, rule, step) = (QuerySet::new(vec![cpu])?, SubjectRule::default(), Duration::from_secs(60));
/// let feed = Feed::new(FeedConfig { queries, rule, step, n_steps: 64, subjects_max: 100 })?;
/// let source = PrometheusSource::new(PrometheusConfig::new("http://127.0.0.1:9090".parse()?, Seed::new(1)))?;
/// let pulling = Pulling::new(Arc::new(source), feed);
/// let due = pulling.due(Timestamp::from_secs(64 * 60));
/// assert_eq!(due.start(), Timestamp::from_secs(60), "at first as many rows as a window holds");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pulling<F> {
    source: Arc<dyn RangeSource>,
    feed: F,
    /// Whether the source was ever seen to say when it scraped.
    knows_scrapes: bool,
    /// The newest row up to which some query was answered.
    answered_until: Option<Timestamp>,
}

impl<F> std::fmt::Debug for Pulling<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulling").field("source", &self.source.name()).finish_non_exhaustive()
    }
}

/// Steps that each pull asks for again: samples that came late fill the gaps they left.
const OVERLAP_STEPS: u32 = 3;

impl<F: RowFeed> Pulling<F> {
    /// Of these rows, whose config has the queries. Asks nothing yet.
    pub fn new(source: Arc<dyn RangeSource>, feed: F) -> Self {
        Self { source, feed, knows_scrapes: false, answered_until: None }
    }

    /// The rows so far.
    pub fn feed(&self) -> &F {
        &self.feed
    }

    /// What is asked.
    pub fn queries(&self) -> &QuerySet {
        &self.feed.rows().config().queries
    }

    /// The newest row; `None` before the first.
    pub fn end(&self) -> Option<Timestamp> {
        self.feed.rows().end()
    }

    /// As [`Feed::prefer`].
    pub fn prefer(&mut self, subjects: impl IntoIterator<Item = Subject>) {
        self.feed.rows_mut().prefer(subjects);
    }

    /// Forgets all rows and asks for a whole window again: where rows were looked at that lie in the future, as a clock was ahead.
    pub fn begin_anew(&mut self) {
        self.feed.forget();
        self.answered_until = None;
    }

    fn step(&self) -> Duration {
        self.feed.rows().config().step
    }

    /// What to ask for the row at `at`, which is on the step: for each query the rows that aren't known, those that weren't
    /// answered, and a few again; never more than a window holds. A moment that lies before the newest row, as after a
    /// clock that was set back, is asked for like any other: what is known stays.
    pub fn due(&self, at: Timestamp) -> Due {
        let rows = self.feed.rows();
        let (step, n_steps) = (self.step(), rows.config().n_steps);
        let oldest = at - step.saturating_mul(u32::try_from(n_steps - 1).unwrap_or(u32::MAX));
        let from = |idx: usize| match rows.end() {
            None => oldest,
            Some(end) => {
                let overlap = end - step * OVERLAP_STEPS;
                let unanswered = rows.unanswered_from(idx).unwrap_or(overlap);
                overlap.min(unanswered).max(oldest).min(at)
            }
        };
        Due { at, from: (0..self.queries().n_queries()).map(from).collect() }
    }

    /// Asks for what is due. It changes nothing, so whoever waits may stop waiting.
    pub async fn pull(&self, due: &Due) -> Pull {
        pull_from(&*self.source, self.queries(), due, self.step(), Some(SCRAPES_EXPR)).await
    }

    /// Takes in what a pull brought. The windows end at the newest row: at `due.at`, or later where the clock was set back.
    ///
    /// # Errors
    /// [`FeedError::Grid`] for a moment that isn't on the step.
    pub fn take(&mut self, due: &Due, pull: &Pull) -> Result<Taken<F::Window>, FeedError> {
        let pushed = self.feed.take(&pull.matrices, due.start(), due.at)?;
        let is_answered = pull.matrices.iter().any(Option::is_some);
        let missed = if is_answered { self.note_answer(due) } else { None };
        let rows = self.feed.rows_mut();
        if let Some(scrapes) = &pull.scrapes {
            if scrapes.n_samples() > 0 {
                rows.push_scrapes(scrapes, due.at);
                self.knows_scrapes = true;
            } else if self.knows_scrapes {
                rows.push_no_scrapes();
            }
        }
        let mut quality = pushed.quality.clone().with_failures(&pull.failed);
        quality.is_scrape_gap = rows.is_scrape_gap();
        let newest = rows.end().map_or(due.at, |end| end.max(due.at));
        Ok(Taken { windows: self.feed.windows(newest)?, missed, pushed, quality })
    }

    /// Notes that there was an answer, and says which rows nobody answered for.
    fn note_answer(&mut self, due: &Due) -> Option<Missed> {
        let step = self.step();
        let next = self.answered_until.map(|until| until + step);
        self.answered_until = self.answered_until.max(Some(due.at));
        let (from, until) = (next?, due.start() - step);
        let n_steps = until.since(from).as_millis() / step.as_millis().max(1) + 1;
        (from <= until).then(|| Missed { from, until, n_steps: u64::try_from(n_steps).unwrap_or(u64::MAX) })
    }
}

#[cfg(test)]
mod tests;
