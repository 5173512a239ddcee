//! A workload that is kept from git: what is changed in the cluster is refused, what is proposed in git arrives once it is merged. The
//! controller that keeps it is a small one of the test's own: it applies what the branch `main` of a bare repository has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_core::{
    Calendar, Calibrated, Confidence, CorrelationId, Evidence, Incident, IncidentId, IncidentState, IncidentType, Mode,
    Score, Signal, Subject, Topology, WorkloadKind,
};
use homeostat_execute::{Driver, DriverEvent, Executor, Places, Registry, TickInput, WriteOutcome, actions};
use homeostat_journal::Journal;
use homeostat_remediate::{KillSwitch, Progress, SafetyLimits, load_policies};
use homeostat_tests::{manifest, need_parts, shop_feed, wait};
use serde_json::{Value, json};

use crate::objects::manifest_of;
use crate::stage::{SOON, Stage, journal};

const FILE: &str = "apps/cart.yaml";

/// A bare repository and a working copy of it.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    async fn new(manifest: &Value) -> Result<Self> {
        let repository = Self { folder: tempfile::tempdir()? };
        let folder = repository.folder.path();
        git(folder, &["init", "--quiet", "--bare", "-b", "main", "origin"]).await?;
        git(folder, &["clone", "--quiet", "origin", "work"]).await?;
        repository.change(manifest).await?;
        Ok(repository)
    }

    fn origin(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Puts this manifest on `main`.
    async fn change(&self, manifest: &Value) -> Result<()> {
        std::fs::create_dir_all(self.work().join("apps"))?;
        // JSON is YAML.
        std::fs::write(self.work().join(FILE), format!("# kept by hand\n{manifest:#}\n"))?;
        git(&self.work(), &["checkout", "--quiet", "-B", "main"]).await?;
        git(&self.work(), &["add", "--all"]).await?;
        git(&self.work(), &["commit", "--quiet", "-m", "a release"]).await?;
        git(&self.work(), &["push", "--quiet", "origin", "main"]).await.map(drop)
    }

    /// Merges a branch, as the button of a forge does.
    async fn merge(&self, branch: &str) -> Result<()> {
        git(&self.work(), &["pull", "--quiet", "--no-edit", "origin", branch]).await?;
        git(&self.work(), &["push", "--quiet", "origin", "main"]).await.map(drop)
    }

    async fn branches(&self) -> Result<Vec<String>> {
        let listed = git(&self.origin(), &["for-each-ref", "--format=%(refname:short) %(objectname)"]).await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// What a GitOps controller does: the cluster gets what `main` has.
    async fn reconcile(&self, stage: &Stage) -> Result<()> {
        let text = git(&self.origin(), &["show", &format!("main:{FILE}")]).await?;
        manifest::apply(&stage.client, &text).await
    }
}

async fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let mut command = tokio::process::Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=dev", "-c", "user.email=dev@example.com"]).args(args);
    let output = command.stdin(Stdio::null()).output().await.context("git")?;
    ensure!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn image(object: &Value) -> &str {
    object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

fn incident(subject: &Subject) -> Result<Incident> {
    let (at, score) = (shop_feed::now(), Score::new(2.0)?);
    let (confidence, lower) = (Confidence::new(0.99)?, Confidence::new(0.95)?);
    let feature = "errors".to_owned();
    Ok(Incident {
        id: IncidentId::of(subject, at),
        correlation: CorrelationId::of(subject, at),
        subject: subject.clone(),
        incident_type: IncidentType::BadDeployment,
        state: IncidentState::Open,
        opened_at: at,
        updated_at: at,
        score,
        score_peak: score,
        confidence: Calibrated { confidence, lower, n_outcomes: 40, n_verdicts: 0 },
        evidence: vec![Evidence { feature, signal: Signal::Other, observed: 3.0, expected: 0.0, deviation: 9.0 }],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    })
}

/// What is decided about an incident of the workload when a policy names this action: the codes of what speaks against it.
async fn decided(stage: &Stage, action: &str, with: &str) -> Result<Vec<String>> {
    let policy = format!(
        "remediation_policy: {{incident_type: bad-deployment, auto_execute: true, confidence_threshold: 0.9, \
         action: {action}, {with}scope: {{namespaces: [{}]}}}}",
        stage.subject.namespace
    );
    let policies = load_policies(&policy, "/p.yaml", &actions()).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let registry: Arc<dyn Executor> = Arc::new(Registry::new(Places::default().with_cluster(stage.cluster.clone())));
    let journal = Arc::new(Journal::in_memory()?);
    let mut driver = Driver::new(registry, journal, policies, SafetyLimits::default());
    let off = KillSwitch { engaged: false, why: String::new() };
    let input = TickInput {
        incidents: &[incident(&stage.subject)?],
        signals: &BTreeMap::new(),
        kill_switch: &off,
        // It says what it would do.
        mode: Mode::Recommend,
        topology: &Topology::new(),
        calendar: &Calendar::default(),
    };
    let events = driver.tick(shop_feed::now(), &input).await;
    let decision = events.into_iter().find_map(|event| match event {
        DriverEvent::Decided { decision, .. } => Some(decision),
        _ => None,
    });
    let decision = decision.context("nothing was decided")?;
    Ok(decision.objections().iter().map(|objection| objection.code.to_string()).collect())
}

/// I22: homeostat itself changes nothing in the cluster, from the first look to the end.
#[tokio::test]
async fn what_git_keeps_is_changed_in_git_and_not_fought_over() -> Result<()> {
    let parts = need_parts!("what_git_keeps_is_changed_in_git_and_not_fought_over");
    let subject = Subject::deployment("git", "cart");
    let mut wanted = manifest_of(&subject, 3);
    let tracking = json!({ "argocd.argoproj.io/tracking-id": "cart:apps/Deployment:git/cart" });
    wanted["metadata"]["annotations"] = tracking;
    let repository = Repository::new(&wanted).await?;
    let with = format!(
        "{{remote: {}, file: {FILE}, field: 'spec.template.spec.containers[cart].image'}}",
        repository.origin().display()
    );
    let stage = Stage::set(&parts, "git", WorkloadKind::Deployment, "git-change", &with).await?;
    ensure!(stage.objection().await? == "not-gitops-managed", "nobody keeps it yet");
    repository.reconcile(&stage).await?;
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/cart:2");
    repository.change(&wanted).await?;
    repository.reconcile(&stage).await?;
    stage.wait_rolled_out().await?;

    // A change in place is refused with the reason, and would be put back.
    let against = decided(&stage, "rollout-undo", "").await?;
    ensure!(against.iter().any(|code| code == "gitops-managed"), "{against:?}");
    let against = decided(&stage, "git-change", &format!("with: {with}, ")).await?;
    ensure!(against == ["mode"], "nothing but the mode speaks against the change in git: {against:?}");
    let containers = json!([{ "name": "cart", "image": "registry.example/cart:1" }]);
    let by_hand = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    stage.patch("apps/v1", "Deployment", "cart", by_hand).await?;
    repository.reconcile(&stage).await?;
    ensure!(image(&stage.object().await?) == "registry.example/cart:2", "the controller put it back");
    stage.wait_rolled_out().await?;

    let plan = stage.plan().await?;
    ensure!(plan.step.args.text("to") == Some("registry.example/cart:1"), "the previous image: {:?}", plan.step);
    let before = repository.branches().await?;
    stage.executor.dry_run(&plan).await.context("the dry run")?;
    ensure!(stage.executor.outcome_of_write(&plan).await? == WriteOutcome::NotApplied, "before anything was pushed");
    ensure!(repository.branches().await? == before, "nothing is pushed before it is applied");
    let done = journal(&plan)?;
    stage.apply(&done).await?;
    ensure!(stage.executor.outcome_of_write(&plan).await? == WriteOutcome::AppliedByUs, "its own branch");
    let after = repository.branches().await?;
    ensure!(after.len() == 2 && before.iter().all(|branch| after.contains(branch)), "one branch more: {after:?}");
    stage.apply(&done).await.context("the same id sent twice")?;
    ensure!(repository.branches().await? == after, "pushed once");
    let payload: Value = serde_json::from_str(&stage.executor.payload(&plan)?)?;
    let branch = payload["branch"].as_str().context("a branch")?.to_owned();
    ensure!(after.iter().any(|found| found.starts_with(&branch)), "{branch} in {after:?}");
    let log = git(&repository.origin(), &["log", "-1", "--format=%B", &branch]).await?;
    ensure!(log.contains(plan.id.as_str()) && log.contains(&plan.digest()), "the plan is in the message: {log}");

    // Until somebody merges it nothing happens.
    repository.reconcile(&stage).await?;
    let progress = stage.executor.progress(&plan).await?;
    ensure!(matches!(progress, Progress::Rolling { updated_available: 0, .. }), "{progress:?}");
    repository.merge(&branch).await?;
    wait::until("the cluster has what was merged", SOON + Duration::from_secs(30), || async {
        repository.reconcile(&stage).await?;
        match stage.executor.progress(&plan).await? {
            Progress::Complete { .. } => Ok(Some(())),
            progress => anyhow::bail!("{progress:?}"),
        }
    })
    .await?;
    ensure!(image(&stage.object().await?) == "registry.example/cart:1", "as merged");
    ensure!(stage.changes().await?.is_empty(), "homeostat itself changed nothing: {:?}", stage.changes().await?);
    let is_of_another_kind = |right: &String| right.contains("controllerrevisions");
    let unused: Vec<String> =
        stage.unused_rights().await?.into_iter().filter(|right| !is_of_another_kind(right)).collect();
    ensure!(unused.is_empty(), "{unused:?}");
    Ok(())
}
