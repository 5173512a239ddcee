//! What homeostat does when all is well with its surroundings: it acts where it may, once, and only watches where it
//! mayn't.

use anyhow::{Context, Result, ensure};
use homeostat_tests::{need_parts, wait, workload};
use kube::ResourceExt;

use crate::scene::{SOON, Scene, VICTIM, incidents, is_decided, least_rights, on_storage, tail};

const ACTION_ID: &str = "homeostat.io/action-id";
const CORRELATION_ID: &str = "homeostat.io/correlation-id";

#[tokio::test]
async fn killed_containers_are_found_restarted_once_verified_and_closed() -> Result<()> {
    let parts = need_parts!("killed_containers_are_found_restarted_once_verified_and_closed");
    let scene = Scene::set(&parts, "acting", &least_rights()).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;
    assert_eq!(incidents(&homeostat).await?, Vec::<serde_json::Value>::new(), "a healthy shop has no incidents");

    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is executed", |row| is_decided(row, "execute")).await?;
    assert_eq!(row["incident"]["type"], "oom-killed", "{row:#}");
    homeostat.wait_log("verified: recovered", 2 * SOON).await?;
    scene
        .incident(&homeostat, "the incident is resolved", |closed| {
            closed["incident"]["id"] == row["incident"]["id"] && closed["incident"]["state"] == "resolved"
        })
        .await?;

    // Once, and nothing else.
    assert_eq!(scene.changes().await?, [format!("patch deployments {VICTIM}")]);
    assert_eq!(scene.n_replica_sets().await?, 2);
    let deployment = workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    let correlation = row["incident"]["correlation"].as_str().context("a correlation id")?;
    assert_eq!(deployment.annotations().get(CORRELATION_ID).map(String::as_str), Some(correlation));
    let plan = row["decision"]["plan"].as_str().context("a plan")?;
    assert_eq!(deployment.annotations().get(ACTION_ID).map(String::as_str), Some(plan));

    // One id leads through the log, from the incident to its end.
    let log = homeostat.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains(correlation)).collect();
    for what in ["incident opened", "decided", "applied", "verified: recovered", "incident resolved"] {
        ensure!(told.iter().any(|line| line.contains(what)), "no {what:?} with {correlation} in:\n{}", tail(&log));
    }
    // What is well again is nobody's page.
    ensure!(!told.iter().any(|line| line.contains("escalated")), "a human was called:\n{}", tail(&log));
    let audit = on_storage(&homeostat, &["audit"]).await?;
    ensure!(audit.status.success() && audit.output.contains("unbroken"), "audit: {}", audit.output);
    ensure!(homeostat.stop().await?.success(), "SIGTERM must end it well");
    Ok(())
}

#[tokio::test]
async fn in_observe_mode_the_incident_is_recorded_and_nothing_is_changed() -> Result<()> {
    let parts = need_parts!("in_observe_mode_the_incident_is_recorded_and_nothing_is_changed");
    let scene = Scene::set(&parts, "observing", &least_rights()).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("observe", &bundle)?;
    homeostat.start().await?;

    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is decided on", |row| !row["decision"].is_null()).await?;
    ensure!(!is_decided(&row, "execute"), "{row:#}");
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    assert_eq!(scene.n_replica_sets().await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_kill_switch_holds_until_a_human_resumes() -> Result<()> {
    let parts = need_parts!("the_kill_switch_holds_until_a_human_resumes");
    let scene = Scene::set(&parts, "stopped", &least_rights()).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;
    let stopped = on_storage(&homeostat, &["stop", "--reason", "a drill"]).await?;
    ensure!(stopped.status.success(), "{}", stopped.output);

    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is decided on", |row| !row["decision"].is_null()).await?;
    ensure!(row["decision"].to_string().contains("a drill"), "{row:#}");
    assert_eq!(scene.changes().await?, Vec::<String>::new());

    let resumed = on_storage(&homeostat, &["resume", "--reason", "the drill is over"]).await?;
    ensure!(resumed.status.success(), "{}", resumed.output);
    wait::until_true("homeostat acts", SOON, || async { Ok(scene.n_replica_sets().await? == 2) }).await?;
    homeostat.wait_log("verified: recovered", 2 * SOON).await?;
    assert_eq!(scene.changes().await?.len(), 1);
    Ok(())
}
