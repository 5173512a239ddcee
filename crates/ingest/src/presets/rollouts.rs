//! When workloads were last rolled out, from kube-state-metrics: not a feature, but what typing an incident needs to know.

use homeostat_core::WorkloadKind;

use super::PresetParams;

/// For each Deployment the creation time, in Unix seconds, of its newest ReplicaSet: one is made for each new pod template.
/// Scaling makes none. `topk` picks one owner where two are seen at once.
const OF_DEPLOYMENTS: &str = r#"
    max by (namespace, workload) (label_replace(
        max by (namespace, replicaset) (kube_replicaset_created{replicaset!=""$ksm})
      * on (namespace, replicaset) group_left (owner_name)
        topk by (namespace, replicaset) (1, max by (namespace, replicaset, owner_name) (
            kube_replicaset_owner{owner_kind="Deployment"$ksm})),
        "workload", "$1", "owner_name", "(.+)"))
"#;

/// For each StatefulSet the last minute in the hour before in which it had another revision than a minute earlier. Its generation
/// says less: scaling raises that, too. A set that wasn't seen a minute earlier is new, or kube-state-metrics was away.
const OF_STATEFUL_SETS: &str = r#"
    max by (namespace, workload) (label_replace(
        max_over_time(timestamp(
            (
                max by (namespace, statefulset, revision) (kube_statefulset_status_update_revision{statefulset!=""$ksm})
              unless on (namespace, statefulset, revision)
                kube_statefulset_status_update_revision{statefulset!=""$ksm} offset 1m
            )
          and on (namespace, statefulset)
            kube_statefulset_status_update_revision{statefulset!=""$ksm} offset 1m
        )[1h:1m]),
        "workload", "$1", "statefulset", "(.+)"))
"#;

/// The same for each DaemonSet by its generation: kube-state-metrics tells no revision of it, and nothing scales it.
const OF_DAEMON_SETS: &str = r#"
    max by (namespace, workload) (label_replace(
        max_over_time(timestamp(
            max by (namespace, daemonset) (kube_daemonset_metadata_generation{daemonset!=""$ksm})
          != on (namespace, daemonset)
            max by (namespace, daemonset) (kube_daemonset_metadata_generation{daemonset!=""$ksm} offset 1m)
        )[1h:1m]),
        "workload", "$1", "daemonset", "(.+)"))
"#;

/// The query for roll-outs of workloads of this kind; `None` where kube-state-metrics knows nothing of them.
///
/// ```
/// use std::time::Duration;
/// use homeostat_core::WorkloadKind;
/// use homeostat_ingest::{PresetParams, rollouts_expr};
///
/// let params = PresetParams::for_intervals(Duration::from_secs(30), Duration::from_secs(60));
/// let expr = rollouts_expr(WorkloadKind::Deployment, &params);
/// assert!(expr.is_some_and(|expr| expr.starts_with("max by (namespace, workload) (label_replace(")));
/// assert_eq!(rollouts_expr(WorkloadKind::External, &params), None);
/// ```
pub fn rollouts_expr(kind: WorkloadKind, params: &PresetParams) -> Option<String> {
    let template = match kind {
        WorkloadKind::Deployment => OF_DEPLOYMENTS,
        WorkloadKind::StatefulSet => OF_STATEFUL_SETS,
        WorkloadKind::DaemonSet => OF_DAEMON_SETS,
        WorkloadKind::External => return None,
    };
    let words: Vec<&str> = template.split_whitespace().collect();
    Some(params.filled(&words.join(" ")))
}
