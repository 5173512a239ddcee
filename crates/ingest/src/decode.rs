//! Prometheus `query_range` JSON to a [`Matrix`], in one pass and without a tree in between.
//!
//! Answers as servers write them go the quick way (`fast`); whatever is unusual or wrong in them is read by serde visitors
//! (`answer`, `values`), which alone decide what an error is. It accepts what the servers that speak this API send (Prometheus, Thanos, Mimir, VictoriaMetrics): keys in any
//! order, unknown keys, escapes in numbers. It does no I/O and knows no query.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeSeed;

use crate::matrix::{Dropped, Labels, Matrix, Sample, Series};
use crate::preferred::{PREFERRED_SERIES_MAX, Preferred};

mod answer;
mod cursor;
mod fast;
mod number;
mod values;

use answer::{Answer, AnswerSeed, Status};

/// What one answer may hold. More is an error, never a cut.
///
/// ```
/// use homeostat_ingest::{DecodeError, DecodeLimits, decode_matrix};
///
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"pod":"a"},"values":[[60,"0.5"]]}, {"metric":{"pod":"b"},"values":[[60,"0.7"]]}]}}"#;
/// let limits = DecodeLimits { series_max: 1, ..DecodeLimits::default() };
/// assert_eq!(decode_matrix(answer, &limits), Err(DecodeError::TooMuch { what: "series", limit: 1 }));
/// assert!(decode_matrix(answer, &DecodeLimits::default()).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most series. Each costs its labels, some 500 bytes, whether it has samples or not.
    pub series_max: usize,
    /// Most samples over all series, 16 bytes each.
    pub samples_max: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            // Queries are aggregated to workloads; 10 000 workloads are more than one shard can score, so more
            // series than that is a query that forgot its `sum by`.
            series_max: 10_000,
            // 20 million samples are 320 MB: two weeks of minutes for a thousand workloads, the largest training
            // window we size for.
            samples_max: 20_000_000,
        }
    }
}

/// Why bytes are no matrix.
///
/// ```
/// use homeostat_ingest::{DecodeError, DecodeLimits, decode_matrix};
///
/// let decoded = |answer: &str| decode_matrix(answer.as_bytes(), &DecodeLimits::default());
/// let failed = decoded(r#"{"status":"error","errorType":"bad_data","error":"no such function"}"#);
/// assert_eq!(failed.map_err(|error| error.to_string()), Err("Prometheus answers bad_data: no such function".into()));
/// let instant = decoded(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#);
/// assert_eq!(instant, Err(DecodeError::WrongType { found: "vector".into() }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The server says that the query failed, with its own words.
    #[error("Prometheus answers {kind}: {message}")]
    Failed {
        /// Its `errorType`.
        kind: String,
        /// Its `error`.
        message: String,
    },
    /// Too much for the limits; narrow the query.
    #[error(
        "the answer has more than {limit} {what}; narrow or aggregate the query, or raise the limit (datasources[].series_max)"
    )]
    TooMuch {
        /// `series` or `samples`.
        what: &'static str,
        /// The limit that was passed.
        limit: usize,
    },
    /// The answer isn't a matrix: the query was not a range query.
    #[error("the answer is a {found}, not a matrix; ask query_range, not query")]
    WrongType {
        /// The `resultType` found.
        found: String,
    },
    /// It stops in the middle: a connection or a file that broke off. Get it again.
    #[error("the answer stops in the middle: {0}")]
    CutShort(String),
    /// Not this API's JSON.
    #[error("this isn't a query_range answer: {0}")]
    Malformed(String),
}

/// Decodes one `query_range` answer.
///
/// Samples that are not finite are dropped, duplicates and disorder are put right; [`Matrix::dropped`] counts both.
///
/// ```
/// use homeostat_ingest::{DecodeError, DecodeLimits, decode_matrix};
///
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"],[120,"NaN"],[180,"0.7"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// assert_eq!((matrix.n_samples(), matrix.dropped().not_finite), (2, 1));
/// assert_eq!(matrix.series()[0].labels()["workload"], "cart");
///
/// let strict = DecodeLimits { samples_max: 1, ..DecodeLimits::default() };
/// assert_eq!(decode_matrix(answer, &strict), Err(DecodeError::TooMuch { what: "samples", limit: 1 }));
/// let half = &answer[..100];
/// assert!(matches!(decode_matrix(half, &DecodeLimits::default()), Err(DecodeError::CutShort(_))));
/// # Ok::<(), DecodeError>(())
/// ```
pub fn decode_matrix(bytes: &[u8], limits: &DecodeLimits) -> Result<Matrix, DecodeError> {
    decode_preferring(bytes, limits, None)
}

/// The same, in which passing `series_max` is no error where somebody is preferred: their series are all taken in, and of others
/// as many as there is room for. What was left out is counted in [`Matrix::series_left_out`].
pub(crate) fn decode_preferring(
    bytes: &[u8],
    limits: &DecodeLimits,
    preferred: Option<&Arc<Preferred>>,
) -> Result<Matrix, DecodeError> {
    match fast::matrix(bytes, Gathered::new(*limits, preferred.cloned())) {
        Some(matrix) => Ok(matrix),
        None => decode_any(bytes, Gathered::new(*limits, preferred.cloned())),
    }
}

/// Decodes one or several answers, one after another, as an export of many pages is; the limits hold for each page.
///
/// ```
/// use homeostat_ingest::{DecodeLimits, decode_pages};
///
/// let page = |from: u32| format!(
///     r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[{from},"1"]]}}]}}}}"#
/// );
/// let matrix = decode_pages(format!("{}\n{}", page(0), page(60)).as_bytes(), &DecodeLimits::default())?;
/// assert_eq!((matrix.series().len(), matrix.n_samples()), (1, 2));
/// # Ok::<(), homeostat_ingest::DecodeError>(())
/// ```
pub fn decode_pages(bytes: &[u8], limits: &DecodeLimits) -> Result<Matrix, DecodeError> {
    let mut pages = match fast::pages(bytes, limits) {
        Some(pages) => pages,
        None => decode_any_pages(bytes, limits)?,
    };
    Ok(if pages.len() == 1 { pages.swap_remove(0) } else { Matrix::join(pages) })
}

/// As [`decode_matrix`], for all of JSON.
fn decode_any(bytes: &[u8], gathered: Gathered) -> Result<Matrix, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let matrix = decode_page(&mut json, gathered)?;
    json.end().map_err(unread)?;
    Ok(matrix)
}

fn decode_any_pages(bytes: &[u8], limits: &DecodeLimits) -> Result<Vec<Matrix>, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut pages = vec![decode_page(&mut json, Gathered::new(*limits, None))?];
    while json.end().is_err() {
        pages.push(decode_page(&mut json, Gathered::new(*limits, None))?);
    }
    Ok(pages)
}

fn unread(error: serde_json::Error) -> DecodeError {
    if error.is_eof() { DecodeError::CutShort(error.to_string()) } else { DecodeError::Malformed(error.to_string()) }
}

type Json<'de> = serde_json::Deserializer<serde_json::de::SliceRead<'de>>;

fn decode_page(json: &mut Json<'_>, mut gathered: Gathered) -> Result<Matrix, DecodeError> {
    let read = AnswerSeed { into: &mut gathered }.deserialize(&mut *json);
    if let Some((what, limit)) = gathered.passed {
        return Err(DecodeError::TooMuch { what, limit });
    }
    matrix_of(read.map_err(unread)?, gathered)
}

/// What was read, if it is a whole answer.
fn matrix_of(answer: Answer, gathered: Gathered) -> Result<Matrix, DecodeError> {
    match answer.status {
        Some(Status::Error) => {
            return Err(DecodeError::Failed {
                kind: answer.error_type.unwrap_or_else(|| "error".to_owned()),
                message: answer.error.unwrap_or_else(|| "no reason given".to_owned()),
            });
        }
        None => return Err(DecodeError::Malformed("there is no status".to_owned())),
        Some(Status::Success) => {}
    }
    match gathered.result_type {
        Some(kind) if kind != "matrix" => return Err(DecodeError::WrongType { found: kind }),
        None => return Err(DecodeError::Malformed("there is no resultType".to_owned())),
        Some(_) if !gathered.has_result => return Err(DecodeError::Malformed("there is no result".to_owned())),
        Some(_) => {}
    }
    let mut warnings = answer.warnings;
    if answer.is_partial {
        warnings.push("the server says that this answer is partial".to_owned());
    }
    let matrix = Matrix::new(gathered.series, gathered.dropped).with_notes(warnings, answer.infos);
    Ok(matrix.with_left_out(gathered.series_left_out))
}

/// What the visitors have read so far. The limits live here because a serde error can't carry one.
struct Gathered {
    limits: DecodeLimits,
    n_samples: usize,
    passed: Option<(&'static str, usize)>,
    result_type: Option<String>,
    has_result: bool,
    series: Vec<Series>,
    dropped: Dropped,
    /// Whose series are taken in beyond the limit.
    preferred: Option<Arc<Preferred>>,
    /// Series of others that there was no room for.
    series_left_out: u64,
}

impl Gathered {
    fn new(limits: DecodeLimits, preferred: Option<Arc<Preferred>>) -> Self {
        Self {
            limits,
            preferred: preferred.filter(|preferred| !preferred.is_empty()),
            series_left_out: 0,
            n_samples: 0,
            passed: None,
            result_type: None,
            has_result: false,
            series: Vec::new(),
            dropped: Dropped::default(),
        }
    }

    /// Counts samples; an error once there are too many.
    fn count_samples<E: serde::de::Error>(&mut self, n_more: usize) -> Result<(), E> {
        self.n_samples += n_more;
        if self.n_samples > self.limits.samples_max {
            self.passed = Some(("samples", self.limits.samples_max));
            return Err(E::custom("too many samples"));
        }
        Ok(())
    }

    /// Makes room for one more series; an error once there are too many.
    fn count_series<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let limit = match &self.preferred {
            Some(_) => self.limits.series_max.max(PREFERRED_SERIES_MAX),
            None => self.limits.series_max,
        };
        if self.series.len() >= limit {
            self.passed = Some(("series", limit));
            return Err(E::custom("too many series"));
        }
        Ok(())
    }

    /// Takes a series that was read, where there is room for it or it is somebody's who is preferred.
    fn put(&mut self, labels: Labels, samples: Vec<Sample>) {
        let is_full = self.series.len() >= self.limits.series_max;
        if is_full && !self.preferred.as_ref().is_some_and(|preferred| preferred.has(&labels)) {
            self.series_left_out += 1;
            self.n_samples = self.n_samples.saturating_sub(samples.len());
            return;
        }
        let (series, dropped) = Series::new(labels, samples);
        self.dropped.add(dropped);
        self.series.push(series);
    }
}

/// A key or a short text, borrowed where the JSON has no escapes.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
