//! The pods of Deployments one by one, for comparing them with each other.
//!
//! Only what a workload's own queries average away: its memory and restarts are those of its worst pod already, while one slow
//! pod among twenty moves no quantile of all requests. Each query answers with a series for each pod, so this is for
//! Prometheus servers that have time for it.

use homeostat_core::{Direction, Signal, WorkloadKind};

use super::kubernetes::Template;
use super::{Preset, PresetParams};
use crate::query::{Aggregation, OnMissing};
use crate::subject_rule::SubjectRule;

pub(super) const NAME: &str = "kubernetes-replicas";

/// One column each; units and dead zones as in the workload's own queries.
const TEMPLATES: [Template; 3] = [
    Template {
        name: "error-ratio",
        signal: Signal::ErrorRatio,
        direction: Direction::Up,
        deviation_min: 0.01,
        aggregation: Aggregation::Max,
        on_missing: OnMissing::Gap,
        limit: None,
        promql: r#"
            (sum by (namespace, workload, pod) (
                sum by (namespace, pod) (rate(http_requests_total{$status_label=~"5.."$http}[$rate_window]))
              * on (namespace, pod) group_left (workload) $owner)
             or 0 * $pod_traffic)
            / $pod_traffic
        "#,
    },
    Template {
        name: "latency",
        signal: Signal::Latency,
        direction: Direction::Up,
        deviation_min: 0.05,
        aggregation: Aggregation::Max,
        on_missing: OnMissing::Gap,
        limit: None,
        // The 90th percentile: one pod has too few requests a minute for the 99th to be steady.
        promql: r#"
            histogram_quantile(0.9, sum by (le, namespace, workload, pod) (
                sum by (le, namespace, pod) (rate(http_request_duration_seconds_bucket{le!=""$http}[$rate_window]))
              * on (namespace, pod) group_left (workload) $owner))
        "#,
    },
    Template {
        name: "cpu",
        signal: Signal::Cpu,
        direction: Direction::Up,
        deviation_min: 0.05,
        aggregation: Aggregation::Sum,
        on_missing: OnMissing::Gap,
        limit: None,
        promql: r#"
            sum by (namespace, workload, pod) (
                max by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{container!="",container!="POD"$cadvisor}[$rate_window]))
              * on (namespace, pod) group_left (workload) $owner)
        "#,
    },
];

/// Requests a second of each pod.
const POD_TRAFFIC: &str = r#"
    sum by (namespace, workload, pod) (
        sum by (namespace, pod) (rate(http_requests_total{$status_label!=""$http}[$rate_window]))
      * on (namespace, pod) group_left (workload) $owner)
"#;

pub(super) fn pods(params: &PresetParams) -> Preset {
    Preset {
        name: NAME,
        about: "Pods of Deployments, for `replicas`: errors, latency and CPU of each; needs kube-state-metrics, cAdvisor, and \
                http_requests_total and http_request_duration_seconds with the labels namespace and pod",
        queries: TEMPLATES.iter().map(|template| template.query("$pod_traffic", POD_TRAFFIC, params)).collect(),
        rule: SubjectRule { kind: WorkloadKind::Deployment, ..SubjectRule::default() },
    }
}
