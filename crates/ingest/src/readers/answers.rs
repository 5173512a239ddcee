//! Prometheus `query_range` answers as a stream: one, or several one after another (a page a line, say).
//!
//! It holds one series at a time, unlike [`decode_matrix`](crate::decode_matrix), which makes a matrix of a whole answer.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ReadError;
use super::json;
use super::sink::{SampleSink, What};
use super::stamp;
use crate::matrix::{Labels, Sample, is_annotation};

/// Samples of one series in one answer at most. Prometheus answers with 11 000, other servers with more.
const SERIES_SAMPLES_MAX: usize = 4_000_000;

pub(super) fn read(text: impl Read, feature: Option<&str>, sink: &mut dyn SampleSink) -> Result<(), ReadError> {
    let mut n_answers = 0;
    json::each(text, |json| {
        n_answers += 1;
        let mut taking =
            Taking { feature, sink: &mut *sink, refused: None, result_type: None, is_failed: None, n_histograms: 0 };
        let read = json::one(json, AnswerSeed(&mut taking));
        if let Some(refused) = taking.refused {
            return Err(refused);
        }
        let has_result = read?;
        if taking.n_histograms > 0 {
            let of = feature.map(|feature| format!(" of {feature}")).unwrap_or_default();
            taking.sink.note(&histograms_text(taking.n_histograms, &of));
        }
        if let Some(why) = taking.is_failed {
            return Err(ReadError::malformed(n_answers, format!("Prometheus answered with an error: {why}")));
        }
        match taking.result_type.as_deref() {
            Some("matrix") if has_result => Ok(()),
            Some("matrix") | None => Err(ReadError::malformed(n_answers, "this isn't a query_range answer")),
            Some(other) => {
                let why = format!("the answer is a {other}, not a matrix; ask query_range, not query");
                Err(ReadError::malformed(n_answers, why))
            }
        }
    })?;
    Ok(())
}

/// Where an answer goes while it is read.
struct Taking<'a> {
    feature: Option<&'a str>,
    sink: &'a mut dyn SampleSink,
    /// What the sink objected to: a serde error can't carry it.
    refused: Option<ReadError>,
    result_type: Option<String>,
    is_failed: Option<String>,
    /// Samples that are native histograms.
    n_histograms: u64,
}

/// What native histograms that can't be used mean.
pub(super) fn histograms_text(n_histograms: u64, of: &str) -> String {
    format!(
        "{n_histograms} native histograms{of} can't be used, since a histogram isn't a number; ask Prometheus for \
         histogram_quantile(), histogram_count() or histogram_sum() of them"
    )
}

impl Taking<'_> {
    fn take<E: serde::de::Error>(&mut self, labels: &Labels, samples: Vec<Sample>) -> Result<(), E> {
        let what = self.feature.map_or(What::Raw, What::Feature);
        let taken = self.sink.series(what, labels).and_then(|series| match series {
            Some(series) => samples.into_iter().try_for_each(|sample| self.sink.sample(series, sample)),
            None => Ok(()),
        });
        taken.map_err(|refused| {
            self.refused = Some(refused);
            E::custom("refused")
        })
    }
}

/// A seed that is a visitor of one kind of value.
macro_rules! seed {
    ($name:ident, $value:ty, $method:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, '_> {
            type Value = $value;

            fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<$value, D::Error> {
                json.$method(self)
            }
        }
    };
}

struct AnswerSeed<'a, 'b>(&'a mut Taking<'b>);
seed!(AnswerSeed, bool, deserialize_map);

impl<'de> Visitor<'de> for AnswerSeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query_range answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut has_result = false;
        let (mut is_error, mut message, mut warnings, mut infos) = (false, None, Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "status" => is_error = map.next_value::<String>()? != "success",
                "error" => message = map.next_value::<Option<String>>()?,
                "warnings" => warnings = map.next_value::<Option<Vec<String>>>()?.unwrap_or_default(),
                "infos" => infos = map.next_value::<Option<Vec<String>>>()?.unwrap_or_default(),
                // VictoriaMetrics' cluster says so when a storage node didn't answer.
                "isPartial" => {
                    if map.next_value::<bool>()? {
                        warnings.push("a part of the servers didn't answer".to_owned());
                    }
                }
                "data" => has_result = map.next_value_seed(DataSeed(&mut *self.0))?,
                _unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let (annotations, partial): (Vec<String>, Vec<String>) =
            warnings.into_iter().partition(|warning| is_annotation(warning));
        for annotation in annotations.iter().chain(&infos) {
            self.0.sink.note(&format!("Prometheus notes on the expression: {annotation}"));
        }
        if let Some(warning) = partial.into_iter().next() {
            let why = format!("the server warns that this answer may be partial ({warning}); ask again");
            self.0.refused = Some(ReadError::Unsupported(why));
        }
        if is_error {
            self.0.is_failed = Some(message.unwrap_or_else(|| "no reason given".to_owned()));
        }
        Ok(has_result)
    }
}

struct DataSeed<'a, 'b>(&'a mut Taking<'b>);
seed!(DataSeed, bool, deserialize_any);

impl<'de> Visitor<'de> for DataSeed<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a query_range answer")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut has_result = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "resultType" => self.0.result_type = Some(map.next_value()?),
                "result" => {
                    has_result = true;
                    // Another result type has another shape; the caller refuses it by name.
                    if self.0.result_type.as_deref().is_some_and(|kind| kind != "matrix") {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        map.next_value_seed(ResultSeed(&mut *self.0))?;
                    }
                }
                _unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(has_result)
    }
}

struct ResultSeed<'a, 'b>(&'a mut Taking<'b>);
seed!(ResultSeed, (), deserialize_seq);

impl<'de> Visitor<'de> for ResultSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(SeriesSeed(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct SeriesSeed<'a, 'b>(&'a mut Taking<'b>);
seed!(SeriesSeed, (), deserialize_map);

impl<'de> Visitor<'de> for SeriesSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series with metric and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut labels: Labels = BTreeMap::new();
        let mut samples = Values(Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metric" => labels = map.next_value()?,
                "values" => samples = map.next_value()?,
                "histograms" => self.0.n_histograms += map.next_value::<Vec<IgnoredAny>>()?.len() as u64,
                _unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.0.take(&labels, samples.0)
    }
}

/// `[[1435781430.781, "1"], …]`.
struct Values(Vec<Sample>);

impl<'de> serde::Deserialize<'de> for Values {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [time, \"value\"] pairs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
        let mut samples = Vec::new();
        while let Some((secs, text)) = seq.next_element::<(f64, String)>()? {
            if samples.len() >= SERIES_SAMPLES_MAX {
                return Err(A::Error::custom(format!("more than {SERIES_SAMPLES_MAX} samples of one series")));
            }
            let at =
                stamp::moment_of_secs(secs).ok_or_else(|| A::Error::custom(format!("{secs} isn't a valid time")))?;
            let value = stamp::number(&text).ok_or_else(|| A::Error::custom(format!("{text:?} isn't a number")))?;
            samples.push(Sample { at, value });
        }
        Ok(Values(samples))
    }
}
