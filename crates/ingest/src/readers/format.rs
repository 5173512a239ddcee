//! Which format a file has.

use std::fmt;
use std::str::FromStr;

use super::ReadError;

/// The formats that are read.
///
/// ```
/// use homeostat_ingest::Format;
///
/// assert_eq!("csv".parse(), Ok(Format::Csv));
/// assert_eq!(Format::OpenMetrics.to_string(), "openmetrics");
/// assert!(Format::ALL.iter().all(|format| format.name().parse() == Ok(*format)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Prometheus `query_range` answers as JSON, one or several one after another.
    QueryRange,
    /// OpenMetrics text with timestamps, as `promtool tsdb dump-openmetrics` writes too.
    OpenMetrics,
    /// What `promtool tsdb dump` writes.
    TsdbDump,
    /// VictoriaMetrics' `/api/v1/export`: JSON, one series a line.
    VictoriaMetrics,
    /// CSV with a header: a column a feature, or a row a sample.
    Csv,
    /// Parquet: a column a feature, or a row a sample.
    Parquet,
}

/// A name that is no format.
///
/// ```
/// use homeostat_ingest::Format;
///
/// let refused = "xlsx".parse::<Format>().map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("there are query-range, openmetrics")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format; there are {known}", known = Format::names())]
pub struct UnknownFormat(String);

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] =
        [Self::QueryRange, Self::OpenMetrics, Self::TsdbDump, Self::VictoriaMetrics, Self::Csv, Self::Parquet];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueryRange => "query-range",
            Self::OpenMetrics => "openmetrics",
            Self::TsdbDump => "tsdb-dump",
            Self::VictoriaMetrics => "victoriametrics",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// All names, for people.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// The format that a beginning shows.
pub(super) fn sniffed(beginning: &[u8]) -> Result<Format, ReadError> {
    if beginning.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // Cut within a character, as any beginning may be.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Err(ReadError::UnknownFormat),
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        return in_braces(inside.trim_start()).ok_or(ReadError::UnknownFormat);
    }
    let first = text.lines().next().unwrap_or_default();
    if super::table::is_header(first) {
        Ok(Format::Csv)
    } else if first.starts_with("# ") || super::open_metrics::is_sample(first) {
        Ok(Format::OpenMetrics)
    } else {
        Err(ReadError::UnknownFormat)
    }
}

/// JSON keys end in `:`, label names in `=`.
fn in_braces(inside: &str) -> Option<Format> {
    let Some(quoted) = inside.strip_prefix('"') else {
        let n_name = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
        return (n_name > 0 && inside[n_name..].starts_with('=')).then_some(Format::TsdbDump);
    };
    let (key, rest) = quoted.split_once('"')?;
    match (rest.trim_start().chars().next()?, key) {
        ('=', _) => Some(Format::TsdbDump),
        (':', "metric" | "values" | "timestamps") => Some(Format::VictoriaMetrics),
        (':', "status" | "data" | "errorType" | "error" | "warnings" | "infos" | "isPartial") => {
            Some(Format::QueryRange)
        }
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_beginning() {
        for (beginning, format) in [
            ("PAR1....", Format::Parquet),
            ("\u{feff}timestamp,cpu,memory\n1,2,3", Format::Csv),
            ("time,__name__,job,value", Format::Csv),
            (r#" {"status":"success","data":{}}"#, Format::QueryRange),
            (r#"{"metric":{"__name__":"up"},"values":[1],"timestamps":[1]}"#, Format::VictoriaMetrics),
            (r#"{__name__="up", job="x"} 1 1700000000000"#, Format::TsdbDump),
            (r#"{"http.status"="200", __name__="x"} 1 1700000000000"#, Format::TsdbDump),
            ("# TYPE up gauge\nup 1 1700000000", Format::OpenMetrics),
            ("up{job=\"a,b\"} 1 1700000000.000", Format::OpenMetrics),
            ("up 1 1700000000", Format::OpenMetrics),
        ] {
            assert_eq!(sniffed(beginning.as_bytes()).ok(), Some(format), "{beginning}");
        }
        for beginning in ["hello, world", "<html>", "\u{0}\u{1}", "{}", "[1,2]", r#"{"a":1}"#] {
            assert!(matches!(sniffed(beginning.as_bytes()), Err(ReadError::UnknownFormat)), "{beginning}");
        }
    }

    #[test]
    fn every_name_is_read_back() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("json".parse::<Format>().is_err_and(|error| error.to_string().contains("query-range")));
    }
}
