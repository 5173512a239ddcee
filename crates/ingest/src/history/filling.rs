//! Fills a history from a source, page by page: each page is small enough to be held, however many workloads there are.
//!
//! Pages are cut by time, not by workload: PromQL has no way to ask for some of an expression's results that holds for every
//! expression, and asking for all of them once costs the server no more than a dashboard does.

use std::sync::{Arc, Mutex, PoisonError};

use homeostat_core::Timestamp;
use tokio::sync::Semaphore;

use super::{History, HistoryError};
use crate::fetch_error::FetchError;
use crate::matrix::Matrix;
use crate::pages::RangePages;
use crate::pull::all;
use crate::scrapes::SCRAPES_EXPR;
use crate::source::RangeSource;

/// How much is under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillLimits {
    /// Bytes of a page that are aimed at. Answers are held as text and as samples for a moment, some 1.7 times as much.
    pub page_bytes: usize,
    /// Pages at once.
    pub pages_at_once: usize,
}

impl Default for FillLimits {
    /// Two pages of 16 MiB.
    fn default() -> Self {
        Self { page_bytes: 16 << 20, pages_at_once: 2 }
    }
}

/// Why a history wasn't filled.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// A query failed.
    #[error("query {query}: {error}")]
    Fetch {
        /// The query's name.
        query: String,
        /// Why.
        error: FetchError,
    },
    /// The server says that an answer lacks data.
    #[error("query {query}: the server warns that its answer is partial: {warning}")]
    Partial {
        /// The query's name.
        query: String,
        /// The server's own words.
        warning: String,
    },
    /// The history can't be kept.
    #[error(transparent)]
    History(#[from] HistoryError),
}

impl History {
    /// Asks `source` for the whole range, all queries, and gives the filled history. `progress` is told how many of how many
    /// rows of all queries are there. All of it or an error: a model of some of its features would be worse than none.
    ///
    /// # Errors
    /// [`FillError`]: of what fails for several queries, the first.
    pub async fn filled(
        self,
        source: &dyn RangeSource,
        limits: FillLimits,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, FillError> {
        let grid = *self.grid();
        let queries = self.queries.clone();
        let history = Arc::new(Mutex::new(self));
        let slots = Semaphore::new(limits.pages_at_once.max(1));
        let scrapes = source.range(SCRAPES_EXPR, grid.start(), grid.end(), grid.step());
        let asked = queries.queries().iter().enumerate().map(|(query_idx, query)| {
            let filling =
                Filling { source, history: Arc::clone(&history), slots: &slots, limits, query_idx, name: &query.name };
            let expr = query.expr.as_str();
            Box::pin(async move { filling.run(expr, progress).await })
                as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        let filled = all(asked.collect()).await;
        // Without it gaps are seen only where all values are missing; that stops no training.
        if let Ok(scrapes) = scrapes.await {
            history.lock().unwrap_or_else(PoisonError::into_inner).put_scrapes(&scrapes);
        }
        // What somebody must mend outweighs what passes.
        let mut failed: Vec<FillError> = filled.into_iter().filter_map(Result::err).collect();
        failed.sort_by_key(FillError::is_passing);
        if let Some(error) = failed.into_iter().next() {
            return Err(error);
        }
        let mutex = Arc::into_inner(history).ok_or_else(|| FillError::Fetch {
            query: String::new(),
            error: FetchError::Unreachable { server: source.name().to_owned(), why: "given up".to_owned() },
        })?;
        Ok(mutex.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FillError {
    /// Whether it may pass without anyone changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Fetch { error, .. } => error.is_passing(),
            Self::Partial { .. } => true,
            Self::History(_) => false,
        }
    }
}

/// One query, page after page.
struct Filling<'a> {
    source: &'a dyn RangeSource,
    history: Arc<Mutex<History>>,
    slots: &'a Semaphore,
    limits: FillLimits,
    query_idx: usize,
    name: &'a str,
}

impl Filling<'_> {
    async fn run(&self, expr: &str, progress: &(dyn Fn(usize) + Sync)) -> Result<(), FillError> {
        let grid = *self.history.lock().unwrap_or_else(PoisonError::into_inner).grid();
        let mut pages = RangePages::new(grid, self.limits.page_bytes);
        loop {
            // A page holds memory until it is put away.
            let _slot = self.slots.acquire().await;
            let next = pages.next(self.source, expr).await;
            let Some((start, page)) = next.map_err(|error| FillError::Fetch { query: self.name.to_owned(), error })?
            else {
                return Ok(());
            };
            if let Some(warning) = page.warnings().first() {
                return Err(FillError::Partial { query: self.name.to_owned(), warning: warning.clone() });
            }
            let end = pages.end_of_last();
            self.put(page, start, end).await?;
            progress(pages.n_rows_of_last());
        }
    }

    /// Writing thousands of rows holds a thread up.
    async fn put(&self, page: Matrix, start: Timestamp, end: Timestamp) -> Result<(), FillError> {
        let (history, query_idx) = (Arc::clone(&self.history), self.query_idx);
        let put = tokio::task::spawn_blocking(move || {
            history.lock().unwrap_or_else(PoisonError::into_inner).put(query_idx, &page, start, end)
        });
        match put.await {
            Ok(put) => Ok(put?),
            Err(error) => Err(FillError::Fetch {
                query: self.name.to_owned(),
                error: FetchError::Unreachable { server: self.source.name().to_owned(), why: error.to_string() },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::Duration;

    use homeostat_core::Grid;

    use super::*;
    use crate::matrix::{Dropped, Sample, Series};
    use crate::pages::SAMPLE_BYTES;
    use crate::query::tests::query;
    use crate::query::{Aggregation, OnMissing, QuerySet};
    use crate::subject_rule::SubjectRule;

    /// Workloads with a value each minute, and a server that refuses more samples at once than it likes.
    struct Fake {
        n_workloads: usize,
        samples_max: usize,
        warning: Option<&'static str>,
        asked: Mutex<Vec<usize>>,
    }

    impl Fake {
        fn of(n_workloads: usize, samples_max: usize) -> Self {
            Self { n_workloads, samples_max, warning: None, asked: Mutex::default() }
        }
    }

    impl RangeSource for Fake {
        fn name(&self) -> &str {
            "fake"
        }

        fn range<'a>(
            &'a self,
            expr: &'a str,
            start: Timestamp,
            end: Timestamp,
            step: Duration,
        ) -> Pin<Box<dyn Future<Output = Result<Matrix, FetchError>> + Send + 'a>> {
            let n_rows = (end.since(start).as_secs() / step.as_secs()) as usize + 1;
            let found = if expr == SCRAPES_EXPR {
                Ok(Matrix::default())
            } else if n_rows * self.n_workloads > self.samples_max {
                Err(FetchError::TooMuch { expr: expr.to_owned(), why: "would load too many samples".into() })
            } else {
                self.asked.lock().expect("a lock").push(n_rows);
                let series = (0..self.n_workloads).map(|idx| {
                    let labels = [("namespace", "shop".to_owned()), ("workload", format!("w{idx}"))];
                    let samples = (0..n_rows as u32).map(|row| Sample { at: start + step * row, value: idx as f64 });
                    Series::new(labels.map(|(name, value)| (name.to_owned(), value)).into(), samples.collect()).0
                });
                let warnings = self.warning.iter().map(|warning| (*warning).to_owned()).collect();
                Ok(Matrix::new(series.collect(), Dropped::default()).with_notes(warnings, vec![]))
            };
            Box::pin(std::future::ready(found))
        }
    }

    fn empty(dir: &std::path::Path) -> History {
        let queries = QuerySet::new(vec![
            query("a", Aggregation::Max, OnMissing::Gap),
            query("b", Aggregation::Max, OnMissing::Gap),
        ])
        .expect("queries");
        let grid = Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), 500).expect("a grid");
        History::new(queries, SubjectRule::default(), grid, 1_000, dir).expect("a history")
    }

    async fn filled(fake: &Fake, page_bytes: usize) -> Result<History, FillError> {
        let dir = tempfile::tempdir().expect("a directory");
        let limits = FillLimits { page_bytes, pages_at_once: 2 };
        empty(dir.path()).filled(fake, limits, &|_| {}).await
    }

    #[tokio::test]
    async fn pages_are_as_long_as_their_bytes_allow_and_every_row_is_asked_once() {
        let fake = Fake::of(50, usize::MAX);
        let history = filled(&fake, 50 * 100 * SAMPLE_BYTES).await.expect("filled");
        let asked = fake.asked.lock().expect("a lock");
        assert!(asked.iter().all(|n_rows| *n_rows <= 100), "{asked:?}");
        assert_eq!(asked.iter().sum::<usize>(), 2 * 500);
        assert_eq!(history.subjects().len(), 50);
        for idx in 0..50 {
            let window = history.window(idx).expect("readable").expect("a window");
            assert_eq!(window.n_present(), 1_000);
        }
    }

    #[tokio::test]
    async fn a_server_that_refuses_so_much_at_once_is_asked_for_less() {
        let fake = Fake::of(10, 70);
        let history = filled(&fake, 1 << 20).await.expect("filled");
        assert_eq!(history.totals()[1].n_samples, 5_000);
        let refused = filled(&Fake::of(10, 5), 1 << 20).await.expect_err("not even one row");
        assert!(matches!(refused, FillError::Fetch { ref query, .. } if query == "a"), "{refused}");
    }

    #[tokio::test]
    async fn a_partial_answer_is_no_history_and_an_annotation_is() {
        let with = |warning| Fake { warning: Some(warning), ..Fake::of(3, usize::MAX) };
        let partial = filled(&with("a store is down"), 1 << 20).await.expect_err("partial");
        assert!(partial.is_passing() && partial.to_string().contains("a store is down"));
        let annotated = filled(&with("PromQL info: metric might not be a counter"), 1 << 20).await.expect("whole");
        assert_eq!(annotated.totals()[0].notes.len(), 1, "told once, not once a page");
    }
}
