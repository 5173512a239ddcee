//! ClusterContext that fail: rights that are missing, a Prometheus that stands still. Nothing is done in the dark, nothing
//! hangs, and nothing is taken for well because it went silent (I12, I13).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_tests::homeostat::Homeostat;
use homeostat_tests::rights::allow;
use homeostat_tests::{http, need_parts, wait};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::DeleteParams;

use crate::scene::{SOON, Scene, VICTIM, is_decided, least_rights, refusals, tail};

#[tokio::test]
async fn without_rights_it_calls_a_human_and_goes_on_watching() -> Result<()> {
    let parts = need_parts!("without_rights_it_calls_a_human_and_goes_on_watching");
    let scene = Scene::set(&parts, "no-rights", &[]).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;

    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is refused", |row| is_decided(row, "refuse")).await?;
    ensure!(refusals(&row).contains(&"not-inspected".to_owned()), "{row:#}");
    homeostat.wait_log("not allowed to get deployments.apps", SOON).await?;
    homeostat.wait_log("escalated", SOON).await?;
    goes_on(&homeostat).await?;
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn with_the_right_to_look_but_not_to_change_it_is_refused_before_an_attempt_is_made() -> Result<()> {
    let parts = need_parts!("with_the_right_to_look_but_not_to_change_it_is_refused_before_an_attempt_is_made");
    let scene = Scene::set(&parts, "read-only", &[allow("apps", &["deployments"], &["get"])]).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;

    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is refused", |row| is_decided(row, "refuse")).await?;
    ensure!(refusals(&row).contains(&"dry-run-refused".to_owned()), "{row:#}");
    homeostat.wait_log("not allowed to patch deployments.apps", SOON).await?;
    homeostat.wait_log("escalated", SOON).await?;
    goes_on(&homeostat).await?;
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    assert_eq!(scene.n_replica_sets().await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_target_that_is_gone_is_a_call_for_a_human_and_no_recovery() -> Result<()> {
    let parts = need_parts!("a_target_that_is_gone_is_a_call_for_a_human_and_no_recovery");
    let scene = Scene::set(&parts, "gone", &least_rights()).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?.arg("--test.pause-at=after-journal");
    homeostat.start().await?;
    scene.oom_kill().await?;
    homeostat.wait_log("paused for a crash test", 2 * SOON).await?;
    let deployments: Api<Deployment> = Api::namespaced(scene.client.clone(), &scene.namespace);
    deployments.delete(VICTIM, &DeleteParams::foreground()).await?;
    wait::until_true("the Deployment is gone", SOON, || async { Ok(deployments.get_opt(VICTIM).await?.is_none()) })
        .await?;
    homeostat.kill()?;

    let mut again = homeostat.without_arg("--test.pause-at");
    again.start().await?;
    again.wait_log("escalated", 2 * SOON).await?;
    goes_on(&again).await?;
    let log = again.log();
    ensure!(!log.contains("verified: recovered") && !log.contains("incident resolved"), "{}", tail(&log));
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_prometheus_that_stands_still_resolves_nothing_and_holds_nothing_up() -> Result<()> {
    let parts = need_parts!("a_prometheus_that_stands_still_resolves_nothing_and_holds_nothing_up");
    let mut scene = Scene::set(&parts, "silent", &least_rights()).await?;
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("recommend", &bundle)?;
    homeostat.start().await?;
    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is decided on", |row| !row["decision"].is_null()).await?;

    scene.prometheus.freeze()?;
    let n_failed = metric(&homeostat, r#"homeostat_cycles_total{result="error"}"#).await?;
    wait::until_true("cycles without answers are counted", SOON, || async {
        Ok(metric(&homeostat, r#"homeostat_cycles_total{result="error"}"#).await? >= n_failed + 2.0)
    })
    .await?;
    scene.prometheus.thaw()?;
    scene.prometheus.kill()?;
    let n_failed = metric(&homeostat, r#"homeostat_cycles_total{result="error"}"#).await?;
    wait::until_true("cycles without a server are counted", SOON, || async {
        Ok(metric(&homeostat, r#"homeostat_cycles_total{result="error"}"#).await? >= n_failed + 2.0)
    })
    .await?;
    let still = scene.incident(&homeostat, "the incident", |_| true).await?;
    assert_eq!(still["incident"]["id"], row["incident"]["id"]);
    ensure!(still["incident"]["state"] != "resolved", "silence is no recovery: {still:#}");

    scene.prometheus.restart().await?;
    goes_on(&homeostat).await?;
    scene.prometheus.freeze()?;
    let began = std::time::Instant::now();
    ensure!(homeostat.stop().await?.success(), "SIGTERM must end it well");
    ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?} to end", began.elapsed());
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_there_before_its_prometheus_trains_once_it_comes() -> Result<()> {
    let parts = need_parts!("a_service_that_is_there_before_its_prometheus_trains_once_it_comes");
    let mut scene = Scene::set(&parts, "early", &least_rights()).await?;
    scene.prometheus.kill()?;
    let mut homeostat = scene.serve_untrained("execute")?;
    homeostat.spawn()?;
    homeostat.wait_log("trying again", SOON).await?;
    scene.prometheus.restart().await?;
    homeostat.wait_log("watching", SOON).await?;
    goes_on(&homeostat).await?;
    // The shop's four services, and nothing else.
    assert_eq!(metric(&homeostat, "homeostat_subjects ").await?, 4.0);
    Ok(())
}

/// Whole cycles are made from now on.
async fn goes_on(homeostat: &Homeostat) -> Result<()> {
    let name = r#"homeostat_cycles_total{result="ok"}"#;
    let n_before = metric(homeostat, name).await?;
    wait::until_true("cycles go on", SOON, || async { Ok(metric(homeostat, name).await? >= n_before + 2.0) }).await
}

/// The value of one of its own metrics; 0 of what was never counted.
async fn metric(homeostat: &Homeostat, name: &str) -> Result<f64> {
    let text = http::get(&format!("{}/metrics", homeostat.base_url())).await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().parse());
    value.transpose().with_context(|| text.clone()).map(|value| value.unwrap_or(0.0))
}
