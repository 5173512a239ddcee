//! What Prometheus knows of an object: when it was created, by which it is told from one of the same name in another cluster.

use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp, WorkloadKind};
use homeostat_execute::Witness;
use homeostat_ingest::PrometheusSource;

/// The label that names an object's namespace in kube-state-metrics' series; its name is under its kind.
const NAMESPACE: &str = "namespace";

/// The step of the query, of which one row is asked for; Prometheus looks back five minutes for its newest sample.
const STEP: Duration = Duration::from_secs(60);

/// Asks Prometheus.
pub(crate) struct PrometheusWitness {
    source: PrometheusSource,
    /// The config's own, if it names one.
    query: Option<String>,
    clock: fn() -> Timestamp,
}

impl PrometheusWitness {
    /// A witness that asks this query, which must give the Unix time of creation by namespace and kind of workload; kube-state-metrics'
    /// own series unless there is one.
    pub(crate) fn new(source: PrometheusSource, query: Option<String>, clock: fn() -> Timestamp) -> Self {
        Self { source, query, clock }
    }
}

#[async_trait]
impl Witness for PrometheusWitness {
    async fn created_s(&self, subject: &Subject) -> Result<Vec<i64>, String> {
        let at = (self.clock)().align_down(STEP);
        let Some(label) = label(subject.kind) else { return Ok(Vec::new()) };
        let query = self.query.clone().unwrap_or_else(|| format!("kube_{label}_created"));
        let matrix = self.source.range(&query, at, at, STEP).await.map_err(|error| error.to_string())?;
        let names = |label: &str, name: &str, labels: &homeostat_ingest::Labels| {
            labels.get(label).map(String::as_str) == Some(name)
        };
        let of_subject = matrix.series().iter().filter(|series| {
            names(NAMESPACE, &subject.namespace, series.labels()) && names(label, &subject.name, series.labels())
        });
        let newest = of_subject.filter_map(|series| series.samples().last());
        Ok(newest.map(|sample| sample.value.round() as i64).collect())
    }

    fn how_to_prove(&self) -> String {
        format!(
            "It is proven when {} gives the object's creation time by namespace and kind of workload, as kube-state-metrics \
             does; with several clusters in one Prometheus, select yours in kubernetes.identity_query and in all queries. \
             kubernetes.assume_same_cluster: true acts without proof",
            self.query.as_deref().unwrap_or("kube_deployment_created (or _statefulset_, _daemonset_)")
        )
    }
}

/// What kube-state-metrics calls the kind, in names of series and as the label with the object's name.
fn label(kind: WorkloadKind) -> Option<&'static str> {
    match kind {
        WorkloadKind::Deployment => Some("deployment"),
        WorkloadKind::StatefulSet => Some("statefulset"),
        WorkloadKind::DaemonSet => Some("daemonset"),
        WorkloadKind::External => None,
    }
}
