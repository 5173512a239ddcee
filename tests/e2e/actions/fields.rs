//! Changing single fields: of the workload, and of a ConfigMap that it reads.

use anyhow::{Result, ensure};
use homeostat_core::WorkloadKind;
use homeostat_tests::{need_parts, wait};
use serde_json::json;

use crate::stage::{ACTION_ID, SOON, Stage};

const DEPLOYMENT: WorkloadKind = WorkloadKind::Deployment;

#[tokio::test]
async fn a_rollout_that_hangs_is_paused_and_a_paused_one_resumed() -> Result<()> {
    let parts = need_parts!("a_rollout_that_hangs_is_paused_and_a_paused_one_resumed");
    let stage = Stage::set(&parts, "pause", DEPLOYMENT, "pause-rollout", "").await?;
    ensure!(stage.objection().await? == "no-rollout");
    let nowhere = json!({ "spec": { "template": { "spec": { "nodeSelector": { "disk": "none-has-this" } } } } });
    stage.patch("apps/v1", "Deployment", "cart", nowhere).await?;
    wait::until_true("the rollout hangs", SOON, || async {
        Ok(stage.object().await?["status"]["updatedReplicas"] == 1)
    })
    .await?;
    let done = stage.walk().await?;
    ensure!(stage.object().await?["spec"]["paused"] == true);
    stage.undo(&done).await?;
    ensure!(stage.object().await?["spec"]["paused"].is_null());
    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);

    let stage = Stage::set(&parts, "resume", DEPLOYMENT, "resume-rollout", "").await?;
    ensure!(stage.objection().await? == "not-paused");
    stage.patch("apps/v1", "Deployment", "cart", json!({ "spec": { "paused": true } })).await?;
    let done = stage.walk().await?;
    ensure!(stage.object().await?["spec"]["paused"].is_null());
    stage.undo(&done).await?;
    ensure!(stage.object().await?["spec"]["paused"] == true);
    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    Ok(())
}

#[tokio::test]
async fn a_memory_limit_is_raised_within_its_bound_by_a_new_revision_and_put_back() -> Result<()> {
    let parts = need_parts!("a_memory_limit_is_raised_within_its_bound_by_a_new_revision_and_put_back");
    for (kind, name) in [(DEPLOYMENT, "deployment"), (WorkloadKind::DaemonSet, "daemon-set")] {
        let with = "{times: 2, max: 192Mi}";
        let stage = Stage::set(&parts, &format!("memory-{name}"), kind, "raise-memory-limit", with).await?;
        let limit = async || -> Result<String> {
            let container = stage.object().await?["spec"]["template"]["spec"]["containers"][0].clone();
            Ok(container["resources"]["limits"]["memory"].as_str().unwrap_or_default().to_owned())
        };
        let done = stage.walk().await?;
        ensure!(limit().await? == "192Mi", "twice 128Mi, and at most 192Mi");
        ensure!(stage.objection().await? == "at-maximum");
        stage.undo(&done).await?;
        ensure!(limit().await? == "128Mi");
        stage.wait_rolled_out().await?;
        ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_policys_own_patch_is_merged_and_taken_back() -> Result<()> {
    let parts = need_parts!("a_policys_own_patch_is_merged_and_taken_back");
    let field = "spec.template.spec.terminationGracePeriodSeconds";
    let with =
        format!("{{patch: {{spec: {{template: {{spec: {{terminationGracePeriodSeconds: 5}}}}}}}}, fields: [{field}]}}");
    let stage = Stage::set(&parts, "patch", DEPLOYMENT, "patch", &with).await?;
    let done = stage.walk().await?;
    let seconds = async || -> Result<serde_json::Value> {
        Ok(stage.object().await?["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].clone())
    };
    ensure!(seconds().await? == 5);
    ensure!(stage.objection().await? == "already-set");
    stage.undo(&done).await?;
    ensure!(seconds().await? == 30);
    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    Ok(())
}

#[tokio::test]
async fn a_flag_in_a_config_map_is_set_and_put_back() -> Result<()> {
    let parts = need_parts!("a_flag_in_a_config_map_is_set_and_put_back");
    let with = "{config_map: flags, key: recommendations, value: \"off\"}";
    let stage = Stage::set(&parts, "flag", DEPLOYMENT, "configmap-flag", with).await?;
    ensure!(stage.objection().await? == "no-config-map");
    let data = json!({ "recommendations": "on", "search": "on" });
    stage
        .apply_manifest(
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "flags" }, "data": data }),
        )
        .await?;
    let done = stage.walk().await?;
    let flags = stage.get("v1", "ConfigMap", "flags").await?;
    ensure!(flags["data"] == json!({ "recommendations": "off", "search": "on" }), "{flags:#}");
    ensure!(flags["metadata"]["annotations"][ACTION_ID] == done.plan().id.as_str(), "{flags:#}");
    stage.undo(&done).await?;
    ensure!(stage.get("v1", "ConfigMap", "flags").await?["data"] == data);
    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    Ok(())
}
