//! Samples of several queries onto one grid: a [`Window`] for each subject.
//!
//! Nothing is resampled, carried forward or interpolated: a sample lands on the row of exactly its own moment, and a
//! row without a sample is a gap. That keeps a window from knowing anything its moment didn't.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use homeostat_core::{Grid, Subject, Window};
use ndarray::Array2;

use crate::matrix::{Matrix, Series};
use crate::query::{Aggregation, OnMissing, Query, QuerySet};
use crate::subject_rule::SubjectRule;

/// What of one query found no place.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::{Grid, Timestamp};
/// # use homeostat_ingest::{Dropped, Labels, Matrix, Query, QuerySet, Sample, Series, SubjectRule, Unplaced, align};
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let labels = [("namespace", "shop"), ("workload", "cart")].map(|(name, value)| (name.into(), value.into()));
/// let between_two_minutes = Sample { at: Timestamp::from_secs(90), value: 0.5 };
/// let series = [Labels::from(labels), Labels::new()].map(|labels| Series::new(labels, vec![between_two_minutes]).0);
/// let grid = Grid::new(Timestamp::from_secs(60), Duration::from_secs(60), 3)?;
///
/// let matrix = Matrix::new(series.into(), Dropped::default());
/// let aligned = align(&QuerySet::new(vec![cpu])?, &[Some(matrix)], &SubjectRule::default(), &grid);
/// assert_eq!(aligned.unplaced, [Unplaced { query: "cpu".into(), series_unmatched: 1, samples_off_grid: 1, ..Unplaced::default() }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unplaced {
    /// The query's name.
    pub query: String,
    /// Series without the labels that name a subject. Not zero means: the query or the rule is wrong.
    pub series_unmatched: u64,
    /// Series of clusters that aren't looked at.
    pub series_of_other_clusters: u64,
    /// Samples within the grid's time but between its moments. Not zero means: fetched with another step or start.
    pub samples_off_grid: u64,
}

/// What aligning gives.
///
/// ```
/// # use std::time::Duration;
/// # use homeostat_core::{Grid, Timestamp};
/// # use homeostat_ingest::{Aligned, DecodeLimits, Query, QuerySet, SubjectRule, align, decode_matrix};
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"web"},"values":[[60,"0.5"]]},
///     {"metric":{"namespace":"shop","workload":"cart"},"values":[[120,"0.7"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// let grid = Grid::new(Timestamp::from_secs(60), Duration::from_secs(60), 3)?;
/// let Aligned { windows, .. } = align(&QuerySet::new(vec![cpu])?, &[Some(matrix)], &SubjectRule::default(), &grid);
/// let names: Vec<&str> = windows.iter().map(|window| window.subject().name.as_str()).collect();
/// assert_eq!(names, ["cart", "web"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Aligned {
    /// One window for each subject with at least one sample on the grid, sorted by subject, all with one schema.
    pub windows: Vec<Window>,
    /// For each query, in order, what found no place.
    pub unplaced: Vec<Unplaced>,
}

/// Aligns the answers to `queries` on `grid`.
///
/// `matrices[i]` answers `queries[i]`; `None`, or a list too short, means that the query got no answer, so its column
/// is all gaps, whatever its [`OnMissing`] says.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::{Grid, Timestamp};
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, SubjectRule, align, decode_matrix};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"],[120,"NaN"],[180,"0.7"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// let queries = QuerySet::new(vec![Query {
///     name: "cpu".into(),
///     expr: "cpu".into(),
///     signal: homeostat_core::Signal::Cpu,
///     direction: Default::default(),
///     deviation_min: 0.0,
///     aggregation: Default::default(),
///     on_missing: Default::default(),
///     limit: None,
/// }])?;
/// let grid = Grid::new(Timestamp::from_secs(60), Duration::from_secs(60), 3)?;
/// let aligned = align(&queries, &[Some(matrix)], &SubjectRule::default(), &grid);
///
/// let window = &aligned.windows[0]; // (3 steps, 1 feature)
/// assert_eq!(window.values()[[0, 0]], 0.5);
/// assert!(!window.is_present(1, 0), "NaN is a gap");
/// assert_eq!(aligned.unplaced[0].samples_off_grid, 0);
/// # Ok(())
/// # }
/// ```
pub fn align(queries: &QuerySet, matrices: &[Option<Matrix>], rule: &SubjectRule, grid: &Grid) -> Aligned {
    let placed = place(queries, matrices, rule, grid);
    let answered: Vec<bool> = (0..queries.n_queries()).map(|idx| is_whole(matrices, idx)).collect();
    let mut windows = Vec::with_capacity(placed.values.len());
    for (subject, mut values) in placed.values {
        fill_zeros(queries, &mut values, |_, feature_idx| answered[feature_idx]);
        // The array was made for this grid and schema, so it always is a window.
        windows.extend(Window::new(subject, *grid, queries.schema().clone(), values));
    }
    Aligned { windows, unplaced: placed.unplaced }
}

/// Whether query `idx` was answered, with nothing missing: only then absence says something.
pub(crate) fn is_whole(matrices: &[Option<Matrix>], idx: usize) -> bool {
    matrices.get(idx).and_then(Option::as_ref).is_some_and(|matrix| !matrix.is_partial())
}

/// Measurements on the grid, before zeros are filled in.
pub(crate) struct Placed {
    /// `(n_steps, n_features)` for each subject with at least one sample; gaps are NaN.
    pub(crate) values: BTreeMap<Subject, Array2<f64>>,
    pub(crate) unplaced: Vec<Unplaced>,
}

pub(crate) fn place<M: Borrow<Matrix>>(
    queries: &QuerySet,
    matrices: &[Option<M>],
    rule: &SubjectRule,
    grid: &Grid,
) -> Placed {
    let shape = (grid.n_steps(), queries.n_queries());
    let mut placed = Placed { values: BTreeMap::new(), unplaced: Vec::with_capacity(queries.n_queries()) };
    for (feature_idx, query) in queries.queries().iter().enumerate() {
        let mut unplaced = Unplaced { query: query.name.clone(), ..Unplaced::default() };
        let answer = matrices.get(feature_idx).and_then(Option::as_ref).map(Borrow::borrow);
        let series = answer.map(Matrix::series).unwrap_or_default();
        for (subject, group) in by_subject(series, rule, &mut unplaced) {
            let column = aggregated(query, &group, grid, &mut unplaced);
            if column.iter().all(|value| value.is_nan()) {
                continue;
            }
            let values = placed.values.entry(subject).or_insert_with(|| Array2::from_elem(shape, f64::NAN));
            values.column_mut(feature_idx).assign(&ndarray::ArrayView1::from(&column));
        }
        placed.unplaced.push(unplaced);
    }
    placed
}

fn by_subject<'a>(
    series: &'a [Series],
    rule: &SubjectRule,
    unplaced: &mut Unplaced,
) -> BTreeMap<Subject, Vec<&'a Series>> {
    let mut groups: BTreeMap<Subject, Vec<&Series>> = BTreeMap::new();
    for one in series {
        match rule.subject(one.labels()) {
            Some(subject) => groups.entry(subject).or_default().push(one),
            None if rule.is_of_another_cluster(one.labels()) => unplaced.series_of_other_clusters += 1,
            None => unplaced.series_unmatched += 1,
        }
    }
    groups
}

/// One value for each step over the series that have a sample there; NaN where none has. The series come sorted by
/// labels, so a sum is the same whatever order the server sent them in.
fn aggregated(query: &Query, group: &[&Series], grid: &Grid, unplaced: &mut Unplaced) -> Vec<f64> {
    let mut column = vec![f64::NAN; grid.n_steps()];
    let Some((first, others)) = group.split_first() else { return column };
    // A series has one sample a moment at most, so the first one meets nothing.
    unplaced.samples_off_grid += for_each_placed(first, grid, |step_idx, value| column[step_idx] = value);
    if others.is_empty() {
        return column;
    }
    let mut counts: Vec<u32> = column.iter().map(|value| u32::from(!value.is_nan())).collect();
    for series in others {
        unplaced.samples_off_grid += for_each_placed(series, grid, |step_idx, value| {
            let cell = &mut column[step_idx];
            *cell = match (counts[step_idx], query.aggregation) {
                (0, _) => value,
                (_, Aggregation::Max) => cell.max(value),
                (_, Aggregation::Sum | Aggregation::Mean) => *cell + value,
            };
            counts[step_idx] += 1;
        });
    }
    if query.aggregation == Aggregation::Mean {
        for (cell, count) in column.iter_mut().zip(counts).filter(|(_, count)| *count > 1) {
            *cell /= f64::from(count);
        }
    }
    column
}

/// Gives the row and value of each sample on the grid, in order; says how many within its time lie between its moments.
fn for_each_placed(series: &Series, grid: &Grid, mut place: impl FnMut(usize, f64)) -> u64 {
    let mut n_off_grid = 0;
    let step = grid.step();
    // Most samples are one step after the one before, and need no division to find their row.
    let mut next = (grid.start(), 0);
    for sample in series.between(grid.start(), grid.end()) {
        let step_idx = if sample.at == next.0 { Some(next.1) } else { grid.index_of(sample.at) };
        match step_idx {
            Some(step_idx) => {
                place(step_idx, sample.value);
                next = (sample.at + step, step_idx + 1);
            }
            None => n_off_grid += 1,
        }
    }
    n_off_grid
}

/// Fills the gaps that mean zero: see [`OnMissing::Zero`]. `answered(step_idx, feature_idx)` says whether that query
/// was answered whole for that step.
pub(crate) fn fill_zeros(queries: &QuerySet, values: &mut Array2<f64>, answered: impl Fn(usize, usize) -> bool) {
    let zero_columns: Vec<usize> = queries
        .queries()
        .iter()
        .enumerate()
        .filter(|(_, query)| query.on_missing == OnMissing::Zero)
        .map(|(feature_idx, _)| feature_idx)
        .collect();
    if zero_columns.is_empty() {
        return;
    }
    for (step_idx, mut row) in values.rows_mut().into_iter().enumerate() {
        // Measured, before anything is filled: a filled zero is no sign of life.
        if row.iter().all(|value| value.is_nan()) {
            continue;
        }
        for &feature_idx in &zero_columns {
            if row[feature_idx].is_nan() && answered(step_idx, feature_idx) {
                row[feature_idx] = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
