//! Taking one pod away, or out of service.

use anyhow::{Context, Result, ensure};
use homeostat_core::WorkloadKind;
use homeostat_execute::{ApplyError, Executor};
use homeostat_remediate::ObjectRef;
use homeostat_tests::{need_parts, wait, workload};
use serde_json::{Value, json};

use crate::stage::{ACTION_ID, SOON, Stage};

#[tokio::test]
async fn the_pod_that_fails_is_evicted_or_deleted_once_and_no_other() -> Result<()> {
    let parts = need_parts!("the_pod_that_fails_is_evicted_or_deleted_once_and_no_other");
    for (kind, name) in [(WorkloadKind::Deployment, "deployment"), (WorkloadKind::StatefulSet, "stateful-set")] {
        for action in ["evict-pod", "delete-pod"] {
            let stage = Stage::set(&parts, &format!("{action}-{name}"), kind, action, "").await?;
            ensure!(stage.objection().await? == "no-such-pod", "all of them serve");
            let failing = crash_loop(&stage).await?;
            let before = uids(&stage).await?;
            let done = stage.walk().await?;
            let pod = ObjectRef::in_step(&done.plan().step)?.context("a pod")?;
            ensure!(pod.name == failing, "{pod:?} isn't {failing}");
            let after = uids(&stage).await?;
            let n_kept = before.iter().filter(|uid| after.contains(uid)).count();
            ensure!(!after.contains(&pod.uid) && n_kept == 2 && after.len() == 3, "{before:?} {after:?}");
            ensure!(stage.unused_rights().await?.is_empty(), "{action}: {:?}", stage.unused_rights().await?);
        }
    }
    Ok(())
}

/// I20: a disruption that isn't urgent asks the budget, and has no way around it.
#[tokio::test]
async fn an_eviction_waits_for_its_disruption_budget_and_never_deletes_instead() -> Result<()> {
    let parts = need_parts!("an_eviction_waits_for_its_disruption_budget_and_never_deletes_instead");
    let with = "{pod: most-restarted}";
    let stage = Stage::set(&parts, "evict-budget", WorkloadKind::Deployment, "evict-pod", with).await?;
    workload::oom_kill(&stage.client, &stage.subject.namespace, "cart", 3).await?;
    let budget = |min_available: u32| {
        json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "cart" },
            "spec": { "minAvailable": min_available, "selector": { "matchLabels": { "app": "cart" } } } })
    };
    let allowed = async |n_pods: u32| {
        wait::until_true("the budget is counted", SOON, || async {
            let budget = stage.get("policy/v1", "PodDisruptionBudget", "cart").await?;
            let is_observed = budget["status"]["observedGeneration"] == budget["metadata"]["generation"];
            Ok(is_observed && budget["status"]["disruptionsAllowed"] == n_pods)
        })
        .await
    };
    stage.apply_manifest(budget(3)).await?;
    allowed(0).await?;
    let plan = stage.plan().await?;
    let journaled = crate::stage::journal(&plan)?;
    for answer in [
        stage.executor.dry_run(&plan).await,
        stage.executor.apply(&journaled, &plan.target.resource_version).await.map(|_| ()),
    ] {
        ensure!(matches!(answer, Err(ApplyError::NotNow { .. })), "{answer:?}");
    }
    ensure!(stage.changes().await?.is_empty(), "nothing is taken away meanwhile");
    stage.apply_manifest(budget(2)).await?;
    allowed(1).await?;
    stage.apply(&journaled).await?;
    stage.complete(&journaled).await?;
    let pod = ObjectRef::in_step(&plan.step)?.context("a pod")?;
    ensure!(stage.changes().await? == [format!("create pods/eviction {}", pod.name)]);
    Ok(())
}

#[tokio::test]
async fn a_quarantined_pod_is_out_of_its_service_and_stays_for_people_to_look_at() -> Result<()> {
    let parts = need_parts!("a_quarantined_pod_is_out_of_its_service_and_stays_for_people_to_look_at");
    let stage = Stage::set(&parts, "quarantine", WorkloadKind::Deployment, "quarantine", "").await?;
    stage
        .apply_manifest(json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "cart" },
            "spec": { "selector": { "app": "cart" }, "ports": [{ "port": 80 }] } }))
        .await?;
    wait::until_true("the Service has its endpoints", SOON, || async { Ok(endpoints(&stage).await?.len() == 3) })
        .await?;
    let failing = crash_loop(&stage).await?;
    let done = stage.walk().await?;
    let pod = stage.get("v1", "Pod", &failing).await?;
    ensure!(pod["metadata"]["labels"] == json!({ "homeostat.io/quarantine": done.plan().id.as_str() }), "{pod:#}");
    ensure!(pod["metadata"]["annotations"][ACTION_ID] == done.plan().id.as_str(), "{pod:#}");
    let endpoints = endpoints(&stage).await?;
    let uid = pod["metadata"]["uid"].as_str().context("a UID")?;
    ensure!(endpoints.len() == 3 && !endpoints.iter().any(|endpoint| endpoint == uid), "{endpoints:?}");
    let policy = stage.get("networking.k8s.io/v1", "NetworkPolicy", "homeostat-quarantine").await?;
    ensure!(policy["spec"]["policyTypes"] == json!(["Ingress", "Egress"]) && policy["spec"]["ingress"].is_null());
    ensure!(stage.list("v1", "Pod").await?.len() == 4, "three that serve, and the one to look at");

    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    stage.undo_once(&done).await?;
    // Its controller takes it back, and has one too many then.
    wait::until_true("three pods are left", SOON, || async { Ok(uids(&stage).await?.len() == 3) }).await?;
    Ok(())
}

/// Lets the first pod fail.
async fn crash_loop(stage: &Stage) -> Result<String> {
    let name = workload::crash_loop(&stage.client, &stage.subject.namespace, "cart").await?;
    wait::until_true("the workload lacks a pod", SOON, || async {
        let status = stage.object().await?["status"].clone();
        Ok(status["readyReplicas"] == 2)
    })
    .await?;
    Ok(name)
}

async fn uids(stage: &Stage) -> Result<Vec<String>> {
    let pods = stage.list("v1", "Pod").await?;
    let live = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    Ok(live.filter_map(|pod| pod["metadata"]["uid"].as_str().map(str::to_owned)).collect())
}

/// The UIDs of the pods that the Service leads to.
async fn endpoints(stage: &Stage) -> Result<Vec<String>> {
    let slices = stage.list("discovery.k8s.io/v1", "EndpointSlice").await?;
    let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
    let uid = |endpoint: Value| endpoint["targetRef"]["uid"].as_str().map(str::to_owned);
    Ok(endpoints.filter_map(uid).collect())
}
