//! The quick way through an answer as servers write it: white space between their parts, nothing odd within.
//!
//! It either gives exactly what the visitors of `answer` and `values` give, or nothing: `None` says that something is unusual
//! or wrong, and the visitors read the answer again. So there is one place that decides what an error is.

use homeostat_core::Timestamp;
use serde::de::IgnoredAny;

use super::answer::Answer;
use super::cursor::{Cursor, plain_text};
use super::number::{short_decimal, unix_millis};
use super::values::moment;
use super::{DecodeLimits, Gathered, matrix_of};
use crate::matrix::{Labels, Matrix, Sample};

/// Shortest sample there is, `[0,"0"],`: no answer has more samples than its bytes allow.
const SAMPLE_BYTES_MIN: usize = 8;

/// Errors of the limits, which are only looked at for being there.
type Passed = serde::de::value::Error;

/// One answer, with nothing after it.
pub(super) fn matrix(bytes: &[u8], gathered: Gathered) -> Option<Matrix> {
    let mut cursor = Cursor::new(bytes);
    let matrix = page(&mut cursor, gathered)?;
    cursor.is_at_end().then_some(matrix)
}

/// One or several answers.
pub(super) fn pages(bytes: &[u8], limits: &DecodeLimits) -> Option<Vec<Matrix>> {
    let mut cursor = Cursor::new(bytes);
    let mut pages = vec![page(&mut cursor, Gathered::new(*limits, None))?];
    while !cursor.is_at_end() {
        pages.push(page(&mut cursor, Gathered::new(*limits, None))?);
    }
    Some(pages)
}

fn page(cursor: &mut Cursor<'_>, mut gathered: Gathered) -> Option<Matrix> {
    let mut answer = Answer::default();
    cursor.object(|cursor, key| {
        match key {
            "status" => answer.status = Some(cursor.value()?),
            "warnings" => answer.warnings = cursor.value::<Option<_>>()?.unwrap_or_default(),
            "infos" => answer.infos = cursor.value::<Option<_>>()?.unwrap_or_default(),
            "isPartial" => answer.is_partial = cursor.value()?,
            "data" => data(cursor, &mut gathered)?,
            // An answer with an error has no samples to hurry for.
            "error" | "errorType" => return None,
            _unknown => drop(cursor.value::<IgnoredAny>()?),
        }
        Some(())
    })?;
    matrix_of(answer, gathered).ok()
}

fn data(cursor: &mut Cursor<'_>, into: &mut Gathered) -> Option<()> {
    cursor.object(|cursor, key| {
        match key {
            "resultType" => into.result_type = Some(cursor.value()?),
            "result" => {
                let is_other = into.result_type.as_deref().is_some_and(|kind| kind != "matrix");
                if into.has_result || is_other {
                    return None;
                }
                into.has_result = true;
                cursor.list(|cursor| series(cursor, into))?;
            }
            _unknown => drop(cursor.value::<IgnoredAny>()?),
        }
        Some(())
    })
}

fn series(cursor: &mut Cursor<'_>, into: &mut Gathered) -> Option<()> {
    into.count_series::<Passed>().ok()?;
    let mut labels = Labels::new();
    let mut samples: Vec<Sample> = Vec::new();
    cursor.object(|cursor, key| {
        match key {
            "metric" => labels = cursor.value()?,
            "values" => values(cursor, into, &mut samples)?,
            "histograms" => {
                let histograms: Vec<IgnoredAny> = cursor.value()?;
                into.dropped.histogram += histograms.len() as u64;
            }
            _unknown => drop(cursor.value::<IgnoredAny>()?),
        }
        Some(())
    })?;
    into.put(labels, samples);
    Some(())
}

fn values(cursor: &mut Cursor<'_>, into: &mut Gathered, samples: &mut Vec<Sample>) -> Option<()> {
    // The series of an answer are mostly of one length.
    let n_like_last = into.series.last().map_or(0, |last| last.samples().len());
    samples.reserve(n_like_last.min(cursor.rest().len() / SAMPLE_BYTES_MIN));
    cursor.list(|cursor| {
        cursor.peek()?;
        let (sample, n_bytes) = pair(cursor.rest())?;
        cursor.skip(n_bytes);
        into.count_samples::<Passed>(1).ok()?;
        samples.push(sample);
        Some(())
    })
}

/// The pair `[time,"value"]` at the start of `bytes` and its length.
#[inline(always)]
fn pair(bytes: &[u8]) -> Option<(Sample, usize)> {
    let bytes_after = |at: usize| bytes.get(at..);
    if *bytes.first()? != b'[' {
        return None;
    }
    let mut at = 1;
    let rest = bytes_after(at)?;
    let (millis, n_read) = match unix_millis(rest) {
        Some((millis, n_read)) if rest.get(n_read) == Some(&b',') => (millis, n_read),
        Some(_) | None => odd_millis(rest)?,
    };
    at += n_read;
    let rest = bytes_after(at)?;
    // Some tools write a space after the comma; servers don't.
    at += match rest.strip_prefix(b",\"") {
        Some(_) => 2,
        None if rest.starts_with(b", \"") => 3,
        None => return None,
    };
    let rest = bytes_after(at)?;
    let (value, n_read) = match short_decimal(rest) {
        Some((value, n_read)) if rest.get(n_read) == Some(&b'"') => (value, n_read),
        Some(_) | None => odd_value(rest)?,
    };
    at += n_read;
    let is_closed = bytes_after(at)?.starts_with(b"\"]");
    is_closed.then_some((Sample { at: Timestamp::from_millis(millis), value }, at + 2))
}

/// A time that is negative, has an exponent or more than three decimals.
#[cold]
fn odd_millis(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut cursor = Cursor::new(bytes);
    let secs: f64 = cursor.value()?;
    let at = moment::<Passed>(secs).ok()?;
    Some((at.as_millis(), bytes.len() - cursor.rest().len()))
}

/// A value with many digits, or none: `NaN`, `+Inf`.
fn odd_value(bytes: &[u8]) -> Option<(f64, usize)> {
    let text = plain_text(bytes)?;
    Some((text.parse().ok()?, text.len()))
}
