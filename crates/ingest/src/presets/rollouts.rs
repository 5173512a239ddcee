//! When Deployments were last rolled out, from kube-state-metrics: not a feature, but what typing an incident needs to know.

use super::PresetParams;

/// For each Deployment the creation time, in Unix seconds, of its newest ReplicaSet: one is made for each new pod template.
/// Scaling makes none. `topk` picks one owner where two are seen at once.
const TEMPLATE: &str = r#"
    max by (namespace, workload) (label_replace(
        max by (namespace, replicaset) (kube_replicaset_created{replicaset!=""$ksm})
      * on (namespace, replicaset) group_left (owner_name)
        topk by (namespace, replicaset) (1, max by (namespace, replicaset, owner_name) (
            kube_replicaset_owner{owner_kind="Deployment"$ksm})),
        "workload", "$1", "owner_name", "(.+)"))
"#;

/// The query for roll-outs of Deployments that belongs to the preset `kubernetes-workload`.
///
/// ```
/// use std::time::Duration;
/// use homeostat_ingest::{PresetParams, rollouts_expr};
///
/// let params = PresetParams::for_intervals(Duration::from_secs(30), Duration::from_secs(60));
/// assert!(rollouts_expr(&params).starts_with("max by (namespace, workload) (label_replace("));
/// ```
pub fn rollouts_expr(params: &PresetParams) -> String {
    let words: Vec<&str> = TEMPLATE.split_whitespace().collect();
    params.filled(&words.join(" "))
}
