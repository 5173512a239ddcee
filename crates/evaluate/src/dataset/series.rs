//! One labelled series: `timestamp, features…, label`, as CSV, gzipped or not, read line by line.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use homeostat_core::{Direction, Feature, Grid, Schema, SchemaError, Signal, Subject, Timestamp, Window, WorkloadKind};
use ndarray::Array2;

use super::SeriesEntry;

/// Cells of a series at most: 100 M are 800 MB, more than any one subject is judged on.
pub const SERIES_CELLS_MAX: usize = 100_000_000;
/// A longer line is no row: a thousand features with 20 digits each fit sixteen times.
pub const ROW_BYTES_MAX: usize = 1 << 18;

/// What to make of stamps that aren't one interval apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Placement {
    /// The rows are the series: each stands one interval after the one before, whatever its stamp. What the protocol judges
    /// is rows; stamps that say otherwise are counted in [`Stamps`].
    #[default]
    Rows,
    /// A clock that goes back or an interval that isn't the manifest's is an error.
    Strict,
}

/// How far a series' stamps are from what its interval promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Rows not after the row before.
    pub n_back: usize,
    /// Rows farther from the row before than the interval, or nearer.
    pub n_irregular: usize,
}

/// A series with its labels.
#[derive(Clone, Debug)]
pub struct LabelledSeries {
    /// All rows.
    pub window: Window,
    /// Whether each row lies in an anomaly.
    pub labels: Vec<bool>,
    /// The first rows, which train.
    pub train_rows: usize,
    /// What was odd about its stamps.
    pub stamps: Stamps,
}

/// Why a series can't be read: mend the file or the manifest.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Reading failed.
    #[error("it can't be read")]
    Io(#[source] io::Error),
    /// The gzip stream ends too early.
    #[error("its gzip stream is cut off after {rows_read} rows: fetch the file again")]
    Truncated {
        /// Rows read before that.
        rows_read: usize,
    },
    /// It's empty.
    #[error("it is empty")]
    Empty,
    /// A column is missing from the header.
    #[error("its header has no column {0:?}: the first must be timestamp, the last label")]
    NoColumn(&'static str),
    /// The columns between can't be features.
    #[error("its header names no features")]
    Header(#[source] SchemaError),
    /// A line isn't a row.
    #[error("line {line}: {why}")]
    Row {
        /// Counted from 1, the header included.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The file and the manifest disagree.
    #[error("it has {found} rows, the manifest says {wanted}")]
    Rows {
        /// In the file.
        found: usize,
        /// In the manifest.
        wanted: usize,
    },
    /// The clock goes back; with [`Placement::Strict`] only.
    #[error("line {line}: the stamp isn't after the one before: sort the rows, or judge them as rows")]
    ClockBack {
        /// Counted from 1.
        line: usize,
    },
    /// Not the interval of the manifest; with [`Placement::Strict`] only.
    #[error("line {line}: {found_s} s after the row before, the manifest says {wanted_s} s")]
    MixedIntervals {
        /// Counted from 1.
        line: usize,
        /// Between the stamps.
        found_s: f64,
        /// In the manifest.
        wanted_s: u64,
    },
    /// Too large.
    #[error("it has more than {SERIES_CELLS_MAX} cells")]
    TooLarge,
    /// The rows can't be placed in time.
    #[error("its rows can't be placed in time: {0}")]
    Time(String),
}

impl LabelledSeries {
    /// Reads a series. The subject is named `set/external/series`, its features after their columns.
    pub fn read(entry: &SeriesEntry, file: impl Read, placement: Placement) -> Result<Self, SeriesError> {
        let mut file = BufReader::with_capacity(1 << 16, file);
        let is_gzip = file.fill_buf().map_err(SeriesError::Io)?.starts_with(&[0x1f, 0x8b]);
        if is_gzip {
            let inside = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file));
            Self::read_csv(entry, inside, placement)
        } else {
            Self::read_csv(entry, file, placement)
        }
    }

    fn read_csv(entry: &SeriesEntry, mut lines: impl BufRead, placement: Placement) -> Result<Self, SeriesError> {
        let mut line = String::new();
        if !next_line(&mut lines, &mut line, 0)? {
            return Err(SeriesError::Empty);
        }
        let schema = schema(&line)?;
        let n_features = schema.n_features();
        let mut rows = Rows { stamps_s: Vec::new(), values: Vec::new(), labels: Vec::new(), n_features };
        while next_line(&mut lines, &mut line, rows.labels.len())? {
            let number = rows.labels.len() + 2;
            rows.push(&line).map_err(|why| SeriesError::Row { line: number, why })?;
            if rows.values.len() > SERIES_CELLS_MAX {
                return Err(SeriesError::TooLarge);
            }
        }
        if rows.labels.len() != entry.rows {
            return Err(SeriesError::Rows { found: rows.labels.len(), wanted: entry.rows });
        }
        let stamps = rows.stamps(entry, placement)?;
        let time = |error: &dyn std::fmt::Display| SeriesError::Time(error.to_string());
        let first_ms = rows.stamps_s.first().map_or(0.0, |stamp| stamp * 1000.0) as i64;
        let start = Timestamp::from_millis(first_ms).align_down(entry.step());
        let grid = Grid::new(start, entry.step(), rows.labels.len()).map_err(|error| time(&error))?;
        let shape = (rows.labels.len(), n_features);
        let values = Array2::from_shape_vec(shape, rows.values).map_err(|error| time(&error))?;
        let subject =
            Subject { namespace: entry.set.clone(), kind: WorkloadKind::External, name: entry.series.clone() };
        let window = Window::new(subject, grid, Arc::new(schema), values).map_err(|error| time(&error))?;
        Ok(Self { window, labels: rows.labels, train_rows: entry.train_rows, stamps })
    }

    /// The rows that train.
    pub fn history(&self) -> Option<Window> {
        self.window.slice_steps(0, self.train_rows)
    }

    /// Labels of the rows that are judged.
    pub fn judged_labels(&self) -> &[bool] {
        self.labels.get(self.train_rows..).unwrap_or_default()
    }

    /// The first feature of the rows that are judged, which sets the buffer of VUS-PR.
    pub fn judged_first_feature(&self) -> Vec<f64> {
        self.window.values().column(0).iter().skip(self.train_rows).copied().collect()
    }
}

/// Reads the next line without its end; `false` at the end of the file.
fn next_line(lines: &mut impl BufRead, line: &mut String, rows_read: usize) -> Result<bool, SeriesError> {
    line.clear();
    let n_bytes = lines.take(ROW_BYTES_MAX as u64 + 1).read_line(line).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SeriesError::Truncated { rows_read },
        _other => SeriesError::Io(error),
    })?;
    if n_bytes > ROW_BYTES_MAX {
        let why = format!("longer than {ROW_BYTES_MAX} bytes: that can't be a row");
        return Err(SeriesError::Row { line: rows_read + 1, why });
    }
    let without_end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(without_end);
    Ok(n_bytes > 0)
}

fn schema(header: &str) -> Result<Schema, SeriesError> {
    let columns: Vec<&str> = header.trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
    let [first, features @ .., last] = &columns[..] else { return Err(SeriesError::NoColumn("label")) };
    if *first != "timestamp" {
        return Err(SeriesError::NoColumn("timestamp"));
    }
    if *last != "label" {
        return Err(SeriesError::NoColumn("label"));
    }
    // What a column measures isn't known: every deviation of it counts.
    let feature = |name: &&str| Feature {
        name: (*name).to_owned(),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    Schema::new(features.iter().map(feature).collect()).map_err(SeriesError::Header)
}

struct Rows {
    stamps_s: Vec<f64>,
    values: Vec<f64>,
    labels: Vec<bool>,
    n_features: usize,
}

impl Rows {
    fn push(&mut self, line: &str) -> Result<(), String> {
        let mut cells = line.split(',').map(str::trim);
        let stamp = cells.next().unwrap_or_default();
        let stamp_s: f64 = stamp.parse().map_err(|_| format!("timestamp {stamp:?} isn't a number of seconds"))?;
        if !stamp_s.is_finite() {
            return Err(format!("timestamp {stamp:?} isn't a time"));
        }
        for feature_idx in 0..self.n_features {
            let cell = cells.next().ok_or_else(|| format!("{feature_idx} features, {} expected", self.n_features))?;
            // An empty cell is a gap.
            let value = if cell.is_empty() { Ok(f64::NAN) } else { cell.parse() };
            self.values.push(value.map_err(|_| format!("{cell:?} isn't a number"))?);
        }
        let label = match (cells.next(), cells.next()) {
            (Some("0" | "0.0"), None) => false,
            (Some("1" | "1.0"), None) => true,
            (Some(other), None) => return Err(format!("label {other:?} is neither 0 nor 1")),
            (None, _) => return Err("the label is missing".to_owned()),
            (Some(_), Some(_)) => return Err(format!("more than {} features", self.n_features)),
        };
        self.stamps_s.push(stamp_s);
        self.labels.push(label);
        Ok(())
    }

    fn stamps(&self, entry: &SeriesEntry, placement: Placement) -> Result<Stamps, SeriesError> {
        let mut stamps = Stamps::default();
        for (row, pair) in self.stamps_s.windows(2).enumerate() {
            let (line, found_s, wanted_s) = (row + 3, pair[1] - pair[0], entry.interval_s);
            if found_s <= 0.0 {
                stamps.n_back += 1;
            } else if found_s != wanted_s as f64 {
                stamps.n_irregular += 1;
            } else {
                continue;
            }
            match placement {
                Placement::Rows => {}
                Placement::Strict if found_s <= 0.0 => return Err(SeriesError::ClockBack { line }),
                Placement::Strict => return Err(SeriesError::MixedIntervals { line, found_s, wanted_s }),
            }
        }
        Ok(stamps)
    }
}

#[cfg(test)]
mod tests;
