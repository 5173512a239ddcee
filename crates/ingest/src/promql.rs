//! The part of PromQL that is evaluated here on raw samples, when there is no Prometheus to ask: selectors, functions of a
//! range such as `rate`, aggregation, and arithmetic. Everything else is refused by name, never guessed.
//!
//! It follows Prometheus 3: a range leaves out its left edge, counters never extrapolate below zero, an instant selector
//! looks back five minutes. One thing differs: a sample that is NaN is a gap, since exports can't tell Prometheus's
//! staleness marks from measured NaN, and no window holds either.

mod evaluate;
mod functions;
mod lexer;
mod parse;
mod selector;
mod series;
mod syntax;

pub(crate) use evaluate::{Column, Columns, evaluated};
pub(crate) use functions::RangeFunction;
pub(crate) use parse::parse;
pub(crate) use selector::Selector;
pub(crate) use series::{LeafSeries, WINDOW_SAMPLES_MAX};
pub(crate) use syntax::{Look, looks};

/// Terms of an expression at most. An expression is a tree as deep as its longest chain of operators, and walking or dropping
/// it takes the stack; people write some ten terms, generators some hundred.
pub(crate) const TERMS_MAX: usize = 500;

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    /// What is read from raw samples, by its position among the leaves.
    Leaf(usize),
    /// Series of one group made one.
    Aggregate { of: Box<Expr>, by: Aggregation, grouping: Grouping },
    /// Arithmetic of two sides.
    Binary { op: Operator, left: Box<Expr>, right: Box<Expr> },
    /// A number.
    Number(f64),
}

/// What an expression reads from raw samples.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) selector: Selector,
    /// How far back a value looks, in milliseconds.
    pub(crate) window_ms: i64,
    /// How long ago it is asked for, in milliseconds.
    pub(crate) offset_ms: i64,
    /// `None` is an instant selector: the newest sample.
    pub(crate) function: Option<RangeFunction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Max,
    Min,
    Avg,
    Count,
}

/// Which labels groups keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Why an expression can't be evaluated on raw samples.
///
/// ```
/// use std::{io::Cursor, time::Duration};
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, ReadOptions, ExportEvaluator, SubjectRule, read_samples};
///
/// let query: Query = serde_json::from_str(r#"{"name":"slow","expr":"histogram_quantile(0.9, x)","signal":"latency"}"#)?;
/// let (queries, step) = (QuerySet::new(vec![query])?, Duration::from_secs(60));
/// let mut evaluator = ExportEvaluator::new(&queries, &SubjectRule::default(), step, DecodeLimits::default());
/// read_samples(Cursor::new("x 1 1700000000\n# EOF\n"), &ReadOptions::default(), &mut evaluator)?;
/// let refused = evaluator.finish().map(|_| ()).map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("slow (`histogram_quantile()`")), "it is named, never guessed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotEvaluable(pub(crate) String);

/// What is wrong with a text as PromQL, where that can be told without a server: it can't be parsed, or is too long or too deep.
/// A server may still refuse what passes, for the types of its parts or for functions it doesn't know.
///
/// ```
/// use homeostat_ingest::promql_problem;
///
/// assert_eq!(promql_problem("sum by (job) (rate(requests_total[5m]))"), None);
/// assert_eq!(promql_problem("sum(rate(x[5m])").as_deref(), Some("expected `)`, found the end"));
/// ```
pub fn promql_problem(text: &str) -> Option<String> {
    looks(text).err().map(|why| why.to_string())
}

#[cfg(test)]
mod tests;
