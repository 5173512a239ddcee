//! Deployments, from kube-state-metrics, cAdvisor and the services' own HTTP metrics.
//!
//! The queries need no recording rules. Each takes the `max` of series that differ only in where they were scraped, so
//! that two replicas of kube-state-metrics, or one that just moved to another pod, count once; and each finds a pod's
//! Deployment by its owner and its owner's owner, since the first owner of a pod is a ReplicaSet.

use homeostat_core::{Direction, Signal, WorkloadKind};

use super::{Preset, PresetParams};
use crate::query::{Aggregation, OnMissing, Query};
use crate::subject_rule::SubjectRule;

pub(super) const NAME: &str = "kubernetes-workload";

/// 1 for each pod of a Deployment, with its `namespace`, `pod` and `workload`. `topk` picks one owner where two are
/// seen at once, for instance while an adopted ReplicaSet's old series lives on; two would fail the whole query.
const OWNER: &str = r#"
    topk by (namespace, pod) (1, max by (namespace, pod, workload) (
        label_replace(
            max by (namespace, pod, owner_name) (kube_pod_owner{owner_kind="ReplicaSet"$ksm}),
            "replicaset", "$1", "owner_name", "(.+)")
      * on (namespace, replicaset) group_left (workload)
        topk by (namespace, replicaset) (1, max by (namespace, replicaset, workload) (label_replace(
            kube_replicaset_owner{owner_kind="Deployment"$ksm},
            "workload", "$1", "owner_name", "(.+)")))
    ))
"#;

pub(super) struct Template {
    pub(super) name: &'static str,
    pub(super) signal: Signal,
    pub(super) direction: Direction,
    pub(super) deviation_min: f64,
    pub(super) aggregation: Aggregation,
    pub(super) on_missing: OnMissing,
    pub(super) limit: Option<f64>,
    /// PromQL; `$owner` is [`OWNER`].
    pub(super) promql: &'static str,
}

/// One column each. `deviation_min` is what a person on call would call nothing, in the query's unit.
const TEMPLATES: [Template; 8] = [
    Template {
        // Working set over limit, worst container of the worst pod: it is one container that gets killed. A
        // container without a limit has no ratio, and so no value.
        name: "memory",
        signal: Signal::Memory,
        direction: Direction::Up,
        deviation_min: 0.05,
        aggregation: Aggregation::Max,
        on_missing: OnMissing::Gap,
        limit: Some(1.0),
        promql: r#"
            max by (namespace, workload) (
                max by (namespace, pod, container) (container_memory_working_set_bytes{container!="",container!="POD"$cadvisor})
              / on (namespace, pod, container)
                (max by (namespace, pod, container) (kube_pod_container_resource_limits{resource="memory"$ksm}) > 0)
              * on (namespace, pod) group_left (workload) $owner)
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
            sum by (namespace, workload) (
                max by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{container!="",container!="POD"$cadvisor}[$rate_window]))
              * on (namespace, pod) group_left (workload) $owner)
        "#,
    },
    Template {
        name: "restarts",
        signal: Signal::Restarts,
        direction: Direction::Up,
        deviation_min: 0.5,
        aggregation: Aggregation::Sum,
        on_missing: OnMissing::Gap,
        limit: None,
        promql: r#"
            sum by (namespace, workload) (
                max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{container!=""$ksm}[$event_window]))
              * on (namespace, pod) group_left (workload) $owner)
        "#,
    },
    Template {
        // Restarts of containers whose last end was an OOM kill. Containers that never ended have no such series, so
        // absence is zero.
        name: "oom-kills",
        signal: Signal::OomKills,
        direction: Direction::Up,
        deviation_min: 0.5,
        aggregation: Aggregation::Sum,
        on_missing: OnMissing::Zero,
        limit: None,
        promql: r#"
            sum by (namespace, workload) (
                (max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{container!=""$ksm}[$event_window]))
                 and on (namespace, pod, container)
                 max by (namespace, pod, container) (kube_pod_container_status_last_terminated_reason{reason="OOMKilled"$ksm}) == 1)
              * on (namespace, pod) group_left (workload) $owner)
        "#,
    },
    Template {
        // No failed request is a ratio of zero; no request at all is 0/0, NaN, a gap.
        name: "error-ratio",
        signal: Signal::ErrorRatio,
        direction: Direction::Up,
        deviation_min: 0.01,
        aggregation: Aggregation::Max,
        on_missing: OnMissing::Gap,
        limit: None,
        promql: r#"
            (sum by (namespace, workload) (
                sum by (namespace, pod) (rate(http_requests_total{$status_label=~"5.."$http}[$rate_window]))
              * on (namespace, pod) group_left (workload) $owner)
             or 0 * $traffic)
            / $traffic
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
        promql: r#"
            histogram_quantile(0.99, sum by (le, namespace, workload) (
                sum by (le, namespace, pod) (rate(http_request_duration_seconds_bucket{le!=""$http}[$rate_window]))
              * on (namespace, pod) group_left (workload) $owner))
        "#,
    },
    Template {
        name: "traffic",
        signal: Signal::Traffic,
        direction: Direction::Both,
        deviation_min: 1.0,
        aggregation: Aggregation::Sum,
        on_missing: OnMissing::Gap,
        limit: None,
        promql: "$traffic",
    },
    Template {
        // Not cut out while a roll-out runs: a roll-out that goes wrong looks just like that, and a healthy one is
        // short. More available than wanted, as in a surge, is none unavailable.
        name: "replicas-unavailable",
        signal: Signal::ReplicasUnavailable,
        direction: Direction::Up,
        deviation_min: 0.5,
        aggregation: Aggregation::Max,
        on_missing: OnMissing::Gap,
        limit: None,
        promql: r#"
            max by (namespace, workload) (label_replace(
                clamp_min(
                    max by (namespace, deployment) (kube_deployment_spec_replicas{deployment!=""$ksm})
                  - max by (namespace, deployment) (kube_deployment_status_replicas_available{deployment!=""$ksm}), 0),
                "workload", "$1", "deployment", "(.+)"))
        "#,
    },
];

/// Requests a second, of all pods of a workload.
const TRAFFIC: &str = r#"
    sum by (namespace, workload) (
        sum by (namespace, pod) (rate(http_requests_total{$status_label!=""$http}[$rate_window]))
      * on (namespace, pod) group_left (workload) $owner)
"#;

pub(super) fn workload(params: &PresetParams) -> Preset {
    Preset {
        name: NAME,
        about: "Deployments: memory, CPU, restarts, OOM kills, errors, latency, traffic and missing replicas; needs \
                kube-state-metrics and cAdvisor, and for the three request queries http_requests_total and \
                http_request_duration_seconds with the labels namespace and pod",
        queries: TEMPLATES.iter().map(|template| template.query("$traffic", TRAFFIC, params)).collect(),
        rule: SubjectRule { kind: WorkloadKind::Deployment, ..SubjectRule::default() },
    }
}

impl Template {
    /// The query, with the text `part` for the preset's own `name`.
    pub(super) fn query(&self, name: &str, part: &str, params: &PresetParams) -> Query {
        let promql = self.promql.replace(name, part).replace("$owner", OWNER);
        // One line, as it will stand in logs and errors.
        let promql: Vec<&str> = promql.split_whitespace().collect();
        Query {
            name: self.name.to_owned(),
            expr: params.filled(&promql.join(" ")),
            signal: self.signal,
            direction: self.direction,
            deviation_min: self.deviation_min,
            aggregation: self.aggregation,
            on_missing: self.on_missing,
            limit: self.limit,
        }
    }
}
