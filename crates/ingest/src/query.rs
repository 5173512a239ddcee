//! What is asked of Prometheus, and what the answer means. A query is one feature of every window.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::{Direction, Feature, Schema, Signal};
use serde::{Deserialize, Serialize};

/// How several series of one subject become one value.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::{Grid, Timestamp};
/// # use homeostat_ingest::{Aggregation, DecodeLimits, Query, QuerySet, SubjectRule, align, decode_matrix};
/// # let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// # let grid = Grid::new(Timestamp::from_secs(60), Duration::from_secs(60), 1)?;
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart","pod":"a"},"values":[[60,"0.25"]]},
///     {"metric":{"namespace":"shop","workload":"cart","pod":"b"},"values":[[60,"0.75"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// for (aggregation, value) in [(Aggregation::Max, 0.75), (Aggregation::Sum, 1.0), (Aggregation::Mean, 0.5)] {
///     let queries = QuerySet::new(vec![Query { aggregation, ..cpu.clone() }])?;
///     let aligned = align(&queries, &[Some(matrix.clone())], &SubjectRule::default(), &grid);
///     assert_eq!(aligned.windows[0].last_row()[0], value);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// The largest: for ratios and latencies, where one bad pod must not drown among good ones.
    #[default]
    Max,
    /// The sum: for rates and counts.
    Sum,
    /// The arithmetic mean.
    Mean,
}

/// What it means that a query has no sample for a subject at a step.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::{Grid, Timestamp};
/// # use homeostat_ingest::{DecodeLimits, Matrix, Query, QuerySet, SubjectRule, align, decode_matrix};
/// # let grid = Grid::new(Timestamp::from_secs(60), Duration::from_secs(60), 1)?;
/// # let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
/// #     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"]]}]}}"#;
/// # let measured = decode_matrix(answer, &DecodeLimits::default())?;
/// let queries: Vec<Query> = serde_json::from_str(
///     r#"[{"name":"cpu","expr":"cpu","signal":"cpu"},{"name":"oom","expr":"oom","signal":"oom-kills","on_missing":"zero"}]"#,
/// )?;
/// let windows = |oom| QuerySet::new(queries.clone()).map(|queries| {
///     align(&queries, &[Some(measured.clone()), oom], &SubjectRule::default(), &grid).windows
/// });
/// assert_eq!(windows(Some(Matrix::default()))?[0].row(0).to_vec(), [0.5, 0.0], "answered, and no kill in it");
/// assert!(!windows(None)?[0].is_present(0, 1), "not answered: nothing is known");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMissing {
    /// Nothing is known: a gap.
    #[default]
    #[serde(alias = "hole")]
    Gap,
    /// Nothing happened: zero. Only for counts of events whose series doesn't exist until the first event, such as
    /// OOM kills. It fills a step only if the query was answered whole for that step and the subject has a
    /// measurement of another feature there: a subject that went dark has gaps, not zeros.
    Zero,
}

/// One query, which is one feature of every window.
///
/// ```
/// use homeostat_core::Direction;
/// use homeostat_ingest::{OnMissing, Aggregation, Query};
///
/// let query: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu_ratio","signal":"cpu","direction":"up"}"#)?;
/// assert_eq!((query.expr.as_str(), query.direction), ("cpu_ratio", Direction::Up));
/// assert_eq!((query.aggregation, query.on_missing), (Aggregation::Max, OnMissing::Gap), "where nothing is said");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Query {
    /// Its name: unique, lower-case letters, digits, `-` and `_`. Also the name of its file in an export.
    pub name: String,
    /// PromQL, one series (or a few) for each subject.
    pub expr: String,
    /// What it measures.
    pub signal: Signal,
    /// Which deviations matter.
    #[serde(default)]
    pub direction: Direction,
    /// A deviation smaller than this, in the query's own unit, is never unusual.
    #[serde(default)]
    pub deviation_min: f64,
    /// How several series of one subject become one value.
    #[serde(default, alias = "across")]
    pub aggregation: Aggregation,
    /// What the absence of a sample means.
    #[serde(default, alias = "absent")]
    pub on_missing: OnMissing,
    /// Where it is exhausted, in the query's own unit: 1 for memory as a share of its limit, 0 for bytes left on a disk, whose
    /// `direction` is then down. Incidents say when it will be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// Why a list of queries can't be used; each says what to change in the config.
///
/// ```
/// use homeostat_core::SchemaError;
/// use homeostat_ingest::{Query, QueryError, QuerySet};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let silent = Query { expr: " ".into(), ..cpu.clone() };
/// assert_eq!(QuerySet::new(vec![silent]), Err(QueryError::NoExpr("cpu".into())));
/// let twice = QuerySet::new(vec![cpu.clone(), cpu]);
/// assert_eq!(twice, Err(QueryError::Schema(SchemaError::Duplicate("cpu".into()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// A name that can't be a file name or a label.
    #[error("query name {0:?}: use 1 to 64 lower-case letters, digits, - and _, starting with a letter")]
    Name(String),
    /// No PromQL.
    #[error("query {0:?} has no expr")]
    NoExpr(String),
    /// A limit that isn't a number.
    #[error("query {0:?}: limit must be a finite number; leave it out where there is none")]
    Limit(String),
    /// The features don't fit together.
    #[error(transparent)]
    Schema(#[from] homeostat_core::SchemaError),
}

/// Queries that fit together: names usable and unique, at least one. Their order is the order of a window's columns.
///
/// ```
/// use homeostat_ingest::{Query, QueryError, QuerySet};
///
/// let query = |name: &str| Query {
///     name: name.into(),
///     expr: "sum by (namespace, workload) (rate(http_requests_total[5m]))".into(),
///     signal: homeostat_core::Signal::Traffic,
///     direction: Default::default(),
///     deviation_min: 0.0,
///     aggregation: Default::default(),
///     on_missing: Default::default(),
///     limit: None,
/// };
/// let queries = QuerySet::new(vec![query("requests")])?;
/// assert_eq!(queries.schema().n_features(), queries.n_queries());
/// assert_eq!(QuerySet::new(vec![query("No Name")]), Err(QueryError::Name("No Name".into())));
/// # Ok::<(), QueryError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QuerySet {
    queries: Vec<Query>,
    schema: Arc<Schema>,
}

impl QuerySet {
    /// Checks and wraps queries.
    pub fn new(queries: Vec<Query>) -> Result<Self, QueryError> {
        for query in &queries {
            if !is_name(&query.name) {
                return Err(QueryError::Name(query.name.clone()));
            }
            if query.expr.trim().is_empty() {
                return Err(QueryError::NoExpr(query.name.clone()));
            }
            if query.limit.is_some_and(|limit| !limit.is_finite()) {
                return Err(QueryError::Limit(query.name.clone()));
            }
        }
        let features = queries
            .iter()
            .map(|query| Feature {
                name: query.name.clone(),
                signal: query.signal,
                direction: query.direction,
                deviation_min: query.deviation_min,
            })
            .collect();
        Ok(Self { schema: Arc::new(Schema::new(features)?), queries })
    }

    /// The queries, in column order.
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// The limits of those that have one, by name.
    ///
    /// ```
    /// use homeostat_ingest::{Query, QuerySet};
    ///
    /// let memory: Query = serde_json::from_str(r#"{"name":"memory","expr":"memory_ratio","signal":"memory","limit":1}"#)?;
    /// assert_eq!(QuerySet::new(vec![memory])?.limits().get("memory"), Some(&1.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limits(&self) -> BTreeMap<String, f64> {
        self.queries.iter().filter_map(|query| Some((query.name.clone(), query.limit?))).collect()
    }

    /// Number of queries, which is the number of columns.
    pub fn n_queries(&self) -> usize {
        self.queries.len()
    }

    /// The features that all windows share.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
}

/// 64: it stays a readable column title, metric label and file name everywhere.
const NAME_LEN_MAX: usize = 64;

fn is_name(name: &str) -> bool {
    name.len() <= NAME_LEN_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn query(name: &str, aggregation: Aggregation, on_missing: OnMissing) -> Query {
        Query {
            name: name.into(),
            expr: format!("{}_metric", name.replace('-', "_")),
            signal: Signal::Other,
            direction: Direction::Both,
            deviation_min: 0.0,
            aggregation,
            on_missing,
            limit: None,
        }
    }

    #[test]
    fn names_that_could_leave_a_folder_or_break_a_label_are_refused() {
        for name in ["", "../up", "Up", "a b", "a/b", "1a", "-", "é", &"a".repeat(65)] {
            let queries = vec![query(name, Aggregation::Max, OnMissing::Gap)];
            assert_eq!(QuerySet::new(queries), Err(QueryError::Name(name.into())));
        }
        assert!(QuerySet::new(vec![query("oom-kills_2", Aggregation::Max, OnMissing::Gap)]).is_ok());
    }

    #[test]
    fn no_query_two_of_one_name_and_no_expr_are_refused() {
        let one = query("cpu", Aggregation::Max, OnMissing::Gap);
        assert!(matches!(QuerySet::new(vec![]), Err(QueryError::Schema(_))));
        assert!(matches!(QuerySet::new(vec![one.clone(), one.clone()]), Err(QueryError::Schema(_))));
        let blank = Query { expr: "  ".into(), ..one };
        assert_eq!(QuerySet::new(vec![blank]), Err(QueryError::NoExpr("cpu".into())));
        let endless = Query { limit: Some(f64::INFINITY), ..query("cpu", Aggregation::Max, OnMissing::Gap) };
        assert_eq!(QuerySet::new(vec![endless]), Err(QueryError::Limit("cpu".into())));
    }
}
