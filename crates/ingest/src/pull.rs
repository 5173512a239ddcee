//! All queries of a set at once.

use std::time::Duration;

use homeostat_core::Timestamp;
use tokio::task::JoinSet;

use crate::fetch_error::FetchError;
use crate::matrix::Matrix;
use crate::query::QuerySet;
use crate::source::PrometheusSource;

/// What the queries of a set gave. One that failed doesn't take the others with it: its column is holes, never zeros.
///
/// ```
/// use homeostat_ingest::{Matrix, Pull, Query, QuerySet};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let queries = QuerySet::new(vec![cpu])?;
/// let matrix = Matrix::default().with_notes(vec!["a store is down".into()], vec![]);
/// let pull = Pull { matrices: vec![Some(matrix)], failed: vec![] };
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
    /// The number of queries bounds the number of tasks; a set has as many as a window has columns.
    pub async fn pull(&self, queries: &QuerySet, start: Timestamp, end: Timestamp, step: Duration) -> Pull {
        let mut tasks = JoinSet::new();
        for (idx, query) in queries.queries().iter().enumerate() {
            let (source, expr) = (self.clone(), query.expr.clone());
            tasks.spawn(async move { (idx, source.range(&expr, start, end, step).await) });
        }
        let mut found: Vec<Option<Result<Matrix, FetchError>>> = vec![None; queries.n_queries()];
        // A task that panicked leaves its query unanswered, below.
        while let Some(ended) = tasks.join_next().await {
            if let Ok((idx, result)) = ended {
                found[idx] = Some(result);
            }
        }
        let mut pull = Pull::default();
        for (query, result) in queries.queries().iter().zip(found) {
            let gone = || {
                let (server, why) = (self.server().to_owned(), "the request was given up".to_owned());
                Err(FetchError::Unreachable { server, why })
            };
            match result.unwrap_or_else(gone) {
                Ok(matrix) => pull.matrices.push(Some(matrix)),
                Err(error) => {
                    pull.matrices.push(None);
                    pull.failed.push((query.name.clone(), error));
                }
            }
        }
        pull
    }
}
