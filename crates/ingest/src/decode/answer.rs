//! The outer layers of an answer: status, notes, result type and the list of series.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::values::ValuesSeed;
use super::{Gathered, Text};
use crate::matrix::{Labels, Sample};

#[derive(Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Success,
    Error,
}

/// What stands beside the data.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) status: Option<Status>,
    pub(super) error_type: Option<String>,
    pub(super) error: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    /// VictoriaMetrics cluster says so when a storage node didn't answer.
    pub(super) is_partial: bool,
}

/// The whole answer; its series go into `into`.
pub(super) struct AnswerSeed<'a> {
    pub(super) into: &'a mut Gathered,
}

impl<'de> DeserializeSeed<'de> for AnswerSeed<'_> {
    type Value = Answer;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Answer, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AnswerSeed<'_> {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query_range answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let mut answer = Answer::default();
        while let Some(key) = map.next_key_seed(Text)? {
            match key.as_ref() {
                "status" => answer.status = Some(map.next_value()?),
                "errorType" => answer.error_type = map.next_value()?,
                "error" => answer.error = map.next_value()?,
                "warnings" => answer.warnings = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "infos" => answer.infos = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "isPartial" => answer.is_partial = map.next_value()?,
                "data" => map.next_value_seed(DataSeed { into: &mut *self.into })?,
                _unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(answer)
    }
}

/// `data`: an object, or null beside an error.
struct DataSeed<'a> {
    into: &'a mut Gathered,
}

impl<'de> DeserializeSeed<'de> for DataSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DataSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a query_range answer")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Text)? {
            match key.as_ref() {
                "resultType" => self.into.result_type = Some(map.next_value()?),
                "result" if self.into.has_result => return Err(A::Error::duplicate_field("result")),
                "result" => {
                    self.into.has_result = true;
                    // Another result type has another shape; the caller refuses it by name.
                    if self.into.result_type.as_deref().is_some_and(|kind| kind != "matrix") {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        map.next_value_seed(ResultSeed { into: &mut *self.into })?;
                    }
                }
                _unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// `result`: the list of series.
struct ResultSeed<'a> {
    into: &'a mut Gathered,
}

impl<'de> DeserializeSeed<'de> for ResultSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ResultSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(SeriesSeed { into: &mut *self.into })?.is_some() {}
        Ok(())
    }
}

/// One series.
struct SeriesSeed<'a> {
    into: &'a mut Gathered,
}

impl<'de> DeserializeSeed<'de> for SeriesSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        // Before its labels and samples are read: the limit bounds memory, not only the answer.
        self.into.count_series()?;
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SeriesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series with metric and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut labels = Labels::new();
        let mut samples: Vec<Sample> = Vec::new();
        while let Some(key) = map.next_key_seed(Text)? {
            match key.as_ref() {
                "metric" => labels = map.next_value()?,
                "values" => map.next_value_seed(ValuesSeed { into: &mut *self.into, samples: &mut samples })?,
                "histograms" => {
                    let histograms: Vec<IgnoredAny> = map.next_value()?;
                    self.into.dropped.histogram += histograms.len() as u64;
                }
                _unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.into.put(labels, samples);
        Ok(())
    }
}
