//! What files hold, made into the answers that a config's queries would have got.
//!
//! Feature series are answers already; raw series are evaluated with each query's own PromQL (see `promql` for how much of
//! it). What comes out are matrices, which go the way of every other answer: align, [`Feed`](crate::Feed), windows.
//!
//! Of raw series only those that a query selects are looked at, one value a step is kept of each, and of samples only those
//! within a query's range: memory follows what is asked, not the size of the file.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{Subject, Timestamp};

use crate::decode::DecodeLimits;
use crate::matrix::{Dropped, Labels, Matrix, Sample, Series};
use crate::promql::{Column, Columns, Expr, Leaf, LeafSeries, NotEvaluable, WINDOW_SAMPLES_MAX, evaluated, parse};
use crate::query::QuerySet;
use crate::readers::{ReadError, SampleSink, SeriesIdx, What, follows, series_text};
use crate::sample_distance::other_step;
use crate::subject_column::{SUBJECT_COLUMN, UNNAMED};
use crate::subject_rule::SubjectRule;

/// Why files give no answers. Each says what to change.
///
/// ```
/// use std::{io::Cursor, time::Duration};
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, ReadOptions, ExportEvaluator, ExportEvaluatorError, SubjectRule};
/// use homeostat_ingest::read_samples;
///
/// let queries: Vec<Query> = serde_json::from_str(
///     r#"[{"name":"cpu","expr":"cpu","signal":"cpu"},{"name":"memory","expr":"memory","signal":"memory"}]"#,
/// )?;
/// let (queries, step) = (QuerySet::new(queries)?, Duration::from_secs(60));
/// let mut evaluator = ExportEvaluator::new(&queries, &SubjectRule::default(), step, DecodeLimits::default());
/// read_samples(Cursor::new("time,cpu\n60,0.5\n120,0.7\n"), &ReadOptions::default(), &mut evaluator)?;
/// assert!(matches!(evaluator.finish(), Err(ExportEvaluatorError::Missing { queries }) if queries == ["memory"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ExportEvaluatorError {
    /// Nothing in the files is what the queries ask for.
    #[error(
        "the files hold nothing that a query of the config selects; check `queries`, that these are the right files, and the warnings above, if any"
    )]
    Nothing,
    /// Queries whose answers aren't in files that hold answers.
    #[error("the files hold no answers to {}; give a file or a column of that name for each", queries.join(", "))]
    Missing {
        /// Their names.
        queries: Vec<String>,
    },
    /// Queries that can't be evaluated on raw samples.
    #[error(
        "raw samples can't answer all queries: {}. Ask Prometheus for those (query_range) and give its answers instead",
        why.join("; ")
    )]
    NotEvaluable {
        /// Each query's name, and what of its expression.
        why: Vec<String>,
    },
    /// Samples at another distance than the config's step.
    #[error(
        "query {query}: the samples are {} apart, global.step is {}; export with that step, or change it and train again",
        homeostat_core::format_duration(*found),
        homeostat_core::format_duration(*step)
    )]
    StepMismatch {
        /// The query.
        query: String,
        /// The usual distance of the samples.
        found: Duration,
        /// The config's step.
        step: Duration,
    },
    /// Samples that aren't a multiple of the step apart.
    #[error(
        "query {query}: the sample at {at} isn't a whole number of steps ({}) after the first at {first}: the intervals are mixed; export with one step",
        homeostat_core::format_duration(*step)
    )]
    MixedIntervals {
        /// The query.
        query: String,
        /// The first sample's moment.
        first: Timestamp,
        /// The one that doesn't fit.
        at: Timestamp,
        /// The config's step.
        step: Duration,
    },
}

/// What files hold.
///
/// ```
/// use std::{io::Cursor, time::Duration};
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, ReadOptions, ExportEvaluator, SubjectRule, read_samples};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let (queries, step) = (QuerySet::new(vec![cpu])?, Duration::from_secs(60));
/// let mut evaluator = ExportEvaluator::new(&queries, &SubjectRule::default(), step, DecodeLimits::default());
/// read_samples(Cursor::new("time,cpu,disk\n60,0.5,9\n120,0.7,9\n"), &ReadOptions::default(), &mut evaluator)?;
/// let evaluated = evaluator.finish()?;
/// assert_eq!(evaluated.matrices[0].as_ref().map(|matrix| matrix.n_samples()), Some(2));
/// assert_eq!(evaluated.unknown_features, ["disk"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EvaluatedExport {
    /// One matrix for each query, in order.
    pub matrices: Vec<Option<Matrix>>,
    /// Names of features in the files that no query has, in order: they were left alone.
    pub unknown_features: Vec<String>,
    /// Queries that were evaluated on raw samples and gave nothing.
    pub empty: Vec<String>,
    /// Where there are raw samples: when the newest of them was scraped, at each step. See [`crate::Feed::push_scrapes`].
    pub scrapes: Option<Matrix>,
}

/// A sink that turns samples into answers.
///
/// ```
/// use std::{io::Cursor, time::Duration};
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, ReadOptions, ExportEvaluator, SubjectRule, read_samples};
///
/// let query: Query = serde_json::from_str(r#"{"name":"requests","expr":"rate(requests_total[1m])","signal":"traffic"}"#)?;
/// let (queries, step) = (QuerySet::new(vec![query])?, Duration::from_secs(60));
/// let mut evaluator = ExportEvaluator::new(&queries, &SubjectRule::default(), step, DecodeLimits::default());
/// // Two requests a second, scraped every 15 seconds.
/// let text: String = (0..20).map(|idx| format!("requests_total {} {}\n", idx * 30, 1_699_999_990 + idx * 15)).collect();
/// read_samples(Cursor::new(text + "# EOF\n"), &ReadOptions::default(), &mut evaluator)?;
/// let matrix = evaluator.finish()?.matrices.remove(0).ok_or("no answer")?;
/// let last = matrix.series()[0].samples().last().ok_or("no sample")?;
/// assert!((last.value - 2.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportEvaluator {
    queries: QuerySet,
    rule: SubjectRule,
    step: Duration,
    limits: DecodeLimits,
    exprs: Vec<Result<Expr, NotEvaluable>>,
    leaves: Vec<Leaf>,
    /// Where a series' samples go, by [`SeriesIdx`].
    targets: Vec<Target>,
    known: BTreeMap<(Option<usize>, Labels), Option<SeriesIdx>>,
    unknown_features: Vec<String>,
    has_raw: bool,
    /// The newest raw sample, selected or not asked for: the end of the export.
    raw_end: Option<Timestamp>,
    /// When anything was scraped.
    scraped: Scraped,
    n_samples: usize,
    n_cells: usize,
}

#[derive(Debug)]
struct Target {
    last: Option<Sample>,
    goes_to: GoesTo,
}

#[derive(Debug)]
enum GoesTo {
    /// Raw: a state for each leaf that selects the series.
    Leaves(Vec<(usize, LeafSeries)>),
    /// An answer to a query.
    Answer { query_idx: usize, labels: Labels, samples: Vec<Sample> },
}

/// Names of features that are remembered as unknown at most, to be told.
const UNKNOWN_MAX: usize = 100;

impl ExportEvaluator {
    /// An evaluator of what these queries ask for, a value a step; it has read nothing yet.
    pub fn new(queries: &QuerySet, rule: &SubjectRule, step: Duration, limits: DecodeLimits) -> Self {
        let mut leaves = Vec::new();
        let exprs = queries
            .queries()
            .iter()
            .map(|query| {
                let n_leaves = leaves.len();
                let parsed = parse(&query.expr, &mut leaves);
                if parsed.is_err() {
                    leaves.truncate(n_leaves);
                }
                parsed
            })
            .collect();
        Self {
            queries: queries.clone(),
            rule: rule.clone(),
            step: step.max(Duration::from_millis(1)),
            limits,
            exprs,
            leaves,
            targets: Vec::new(),
            known: BTreeMap::new(),
            unknown_features: Vec::new(),
            has_raw: false,
            raw_end: None,
            scraped: Scraped::default(),
            n_samples: 0,
            n_cells: 0,
        }
    }

    fn step_ms(&self) -> i64 {
        i64::try_from(self.step.as_millis()).unwrap_or(i64::MAX)
    }

    fn add(&mut self, key: (Option<usize>, Labels), goes_to: GoesTo) -> Result<Option<SeriesIdx>, ReadError> {
        if self.targets.len() >= self.limits.series_max {
            return Err(ReadError::TooMuch { what: "series that queries select", limit: self.limits.series_max });
        }
        let idx = SeriesIdx(self.targets.len());
        self.targets.push(Target { last: None, goes_to });
        self.known.insert(key, Some(idx));
        Ok(Some(idx))
    }

    fn raw_series(&mut self, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        self.has_raw = true;
        let key = (None, labels.clone());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let selected: Vec<(usize, LeafSeries)> = self
            .leaves
            .iter()
            .enumerate()
            .filter(|(_, leaf)| leaf.selector.matches(labels))
            .map(|(leaf_idx, _)| (leaf_idx, LeafSeries::new(labels.clone())))
            .collect();
        // What nobody selects isn't remembered: a dump of everything may hold millions of those.
        if selected.is_empty() { Ok(None) } else { self.add(key, GoesTo::Leaves(selected)) }
    }

    fn feature_series(&mut self, feature: &str, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        let Some(query_idx) = self.queries.schema().position(feature) else {
            if self.unknown_features.len() < UNKNOWN_MAX && !self.unknown_features.iter().any(|name| name == feature) {
                self.unknown_features.push(feature.to_owned());
            }
            return Ok(None);
        };
        let key = (Some(query_idx), labels.clone());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let named = with_subject(labels.clone(), &self.rule)?;
        self.add(key, GoesTo::Answer { query_idx, labels: named, samples: Vec::new() })
    }

    /// The answers. All queries or an error: a model of some of its features would be worse than none.
    pub fn finish(self) -> Result<EvaluatedExport, ExportEvaluatorError> {
        let (step, step_ms) = (self.step, self.step_ms());
        let last = self.raw_end.map(|end| end.as_millis().div_euclid(step_ms));
        let mut columns: Vec<Columns> = vec![Columns::new(); self.leaves.len()];
        let mut answers: Vec<Vec<(Labels, Vec<Sample>)>> = vec![Vec::new(); self.queries.n_queries()];
        for target in self.targets {
            match target.goes_to {
                GoesTo::Leaves(states) => {
                    for (leaf_idx, state) in states {
                        let (labels, column) = state.finish(&self.leaves[leaf_idx], step_ms, last.unwrap_or(i64::MIN));
                        columns[leaf_idx].insert(labels, column);
                    }
                }
                GoesTo::Answer { query_idx, labels, samples } => answers[query_idx].push((labels, samples)),
            }
        }
        let scrapes = self.has_raw.then(|| self.scraped.answer(step_ms));
        let mut export =
            EvaluatedExport { unknown_features: self.unknown_features, scrapes, ..EvaluatedExport::default() };
        let (mut missing, mut refused) = (Vec::new(), Vec::new());
        for ((query, expr), answer) in self.queries.queries().iter().zip(&self.exprs).zip(answers) {
            let matrix = if !answer.is_empty() {
                Some(on_grid(&query.name, answer, step, &self.rule)?)
            } else if self.has_raw {
                match expr.clone().and_then(|expr| evaluated(&expr, &self.leaves, &columns)) {
                    Ok(columns) => Some(matrix(columns, step_ms)),
                    Err(why) => {
                        refused.push(format!("{} ({why})", query.name));
                        None
                    }
                }
            } else {
                missing.push(query.name.clone());
                None
            };
            if matrix.as_ref().is_some_and(|matrix| matrix.n_samples() == 0) {
                export.empty.push(query.name.clone());
            }
            export.matrices.push(matrix);
        }
        if !refused.is_empty() {
            return Err(ExportEvaluatorError::NotEvaluable { why: refused });
        }
        if missing.len() == self.queries.n_queries() || export.empty.len() == self.queries.n_queries() {
            return Err(ExportEvaluatorError::Nothing);
        }
        if missing.is_empty() { Ok(export) } else { Err(ExportEvaluatorError::Missing { queries: missing }) }
    }
}

impl SampleSink for ExportEvaluator {
    fn series(&mut self, what: What<'_>, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        match what {
            What::Raw => self.raw_series(labels),
            What::Feature(feature) => self.feature_series(feature, labels),
        }
    }

    fn sample(&mut self, series: SeriesIdx, sample: Sample) -> Result<(), ReadError> {
        let step_ms = self.step_ms();
        let Some(target) = self.targets.get_mut(series.0) else { return Ok(()) };
        let queries = self.queries.queries();
        let name = || match &target.goes_to {
            GoesTo::Leaves(states) => states.first().map(|(_, state)| series_text(&state.labels)).unwrap_or_default(),
            GoesTo::Answer { query_idx, labels, .. } => {
                let query = queries.get(*query_idx).map_or("", |query| query.name.as_str());
                format!("{query} of {}", series_text(labels))
            }
        };
        if !follows(target.last, sample, name)? {
            return Ok(());
        }
        target.last = Some(sample);
        match &mut target.goes_to {
            GoesTo::Leaves(states) => {
                self.raw_end = self.raw_end.max(Some(sample.at));
                self.scraped.note(step_ms, sample.at);
                for (leaf_idx, state) in states {
                    let n_before = state.n_cells();
                    if !state.push(&self.leaves[*leaf_idx], step_ms, sample) {
                        return Err(ReadError::TooMuch { what: "samples within one range", limit: WINDOW_SAMPLES_MAX });
                    }
                    self.n_cells += state.n_cells() - n_before;
                }
            }
            GoesTo::Answer { samples, .. } if sample.value.is_finite() => {
                samples.push(sample);
                self.n_samples += 1;
            }
            GoesTo::Answer { .. } => {}
        }
        if self.n_samples.max(self.n_cells) > self.limits.samples_max {
            return Err(ReadError::TooMuch { what: "samples that queries select", limit: self.limits.samples_max });
        }
        Ok(())
    }
}

/// The newest sample within each step, over all series: what `max(timestamp(up))` would have said.
#[derive(Debug, Default)]
struct Scraped {
    /// The number of the first step since 1970, and of each step from there on the newest moment in it.
    first: i64,
    newest_ms: Vec<i64>,
}

/// How far back a step without a sample of its own looks, as Prometheus does.
const LOOKBACK_MS: i64 = 300_000;

impl Scraped {
    fn note(&mut self, step_ms: i64, at: Timestamp) {
        // A sample counts for the step at or after it.
        let step = at.as_millis().saturating_add(step_ms - 1).div_euclid(step_ms);
        if self.newest_ms.is_empty() {
            self.first = step;
        }
        if step < self.first {
            let n_more = usize::try_from(self.first - step).unwrap_or(0).min(STEPS_MAX);
            self.newest_ms.splice(0..0, std::iter::repeat_n(i64::MIN, n_more));
            self.first = step;
        }
        let idx = usize::try_from(step - self.first).unwrap_or(usize::MAX);
        if idx >= STEPS_MAX {
            return;
        }
        if idx >= self.newest_ms.len() {
            self.newest_ms.resize(idx + 1, i64::MIN);
        }
        let newest = &mut self.newest_ms[idx];
        *newest = (*newest).max(at.as_millis());
    }

    fn answer(&self, step_ms: i64) -> Matrix {
        let mut newest = i64::MIN;
        let mut samples = Vec::with_capacity(self.newest_ms.len());
        for (step, within) in (self.first..).zip(&self.newest_ms) {
            newest = newest.max(*within);
            let at_ms = step.saturating_mul(step_ms);
            if at_ms.saturating_sub(newest) <= LOOKBACK_MS {
                samples.push(Sample { at: Timestamp::from_millis(at_ms), value: newest as f64 / 1000.0 });
            }
        }
        Matrix::new(vec![Series::new(Labels::new(), samples).0], Dropped::default())
    }
}

/// Steps of which it is remembered when they were scraped: 16 MB. An export that is longer is refused elsewhere.
const STEPS_MAX: usize = 2_000_000;

/// Labels that name a subject by the config's rule, where the row names it in another way or not at all.
fn with_subject(mut labels: Labels, rule: &SubjectRule) -> Result<Labels, ReadError> {
    if rule.subject(&labels).is_some() {
        return Ok(labels);
    }
    let subject = match labels.remove(SUBJECT_COLUMN) {
        None if labels.is_empty() => {
            Subject { namespace: UNNAMED.0.to_owned(), kind: rule.kind, name: UNNAMED.1.to_owned() }
        }
        // The query's labels and the rule don't fit; aligning counts such series and says so.
        None => return Ok(labels),
        Some(text) => named_subject(&text, rule)?,
    };
    labels.insert(rule.namespace_label.clone(), subject.namespace);
    labels.insert(rule.name_label.clone(), subject.name);
    Ok(labels)
}

fn named_subject(text: &str, rule: &SubjectRule) -> Result<Subject, ReadError> {
    let subject: Subject = if text.contains('/') {
        text.parse().map_err(|error| ReadError::Unsupported(format!("column {SUBJECT_COLUMN}: {error}")))?
    } else {
        let namespace = rule.namespace_fixed.clone().unwrap_or_else(|| UNNAMED.0.to_owned());
        Subject { namespace, kind: rule.kind, name: text.to_owned() }
    };
    if subject.kind != rule.kind || rule.namespace_fixed.as_ref().is_some_and(|fixed| *fixed != subject.namespace) {
        let why = format!("column {SUBJECT_COLUMN}: {subject} isn't what `subjects` of the config names");
        return Err(ReadError::Unsupported(why));
    }
    Ok(subject)
}

/// Samples of an answer on the grid. They may all lie at the same distance after their steps, as in a table written at seven
/// seconds past each minute; then each counts for its step.
fn on_grid(
    query: &str,
    answer: Vec<(Labels, Vec<Sample>)>,
    step: Duration,
    rule: &SubjectRule,
) -> Result<Matrix, ExportEvaluatorError> {
    // A mean of several steps' rows isn't any one of them: neither step can stand in for the other.
    // Rows that name no subject may be every other one's; that they name none is what is to be said of them.
    let named = answer.iter().filter(|(labels, _)| rule.subject(labels).is_some());
    if let Some(found) = other_step(named.map(|(_, samples)| samples.as_slice()), step) {
        return Err(ExportEvaluatorError::StepMismatch { query: query.to_owned(), found, step });
    }
    let first = answer.iter().find_map(|(_, samples)| samples.first()).map(|sample| sample.at);
    let phase = first.map(|first| first.since(first.align_down(step)));
    let mut all = Vec::with_capacity(answer.len());
    for (labels, mut samples) in answer {
        for sample in &mut samples {
            let aligned = sample.at.align_down(step);
            if Some(sample.at.since(aligned)) != phase {
                let (first, at) = (first.unwrap_or(sample.at), sample.at);
                return Err(ExportEvaluatorError::MixedIntervals { query: query.to_owned(), first, at, step });
            }
            sample.at = aligned;
        }
        all.push(Series::new(labels, samples).0);
    }
    Ok(Matrix::new(all, Dropped::default()))
}

fn matrix(columns: Columns, step_ms: i64) -> Matrix {
    let series = columns.into_iter().map(|(labels, Column { first, values })| {
        let samples = (first..).zip(values).filter(|(_, value)| value.is_finite());
        let samples = samples.map(|(step, value)| {
            let at = Timestamp::from_millis(step.saturating_mul(step_ms));
            Sample { at, value }
        });
        Series::new(labels, samples.collect()).0
    });
    Matrix::new(series.collect(), Dropped::default())
}

#[cfg(test)]
mod tests;
