//! Helm: a release is installed, upgraded and rolled back by the real program, which acts with exactly the rights that the action names.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use homeostat_core::WorkloadKind;
use homeostat_execute::{ApplyError, Executor, WriteOutcome};
use homeostat_tests::{need_parts, parts, wait};
use serde_json::json;

use crate::objects::manifest_of;
use crate::stage::{SOON, Stage, journal};

/// Runs Helm as the admin would; whether it succeeded.
async fn helm(program: &Path, stage: &Stage, args: &[&str]) -> Result<bool> {
    let mut command = tokio::process::Command::new(program);
    command.args(args).args(["--namespace", &stage.subject.namespace]).stdin(Stdio::null());
    let output = command.env("KUBECONFIG", stage.plane.kubeconfig_path()).output().await?;
    Ok(output.status.success())
}

#[tokio::test]
async fn a_release_goes_back_past_a_failed_revision_to_the_good_one() -> Result<()> {
    const TEST: &str = "a_release_goes_back_past_a_failed_revision_to_the_good_one";
    let parts = need_parts!(TEST);
    let Some(program) = &parts.helm else {
        parts::skip(TEST, "helm isn't installed");
        return Ok(());
    };
    let with = format!("{{good_after: 1s, program: {}}}", program.display());
    let stage = Stage::set(&parts, "helm", WorkloadKind::Deployment, "helm-rollback", &with).await?;
    ensure!(stage.objection().await? == "no-helm-release", "nobody installed it by Helm");

    let chart = tempfile::tempdir()?;
    std::fs::create_dir(chart.path().join("templates"))?;
    std::fs::write(chart.path().join("Chart.yaml"), "apiVersion: v2\nname: cart\nversion: 1.0.0\n")?;
    std::fs::write(chart.path().join("values.yaml"), "tag: 1\nreplicas: 3\n")?;
    let mut template = manifest_of(&stage.subject, 3);
    template["spec"]["replicas"] = json!("REPLICAS");
    let template = template
        .to_string()
        .replace("\"REPLICAS\"", "{{ .Values.replicas }}")
        .replace("cart:1", "cart:{{ .Values.tag }}");
    std::fs::write(chart.path().join("templates/cart.yaml"), template)?;
    // Helm takes over what says that it is the release's.
    let annotations =
        json!({ "meta.helm.sh/release-name": "cart", "meta.helm.sh/release-namespace": stage.subject.namespace });
    let labels = json!({ "app.kubernetes.io/managed-by": "Helm" });
    let metadata = json!({ "metadata": { "annotations": annotations, "labels": labels } });
    stage.patch("apps/v1", "Deployment", "cart", metadata).await?;
    let chart = chart.path().to_string_lossy().into_owned();
    ensure!(helm(program, &stage, &["install", "cart", &chart]).await?, "installed");
    let installed = Instant::now();
    wait::until_true("the first revision was in place for long enough", SOON, || async {
        Ok(installed.elapsed().as_secs() >= 2)
    })
    .await?;
    ensure!(!helm(program, &stage, &["upgrade", "cart", &chart, "--set", "replicas=-1"]).await?, "no such replicas");
    ensure!(helm(program, &stage, &["upgrade", "cart", &chart, "--set", "tag=2"]).await?, "upgraded");
    stage.wait_rolled_out().await?;

    let plan = stage.plan().await?;
    ensure!(plan.step.args.count("to_revision") == Some(1), "the one before failed: {:?}", plan.step);
    let n_changes = stage.changes().await?.len();
    stage.executor.dry_run(&plan).await.context("the dry run")?;
    ensure!(stage.executor.outcome_of_write(&plan).await? == WriteOutcome::NotApplied, "before anything was sent");
    ensure!(stage.changes().await?.len() == n_changes, "nothing is changed before it is applied");
    let mut other = plan.clone();
    other.target.uid = "00000000-0000-0000-0000-000000000000".into();
    let refused = stage.executor.apply(&journal(&other)?, "").await;
    ensure!(matches!(refused, Err(ApplyError::Stale { .. })), "another object: {refused:?}");

    let done = journal(&plan)?;
    stage.apply(&done).await?;
    ensure!(stage.executor.outcome_of_write(&plan).await? == WriteOutcome::AppliedByUs, "its own rollback");
    let image = |object: &serde_json::Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    ensure!(image(&stage.object().await?) == "registry.example/cart:1", "the image of the first revision");
    let n_changes = stage.changes().await?.len();
    stage.apply(&done).await.context("the same id sent twice")?;
    ensure!(stage.changes().await?.len() == n_changes, "sent twice it is done once");
    stage.complete(&done).await?;

    stage.undo_once(&done).await?;
    ensure!(image(&stage.object().await?) == "registry.example/cart:2", "the revision that was left");
    let n_changes = stage.changes().await?.len();
    stage.executor.undo(&done).await.context("taken back twice")?;
    ensure!(stage.changes().await?.len() == n_changes, "taken back once");
    ensure!(stage.executor.outcome_of_write(&plan).await? == WriteOutcome::ChangedByOther, "no longer the plan's");
    ensure!(stage.unused_rights().await?.is_empty(), "{:?}", stage.unused_rights().await?);
    Ok(())
}
