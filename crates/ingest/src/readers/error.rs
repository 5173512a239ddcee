//! Why a file of metrics can't be read.

use std::io;

use homeostat_core::Timestamp;

/// Why a file can't be read. Nothing of it may be used then: half a file is no measurement of anything.
///
/// ```
/// use std::io::Cursor;
/// use homeostat_ingest::{FeatureTable, ReadError, ReadOptions, read_samples};
///
/// let read = |text: &'static str| read_samples(Cursor::new(text), &ReadOptions::default(), &mut FeatureTable::new());
/// assert!(matches!(read(""), Err(ReadError::Empty)));
/// assert!(matches!(read("time,cpu\n60,0.5\n120\n"), Err(ReadError::Malformed { line: 3, .. })));
/// assert!(matches!(read("time,cpu\n120,0.5\n60,0.7\n"), Err(ReadError::ClockBack { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is nothing in it.
    #[error("it is empty; export it again")]
    Empty,
    /// It stops in the middle: copy or export it again.
    #[error("it stops in the middle ({why}); it was not copied whole, export or copy it again")]
    CutShort {
        /// Where or how.
        why: String,
    },
    /// Its beginning is that of no format known here.
    #[error(
        "it has the beginning of none of {known}; name its format with --format, or export it in one of them",
        known = super::format::Format::names()
    )]
    UnknownFormat,
    /// It isn't what its format promises.
    #[error("line {line}: {why}")]
    Malformed {
        /// Counted from 1; for a format without lines, the row or record.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A series goes back in time.
    #[error("{series}: a sample of {at} comes after one of {after}; sort the samples of each series by time")]
    ClockBack {
        /// The series.
        series: String,
        /// The later sample's moment, which is earlier.
        at: Timestamp,
        /// The moment before.
        after: Timestamp,
    },
    /// Two values for one series and moment.
    #[error(
        "{series}: two values at {at}, {first} and {second}; keep one of them: two rows are of the same time, or two series have the same labels"
    )]
    Duplicate {
        /// The series.
        series: String,
        /// When.
        at: Timestamp,
        /// The one that came first.
        first: f64,
        /// The other.
        second: f64,
    },
    /// More than fits; nothing is cut off in silence.
    #[error("it holds more than {limit} {what}; export a shorter range or fewer series")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// This build or this format can't hold what is asked.
    #[error("{0}")]
    Unsupported(String),
    /// The system refused.
    #[error(transparent)]
    Io(io::Error),
}

impl ReadError {
    pub(super) fn malformed(line: u64, why: impl Into<String>) -> Self {
        Self::Malformed { line, why: why.into() }
    }

    /// What a failed read means: an end where more was promised is a file that was cut.
    pub(super) fn of_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutShort { why: error.to_string() },
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Unsupported(format!("it can't be unpacked: {error}; copy it again"))
            }
            _other => Self::Io(error),
        }
    }
}
