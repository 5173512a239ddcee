//! VictoriaMetrics' `/api/v1/export`: JSON, one series (or a part of one) a line,
//! `{"metric":{…},"values":[1,null],"timestamps":[1700000000000, …]}`.

use std::fmt;
use std::io::Read;

use homeostat_core::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ReadError;
use super::json;
use super::sink::{SampleSink, What};
use crate::matrix::{Labels, Sample};

/// Samples of one line at most: values and timestamps stand apart, so a line must be held. 4 million are 64 MB, a year of
/// 8-second scrapes; `max_rows_per_line` exports shorter lines.
const LINE_SAMPLES_MAX: usize = 4_000_000;

pub(super) fn read(text: impl Read, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let mut n_lines = 0;
    json::each(text, |json| {
        n_lines += 1;
        let line = json::one(json, std::marker::PhantomData::<Line>)?;
        take(line, n_lines, sink)
    })?;
    Ok(())
}

fn take(line: Line, number: u64, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let (values, stamps) = (line.values.0, line.timestamps.0);
    if values.len() != stamps.len() {
        let why = format!("{} values and {} timestamps", values.len(), stamps.len());
        return Err(ReadError::malformed(number, why));
    }
    let Some(series) = sink.series(What::Raw, &line.metric)? else { return Ok(()) };
    for (value, stamp) in values.into_iter().zip(stamps) {
        let value = match value {
            Value::Number(value) => value,
            Value::Nothing(()) => f64::NAN,
            Value::Text(text) => super::stamp::number(&text)
                .ok_or_else(|| ReadError::malformed(number, format!("value {text:?} isn't a number")))?,
        };
        sink.sample(series, Sample { at: Timestamp::from_millis(stamp), value })?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Line {
    metric: Labels,
    values: Bounded<Value>,
    timestamps: Bounded<i64>,
}

/// `null` is how it writes NaN, `"Infinity"` how it writes infinity.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Nothing(()),
    Text(Box<str>),
}

/// A list with a limit.
struct Bounded<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bounded<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(BoundedVisitor(std::marker::PhantomData))
    }
}

struct BoundedVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BoundedVisitor<T> {
    type Value = Bounded<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = seq.next_element::<T>()? {
            if all.len() >= LINE_SAMPLES_MAX {
                let why = format!("more than {LINE_SAMPLES_MAX} samples in a line; export with max_rows_per_line");
                return Err(serde::de::Error::custom(why));
            }
            all.push(one);
        }
        Ok(Bounded(all))
    }
}
