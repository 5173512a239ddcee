//! Expressions over columns: one value a step and series.

use std::collections::BTreeMap;

use super::functions::compensated_sum;
use super::{Aggregation, Expr, Grouping, Leaf, NotEvaluable, Operator, RangeFunction};
use crate::matrix::Labels;
use crate::readers::{NAME, series_text};

/// Values of consecutive steps; NaN is a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    /// The number of the first step since 1970.
    pub(crate) first: i64,
    pub(crate) values: Vec<f64>,
}

impl Column {
    /// The step after the last; `None` while there is none.
    pub(crate) fn end(&self) -> Option<i64> {
        (!self.values.is_empty()).then(|| self.first + i64::try_from(self.values.len()).unwrap_or(i64::MAX))
    }

    /// Puts a value after the last; steps between become gaps.
    pub(crate) fn put(&mut self, step: i64, value: f64) {
        match self.end() {
            None => self.first = step,
            Some(end) => {
                let n_gaps = usize::try_from(step - end).unwrap_or(0);
                self.values.resize(self.values.len() + n_gaps, f64::NAN);
            }
        }
        self.values.push(value);
    }

    /// Forgets the steps after `last`.
    pub(crate) fn cut_after(&mut self, last: i64) {
        let n_kept = usize::try_from(last.saturating_sub(self.first).saturating_add(1)).unwrap_or(0);
        self.values.truncate(n_kept);
    }

    fn get(&self, step: i64) -> f64 {
        let idx = usize::try_from(step - self.first).ok();
        idx.and_then(|idx| self.values.get(idx)).copied().unwrap_or(f64::NAN)
    }
}

/// Columns by labels.
pub(crate) type Columns = BTreeMap<Labels, Column>;

enum Value {
    Columns(Columns),
    Number(f64),
}

/// The value of an expression; `columns[i]` is what leaf `i` gave, in `leaves`' own order.
pub(crate) fn evaluated(expr: &Expr, leaves: &[Leaf], columns: &[Columns]) -> Result<Columns, NotEvaluable> {
    match value(expr, leaves, columns)? {
        Value::Columns(columns) => Ok(columns),
        Value::Number(_) => Err(NotEvaluable("it is a number and reads no series".to_owned())),
    }
}

fn value(expr: &Expr, leaves: &[Leaf], columns: &[Columns]) -> Result<Value, NotEvaluable> {
    match expr {
        Expr::Number(number) => Ok(Value::Number(*number)),
        Expr::Leaf(leaf_idx) => {
            let given = columns.get(*leaf_idx).cloned().unwrap_or_default();
            let keeps_name =
                leaves.get(*leaf_idx).is_none_or(|leaf| leaf.function.is_none_or(RangeFunction::keeps_name));
            Ok(Value::Columns(if keeps_name { given } else { nameless(given)? }))
        }
        Expr::Aggregate { of, by, grouping } => match value(of, leaves, columns)? {
            Value::Columns(given) => Ok(Value::Columns(aggregated(given, *by, grouping))),
            Value::Number(_) => Err(NotEvaluable("a number can't be aggregated".to_owned())),
        },
        Expr::Binary { op, left, right } => {
            let op = *op;
            match (value(left, leaves, columns)?, value(right, leaves, columns)?) {
                (Value::Number(left), Value::Number(right)) => Ok(Value::Number(op.of(left, right))),
                (Value::Columns(left), Value::Number(right)) => mapped(left, |value| op.of(value, right)),
                (Value::Number(left), Value::Columns(right)) => mapped(right, |value| op.of(left, value)),
                (Value::Columns(left), Value::Columns(right)) => matched(left, right, op),
            }
        }
    }
}

impl Operator {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
        }
    }
}

fn mapped(columns: Columns, of: impl Fn(f64) -> f64) -> Result<Value, NotEvaluable> {
    let mut columns = nameless(columns)?;
    for column in columns.values_mut() {
        for value in &mut column.values {
            *value = of(*value);
        }
    }
    Ok(Value::Columns(columns))
}

/// Without the metric's name, which no longer says what it is.
fn nameless(columns: Columns) -> Result<Columns, NotEvaluable> {
    let mut renamed = Columns::new();
    for (mut labels, column) in columns {
        labels.remove(NAME);
        if renamed.insert(labels.clone(), column).is_some() {
            let series = series_text(&labels);
            return Err(NotEvaluable(format!(
                "two series become {series} without their metric's name; select one metric"
            )));
        }
    }
    Ok(renamed)
}

/// Arithmetic of series with equal labels, one to one; what has no partner is left out.
fn matched(left: Columns, right: Columns, op: Operator) -> Result<Value, NotEvaluable> {
    let (left, mut right) = (nameless(left)?, nameless(right)?);
    let mut joined = Columns::new();
    for (labels, column) in left {
        let Some(other) = right.remove(&labels) else { continue };
        let steps = (column.first..).zip(&column.values);
        let values = steps.map(|(step, value)| op.of(*value, other.get(step))).collect();
        joined.insert(labels, Column { first: column.first, values });
    }
    Ok(Value::Columns(joined))
}

fn aggregated(columns: Columns, by: Aggregation, grouping: &Grouping) -> Columns {
    let mut groups: BTreeMap<Labels, Vec<Column>> = BTreeMap::new();
    for (labels, column) in columns {
        groups.entry(group(labels, grouping)).or_default().push(column);
    }
    groups.into_iter().map(|(labels, columns)| (labels, one_of(&columns, by))).collect()
}

fn group(mut labels: Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(kept) => labels.retain(|label, _| kept.contains(label)),
        Grouping::Without(dropped) => labels.retain(|label, _| label != NAME && !dropped.contains(label)),
    }
    labels
}

/// One column of several, in the order of their labels, so that a sum is the same whatever order they came in.
fn one_of(columns: &[Column], by: Aggregation) -> Column {
    let ends = columns.iter().filter_map(|column| Some((column.first, column.end()?)));
    let Some((first, end)) = ends.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))) else {
        return Column::default();
    };
    let mut present: Vec<f64> = Vec::with_capacity(columns.len());
    let mut values = Vec::new();
    for step in first..end {
        present.clear();
        present.extend(columns.iter().map(|column| column.get(step)).filter(|value| !value.is_nan()));
        let sum = || compensated_sum(present.iter().copied());
        values.push(match by {
            _ if present.is_empty() => f64::NAN,
            Aggregation::Sum => sum(),
            Aggregation::Avg => sum() / present.len() as f64,
            Aggregation::Max => present.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Aggregation::Min => present.iter().copied().fold(f64::INFINITY, f64::min),
            Aggregation::Count => present.len() as f64,
        });
    }
    Column { first, values }
}
