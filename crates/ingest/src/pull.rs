//! All queries of a set at once.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use homeostat_core::Timestamp;

use crate::due::Due;
use crate::fetch_error::FetchError;
use crate::matrix::Matrix;
use crate::query::QuerySet;
use crate::scrapes::SCRAPES_EXPR;
use crate::source::{PrometheusSource, RangeSource};

/// What the queries of a set gave. One that failed doesn't take the others with it: its column is gaps, never zeros.
///
/// ```
/// use homeostat_ingest::{Matrix, Pull, Query, QuerySet};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let queries = QuerySet::new(vec![cpu])?;
/// let matrix = Matrix::default().with_notes(vec!["a store is down".into()], vec![]);
/// let pull = Pull { matrices: vec![Some(matrix)], ..Pull::default() };
/// let partial: Vec<(&str, &str)> = pull.partial(&queries).collect();
/// assert_eq!(partial, [("cpu", "a store is down")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pull {
    /// One entry for each query, in order; `None` where it failed. What [`crate::align`] and [`crate::Feed`] take.
    pub matrices: Vec<Option<Matrix>>,
    /// The queries that failed, by name, in order, and why.
    pub failed: Vec<(String, FetchError)>,
    /// When the source scraped last, at each row: see [`crate::Feed::push_scrapes`]. `None` where it wasn't asked or didn't
    /// answer.
    pub scrapes: Option<Matrix>,
}

impl Pull {
    /// The queries whose answers may lack data, by name and with the server's first warning.
    pub fn partial<'a>(&'a self, queries: &'a QuerySet) -> impl Iterator<Item = (&'a str, &'a str)> {
        queries.queries().iter().zip(&self.matrices).filter_map(|(query, matrix)| {
            let warning = matrix.as_ref()?.warnings().first()?;
            Some((query.name.as_str(), warning.as_str()))
        })
    }
}

impl PrometheusSource {
    /// Pulls every query of the set for the same range, as many at once as the source allows.
    ///
    /// The number of queries bounds the number of requests; a set has as many as a window has columns.
    pub async fn pull(&self, queries: &QuerySet, start: Timestamp, end: Timestamp, step: Duration) -> Pull {
        pull_from(self, queries, &Due { at: end, from: vec![start; queries.n_queries()] }, step, None).await
    }

    /// The same, and beside it when the source scraped last at each row ([`Pull::scrapes`]).
    pub async fn pull_with_scrapes(
        &self,
        queries: &QuerySet,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Pull {
        let due = Due { at: end, from: vec![start; queries.n_queries()] };
        pull_from(self, queries, &due, step, Some(SCRAPES_EXPR)).await
    }
}

/// Asks for what is due, all queries at once, and for the scrapes if they have an expression; the source bounds how many
/// requests are under way.
pub(crate) async fn pull_from(
    source: &dyn RangeSource,
    queries: &QuerySet,
    due: &Due,
    step: Duration,
    scrapes: Option<&str>,
) -> Pull {
    let mut asked: Vec<Answer<'_>> = Vec::with_capacity(queries.n_queries() + 1);
    for (idx, query) in queries.queries().iter().enumerate() {
        let from = due.from.get(idx).copied().unwrap_or(due.at).min(due.at);
        asked.push(source.range(&query.expr, from, due.at, step));
    }
    let asks_scrapes = scrapes.is_some();
    asked.extend(scrapes.map(|expr| source.range(expr, due.start().min(due.at), due.at, step)));
    let mut found = all(asked).await;
    let scrapes = if asks_scrapes { found.pop().and_then(Result::ok) } else { None };
    let mut pull = Pull { scrapes, ..Pull::default() };
    for (query, result) in queries.queries().iter().zip(found) {
        match result {
            Ok(matrix) => pull.matrices.push(Some(matrix)),
            Err(error) => {
                pull.matrices.push(None);
                pull.failed.push((query.name.clone(), error));
            }
        }
    }
    pull
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Matrix, FetchError>> + Send + 'a>>;

/// All of them, at once, in their order. A set has few queries, so whoever wakes one may poll all.
pub(crate) async fn all<T>(mut asked: Vec<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> Vec<T> {
    let mut found: Vec<Option<T>> = asked.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (answer, found) in asked.iter_mut().zip(&mut found).filter(|(_, found)| found.is_none()) {
            if let Poll::Ready(result) = answer.as_mut().poll(context) {
                *found = Some(result);
            }
        }
        if found.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    found.into_iter().flatten().collect()
}
