//! kill -9 in the middle of an action: whatever was under way is done once, never twice, and never forgotten (I5, I6, I7).

use anyhow::{Result, ensure};
use homeostat_tests::{need_parts, wait, workload};

use crate::scene::{SOON, Scene, VICTIM, incidents, least_rights, on_storage, tail};

/// What the service says when it stands still for us.
const PAUSED: &str = "paused for a crash test";

/// Kills the service at `point` of its action, starts it again, and waits until the action is verified.
async fn killed_at(scene: &Scene, point: &str, replica_sets_then: usize) -> Result<()> {
    let bundle = scene.train().await?;
    let mut paused = scene.serve("execute", &bundle)?.arg(format!("--test.pause-at={point}"));
    paused.start().await?;
    scene.oom_kill().await?;
    paused.wait_log(PAUSED, 2 * SOON).await?;
    wait::until_true("the cluster has the write, or not", SOON, || async {
        Ok(scene.n_replica_sets().await? == replica_sets_then)
    })
    .await?;
    paused.kill()?;

    let mut homeostat = paused.without_arg("--test.pause-at");
    homeostat.start().await?;
    homeostat.wait_log("verified: recovered", 2 * SOON).await?;
    workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    assert_eq!(scene.n_replica_sets().await?, 2, "exactly one roll-out");
    assert_eq!(scene.changes().await?, [format!("patch deployments {VICTIM}")]);
    let log = homeostat.log();
    ensure!(log.matches("verified: recovered").count() == 1, "{}", tail(&log));
    // The incident survived too: the action belongs to the one that was open before.
    let mine = incidents(&homeostat).await?;
    let of_victim = mine.iter().filter(|row| row["incident"]["type"] == "oom-killed").count();
    assert_eq!(of_victim, 1, "{mine:#?}");
    let audit = on_storage(&homeostat, &["audit"]).await?;
    ensure!(audit.status.success(), "audit: {}", audit.output);
    Ok(())
}

#[tokio::test]
async fn killed_between_journal_and_write_it_is_written_once_afterwards() -> Result<()> {
    let parts = need_parts!("killed_between_journal_and_write_it_is_written_once_afterwards");
    let scene = Scene::set(&parts, "crash-journal", &least_rights()).await?;
    killed_at(&scene, "after-journal", 1).await
}

#[tokio::test]
async fn killed_between_write_and_verification_it_is_not_written_again() -> Result<()> {
    let parts = need_parts!("killed_between_write_and_verification_it_is_not_written_again");
    let scene = Scene::set(&parts, "crash-write", &least_rights()).await?;
    killed_at(&scene, "after-apply", 2).await
}

/// I2, I8.
#[tokio::test]
async fn what_was_made_anew_under_the_same_name_meanwhile_is_left_alone() -> Result<()> {
    let parts = need_parts!("what_was_made_anew_under_the_same_name_meanwhile_is_left_alone");
    let scene = Scene::set(&parts, "recreated", &least_rights()).await?;
    let bundle = scene.train().await?;
    let mut paused = scene.serve("execute", &bundle)?.arg("--test.pause-at=after-journal");
    paused.start().await?;
    scene.oom_kill().await?;
    paused.wait_log(PAUSED, 2 * SOON).await?;
    workload::recreate(&scene.client, &scene.namespace, VICTIM).await?;
    paused.kill()?;

    let mut homeostat = paused.without_arg("--test.pause-at");
    homeostat.start().await?;
    homeostat.wait_log("verified: unknown", 2 * SOON).await?;
    homeostat.wait_log("escalated", SOON).await?;
    assert_eq!(scene.changes().await?, Vec::<String>::new());
    assert_eq!(scene.n_replica_sets().await?, 1, "the new one was never restarted");
    Ok(())
}
