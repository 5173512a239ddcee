//! A table's cells, and how they are written.

use std::fmt::Write as _;

/// A table's cells, to be aligned for a terminal or fenced for Markdown.
pub(crate) type Rows = Vec<Vec<String>>;

pub(crate) fn aligned(rows: &Rows) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..n_columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (idx, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if idx == 0 { "" } else { "  " };
            // Names to the left, numbers to the right.
            let _ = if idx == 0 { write!(line, "{gap}{cell:<width$}") } else { write!(line, "{gap}{cell:>width$}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

pub(crate) fn dash() -> String {
    "-".to_owned()
}

pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:.3}"))
}

pub(crate) fn signed(value: Option<f64>) -> String {
    value.map_or_else(dash, |value| format!("{value:+.3}"))
}
