//! A namespace with a workload, an executor with exactly one action's rights, and the walk that every action must pass.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use homeostat_core::{CorrelationId, IncidentId, IncidentType, Subject, Timestamp, WorkloadKind};
use homeostat_execute::{ApplyError, ConnectSpec, Executor, Places, Registry, WriteOutcome, actions};
use homeostat_journal::{Intent, Journal, Journaled};
use homeostat_remediate::{
    Action, ActionName, Args, Ask, Inspected, Inverse, Levels, ObjectRef, Objection, Plan, PlanId, Progress, Right,
    Step, Target, VerifySpec, load_policies,
};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::identity::Identity;
use homeostat_tests::parts::Parts;
use homeostat_tests::rights::allow;
use homeostat_tests::{manifest, shop_feed, wait, workload};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use crate::objects::{manifest_of, resources};

/// A roll-out takes a second here, an autoscaler looks every 15 s; this leaves room for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);

pub(crate) const ACTION_ID: &str = "homeostat.io/action-id";
pub(crate) const UNDONE_ID: &str = "homeostat.io/undone-action-id";

/// Where one action is tried.
pub(crate) struct Stage {
    pub(crate) plane: &'static ControlPlane,
    /// The admin's.
    pub(crate) client: Client,
    pub(crate) subject: Subject,
    pub(crate) executor: Registry,
    /// What it acts on, with its rights.
    pub(crate) cluster: homeostat_execute::Cluster,
    identity: Identity,
    action: &'static dyn Action,
    args: Args,
    n_plans: AtomicU32,
}

impl Stage {
    /// A namespace of this name with a workload of this kind, three replicas of it where it has replicas, and an executor that may do
    /// what the action says that it needs. `with` is the action's part of a policy.
    pub(crate) async fn set(
        parts: &Parts,
        namespace: &str,
        kind: WorkloadKind,
        action: &'static str,
        with: &str,
    ) -> Result<Self> {
        Self::set_on(ControlPlane::shared(parts).await?, namespace, kind, action, with).await
    }

    /// The same on this control plane.
    pub(crate) async fn set_on(
        plane: &'static ControlPlane,
        namespace: &str,
        kind: WorkloadKind,
        action: &'static str,
        with: &str,
    ) -> Result<Self> {
        let client = plane.client().await?;
        workload::create_namespace(&client, namespace).await?;
        let subject = Subject { kind, ..Subject::deployment(namespace, "cart") };
        manifest::apply_one(&client, manifest_of(&subject, 3)).await?;
        let identity = plane.service_account(namespace, "homeostat").await?;
        let name = ActionName::new(action);
        let action = actions().get(&name).context("the action")?;
        let rights: Vec<Right> = action.spec().rights_for(kind).collect();
        plane.grant_in(&identity, namespace, &rules(&rights)).await?;
        if !action.cluster_rights().is_empty() {
            plane.grant_everywhere(&identity, &rules(action.cluster_rights())).await?;
        }
        let cluster = cluster_of(&identity).await?;
        let executor = Registry::new(Places::default().with_cluster(cluster.clone()));
        let args = args_of(action, with)?;
        let n_plans = AtomicU32::new(0);
        let stage = Self { plane, client, subject, executor, cluster, identity, action, args, n_plans };
        stage.wait_rolled_out().await?;
        Ok(stage)
    }

    /// Who acts.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The workload as the API server has it.
    pub(crate) async fn object(&self) -> Result<Value> {
        self.get("apps/v1", kind_name(self.subject.kind), &self.subject.name).await
    }

    /// Any object of the namespace, or of the cluster.
    pub(crate) async fn get(&self, api_version: &str, kind: &str, name: &str) -> Result<Value> {
        let object = self.api(api_version, kind).get(name).await.with_context(|| format!("getting {kind} {name}"))?;
        Ok(serde_json::to_value(object)?)
    }

    /// All objects of a kind in the namespace, or the cluster.
    pub(crate) async fn list(&self, api_version: &str, kind: &str) -> Result<Vec<Value>> {
        let listed = self.api(api_version, kind).list(&Default::default()).await?;
        listed.items.into_iter().map(|object| Ok(serde_json::to_value(object)?)).collect()
    }

    /// Changes an object as somebody else would.
    pub(crate) async fn patch(&self, api_version: &str, kind: &str, name: &str, patch: Value) -> Result<()> {
        let patched = self.api(api_version, kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(|_| ()).with_context(|| format!("patching {kind} {name}"))
    }

    /// Creates or changes an object.
    pub(crate) async fn apply_manifest(&self, mut object: Value) -> Result<()> {
        if object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = json!(self.subject.namespace);
        }
        manifest::apply_one(&self.client, object).await.map(|_| ())
    }

    fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let plural = format!("{}s", kind.to_lowercase()).replace("policys", "policies");
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural,
        };
        if kind == "Node" {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.subject.namespace, &resource)
        }
    }

    /// Waits until the workload's newest template is what runs.
    pub(crate) async fn wait_rolled_out(&self) -> Result<()> {
        wait::until_true("the workload is rolled out", SOON, || async { Ok(is_rolled_out(&self.object().await?)) })
            .await
    }

    /// Gives the workload another image, and waits.
    pub(crate) async fn roll_out(&self, image: &str) -> Result<()> {
        let containers = json!([{ "name": "cart", "image": image, "resources": resources() }]);
        let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
        self.patch("apps/v1", kind_name(self.subject.kind), &self.subject.name, patch).await?;
        self.wait_rolled_out().await
    }

    /// What the action sees now.
    pub(crate) async fn look(&self) -> Result<Inspected> {
        let name = &self.action.spec().name;
        Ok(self.executor.inspect_for(name, &self.subject, &self.args, shop_feed::now()).await?)
    }

    /// What it would do now, or why not.
    pub(crate) async fn step(&self) -> Result<std::result::Result<(Step, Inverse), Objection>> {
        let seen = self.look().await?;
        Ok(self.action.step(&Ask { args: &self.args, now: shop_feed::now(), trouble_at: &[] }, &seen))
    }

    /// The code of its objection.
    pub(crate) async fn objection(&self) -> Result<String> {
        match self.step().await? {
            Ok((step, _)) => bail!("it would do {step:?}"),
            Err(objection) => Ok(objection.code.into_owned()),
        }
    }

    /// Another identity and its executor, which may do all that the action needs but this.
    pub(crate) async fn acting_without(&self, dropped: Right) -> Result<(Identity, Registry)> {
        let namespace = &self.subject.namespace;
        let identity = self.plane.service_account(namespace, "restricted").await?;
        let but = |rights: &mut dyn Iterator<Item = Right>| {
            let rights: Vec<Right> = rights.filter(|right| *right != dropped).collect();
            rules(&rights)
        };
        let in_namespace = but(&mut self.action.spec().rights_for(self.subject.kind));
        self.plane.grant_in(&identity, namespace, &in_namespace).await?;
        let in_cluster = but(&mut self.action.cluster_rights().iter().copied());
        if !in_cluster.is_empty() {
            self.plane.grant_everywhere(&identity, &in_cluster).await?;
        }
        let executor = executor_of(&identity).await?;
        Ok((identity, executor))
    }

    /// Takes the namespace away, without waiting for it.
    pub(crate) async fn leave(&self) -> Result<()> {
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.subject.namespace, &Default::default()).await?;
        Ok(())
    }

    /// A plan for the workload as it is now.
    pub(crate) async fn plan(&self) -> Result<Plan> {
        self.plan_by(&self.executor).await
    }

    /// The same, by another executor.
    pub(crate) async fn plan_by(&self, executor: &Registry) -> Result<Plan> {
        let (name, now) = (&self.action.spec().name, shop_feed::now());
        let seen = executor.inspect_for(name, &self.subject, &self.args, now).await?;
        let step = self.action.step(&Ask { args: &self.args, now, trouble_at: &[] }, &seen);
        let (step, inverse) = step.map_err(|objection| anyhow::anyhow!("{}: {objection}", objection.code))?;
        let plan_no = self.n_plans.fetch_add(1, Ordering::SeqCst) + 1;
        let incident = IncidentId::of(&self.subject, Timestamp::from_secs(i64::from(plan_no)));
        let minute = Duration::from_secs(60);
        Ok(Plan {
            id: PlanId::of(&incident, 1),
            correlation: CorrelationId::of(&self.subject, now),
            incident,
            incident_type: IncidentType::Latency,
            policy: "test".into(),
            attempt: 1,
            target: Target {
                subject: self.subject.clone(),
                uid: seen.uid.clone(),
                resource_version: seen.resource_version.clone(),
                generation: seen.generation,
            },
            step,
            inverse,
            undo_if_failed: true,
            repeat: self.action.spec().repeat,
            verify: VerifySpec {
                features: vec!["errors".into()],
                window: minute,
                settle: minute,
                fresh_points_min: 3,
                traffic_floor: 0.5,
                replicas_before: seen.replicas_wanted,
                rollout_failed_before: false,
                recovery: self.action.spec().recovery,
            },
            decided_at: now,
            apply_before: now + minute,
            deadline: now + 10 * minute,
        })
    }

    /// What the executor has changed, by the API server's own log.
    pub(crate) async fn changes(&self) -> Result<Vec<String>> {
        let changes = self.plane.changes_by(&self.identity.user).await?;
        let slash = |subresource: &str| if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        let told = |event: &homeostat_tests::audit::AuditEvent| {
            format!("{} {}{} {}", event.verb, event.resource, slash(&event.subresource), event.name)
        };
        Ok(changes.iter().map(told).collect())
    }

    /// The action's rights that it hasn't made use of so far: more than it needs, unless what needs them wasn't there.
    pub(crate) async fn unused_rights(&self) -> Result<Vec<String>> {
        let done = self.plane.audit().await?;
        let is_used = |right: &Right| {
            let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
            done.iter().filter(|event| event.user == self.identity.user && (200..300).contains(&event.code)).any(
                |event| {
                    event.verb == right.verb
                        && event.group == right.group
                        && event.resource == resource
                        && event.subresource == subresource
                },
            )
        };
        let rights = self.action.spec().rights_for(self.subject.kind);
        let all = rights.chain(self.action.cluster_rights().iter().copied());
        Ok(all.filter(|right| !is_used(right)).map(|right| right.to_string()).collect())
    }

    /// The walk: tried, refused on another object, done once, recognised, complete. Returns the plan that was done.
    pub(crate) async fn walk(&self) -> Result<Journaled> {
        let n_changes = self.changes().await?.len();
        self.refuses_what_was_not_decided_on().await?;
        let plan = self.plan().await?;
        self.executor.dry_run(&plan).await.context("the dry run")?;
        ensure!(self.executor.outcome_of_write(&plan).await? == WriteOutcome::NotApplied, "before anything was sent");
        ensure!(self.changes().await?.len() == n_changes, "nothing is changed before it is applied");
        let journaled = journal(&plan)?;
        self.apply(&journaled).await?;
        ensure!(self.executor.outcome_of_write(&plan).await? == WriteOutcome::AppliedByUs, "its own write");
        match self.executor.apply(&journaled, &plan.target.resource_version).await {
            Ok(_) => {}
            // A pod that is gone can't be taken away once more.
            Err(ApplyError::Stale { .. }) if takes_pods_away(&plan) => {}
            Err(error) => return Err(error).context("the same id sent twice"),
        }
        let changes = self.changes().await?;
        ensure!(changes.len() == n_changes + 1, "one effect: {changes:?}");
        self.complete(&journaled).await?;
        Ok(journaled)
    }

    /// Sends it, again where only the status of what it writes moved on, as the driver does.
    pub(crate) async fn apply(&self, journaled: &Journaled) -> Result<()> {
        let mut version = journaled.plan().target.resource_version.clone();
        for _ in 0..8 {
            match self.executor.apply(journaled, &version).await {
                Ok(applied) => {
                    ensure!(applied.altered.is_none(), "{:?}", applied.altered);
                    return Ok(());
                }
                Err(ApplyError::Conflict { resource_version, .. }) => version = resource_version,
                Err(error) => return Err(error.into()),
            }
        }
        bail!("eight conflicts in a row")
    }

    /// Waits until what was applied is complete.
    pub(crate) async fn complete(&self, journaled: &Journaled) -> Result<()> {
        wait::until("the effect is complete", SOON, || async {
            self.executor.go_on(journaled).await?;
            match self.executor.progress(journaled.plan()).await? {
                Progress::Complete { .. } => Ok(Some(())),
                progress @ (Progress::Rolling { .. } | Progress::Failed { .. }) => bail!("{progress:?}"),
                progress @ (Progress::Overridden | Progress::Gone) => bail!("it is {progress:?}"),
            }
        })
        .await
    }

    /// Takes it back, twice: one effect.
    pub(crate) async fn undo(&self, journaled: &Journaled) -> Result<()> {
        let n_changes = self.changes().await?.len();
        self.undo_once(journaled).await?;
        self.executor.undo(journaled).await.context("taken back twice")?;
        let changes = self.changes().await?;
        ensure!(changes.len() == n_changes + 1, "taken back once: {changes:?}");
        Ok(())
    }

    /// Takes it back.
    pub(crate) async fn undo_once(&self, journaled: &Journaled) -> Result<()> {
        wait::until("it is taken back", SOON, || async {
            match self.executor.undo(journaled).await {
                Ok(_) => Ok(Some(())),
                Err(error) => bail!("{error}"),
            }
        })
        .await
    }

    /// A plan of another object, and of one that somebody changed meanwhile, writes nothing.
    async fn refuses_what_was_not_decided_on(&self) -> Result<()> {
        let n_changes = self.changes().await?.len();
        let was_rolled_out = is_rolled_out(&self.object().await?);
        let mut other = self.plan().await?;
        other.target.uid = "00000000-0000-0000-0000-000000000000".into();
        if let Some(object) = ObjectRef::in_step(&other.step)? {
            let object = ObjectRef { uid: other.target.uid.clone(), ..object };
            other.step.args = object.in_args(other.step.args);
        }
        let refused = self.apply(&journal(&other)?).await;
        ensure!(refused.is_err(), "an object of another UID");
        let plan = self.plan().await?;
        let touched = json!({ "metadata": { "annotations": { "touched-by": plan.id.as_str() } } });
        let (api_version, kind, name) = match ObjectRef::in_step(&plan.step)? {
            Some(object) => {
                let (group, version, _) = object.kind.resource();
                let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
                (api_version, object.kind.name(), object.name)
            }
            None => ("apps/v1".to_owned(), kind_name(self.subject.kind), self.subject.name.clone()),
        };
        // What raises the version of a workload and not its generation is only its status.
        let touched = if matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet") {
            json!({ "spec": { "revisionHistoryLimit": 10 + self.n_plans.load(Ordering::SeqCst) } })
        } else {
            touched
        };
        self.patch(&api_version, kind, &name, touched).await?;
        let refused = self.apply(&journal(&plan)?).await;
        ensure!(refused.is_err(), "an object that somebody changed meanwhile");
        let changes = self.changes().await?;
        ensure!(changes.len() == n_changes, "nothing was written: {changes:?}");
        // Elsewhere a pod fails, or a rollout hangs, on purpose.
        if was_rolled_out { self.wait_rolled_out().await } else { Ok(()) }
    }
}

/// An executor that asks as this identity.
pub(crate) async fn executor_of(identity: &Identity) -> Result<Registry> {
    Ok(Registry::new(Places::default().with_cluster(cluster_of(identity).await?)))
}

async fn cluster_of(identity: &Identity) -> Result<homeostat_execute::Cluster> {
    let spec =
        ConnectSpec { kubeconfig: Some(identity.kubeconfig.clone()), context: None, timeout: Duration::from_secs(10) };
    Ok(homeostat_execute::Cluster::load(&spec).await?)
}

fn takes_pods_away(plan: &Plan) -> bool {
    matches!(plan.step.action.as_str(), "evict-pod" | "delete-pod")
}

/// The plan through a real journal: nothing else makes a `Journaled`.
pub(crate) fn journal(plan: &Plan) -> Result<Journaled> {
    let intent = Intent {
        plan: plan.clone(),
        executor: "test".into(),
        write: String::new(),
        traffic_before: None,
        levels_before: Levels::new(),
    };
    Ok(Journal::in_memory()?.record(&intent, plan.decided_at)?)
}

fn args_of(action: &dyn Action, with: &str) -> Result<Args> {
    let with = if with.is_empty() { String::new() } else { format!(", with: {with}") };
    let name = &action.spec().name;
    let text = format!(
        "remediation_policy: {{incident_type: latency, auto_execute: false, confidence_threshold: 0.9, action: {name}{with}}}"
    );
    match load_policies(&text, "policy", &actions()) {
        Ok(policies) => Ok(policies[0].action.clone().context("an action")?.args),
        Err(problems) => bail!("{text}: {problems:?}"),
    }
}

fn rules(rights: &[Right]) -> Vec<PolicyRule> {
    let mut by_resource: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for right in rights {
        by_resource.entry((right.group, right.resource)).or_default().push(right.verb);
    }
    by_resource.iter().map(|((group, resource), verbs)| allow(group, &[resource], verbs)).collect()
}

pub(crate) fn kind_name(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "Deployment",
        WorkloadKind::StatefulSet => "StatefulSet",
        WorkloadKind::DaemonSet => "DaemonSet",
        WorkloadKind::External => "nothing",
    }
}

/// By the workload's own status, as `kubectl rollout status` reads it.
pub(crate) fn is_rolled_out(object: &Value) -> bool {
    let status = &object["status"];
    let count = |key: &str| status[key].as_u64().unwrap_or(0);
    let is_observed = status["observedGeneration"].as_u64() >= object["metadata"]["generation"].as_u64();
    let wanted = object["spec"]["replicas"].as_u64();
    is_observed
        && match object["kind"].as_str() {
            Some("Deployment") => {
                ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|key| Some(count(key)) == wanted)
            }
            Some("StatefulSet") => {
                Some(count("readyReplicas")) == wanted && status["currentRevision"] == status["updateRevision"]
            }
            Some("DaemonSet") => {
                let wanted = count("desiredNumberScheduled");
                wanted > 0 && count("updatedNumberScheduled") == wanted && count("numberAvailable") == wanted
            }
            Some(_) | None => false,
        }
}
