//! The shop's rows in the form of a Prometheus `query_range` answer, so that what reads exports can be tested on them.

use homeostat_core::Timestamp;
use serde::Serialize;

use crate::shop::Shop;

/// The answer of `/api/v1/query_range` for one feature: one series per service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryRange {
    /// Always `success`.
    pub status: &'static str,
    /// The series.
    pub data: QueryData,
}

/// A matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryData {
    /// Always `matrix`.
    pub result_type: &'static str,
    /// The series, in order of subject.
    pub result: Vec<Series>,
}

/// One service's samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// `namespace`, `workload` and `workload_type`, as the recording rule `namespace_workload_pod:kube_pod_owner:relabel`
    /// names them.
    pub metric: std::collections::BTreeMap<&'static str, String>,
    /// Unix time in seconds, and the value as text. Where there is no measurement there is no sample.
    pub values: Vec<(Seconds, String)>,
}

/// A moment as Prometheus writes it: seconds, with up to three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(Timestamp);

impl Serialize for Seconds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = self.0.as_millis();
        // Whole seconds stay integers, as in Prometheus' own JSON.
        if millis % 1000 == 0 {
            serializer.serialize_i64(millis / 1000)
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

impl Shop {
    /// All kept rows of the feature with this name; `None` if there is no such feature.
    pub fn query_range(&self, feature: &str) -> Option<QueryRange> {
        let feature_idx = self.schema.position(feature)?;
        let mut result = Vec::with_capacity(self.services.len());
        for window in self.history() {
            let subject = window.subject();
            let metric = [
                ("namespace", subject.namespace.clone()),
                ("workload", subject.name.clone()),
                ("workload_type", subject.kind.name().to_owned()),
            ];
            let values = (0..window.grid().n_steps()).filter(|step_idx| window.is_present(*step_idx, feature_idx));
            let sample =
                |step_idx| (Seconds(window.grid().at(step_idx)), window.values()[[step_idx, feature_idx]].to_string());
            result.push(Series { metric: metric.into(), values: values.map(sample).collect() });
        }
        Some(QueryRange { status: "success", data: QueryData { result_type: "matrix", result } })
    }

    /// [`Shop::query_range`] as JSON text.
    pub fn query_range_json(&self, feature: &str) -> Option<String> {
        serde_json::to_string(&self.query_range(feature)?).ok()
    }
}
