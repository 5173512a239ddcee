//! Text line by line, with a limit on each.

use std::io::{BufRead, Read};

use super::ReadError;

/// A longer line is no sample: a thousand labels or columns of 200 bytes each still fit.
const LINE_BYTES_MAX: usize = 1 << 18;

/// Lines with their numbers.
pub(super) struct Lines<R> {
    text: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(text: R) -> Self {
        Self { text, line: Vec::new(), number: 0 }
    }

    /// The next line without its end; `None` after the last. A last line without an end of line counts, and `is_whole` of
    /// it says so.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        self.line.clear();
        self.number += 1;
        let limit = LINE_BYTES_MAX as u64 + 1;
        let n_bytes = self.text.by_ref().take(limit).read_until(b'\n', &mut self.line).map_err(ReadError::of_io)?;
        if n_bytes > LINE_BYTES_MAX {
            return Err(ReadError::malformed(self.number, format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        if n_bytes == 0 {
            return Ok(None);
        }
        let is_whole = self.line.ends_with(b"\n");
        let text = std::str::from_utf8(&self.line).map_err(|_| ReadError::malformed(self.number, "it is no UTF-8"))?;
        Ok(Some(Line { text: text.trim_end_matches(['\n', '\r']), is_whole, number: self.number }))
    }
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// Whether it ended with an end of line.
    pub(super) is_whole: bool,
    pub(super) number: u64,
}

impl Line<'_> {
    /// What is wrong with it.
    pub(super) fn wrong(&self, why: impl Into<String>) -> ReadError {
        if self.is_whole {
            ReadError::malformed(self.number, why)
        } else {
            ReadError::CutShort { why: format!("within line {}", self.number) }
        }
    }
}
