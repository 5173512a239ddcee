//! A matrix as the `query_range` answer it came from.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use crate::matrix::{Matrix, Sample, Series};

pub(super) fn write(to: impl Write, matrix: &Matrix) -> io::Result<()> {
    serde_json::to_writer(to, &Answer(matrix)).map_err(io::Error::from)
}

struct Answer<'a>(&'a Matrix);

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_map(None)?;
        answer.serialize_entry("status", "success")?;
        answer.serialize_entry("data", &Data(self.0))?;
        if !self.0.warnings().is_empty() {
            answer.serialize_entry("warnings", self.0.warnings())?;
        }
        if !self.0.infos().is_empty() {
            answer.serialize_entry("infos", self.0.infos())?;
        }
        answer.end()
    }
}

struct Data<'a>(&'a Matrix);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_struct("Data", 2)?;
        data.serialize_field("resultType", "matrix")?;
        data.serialize_field("result", &SeriesList(self.0.series()))?;
        data.end()
    }
}

struct SeriesList<'a>(&'a [Series]);

impl Serialize for SeriesList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for series in self.0 {
            list.serialize_element(&OneSeries(series))?;
        }
        list.end()
    }
}

struct OneSeries<'a>(&'a Series);

impl Serialize for OneSeries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut series = serializer.serialize_struct("Series", 2)?;
        series.serialize_field("metric", self.0.labels())?;
        series.serialize_field("values", &Values(self.0.samples()))?;
        series.end()
    }
}

struct Values<'a>(&'a [Sample]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The shortest decimal that reads back as the same bits, as Prometheus writes it too.
        serializer.collect_seq(self.0.iter().map(|sample| (sample.at.as_secs_f64(), sample.value.to_string())))
    }
}
