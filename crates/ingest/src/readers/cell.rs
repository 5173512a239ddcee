//! What a cell of a table says: a number as programs write it, one with a decimal comma or a unit, a gap, or a text.

use super::stamp;

/// How the cells of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// What stands between two cells.
    pub(super) delimiter: char,
}

/// The delimiter of a header: the one of `,`, `;` and tab that it has most of, outside quotes.
pub(super) fn delimiter(header: &str) -> char {
    let mut counts = [(',', 0_usize), (';', 0), ('\t', 0)];
    let mut in_quotes = false;
    for found in header.chars() {
        match found {
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            _ => counts.iter_mut().filter(|(known, _)| *known == found).for_each(|(_, n)| *n += 1),
        }
    }
    // Of equally many the comma, which stands first.
    counts.into_iter().rev().max_by_key(|(_, n)| *n).map_or(',', |(delimiter, _)| delimiter)
}

/// What programs write for a label that isn't there. A dash may be a label's value.
pub(super) fn is_no_label(cell: &str) -> bool {
    matches!(cell.trim(), "" | "null" | "NULL" | "NA" | "None")
}

/// What programs write where nothing was measured.
pub(super) fn is_gap(cell: &str) -> bool {
    matches!(
        cell.trim(),
        "" | "null"
            | "NULL"
            | "NA"
            | "N/A"
            | "n/a"
            | "#N/A"
            | "<NA>"
            | "None"
            | "none"
            | "nil"
            | "undefined"
            | "-"
            | "NaT"
    )
}

/// A number and its unit, if it has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured<'a> {
    /// In the unit's own base: bytes, seconds.
    pub(super) value: f64,
    /// As it is written.
    pub(super) unit: Option<&'a str>,
}

/// Units and what they are in bytes, in seconds, or in themselves.
const UNITS: [(&str, f64); 26] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("bytes", 1.0),
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("min", 60.0),
    ("mins", 60.0),
    ("h", 3_600.0),
    ("hour", 3_600.0),
    ("hours", 3_600.0),
    ("%", 1.0),
    ("req/s", 1.0),
    ("reqps", 1.0),
    ("ops/s", 1.0),
];

impl Style {
    /// A cell as a number; `None` for a text.
    pub(super) fn number(self, cell: &str) -> Option<Measured<'_>> {
        let cell = cell.trim();
        if let Some(value) = self.plain(cell) {
            return Some(Measured { value, unit: None });
        }
        let n_number = cell.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',')))?;
        let (digits, unit) = (&cell[..n_number], cell[n_number..].trim());
        let (_, factor) = UNITS.iter().find(|(known, _)| *known == unit)?;
        Some(Measured { value: self.plain(digits)? * factor, unit: Some(unit) })
    }

    /// Where commas don't part cells, one may be a decimal comma.
    fn plain(self, text: &str) -> Option<f64> {
        if let Some(value) = stamp::number(text) {
            return Some(value);
        }
        if self.delimiter == ',' || text.contains('.') || text.matches(',').count() != 1 {
            return None;
        }
        stamp::number(&text.replace(',', "."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_what_the_header_has_most_of() {
        for (header, wanted) in [
            ("time,cpu,mem", ','),
            ("time;cpu;mem", ';'),
            ("time\tcpu\tmem", '\t'),
            ("time;\"cpu, in cores\";\"a, b, c\"", ';'),
            ("time", ','),
        ] {
            assert_eq!(delimiter(header), wanted, "{header}");
        }
    }

    #[test]
    fn numbers_are_read_as_people_write_them_and_texts_are_texts() {
        let (comma, semicolon) = (Style { delimiter: ',' }, Style { delimiter: ';' });
        let value = |style: Style, cell| style.number(cell).map(|found| found.value);
        assert_eq!(value(comma, "12.5 MiB"), Some(13_107_200.0));
        assert_eq!(value(comma, "250ms"), Some(0.25));
        assert_eq!(value(comma, "7 %"), Some(7.0));
        assert_eq!(value(semicolon, "1,5"), Some(1.5));
        assert_eq!(value(semicolon, "1,5 GiB"), Some(1.5 * 1_073_741_824.0));
        assert_eq!(value(comma, "1e-3"), Some(0.001));
        for text in ["cart", "1.2.3", "7f9c", "1,234,567", "5 apples", "v1"] {
            assert_eq!(value(semicolon, text), None, "{text}");
        }
        assert_eq!(value(comma, "1,5"), None);
    }
}
