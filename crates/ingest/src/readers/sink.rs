//! Where samples go.

use std::collections::HashMap;

use super::ReadError;
use crate::matrix::{Labels, Sample};

/// A series' number within one sink.
///
/// ```
/// use homeostat_ingest::{FeatureTable, Labels, SampleSink, SeriesIdx, What};
///
/// let mut table = FeatureTable::new();
/// assert_eq!(table.series(What::Feature("cpu"), &Labels::new())?, Some(SeriesIdx(0)));
/// assert_eq!(table.series(What::Feature("queue"), &Labels::new())?, Some(SeriesIdx(1)));
/// assert_eq!(table.series(What::Feature("cpu"), &Labels::new())?, Some(SeriesIdx(0)), "the same again");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesIdx(pub usize);

/// What a series is.
///
/// ```
/// use homeostat_ingest::{FeatureTable, Labels, SampleSink, What};
///
/// let mut table = FeatureTable::new();
/// assert!(table.series(What::Feature("cpu"), &Labels::new()).is_ok());
/// assert!(table.series(What::Raw, &Labels::new()).is_err(), "no query says what to make of it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// As it was scraped: its labels, `__name__` among them, say what it measures. Queries are evaluated on it.
    Raw,
    /// A feature already: the answer to the query of this name. Its labels say which subject it is about.
    Feature(&'a str),
}

/// Takes what a reader reads.
///
/// ```
/// use std::io::Cursor;
/// use homeostat_ingest::{Labels, ReadError, ReadOptions, Sample, SampleSink, SeriesIdx, What, read_samples};
///
/// struct Peak(f64);
///
/// impl SampleSink for Peak {
///     fn series(&mut self, what: What<'_>, _: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
///         Ok((what == What::Feature("cpu")).then_some(SeriesIdx(0)))
///     }
///     fn sample(&mut self, _: SeriesIdx, sample: Sample) -> Result<(), ReadError> {
///         self.0 = self.0.max(sample.value);
///         Ok(())
///     }
/// }
///
/// let mut peak = Peak(0.0);
/// read_samples(Cursor::new("time,cpu,queue\n60,0.5,30\n120,0.7,40\n"), &ReadOptions::default(), &mut peak)?;
/// assert_eq!(peak.0, 0.7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SampleSink {
    /// Announces a series; `None` says that its samples aren't wanted and needn't be read. A reader may announce the same
    /// series many times and gets the same number.
    fn series(&mut self, what: What<'_>, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError>;

    /// Takes one sample. The samples of a series come in the file's order; NaN says that there is none.
    fn sample(&mut self, series: SeriesIdx, sample: Sample) -> Result<(), ReadError>;

    /// Is told what a person should know of the file although it can be read: columns that were left out, data that no
    /// window can hold. It is logged, unless a sink has a better place for it.
    fn note(&mut self, text: &str) {
        tracing::warn!("{text}");
    }
}

/// Series whose text is remembered. Beyond that the memory starts anew: it saves time, it decides nothing. 65 536 texts of
/// some 300 bytes are 20 MB.
const TEXTS_MAX: usize = 1 << 16;

/// Which series a text names, so that labels aren't taken apart on every line.
#[derive(Default)]
pub(super) struct SeriesTexts {
    known: HashMap<Box<str>, Option<SeriesIdx>>,
    /// Most formats give the samples of a series one after another.
    last: (Box<str>, Option<SeriesIdx>),
}

impl SeriesTexts {
    /// The series that `text` names, looked at by `announce` where it isn't known yet. An empty text is never known.
    pub(super) fn series(
        &mut self,
        text: &str,
        announce: impl FnOnce() -> Result<Option<SeriesIdx>, ReadError>,
    ) -> Result<Option<SeriesIdx>, ReadError> {
        if !text.is_empty() && *self.last.0 == *text {
            return Ok(self.last.1);
        }
        let found = match self.known.get(text) {
            Some(found) => *found,
            None => {
                let found = announce()?;
                if self.known.len() >= TEXTS_MAX {
                    self.known.clear();
                }
                self.known.insert(text.into(), found);
                found
            }
        };
        self.last = (text.into(), found);
        Ok(found)
    }
}

/// Whether the next sample of a series is to be kept: `false` for one that is there already, as pages that share an edge
/// have. A clock that goes back and two values of one moment are errors, said of `series`.
pub(crate) fn follows(last: Option<Sample>, next: Sample, series: impl Fn() -> String) -> Result<bool, ReadError> {
    let Some(last) = last else { return Ok(true) };
    if next.at > last.at {
        return Ok(true);
    }
    if next.at < last.at {
        return Err(ReadError::ClockBack { series: series(), at: next.at, after: last.at });
    }
    if next.value == last.value || (next.value.is_nan() && last.value.is_nan()) {
        return Ok(false);
    }
    Err(ReadError::Duplicate { series: series(), at: next.at, first: last.value, second: next.value })
}
