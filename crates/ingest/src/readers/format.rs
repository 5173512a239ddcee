//! The formats that are read.

use std::fmt;
use std::str::FromStr;

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

/// A name that isn't a format.
///
/// ```
/// use homeostat_ingest::Format;
///
/// let refused = "xlsx".parse::<Format>().map_err(|error| error.to_string());
/// assert!(refused.is_err_and(|text| text.contains("there are query-range, openmetrics")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} isn't a format; there are {known}", known = Format::names())]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("json".parse::<Format>().is_err_and(|error| error.to_string().contains("query-range")));
    }
}
