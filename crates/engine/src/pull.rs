//! Pulls every query of the config for a range of steps. A query that fails is a missing answer, not a failed cycle.

use std::time::Duration;

use homeostat_core::Timestamp;
use homeostat_ingest::{FetchError, Matrix, PrometheusSource, QuerySet};
use tokio::task::JoinSet;

/// What a pull gave.
pub(crate) struct Pulled {
    /// For each query, in order: its answer, if it got one.
    pub(crate) matrices: Vec<Option<Matrix>>,
    /// Queries that failed, by name, and why.
    pub(crate) failures: Vec<(String, FetchError)>,
}

impl Pulled {
    /// Warnings that came with the answers: the data may be partial.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &str> {
        self.matrices.iter().flatten().flat_map(|matrix| matrix.warnings().iter().map(String::as_str))
    }

    /// Samples in all answers.
    pub(crate) fn n_samples(&self) -> usize {
        self.matrices.iter().flatten().map(Matrix::n_samples).sum()
    }

    /// Series in all answers.
    pub(crate) fn n_series(&self) -> usize {
        self.matrices.iter().flatten().map(|matrix| matrix.series().len()).sum()
    }
}

/// Pulls all queries from `start` to `end`, both on the step and included. How many run at a time is the source's limit.
pub(crate) async fn pull(
    source: &PrometheusSource,
    queries: &QuerySet,
    start: Timestamp,
    end: Timestamp,
    step: Duration,
) -> Pulled {
    let mut tasks = JoinSet::new();
    for (query_idx, query) in queries.queries().iter().enumerate() {
        let (source, expr) = (source.clone(), query.expr.clone());
        tasks.spawn(async move { (query_idx, source.range(&expr, start, end, step).await) });
    }
    let mut pulled = Pulled { matrices: vec![None; queries.n_queries()], failures: Vec::new() };
    while let Some(joined) = tasks.join_next().await {
        // A task that panicked or was cancelled leaves its query unanswered, like any other failure.
        let Ok((query_idx, answer)) = joined else { continue };
        match answer {
            Ok(matrix) => pulled.matrices[query_idx] = Some(matrix),
            Err(error) => pulled.failures.push((queries.queries()[query_idx].name.clone(), error)),
        }
    }
    // The order in which answers came must not show.
    pulled.failures.sort_by(|left, right| left.0.cmp(&right.0));
    pulled
}
