//! Restarting and going back, for each kind of workload.

use anyhow::{Result, ensure};
use homeostat_core::WorkloadKind;
use homeostat_execute::{ACTION_ID as MARK, RESTARTED_AT};
use homeostat_tests::need_parts;
use serde_json::Value;

use crate::stage::{ACTION_ID, Stage, UNDONE_ID};

const KINDS: [(WorkloadKind, &str); 3] = [
    (WorkloadKind::Deployment, "deployment"),
    (WorkloadKind::StatefulSet, "stateful-set"),
    (WorkloadKind::DaemonSet, "daemon-set"),
];

fn image(object: &Value) -> &str {
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn every_kind_of_workload_is_restarted_once_with_the_rights_of_a_restart() -> Result<()> {
    let parts = need_parts!("every_kind_of_workload_is_restarted_once_with_the_rights_of_a_restart");
    assert_eq!(MARK, ACTION_ID);
    for (kind, name) in KINDS {
        let stage = Stage::set(&parts, &format!("restart-{name}"), kind, "rollout-restart", "").await?;
        let before = pod_uids(&stage).await?;
        let done = stage.walk().await?;
        let object = stage.object().await?;
        let plan = done.plan();
        ensure!(object["metadata"]["annotations"][ACTION_ID] == plan.id.as_str(), "{name}: {object:#}");
        let restarted_at = &object["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT];
        ensure!(restarted_at.as_str() == plan.step.args.text("restarted_at"), "{name}: {object:#}");
        let after = pod_uids(&stage).await?;
        ensure!(before.iter().all(|uid| !after.contains(uid)), "{name}: every pod is a new one");
        ensure!(stage.unused_rights().await?.is_empty(), "{name}: {:?}", stage.unused_rights().await?);
    }
    Ok(())
}

#[tokio::test]
async fn every_kind_of_workload_goes_back_to_its_revision_before_and_forward_again() -> Result<()> {
    let parts = need_parts!("every_kind_of_workload_goes_back_to_its_revision_before_and_forward_again");
    for (kind, name) in KINDS {
        let stage = Stage::set(&parts, &format!("undo-{name}"), kind, "rollout-undo", "").await?;
        ensure!(stage.objection().await? == "no-previous-revision", "{name}");
        stage.roll_out("registry.example/cart:2").await?;
        let done = stage.walk().await?;
        ensure!(image(&stage.object().await?) == "registry.example/cart:1", "{name}");
        stage.undo(&done).await?;
        stage.wait_rolled_out().await?;
        let object = stage.object().await?;
        ensure!(image(&object) == "registry.example/cart:2", "{name}");
        ensure!(object["metadata"]["annotations"][UNDONE_ID] == done.plan().id.as_str(), "{name}: {object:#}");
        ensure!(stage.unused_rights().await?.is_empty(), "{name}: {:?}", stage.unused_rights().await?);
    }
    Ok(())
}

async fn pod_uids(stage: &Stage) -> Result<Vec<String>> {
    let pods = stage.list("v1", "Pod").await?;
    let live = pods.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    Ok(live.filter_map(|pod| pod["metadata"]["uid"].as_str().map(str::to_owned)).collect())
}
