//! Keeping pods from a node, and taking them off it: on a control plane of its own, since a drain takes every pod.

use anyhow::{Context, Result, ensure};
use homeostat_core::{Subject, WorkloadKind};
use homeostat_execute::{ApplyError, Executor};
use homeostat_remediate::{ObjectRef, Progress};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::{need_parts, wait, workload};
use serde_json::json;

use crate::objects::manifest_of;
use crate::stage::{ACTION_ID, SOON, Stage, is_rolled_out};

const DEPLOYMENT: WorkloadKind = WorkloadKind::Deployment;

#[tokio::test]
async fn the_node_on_which_pods_fail_is_cordoned_given_back_and_drained() -> Result<()> {
    let parts = need_parts!("the_node_on_which_pods_fail_is_cordoned_given_back_and_drained");
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(&parts).await?));

    let stage = Stage::set_on(plane, "cordon", DEPLOYMENT, "cordon", "").await?;
    ensure!(stage.objection().await? == "no-common-node", "no pod fails");
    let node = crash_loop(&stage).await?;
    let done = stage.walk().await?;
    let cordoned = stage.get("v1", "Node", &node).await?;
    ensure!(cordoned["spec"]["unschedulable"] == true, "{cordoned:#}");
    ensure!(cordoned["metadata"]["annotations"][ACTION_ID] == done.plan().id.as_str(), "{cordoned:#}");
    ensure!(stage.objection().await? == "already-cordoned");
    stage.undo(&done).await?;
    ensure!(stage.get("v1", "Node", &node).await?["spec"]["unschedulable"].is_null());

    let done = stage.walk().await.context("cordoned once more")?;
    let uncordon = Stage::set_on(plane, "uncordon", DEPLOYMENT, "uncordon", "").await?;
    let given_back = uncordon.walk().await?;
    ensure!(stage.get("v1", "Node", &node).await?["spec"]["unschedulable"].is_null());
    let undone = stage.executor.undo(&done).await;
    ensure!(
        matches!(undone, Err(ApplyError::Stale { .. })),
        "what somebody gave back since isn't taken back: {undone:?}"
    );
    uncordon.undo(&given_back).await?;
    ensure!(stage.get("v1", "Node", &node).await?["spec"]["unschedulable"] == true);
    for stage in [&stage, &uncordon] {
        ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    }
    stage.patch("v1", "Node", &node, json!({ "spec": { "unschedulable": null } })).await?;
    drained(plane).await
}

async fn drained(plane: &'static ControlPlane) -> Result<()> {
    let stage =
        Stage::set_on(plane, "drain", DEPLOYMENT, "drain", "{max_pods: 50, namespaces: [cordon, uncordon]}").await?;
    let namespace = stage.subject.namespace.clone();
    // A DaemonSet, whose pods stay, and a workload on every node whose budget lets none go for now.
    for (kind, name) in [(WorkloadKind::DaemonSet, "agent"), (DEPLOYMENT, "guarded")] {
        let subject = Subject { kind, ..Subject::deployment(namespace.as_str(), name) };
        stage.apply_manifest(manifest_of(&subject, 3)).await?;
    }
    let budget = |min_available: u32| {
        json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "guarded" },
            "spec": { "minAvailable": min_available, "selector": { "matchLabels": { "app": "guarded" } } } })
    };
    stage.apply_manifest(budget(3)).await?;
    wait::until_true("the budget is counted", SOON, || async {
        let status = stage.get("policy/v1", "PodDisruptionBudget", "guarded").await?["status"].clone();
        Ok(status["currentHealthy"] == 3 && status["disruptionsAllowed"] == 0)
    })
    .await?;
    wait::until_true("the DaemonSet runs", SOON, || async {
        Ok(stage.get("apps/v1", "DaemonSet", "agent").await?["status"]["numberAvailable"] == 3)
    })
    .await?;
    let node = crash_loop(&stage).await?;
    let guarded = || async { Ok::<_, anyhow::Error>(apps_on(plane, &node).await?.contains(&"guarded".to_owned())) };
    ensure!(guarded().await?, "spread over all nodes");

    let plan = stage.plan().await?;
    stage.executor.dry_run(&plan).await?;
    ensure!(stage.changes().await?.is_empty());
    let journaled = crate::stage::journal(&plan)?;
    stage.apply(&journaled).await?;
    stage.apply(&journaled).await.context("the same id sent twice")?;
    ensure!(stage.changes().await? == [format!("patch nodes {node}")]);
    wait::until("all but the guarded pod is evicted", SOON, || async {
        let held_up = stage.executor.go_on(&journaled).await;
        let left = apps_on(plane, &node).await?;
        let is_held_up = matches!(held_up, Err(ApplyError::NotNow { .. }));
        Ok((is_held_up && left == ["agent", "guarded"]).then_some(()))
    })
    .await?;
    let progress = stage.executor.progress(&plan).await?;
    ensure!(matches!(progress, Progress::Rolling { .. }), "{progress:?}");

    // Somebody else carries on, who knows nothing but the journal: nothing is kept of how far it came.
    stage.apply_manifest(budget(2)).await?;
    wait::until("the guarded pod is evicted, too", SOON, || async {
        let _ = stage.executor.go_on(&journaled).await;
        Ok((apps_on(plane, &node).await? == ["agent"]).then_some(()))
    })
    .await?;
    stage.complete(&journaled).await?;
    let changes = stage.changes().await?;
    let evictions = changes.iter().filter(|change| change.starts_with("create pods/eviction"));
    ensure!(evictions.count() + 1 == changes.len(), "evictions only: {changes:?}");

    stage.undo(&journaled).await?;
    ensure!(stage.get("v1", "Node", &node).await?["spec"]["unschedulable"].is_null());
    ensure!(ObjectRef::in_step(&plan.step)?.is_some_and(|written| written.name == node));
    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    Ok(())
}

/// Lets the first pod fail, and returns its node.
pub(crate) async fn crash_loop(stage: &Stage) -> Result<String> {
    let name = workload::crash_loop(&stage.client, &stage.subject.namespace, "cart").await?;
    // The workload's own status follows that of its pods.
    let is_seen = || async { Ok(!is_rolled_out(&stage.object().await?)) };
    wait::until_true("the workload knows that a pod fails", SOON, is_seen).await?;
    let pod = stage.get("v1", "Pod", &name).await?;
    Ok(pod["spec"]["nodeName"].as_str().context("a node")?.to_owned())
}

/// Which apps have pods on the node, sorted, each once.
async fn apps_on(plane: &ControlPlane, node: &str) -> Result<Vec<String>> {
    use k8s_openapi::api::core::v1::Pod;
    let on_node = kube::api::ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = kube::Api::<Pod>::all(plane.client().await?).list(&on_node).await?;
    let app = |pod: Pod| pod.metadata.labels.and_then(|labels| labels.get("app").cloned());
    let mut apps: Vec<String> = pods.into_iter().filter_map(app).collect();
    apps.sort();
    apps.dedup();
    Ok(apps)
}
