//! CSV with a header (RFC 4180), parted by commas, semicolons or tabs: see `table` for what the columns mean. A quoted cell
//! may hold delimiters and quotes, not line ends.
//!
//! What a column holds is told by its first rows, not by the first alone: one text in a column of numbers is a mistake that
//! is named by line and column, not a column that is dropped.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::BufRead;

use super::ReadError;
use super::cell::{self, Measured, Style, is_gap, is_no_label};
use super::lines::{Line, Lines};
use super::sink::SampleSink;
use super::stamp;
use super::table::{Cell, Table};

/// Rows that are looked at to tell numbers from texts.
const ROWS_LOOKED_AT: usize = 64;

/// A row that is kept until its columns are known.
struct Kept {
    number: u64,
    is_whole: bool,
    text: String,
}

pub(super) fn read(text: impl BufRead, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let mut lines = Lines::new(text);
    let header = lines.next()?.ok_or(ReadError::Empty)?;
    let style = Style { delimiter: cell::delimiter(header.text) };
    let names = cells(header.text.trim_start_matches('\u{feff}'), style).map_err(|why| header.wrong(why))?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    let mut first = Vec::with_capacity(ROWS_LOOKED_AT);
    while first.len() < ROWS_LOOKED_AT
        && let Some(line) = lines.next()?
    {
        if !line.text.trim().is_empty() {
            first.push(Kept { number: line.number, is_whole: line.is_whole, text: line.text.to_owned() });
        }
    }
    if first.is_empty() {
        return Err(ReadError::Empty);
    }
    let columns = Columns::of(&first, names.len(), style)?;
    let table = Table::new(names, &columns.is_text)?;
    for (idx, example) in columns.texts.iter().enumerate().filter(|(idx, _)| table.is_label_by_content(*idx)) {
        let Some((line, text)) = example else { continue };
        let name = table.name(idx);
        sink.note(&format!(
            "column {name} holds text (line {line}: {text:?}), so it is taken for a label, not for a measurement"
        ));
    }
    for name in table.index_columns() {
        sink.note(&format!("column {name:?} counts the rows, so it is left out"));
    }
    let mut reader = Rows { table, style, units_told: BTreeSet::new() };
    for row in &first {
        reader.row(&Line { text: &row.text, is_whole: row.is_whole, number: row.number }, sink)?;
    }
    while let Some(line) = lines.next()? {
        if !line.text.trim().is_empty() {
            reader.row(&line, sink)?;
        }
    }
    Ok(())
}

/// What the first rows say of the columns.
struct Columns {
    /// Holds texts and no number.
    is_text: Vec<bool>,
    /// The first text of each, and its line.
    texts: Vec<Option<(u64, String)>>,
}

impl Columns {
    fn of(rows: &[Kept], n_columns: usize, style: Style) -> Result<Self, ReadError> {
        let (mut texts, mut has_number) = (vec![None; n_columns], vec![false; n_columns]);
        for row in rows {
            let line = Line { text: &row.text, is_whole: row.is_whole, number: row.number };
            for (idx, cell) in
                cells(&row.text, style).map_err(|why| line.wrong(why))?.iter().enumerate().take(n_columns)
            {
                if is_gap(cell) {
                    continue;
                }
                if style.number(cell).is_some() {
                    has_number[idx] = true;
                } else if texts[idx].is_none() {
                    texts[idx] = Some((row.number, cell.trim().to_owned()));
                }
            }
        }
        let is_text = texts.iter().zip(&has_number).map(|(text, has_number)| text.is_some() && !has_number).collect();
        Ok(Self { is_text, texts })
    }
}

/// Reads rows into a table.
struct Rows {
    table: Table,
    style: Style,
    /// Columns whose unit was told.
    units_told: BTreeSet<usize>,
}

impl Rows {
    fn row(&mut self, line: &Line<'_>, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
        let cells = cells(line.text, self.style).map_err(|why| line.wrong(why))?;
        if cells.len() != self.table.n_columns() {
            return Err(line.wrong(format!("{} cells, the header has {}", cells.len(), self.table.n_columns())));
        }
        let stamp = cells[self.table.time_idx()].trim();
        let at = stamp::moment(stamp).ok_or_else(|| line.wrong(format!("invalid timestamp {stamp:?}")))?;
        let mut row = Vec::with_capacity(cells.len());
        for (idx, cell) in cells.iter().enumerate() {
            let cell = cell.trim();
            row.push(match self.table.is_number(idx) {
                true if is_gap(cell) => Cell::Empty,
                true => Cell::Number(self.number(line, idx, cell, sink)?),
                false if is_no_label(cell) => Cell::Empty,
                false => Cell::Text(cell),
            });
        }
        self.table.take(line.number, at, &row, sink)
    }

    fn number(&mut self, line: &Line<'_>, idx: usize, cell: &str, sink: &mut dyn SampleSink) -> Result<f64, ReadError> {
        let Some(Measured { value, unit }) = self.style.number(cell) else {
            let name = self.table.name(idx);
            return Err(line.wrong(format!(
                "column {name}: {cell:?} isn't a number; write plain numbers, and leave the cell empty where nothing was \
                 measured"
            )));
        };
        if let Some(unit) = unit
            && self.units_told.insert(idx)
        {
            let name = self.table.name(idx);
            sink.note(&format!(
                "column {name} has units ({unit}); bytes and seconds are taken as such, others as written"
            ));
        }
        Ok(value)
    }
}

fn cells(line: &str, style: Style) -> Result<Vec<Cow<'_, str>>, String> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => {
                let n_cell = rest.find(style.delimiter).unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..n_cell]), &rest[n_cell..])
            }
        };
        cells.push(cell);
        rest = match after.strip_prefix(style.delimiter) {
            Some(after) => after,
            None if after.is_empty() => return Ok(cells),
            None => return Err(format!("{after:?} after a closing quote")),
        };
    }
}

/// A cell after its opening quote; a doubled quote stands for one.
fn quoted_cell(quoted: &str) -> Result<(Cow<'_, str>, &str), String> {
    let mut from = 0;
    while let Some(n_before) = quoted[from..].find('"') {
        let end = from + n_before;
        if !quoted[end + 1..].starts_with('"') {
            let inside = &quoted[..end];
            let cell = if from == 0 { Cow::Borrowed(inside) } else { Cow::Owned(inside.replace("\"\"", "\"")) };
            return Ok((cell, &quoted[end + 1..]));
        }
        from = end + 2;
    }
    Err("a quoted cell has no closing quote on its line".to_owned())
}
