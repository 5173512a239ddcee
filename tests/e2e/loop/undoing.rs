//! Going back to the revision before, on a real API server: written once, with its marker, and only by the template.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_tests::{need_parts, workload};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use crate::scene::{SOON, Scene, VICTIM, is_decided, tail};

const ACTION_ID: &str = "homeostat.io/action-id";
/// Roll-outs look like a drop in traffic for some seconds: rates count nothing of a pod's first ones. Homeostat, which looks back when it
/// starts, would find that; so many seconds later it has been over for longer than an incident takes to resolve, and no row near it is
/// left in a window.
const QUIET_S: u32 = 150;
/// For the pods to be that old on a busy machine.
const QUIET_WITHIN: Duration = Duration::from_secs(300);

fn image(deployment: &Deployment) -> Option<&str> {
    deployment.spec.template.spec.as_ref()?.containers.first()?.image.as_deref()
}

#[tokio::test]
async fn a_bad_revision_is_gone_back_from_once_verified_and_closed() -> Result<()> {
    let parts = need_parts!("a_bad_revision_is_gone_back_from_once_verified_and_closed");
    let scene = Scene::set(&parts, "undoing", &[]).await?.acting_by("rollout-undo");
    scene.grant_what_rbac_prints().await?;
    // Before anything is rolled out: what a roll-out stirs up would raise the alarm threshold.
    let bundle = scene.train().await?;
    let good = workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    let good = image(&good).context("an image")?.to_owned();
    workload::set_image(&scene.client, &scene.namespace, VICTIM, "registry.example/payment-api:bad").await?;
    workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    // A restart of the bad revision is a revision of its own, and nothing to go back to.
    workload::restart(&scene.client, &scene.namespace, VICTIM).await?;
    workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    assert_eq!(scene.n_replica_sets().await?, 3);
    let youngest = format!("min(count_over_time(http_requests_total{{pod=~\"{VICTIM}-.*\"}}[{QUIET_S}s]))");
    let nearly_all = 0.95 * f64::from(QUIET_S);
    scene.prometheus.wait_for(&youngest, QUIET_WITHIN, |n_scrapes| n_scrapes >= nearly_all).await?;

    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;
    scene.quiet(&homeostat).await?;
    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is executed", |row| is_decided(row, "execute")).await?;
    assert_eq!(row["decision"]["action"], "rollout-undo", "{row:#}");
    homeostat.wait_log("verified: recovered", 2 * SOON).await?;
    scene
        .incident(&homeostat, "the incident is resolved", |closed| {
            closed["incident"]["id"] == row["incident"]["id"] && closed["incident"]["state"] == "resolved"
        })
        .await?;

    assert_eq!(scene.changes().await?, [format!("patch deployments {VICTIM}")]);
    assert_eq!(scene.n_replica_sets().await?, 3, "the ReplicaSet of the good revision serves again");
    let deployment = workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    assert_eq!(image(&deployment), Some(good.as_str()));
    let plan = row["decision"]["plan"].as_str().context("a plan")?;
    assert_eq!(deployment.annotations().get(ACTION_ID).map(String::as_str), Some(plan));
    let log = homeostat.log();
    // About this incident, from the action on. On a machine so busy that scrapes come late there may be others about traffic, and the
    // first look at this one may be too uncertain to act on: that is asked about, and rightly.
    let id = row["incident"]["id"].as_str().context("an id")?;
    let after = log.lines().skip_while(|line| !line.contains("message=applied"));
    let mut calls = after.filter(|line| line.contains("escalated: ") && line.contains(id));
    ensure!(calls.next().is_none(), "a human was called:\n{}", tail(&log));
    Ok(())
}
