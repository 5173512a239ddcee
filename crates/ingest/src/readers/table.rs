//! Tables of both kinds, whatever file they come from. Wide: a time, a column a feature, and columns of labels. Long: a row
//! a sample, with the columns `value` and `__name__` (raw series) or `feature`; all others are labels.

use std::collections::BTreeSet;

use homeostat_core::Timestamp;

use super::ReadError;
use super::labels_text::NAME;
use super::sink::{SampleSink, SeriesIdx, What};
use crate::matrix::{Labels, Sample};

/// What the column of moments may be called, in any case.
const TIME_NAMES: [&str; 5] = ["timestamp", "time", "ts", "date", "datetime"];
/// Names of columns that say what a row is about, not what was measured.
const LABEL_NAMES: [&str; 6] = ["subject", "namespace", "workload", "pod", "job", "instance"];
/// Labels of what really happened are no measurement; only `evaluate` may see them.
const TRUTH_NAME: &str = "label";
/// Columns at most: more is a table that lies on its side.
pub(super) const COLUMNS_MAX: usize = 4096;
/// Texts of label columns remembered at most, each with a series a feature.
const GROUPS_MAX: usize = 10_000;

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Empty,
    Number(f64),
    Text(&'a str),
}

/// What the columns mean.
pub(super) struct Table {
    time_idx: usize,
    kind: Kind,
    names: Vec<String>,
    /// The columns of labels, by position.
    label_idxs: Vec<usize>,
    groups: std::collections::BTreeMap<Vec<String>, Vec<Option<SeriesIdx>>>,
}

enum Kind {
    /// The columns of features, by position.
    Wide(Vec<usize>),
    Long {
        value_idx: usize,
        feature_idx: Option<usize>,
    },
}

/// Whether a line is a table's header: it has a column of moments and another.
pub(super) fn is_header(line: &str) -> bool {
    let delimiter = super::cell::delimiter(line);
    let names: Vec<&str> = line.split(delimiter).map(|name| name.trim().trim_matches('"')).collect();
    names.len() >= 2 && names.iter().any(|name| is_time(name))
}

/// Whether a column is pandas' index: it is written without a name, and read back as `Unnamed: 0`.
fn is_index(name: &str) -> bool {
    name.is_empty() || name.starts_with("Unnamed: ") || name == "__index_level_0__"
}

fn is_time(name: &str) -> bool {
    TIME_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl Table {
    /// Reads a header. `is_text[i]` says that a column is known to hold texts: it is a label then.
    pub(super) fn new(names: Vec<String>, is_text: &[bool]) -> Result<Self, ReadError> {
        let wrong = |why: String| ReadError::malformed(1, why);
        if names.len() > COLUMNS_MAX {
            return Err(ReadError::TooMuch { what: "columns", limit: COLUMNS_MAX });
        }
        let mut known = BTreeSet::new();
        for name in names.iter().filter(|name| !is_index(name)) {
            if !known.insert(name) {
                return Err(wrong(format!("two columns are called {name:?}")));
            }
        }
        let time_idx = names
            .iter()
            .position(|name| is_time(name))
            .ok_or_else(|| wrong(format!("there is no time column; call it one of {}", TIME_NAMES.join(", "))))?;
        let position = |wanted: &str| names.iter().position(|name| name == wanted);
        let feature_idx = position("feature");
        let kind = match position("value") {
            Some(value_idx) if feature_idx.is_some() || position(NAME).is_some() => {
                Kind::Long { value_idx, feature_idx }
            }
            Some(_) | None => Kind::Wide(Vec::new()),
        };
        let mut table = Self { time_idx, kind, names, label_idxs: Vec::new(), groups: Default::default() };
        for idx in 0..table.names.len() {
            let name = &table.names[idx];
            let is_label = LABEL_NAMES.contains(&name.as_str()) || is_text.get(idx).copied().unwrap_or(false);
            match &mut table.kind {
                _ if idx == time_idx || is_index(name) => {}
                Kind::Wide(_) if name == TRUTH_NAME => {}
                Kind::Wide(_) if is_label => table.label_idxs.push(idx),
                Kind::Wide(features) => features.push(idx),
                Kind::Long { value_idx, feature_idx } if idx == *value_idx || Some(idx) == *feature_idx => {}
                Kind::Long { .. } => table.label_idxs.push(idx),
            }
        }
        match &table.kind {
            Kind::Wide(features) if features.is_empty() => Err(wrong("there is no feature column".to_owned())),
            Kind::Wide(_) | Kind::Long { .. } => Ok(table),
        }
    }

    /// A column's name.
    pub(super) fn name(&self, column_idx: usize) -> &str {
        self.names.get(column_idx).map_or("", String::as_str)
    }

    /// Whether a column of a wide table is a label only because it holds texts, not by its name.
    pub(super) fn is_label_by_content(&self, column_idx: usize) -> bool {
        matches!(self.kind, Kind::Wide(_))
            && self.label_idxs.contains(&column_idx)
            && !LABEL_NAMES.contains(&self.name(column_idx))
    }

    /// The columns that only count the rows.
    pub(super) fn index_columns(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| is_index(name))
    }

    /// Columns there are.
    pub(super) fn n_columns(&self) -> usize {
        self.names.len()
    }

    /// Where the moments are.
    pub(super) fn time_idx(&self) -> usize {
        self.time_idx
    }

    /// Whether a column's cells must be numbers.
    pub(super) fn is_number(&self, column_idx: usize) -> bool {
        match &self.kind {
            Kind::Wide(features) => features.binary_search(&column_idx).is_ok(),
            Kind::Long { value_idx, .. } => *value_idx == column_idx,
        }
    }

    /// Takes a row. Cells of labels come as texts, those of numbers as numbers; an empty cell is a gap.
    pub(super) fn take(
        &mut self,
        row: u64,
        at: Timestamp,
        cells: &[Cell<'_>],
        sink: &mut dyn SampleSink,
    ) -> Result<(), ReadError> {
        let text = |idx: usize| match cells.get(idx) {
            Some(Cell::Text(text)) => (*text).to_owned(),
            Some(Cell::Number(_) | Cell::Empty) | None => String::new(),
        };
        let mut key: Vec<String> = self.label_idxs.iter().map(|idx| text(*idx)).collect();
        if let Kind::Long { feature_idx: Some(feature_idx), .. } = &self.kind {
            key.push(text(*feature_idx));
        }
        let series = match self.groups.get(&key) {
            Some(series) => series,
            None => {
                if self.groups.len() >= GROUPS_MAX {
                    self.groups.clear();
                }
                let announced = self.announce(row, &key, sink)?;
                self.groups.entry(key).or_insert(announced)
            }
        };
        let value = |idx: usize| match cells.get(idx) {
            Some(Cell::Number(value)) => *value,
            Some(Cell::Text(_) | Cell::Empty) | None => f64::NAN,
        };
        let single;
        let columns: &[usize] = match &self.kind {
            Kind::Wide(features) => features,
            Kind::Long { value_idx, .. } => {
                single = [*value_idx];
                &single
            }
        };
        for (series, column_idx) in series.iter().zip(columns) {
            if let Some(series) = series {
                sink.sample(*series, Sample { at, value: value(*column_idx) })?;
            }
        }
        Ok(())
    }

    /// The series of a row: one a feature, or one.
    fn announce(
        &self,
        row: u64,
        key: &[String],
        sink: &mut dyn SampleSink,
    ) -> Result<Vec<Option<SeriesIdx>>, ReadError> {
        let named = self.label_idxs.iter().map(|idx| self.names[*idx].clone()).zip(key.iter().cloned());
        let labels: Labels = named.filter(|(_, value)| !value.is_empty()).collect();
        match &self.kind {
            Kind::Wide(features) => {
                features.iter().map(|idx| sink.series(What::Feature(&self.names[*idx]), &labels)).collect()
            }
            Kind::Long { feature_idx: Some(_), .. } => match key.last() {
                Some(feature) if !feature.is_empty() => Ok(vec![sink.series(What::Feature(feature), &labels)?]),
                Some(_) | None => Err(ReadError::malformed(row, "the column feature is empty")),
            },
            Kind::Long { feature_idx: None, .. } => Ok(vec![sink.series(What::Raw, &labels)?]),
        }
    }
}
