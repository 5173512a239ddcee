//! What Prometheus knows of an object: when it was created, by which it is told from one of the same name in another cluster.

use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_execute::Witness;
use homeostat_ingest::PrometheusSource;

/// The query unless the config names another: a series of kube-state-metrics whose value is the creation time.
pub(crate) const IDENTITY_QUERY_DEFAULT: &str = "kube_deployment_created";

/// The labels that name an object in kube-state-metrics' series.
const NAMESPACE: &str = "namespace";
const DEPLOYMENT: &str = "deployment";

/// The step of the query, of which one row is asked for; Prometheus looks back five minutes for its newest sample.
const STEP: Duration = Duration::from_secs(60);

/// Asks Prometheus.
pub(crate) struct PrometheusWitness {
    source: PrometheusSource,
    query: String,
    clock: fn() -> Timestamp,
}

impl PrometheusWitness {
    /// A witness that asks this query, which must give the Unix time of creation by namespace and deployment.
    pub(crate) fn new(source: PrometheusSource, query: String, clock: fn() -> Timestamp) -> Self {
        Self { source, query, clock }
    }
}

#[async_trait]
impl Witness for PrometheusWitness {
    async fn created_s(&self, subject: &Subject) -> Result<Vec<i64>, String> {
        let at = (self.clock)().align_down(STEP);
        let matrix = self.source.range(&self.query, at, at, STEP).await.map_err(|error| error.to_string())?;
        let names = |label: &str, name: &str, labels: &homeostat_ingest::Labels| {
            labels.get(label).map(String::as_str) == Some(name)
        };
        let of_subject = matrix.series().iter().filter(|series| {
            names(NAMESPACE, &subject.namespace, series.labels()) && names(DEPLOYMENT, &subject.name, series.labels())
        });
        let newest = of_subject.filter_map(|series| series.samples().last());
        Ok(newest.map(|sample| sample.value.round() as i64).collect())
    }

    fn how_to_prove(&self) -> String {
        format!(
            "It is proven when {:?} gives the object's creation time by namespace and deployment, as kube-state-metrics \
             does; with several clusters in one Prometheus, select yours in kubernetes.identity_query and in all queries. \
             kubernetes.assume_same_cluster: true acts without proof",
            self.query
        )
    }
}
