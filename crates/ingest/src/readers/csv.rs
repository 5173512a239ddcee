//! CSV with a header (RFC 4180): see `table` for what the columns mean. A quoted cell may hold commas and quotes, not line ends.

use std::borrow::Cow;
use std::io::BufRead;

use super::ReadError;
use super::lines::{Line, Lines};
use super::sink::SampleSink;
use super::stamp;
use super::table::{Cell, Table};

pub(super) fn read(text: impl BufRead, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let mut lines = Lines::new(text);
    let header = lines.next()?.ok_or(ReadError::Empty)?;
    let names = cells(header.text.trim_start_matches('\u{feff}')).map_err(|why| header.wrong(why))?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    let Some(first) = lines.next()? else { return Err(ReadError::Empty) };
    // What the first row says of its columns holds for all: a text is a label's, a number or nothing a feature's.
    let is_text: Vec<bool> = cells(first.text)
        .map_err(|why| first.wrong(why))?
        .iter()
        .map(|cell| !is_hole(cell) && stamp::number(cell.trim()).is_none())
        .collect();
    let mut table = Table::new(names, &is_text)?;
    read_row(&first, &mut table, sink)?;
    while let Some(line) = lines.next()? {
        if !line.text.trim().is_empty() {
            read_row(&line, &mut table, sink)?;
        }
    }
    Ok(())
}

fn read_row(line: &Line<'_>, table: &mut Table, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let cells = cells(line.text).map_err(|why| line.wrong(why))?;
    if cells.len() != table.n_columns() {
        return Err(line.wrong(format!("{} cells, the header has {}", cells.len(), table.n_columns())));
    }
    let stamp = cells[table.time_idx()].trim();
    let at = stamp::moment(stamp).ok_or_else(|| line.wrong(format!("{stamp:?} is no moment")))?;
    let mut row = Vec::with_capacity(cells.len());
    for (idx, cell) in cells.iter().enumerate() {
        let cell = cell.trim();
        row.push(if is_hole(cell) {
            Cell::Empty
        } else if table.is_number(idx) {
            Cell::Number(stamp::number(cell).ok_or_else(|| line.wrong(format!("{cell:?} is no number")))?)
        } else {
            Cell::Text(cell)
        });
    }
    table.take(line.number, at, &row, sink)
}

/// What programs write for a hole.
fn is_hole(cell: &str) -> bool {
    matches!(cell.trim(), "" | "null" | "NULL" | "NA" | "None")
}

fn cells(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => {
                let n_cell = rest.find(',').unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..n_cell]), &rest[n_cell..])
            }
        };
        cells.push(cell);
        rest = match after.strip_prefix(',') {
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
