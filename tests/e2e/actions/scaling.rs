//! Scaling: by the workload's own count, or through the autoscaler that owns it; within quotas.

use anyhow::{Result, ensure};
use homeostat_core::WorkloadKind;
use homeostat_execute::Executor;
use homeostat_remediate::{Inverse, ObjectKind, ObjectRef};
use homeostat_tests::{manifest, need_parts, wait};
use serde_json::json;

use crate::objects::definition;
use crate::stage::{ACTION_ID, SOON, Stage, journal};

#[tokio::test]
async fn a_workload_is_scaled_once_and_back() -> Result<()> {
    let parts = need_parts!("a_workload_is_scaled_once_and_back");
    for (kind, name) in [(WorkloadKind::Deployment, "deployment"), (WorkloadKind::StatefulSet, "stateful-set")] {
        let stage = Stage::set(&parts, &format!("scale-{name}"), kind, "scale", "{by: 2, max: 5}").await?;
        let done = stage.walk().await?;
        let object = stage.object().await?;
        ensure!(object["spec"]["replicas"] == 5 && object["status"]["readyReplicas"] == 5, "{object:#}");
        ensure!(object["metadata"]["annotations"][ACTION_ID] == done.plan().id.as_str(), "{object:#}");
        ensure!(stage.objection().await? == "at-maximum");
        stage.undo(&done).await?;
        ensure!(stage.object().await?["spec"]["replicas"] == 3);
        // No autoscaler is there.
        let of_autoscalers = |right: &String| right.contains("autoscaling") || right.contains("keda.sh");
        ensure!(stage.unused_rights().await?.iter().all(of_autoscalers), "{:?}", stage.unused_rights().await?);
    }
    Ok(())
}

#[tokio::test]
async fn more_pods_than_a_quota_allows_are_refused_beforehand() -> Result<()> {
    let parts = need_parts!("more_pods_than_a_quota_allows_are_refused_beforehand");
    let stage = Stage::set(&parts, "scale-quota", WorkloadKind::Deployment, "scale", "{by: 2, max: 5}").await?;
    stage
        .apply_manifest(json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "small" },
            "spec": { "hard": { "requests.memory": "300Mi" } } }))
        .await?;
    wait::until_true("the quota is counted", SOON, || async {
        let quota = stage.get("v1", "ResourceQuota", "small").await?;
        Ok(quota["status"]["used"]["requests.memory"] == "192Mi")
    })
    .await?;
    ensure!(stage.objection().await? == "quota", "five pods of 64Mi don't fit into 300Mi");
    ensure!(stage.changes().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_an_autoscaler_owns_is_scaled_through_its_minimum_and_given_back() -> Result<()> {
    let parts = need_parts!("what_an_autoscaler_owns_is_scaled_through_its_minimum_and_given_back");
    let with = "{by: 4, max: 10, for: 5m}";
    let stage = Stage::set(&parts, "scale-hpa", WorkloadKind::Deployment, "scale", with).await?;
    let metrics = json!([{ "type": "Resource",
        "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }]);
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" });
    stage
        .apply_manifest(json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": "cart" },
            "spec": { "scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 6, "metrics": metrics } }))
        .await?;
    let done = stage.walk().await?;
    let plan = done.plan();
    ensure!(ObjectRef::in_step(&plan.step)?.map(|object| object.kind) == Some(ObjectKind::HorizontalPodAutoscaler));
    let autoscaler = stage.get("autoscaling/v2", "HorizontalPodAutoscaler", "cart").await?;
    ensure!(autoscaler["spec"]["minReplicas"] == 6, "up to the autoscaler's own maximum: {autoscaler:#}");
    ensure!(autoscaler["metadata"]["annotations"][ACTION_ID] == plan.id.as_str(), "{autoscaler:#}");
    ensure!(stage.object().await?["spec"]["replicas"] == 6, "and the autoscaler followed");
    ensure!(matches!(plan.inverse, Inverse::Temporary { .. }), "{:?}", plan.inverse);
    stage.undo(&done).await?;
    let autoscaler = stage.get("autoscaling/v2", "HorizontalPodAutoscaler", "cart").await?;
    ensure!(autoscaler["spec"]["minReplicas"] == 2, "{autoscaler:#}");
    ensure!(autoscaler["metadata"]["annotations"]["homeostat.io/restore-min-replicas"].is_null(), "{autoscaler:#}");
    let changes = stage.changes().await?;
    ensure!(changes == ["patch horizontalpodautoscalers cart"; 2], "the workload itself isn't written: {changes:?}");
    let unused = stage.unused_rights().await?;
    ensure!(!unused.iter().any(|right| right.contains("autoscaling")), "{unused:?}");
    Ok(())
}

/// KEDA writes its own minimum over the autoscaler's, so that is what counts. There is no KEDA here: what is judged is what is written.
#[tokio::test]
async fn where_keda_keeps_the_autoscaler_its_scaled_object_is_written() -> Result<()> {
    let parts = need_parts!("where_keda_keeps_the_autoscaler_its_scaled_object_is_written");
    let stage = Stage::set(&parts, "scale-keda", WorkloadKind::Deployment, "scale", "{by: 2, max: 10}").await?;
    manifest::apply_one(&stage.client, definition("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")).await?;
    stage
        .apply_manifest(
            json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": { "name": "cart" },
            "spec": { "scaleTargetRef": { "name": "cart" }, "minReplicaCount": 1, "maxReplicaCount": 8 } }),
        )
        .await?;
    let scaled_object = stage.get("keda.sh/v1alpha1", "ScaledObject", "cart").await?;
    let owner = json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "cart", "controller": true,
        "uid": scaled_object["metadata"]["uid"] });
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "cart" });
    stage
        .apply_manifest(json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": "keda-hpa-cart", "ownerReferences": [owner] },
            "spec": { "scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 8 } }))
        .await?;
    let plan = stage.plan().await?;
    stage.executor.dry_run(&plan).await?;
    let journaled = journal(&plan)?;
    stage.apply(&journaled).await?;
    stage.apply(&journaled).await?;
    let minimum = async || -> Result<serde_json::Value> {
        Ok(stage.get("keda.sh/v1alpha1", "ScaledObject", "cart").await?["spec"]["minReplicaCount"].clone())
    };
    ensure!(minimum().await? == 5);
    stage.undo(&journaled).await?;
    ensure!(minimum().await? == 1);
    ensure!(
        stage.changes().await? == ["patch scaledobjects cart"; 2],
        "neither the autoscaler nor the workload is written"
    );
    let unused = stage.unused_rights().await?;
    ensure!(!unused.iter().any(|right| right.contains("keda.sh")), "{unused:?}");
    Ok(())
}
