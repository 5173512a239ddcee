//! The innermost layer, read by serde: `[[1435781430.781, "1"], …]`.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, SeqAccess, Unexpected, Visitor};

use super::Gathered;
use crate::matrix::Sample;
use homeostat_core::Timestamp;

/// The samples of one series, appended to `samples`.
pub(super) struct ValuesSeed<'a> {
    pub(super) into: &'a mut Gathered,
    pub(super) samples: &'a mut Vec<Sample>,
}

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [time, \"value\"] pairs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(sample) = seq.next_element_seed(PairSeed)? {
            self.into.count_samples::<A::Error>(1)?;
            self.samples.push(sample);
        }
        Ok(())
    }
}

/// One `[time, "value"]`.
struct PairSeed;

impl<'de> DeserializeSeed<'de> for PairSeed {
    type Value = Sample;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Sample, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairSeed {
    type Value = Sample;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a [time, \"value\"] pair")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Sample, A::Error> {
        let secs: f64 = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let value = seq.next_element_seed(NumberText)?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        // A third element would be another format; serde_json refuses it as trailing.
        Ok(Sample { at: moment(secs)?, value })
    }
}

/// Largest moment, in seconds either way, that whole milliseconds in an f64 hold exactly (2^53 ms, year 287 396).
const SECS_MAX: f64 = 9_007_199_254_740.0;

pub(super) fn moment<E: serde::de::Error>(secs: f64) -> Result<Timestamp, E> {
    if (-SECS_MAX..=SECS_MAX).contains(&secs) {
        Ok(Timestamp::from_millis((secs * 1000.0).round() as i64))
    } else {
        Err(E::invalid_value(Unexpected::Float(secs), &"a Unix time in seconds"))
    }
}

/// A number written as a text, as Prometheus writes values: `"1.5"`, `"NaN"`, `"+Inf"`, `"-Inf"`.
struct NumberText;

impl<'de> DeserializeSeed<'de> for NumberText {
    type Value = f64;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<f64, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for NumberText {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number written as a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f64, E> {
        // Rust reads all that Go writes here, "+Inf" and exponents included.
        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
