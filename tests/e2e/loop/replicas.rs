//! Two replicas with one journal in the cluster, of which one acts (I9). Who wrote what, the API server's audit log says.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use homeostat_tests::audit::AuditEvent;
use homeostat_tests::homeostat::Homeostat;
use homeostat_tests::identity::Identity;
use homeostat_tests::{http, manifest, need_parts, wait, workload};
use serde_json::Value;

use crate::scene::{SOON, Scene, VICTIM, tail};

const PAUSED: &str = "paused for a crash test";
const ACTS: &str = "this replica acts from now on";

/// The kinds that the journal is kept in.
const CRDS: [&str; 2] =
    [include_str!("../../../deploy/crds/journal.yaml"), include_str!("../../../deploy/crds/incidents.yaml")];

/// A scene with the kinds and two accounts.
async fn set(scene: &Scene) -> Result<(Identity, Identity)> {
    for crd in CRDS {
        manifest::apply(&scene.client, crd).await?;
    }
    Ok((scene.replica_identity("replica-a").await?, scene.replica_identity("replica-b").await?))
}

/// What `kubectl` prints, asked as the cluster's admin.
fn kubectl(scene: &Scene, args: &[&str]) -> Result<String> {
    let output = Command::new("kubectl")
        .arg(format!("--kubeconfig={}", scene.plane.kubeconfig_path().display()))
        .arg(format!("--namespace={}", scene.namespace))
        .args(args)
        .output()
        .context("running kubectl")?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(told)
}

/// Every request for a change of this account in the scene's namespace, in order, accepted or not.
async fn writes(scene: &Scene, identity: &Identity) -> Result<Vec<AuditEvent>> {
    let events = scene.plane.audit().await?;
    let is_write = |event: &AuditEvent| {
        event.user == identity.user && matches!(event.verb.as_str(), "create" | "update" | "patch" | "delete")
    };
    Ok(events.into_iter().filter(is_write).collect())
}

/// The roll-outs of the victim that this account asked for, dry runs left out.
fn actions(events: &[AuditEvent]) -> Vec<&AuditEvent> {
    let is_action = |event: &&AuditEvent| event.resource == "deployments" && !event.uri.contains("dryRun");
    events.iter().filter(is_action).collect()
}

/// Waits until the victim's action is verified by this replica, and is the only one.
async fn finished(scene: &Scene, by: &Homeostat) -> Result<()> {
    by.wait_log("verified: recovered", 2 * SOON).await?;
    workload::wait_rolled_out(&scene.client, &scene.namespace, VICTIM).await?;
    assert_eq!(scene.n_replica_sets().await?, 2, "exactly one roll-out");
    Ok(())
}

/// What the journal's chain says, asked beside the service.
async fn audit(homeostat: &Homeostat) -> Result<String> {
    let config = format!("--config.file={}", homeostat.folder().join("homeostat.yml").display());
    let audit = Homeostat::command(["audit".to_owned(), "verify".to_owned(), config])?.run(SOON).await?;
    ensure!(audit.status.success(), "audit: {}", audit.output);
    Ok(audit.output)
}

#[tokio::test]
async fn a_leader_that_stood_still_sends_nothing_once_another_one_leads_and_nothing_is_forgotten() -> Result<()> {
    let parts = need_parts!("a_leader_that_stood_still_sends_nothing_once_another_one_leads_and_nothing_is_forgotten");
    let scene = Scene::set(&parts, "two-replicas", &[]).await?;
    let (account_a, account_b) = set(&scene).await?;
    let bundle = scene.train().await?;
    let go_on = scene.file("go-on");
    let mut leader = scene.serve_replica(&account_a, &bundle)?.arg("--test.pause-at=after-journal");
    leader = leader.arg(format!("--test.pause-until={}", go_on.display()));
    leader.start().await?;
    leader.wait_log(ACTS, SOON).await?;
    let mut follower = scene.serve_replica(&account_b, &bundle)?;
    follower.start().await?;
    let ready = http::get(&format!("{}/-/ready", follower.base_url())).await?;
    ensure!(ready.contains("doesn't act") && ready.contains("leads"), "{ready}");

    // The leader stands still between its intent and the write, for longer than its lease lasts.
    scene.oom_kill().await?;
    leader.wait_log(PAUSED, 2 * SOON).await?;
    ensure!(!follower.log().contains(ACTS), "it took over while the other one led:\n{}", tail(&follower.log()));
    leader.running()?.freeze()?;
    follower.wait_log(ACTS, SOON).await?;
    finished(&scene, &follower).await?;

    // It goes on from where it stood, with the write in hand.
    std::fs::write(&go_on, "")?;
    leader.running()?.thaw()?;
    leader.wait_log("doesn't act any more", SOON).await?;
    // Two more cycles of it, in which it could still do harm.
    let n_cycles = cycles(&leader).await?;
    wait::until_true("the old leader goes on watching", SOON, || async {
        Ok(cycles(&leader).await? >= n_cycles + 2.0)
    })
    .await?;

    let (of_a, of_b) = (writes(&scene, &account_a).await?, writes(&scene, &account_b).await?);
    assert_eq!(actions(&of_a), Vec::<&AuditEvent>::new(), "the old leader's write never left");
    assert_eq!(actions(&of_b).len(), 1, "{of_b:#?}");
    let events = scene.plane.audit().await?;
    let is_by = |event: &&AuditEvent, account: &Identity| {
        event.user == account.user && matches!(event.verb.as_str(), "create" | "update" | "patch" | "delete")
    };
    let first_of_b = events.iter().position(|event| is_by(&event, &account_b)).context("the new one wrote")?;
    let late: Vec<&AuditEvent> = events[first_of_b..].iter().filter(|event| is_by(event, &account_a)).collect();
    assert_eq!(late, Vec::<&AuditEvent>::new(), "nothing of the old leader after the new one's first write");
    assert_eq!(scene.n_replica_sets().await?, 2);
    ensure!(!leader.log().contains("verified"), "{}", tail(&leader.log()));

    // What people see.
    let told = audit(&follower).await?;
    ensure!(told.contains("unbroken"), "{told}");
    wait::until_true("kubectl shows what was done", SOON, || async {
        let shown = kubectl(&scene, &["get", "remediations", "--no-headers"])?;
        Ok(shown.contains("rollout-restart") && shown.contains("recovered") && shown.contains("True"))
    })
    .await?;
    let shown = kubectl(&scene, &["get", "inc"])?;
    ensure!(shown.contains("oom-killed") && shown.contains(VICTIM) && shown.contains("rollout-restart"), "{shown}");
    let journal: Value = serde_json::from_str(&kubectl(&scene, &["get", "journal", "homeostat", "-o", "json"])?)?;
    assert_eq!(journal["spec"]["lease"]["transitions"], 1, "{journal:#}");
    assert_eq!(journal["spec"]["epoch"], 2, "{journal:#}");
    let noted = || async {
        let lease: Value = serde_json::from_str(&kubectl(&scene, &["get", "lease", "homeostat", "-o", "json"])?)?;
        let head = &serde_json::from_str::<Value>(&kubectl(&scene, &["get", "journal", "homeostat", "-o", "json"])?)?["spec"]
            ["head"];
        let noted =
            lease["metadata"]["annotations"]["homeostat.io/journal-head"].as_str().unwrap_or_default().to_owned();
        Ok(noted.ends_with(head.as_str().unwrap_or("none")))
    };
    wait::until_true("the lease names the journal's head", SOON, noted).await?;
    // Not even the admin changes a row.
    let row = "journalrow/homeostat-0000000001";
    let patch = r#"{"spec": {"body": "{}"}}"#;
    let changed = kubectl(&scene, &["patch", row, "--type=merge", "-p", patch]);
    ensure!(changed.is_err_and(|error| error.to_string().contains("never changed")), "a row was changed");

    // Who ends well is followed at once.
    ensure!(follower.stop().await?.success(), "SIGTERM must end it well");
    follower.wait_log("the lease was given back", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn what_a_leader_that_is_killed_has_begun_the_other_one_finishes() -> Result<()> {
    let parts = need_parts!("what_a_leader_that_is_killed_has_begun_the_other_one_finishes");
    let scene = Scene::set(&parts, "killed-leader", &[]).await?;
    let (account_a, account_b) = set(&scene).await?;
    let bundle = scene.train().await?;
    let mut leader = scene.serve_replica(&account_a, &bundle)?.arg("--test.pause-at=after-apply");
    leader.start().await?;
    leader.wait_log(ACTS, SOON).await?;
    let mut follower = scene.serve_replica(&account_b, &bundle)?;
    follower.start().await?;

    // It has written to the cluster, and the journal doesn't know yet.
    scene.oom_kill().await?;
    leader.wait_log(PAUSED, 2 * SOON).await?;
    leader.kill()?;
    follower.wait_log(ACTS, SOON).await?;
    finished(&scene, &follower).await?;
    assert_eq!(actions(&writes(&scene, &account_a).await?).len(), 1);
    assert_eq!(actions(&writes(&scene, &account_b).await?).len(), 0, "it was found, not sent again");
    let told = audit(&follower).await?;
    ensure!(told.contains("unbroken"), "{told}");
    Ok(())
}

/// How many cycles it has made.
async fn cycles(homeostat: &Homeostat) -> Result<f64> {
    let text = http::get(&format!("{}/metrics", homeostat.base_url())).await?;
    let counters = text.lines().filter(|line| line.starts_with("homeostat_cycles_total"));
    Ok(counters.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
