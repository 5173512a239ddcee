//! Files of exported metrics, one reader a format, all giving the same: series, and their samples one by one.
//!
//! Start at [`read_samples`]: it unpacks, finds out which format it is and hands what it reads to a [`SampleSink`], of which
//! [`ExportEvaluator`](crate::ExportEvaluator) is the one that makes features. Files are read as a stream: what a reader holds is
//! bounded by the limits beside its buffers, never by the file. Nothing here knows of queries, subjects or windows.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

mod answers;
mod cell;
mod csv;
mod error;
mod format;
mod json;
mod labels_text;
mod lines;
mod open_metrics;
#[cfg(feature = "parquet")]
mod parquet;
mod sink;
mod sniff;
mod stamp;
mod table;
mod tsdb_dump;
mod unpacked;
mod utf16;
mod victoria;

pub use error::ReadError;
pub use format::{Format, UnknownFormat};
pub(crate) use labels_text::{NAME, series_text, unquoted};
pub(crate) use sink::follows;
pub use sink::{SampleSink, SeriesIdx, What};

/// How to read a file.
///
/// ```
/// use std::io::Cursor;
/// use homeostat_ingest::{FeatureTable, ReadOptions, read_samples};
///
/// let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{},"values":[[60,"0.5"],[120,"0.7"]]}]}}"#;
/// let options = ReadOptions { feature: Some("cpu".into()), ..ReadOptions::default() };
/// let mut table = FeatureTable::new();
/// read_samples(Cursor::new(answer), &options, &mut table)?;
/// assert_eq!(table.windows(None)?[0].schema().position("cpu"), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; found out from the content where it isn't said.
    pub format: Option<Format>,
    /// The feature that the file's series answer. It holds for [`Format::QueryRange`] only: such an answer doesn't say what
    /// was asked, so whoever knows (by the file's name) must. Without it the series are raw, by their own labels.
    pub feature: Option<String>,
}

/// Reads the file at `path`; says which format it was. As [`read_samples`], and Parquet too.
///
/// ```
/// use homeostat_ingest::{FeatureTable, Format, ReadOptions, read_file};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("metrics.txt"); // the content says what it is
/// std::fs::write(&path, "time,cpu\n60,0.5\n120,0.7\n")?;
/// let mut table = FeatureTable::new();
/// assert_eq!(read_file(&path, &ReadOptions::default(), &mut table)?, Format::Csv);
/// assert_eq!(table.windows(None)?[0].n_present(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_file(path: &Path, options: &ReadOptions, sink: &mut dyn SampleSink) -> Result<Format, ReadError> {
    let mut file = File::open(path).map_err(ReadError::Io)?;
    let mut magic = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut magic).map_err(ReadError::Io)?;
    file.rewind().map_err(ReadError::Io)?;
    if magic == *b"PAR1" && options.format.is_none_or(|format| format == Format::Parquet) {
        return read_parquet(file, sink).map(|()| Format::Parquet);
    }
    read_samples(file, options, sink)
}

#[cfg(feature = "parquet")]
fn read_parquet(file: File, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    parquet::read(file, sink)
}

#[cfg(not(feature = "parquet"))]
fn read_parquet(_: File, _: &mut dyn SampleSink) -> Result<(), ReadError> {
    let why =
        "this homeostat was built without Parquet; build it with `--features parquet`, or convert the file to CSV";
    Err(ReadError::Unsupported(why.to_owned()))
}

/// Reads a stream to its end into `sink`; says which format it was.
///
/// gzip and Zstandard are seen by their first bytes, whatever the file is called.
///
/// ```
/// use std::io::Cursor;
/// use homeostat_ingest::{Format, Labels, ReadError, ReadOptions, Sample, SampleSink, SeriesIdx, What, read_samples};
///
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl SampleSink for Count {
///     fn series(&mut self, _: What<'_>, _: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
///         Ok(Some(SeriesIdx(0)))
///     }
///     fn sample(&mut self, _: SeriesIdx, _: Sample) -> Result<(), ReadError> {
///         self.0 += 1;
///         Ok(())
///     }
/// }
///
/// let text = b"up{job=\"shop\"} 1 1700000000\nup{job=\"shop\"} 0 1700000015\n# EOF\n";
/// let mut count = Count::default();
/// assert_eq!(read_samples(Cursor::new(text), &ReadOptions::default(), &mut count)?, Format::OpenMetrics);
/// assert_eq!(count.0, 2);
/// # Ok::<(), ReadError>(())
/// ```
pub fn read_samples(
    file: impl Read + Send + 'static,
    options: &ReadOptions,
    sink: &mut dyn SampleSink,
) -> Result<Format, ReadError> {
    let unpacked = unpacked::unpacked(file)?;
    let format = match options.format {
        Some(format) => format,
        None => sniff::sniffed(unpacked.beginning())?,
    };
    match format {
        Format::QueryRange => answers::read(unpacked, options.feature.as_deref(), sink),
        Format::OpenMetrics => open_metrics::read(unpacked, sink),
        Format::TsdbDump => tsdb_dump::read(unpacked, sink),
        Format::VictoriaMetrics => victoria::read(unpacked, sink),
        Format::Csv => csv::read(unpacked, sink),
        Format::Parquet => Err(ReadError::Unsupported("Parquet isn't read yet; convert the file to CSV".to_owned())),
    }?;
    Ok(format)
}

#[cfg(test)]
mod tests;
