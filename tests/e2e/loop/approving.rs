//! A person is shown exactly what would be sent, approves that and nothing else, and it is done once.

use anyhow::{Context, Result, ensure};
use homeostat_tests::need_parts;

use crate::scene::{SOON, Scene, VICTIM, is_decided, least_rights, on_storage};

#[tokio::test]
async fn what_a_person_approves_is_done_once_and_nothing_before() -> Result<()> {
    let parts = need_parts!("what_a_person_approves_is_done_once_and_nothing_before");
    let scene = Scene::set(&parts, "approving", &least_rights()).await?.asking_first();
    let bundle = scene.train().await?;
    let mut homeostat = scene.serve("execute", &bundle)?;
    homeostat.start().await?;

    scene.oom_kill().await?;
    let row = scene.incident(&homeostat, "the incident is proposed", |row| is_decided(row, "propose")).await?;
    let id = row["incident"]["id"].as_str().context("an id")?;
    let shown = on_storage(&homeostat, &["incident", "show", id]).await?;
    ensure!(shown.status.success() && shown.output.contains("restartedAt"), "what would be sent: {}", shown.output);
    let digest = shown.output.lines().find_map(|line| line.trim().strip_prefix("Digest"));
    let digest = digest.with_context(|| format!("a digest in: {}", shown.output))?.trim();
    assert_eq!(scene.changes().await?, Vec::<String>::new(), "nothing before somebody approves");

    let of_another_plan = ["incident", "approve", id, "--digest", "0123456789abcdef", "--by", "anna"];
    let refused = on_storage(&homeostat, &of_another_plan).await?;
    ensure!(!refused.status.success() && refused.output.contains("is another one now"), "{}", refused.output);
    let approve = ["incident", "approve", id, "--digest", digest, "--by", "anna", "--note", "it leaks"];
    let approved = on_storage(&homeostat, &approve).await?;
    ensure!(approved.status.success() && approved.output.contains("is approved"), "{}", approved.output);
    homeostat.wait_log("verified: recovered", 3 * SOON).await?;
    assert_eq!(scene.changes().await?, [format!("patch deployments {VICTIM}")]);

    let again = on_storage(&homeostat, &approve).await?;
    ensure!(!again.status.success() && again.output.contains("no plan of"), "{}", again.output);
    let shown = on_storage(&homeostat, &["incident", "show", id]).await?;
    ensure!(shown.output.contains("recovered"), "{}", shown.output);
    let audit = on_storage(&homeostat, &["audit"]).await?;
    ensure!(audit.status.success() && audit.output.contains("unbroken"), "audit: {}", audit.output);
    assert_eq!(scene.changes().await?.len(), 1, "and nothing after it");
    ensure!(homeostat.stop().await?.success(), "SIGTERM must end it well");
    Ok(())
}
