//! A shop in a namespace of its own, watched by a Prometheus of its own, and what homeostat needs to look after it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_core::{Seed, Timestamp};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::homeostat::{Finished, Homeostat};
use homeostat_tests::identity::Identity;
use homeostat_tests::kube_state::{KubeState, Snapshot};
use homeostat_tests::parts::Parts;
use homeostat_tests::prometheus::Prometheus;
use homeostat_tests::rights::{allow, may};
use homeostat_tests::scratch::Scratch;
use homeostat_tests::shop::Shop;
use homeostat_tests::shop_feed::{self, ShopFeed};
use homeostat_tests::{manifest, shop_history, wait, workload};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use serde_json::{Value, json};

/// The service that suffers.
pub(crate) const VICTIM: &str = "payment-api";
/// Its neighbours, which must be left alone.
const NEIGHBOURS: [&str; 3] = ["gateway", "cart", "catalog"];
/// Time between two scrapes of the history, as of the live ones: where the two meet, rates must not change.
const HISTORY_STEP: Duration = Duration::from_secs(1);
/// Twenty minutes: 600 steps of 2 s, five times what training needs at least, and back-filled within seconds.
const HISTORY_MS: i64 = 1200 * 1000;
/// The history reaches so far beyond now: Prometheus is up and scrapes before it ends, so that there is no gap. A gap looks
/// like a drop in traffic, since Prometheus counts too few requests across it.
const HISTORY_LEAD_MS: i64 = 20_000;
/// How long a step of the story may take on a busy machine: an incident opens within two cycles of 2 s, an action is
/// verified within some ten.
pub(crate) const SOON: Duration = Duration::from_secs(45);

/// The rows of so many seconds, one every two seconds, are what an incident is opened by.
const QUIET_S: u32 = 20;

/// Everything around homeostat.
pub(crate) struct Scene {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) feed: ShopFeed,
    pub(crate) prometheus: Prometheus,
    pub(crate) identity: Identity,
    /// What the policies do; without one, what is right by default.
    action: Option<&'static str>,
    asks_first: bool,
    _mirror: KubeState,
    scratch: Scratch,
}

/// What homeostat needs to restart Deployments: nothing else is granted.
pub(crate) fn least_rights() -> Vec<PolicyRule> {
    vec![allow("apps", &["deployments"], &["get", "patch"])]
}

impl Scene {
    /// A healthy shop with some history, and a service account with these rights.
    pub(crate) async fn set(parts: &Parts, namespace: &str, rights: &[PolicyRule]) -> Result<Self> {
        let plane = ControlPlane::shared(parts).await?;
        let client = plane.client().await?;
        workload::create_namespace(&client, namespace).await?;
        workload::deploy(&client, namespace, VICTIM, 3).await?;
        for neighbour in NEIGHBOURS {
            workload::deploy(&client, namespace, neighbour, 1).await?;
        }
        let identity = plane.service_account(namespace, "homeostat").await?;
        if !rights.is_empty() {
            plane.grant_in(&identity, namespace, rights).await?;
        }
        let scratch = Scratch::new(namespace)?;
        let now_ms = shop_feed::now().as_millis();
        let history_end = Timestamp::from_millis(now_ms + HISTORY_LEAD_MS);
        let mut shop = Shop::new(namespace, Seed::new(7), Timestamp::from_millis(now_ms - HISTORY_MS));
        shop.follow(&Snapshot::read(&client, namespace).await?);
        let mut setup = shop_history::setup(&mut shop, history_end, HISTORY_STEP, &scratch)?;
        let feed = ShopFeed::start(shop)?;
        let mirror = feed.follow(client.clone()).await?;
        setup.jobs = feed.jobs();
        let prometheus = Prometheus::start(parts, &setup).await?;
        let live_s = history_end.as_secs_f64() + 2.0;
        prometheus.wait_for("min(timestamp(up))", SOON, |newest_s| newest_s > live_s).await?;
        // On a machine too busy for that there is a gap all the same; no step of the story begins in it.
        prometheus.wait_for("min(count_over_time(up[12s]))", SOON, |n_scrapes| n_scrapes >= 11.0).await?;
        Ok(Self {
            plane,
            client,
            namespace: namespace.to_owned(),
            feed,
            prometheus,
            identity,
            action: None,
            asks_first: false,
            _mirror: mirror,
            scratch,
        })
    }

    /// The same scene, whose policies do this.
    pub(crate) fn acting_by(self, action: &'static str) -> Self {
        Self { action: Some(action), ..self }
    }

    /// The same scene, whose policies act only on what a person has approved.
    pub(crate) fn asking_first(self) -> Self {
        Self { asks_first: true, ..self }
    }

    /// Trains on the healthy past. A service that trains while an incident goes on would learn the incident.
    pub(crate) async fn train(&self) -> Result<PathBuf> {
        let bundle = self.scratch.path().join("bundle");
        let config = self.write_config(self.scratch.path(), "observe", None)?;
        let output = format!("--output={}", bundle.display());
        let config = format!("--config.file={}", config.display());
        let trained = Homeostat::command(["train".to_owned(), config, output])?.run(2 * SOON).await?;
        ensure!(trained.status.success(), "train: {}", trained.output);
        Ok(bundle)
    }

    /// `homeostat serve` in this mode on this bundle, not started.
    pub(crate) fn serve(&self, mode: &str, bundle: &Path) -> Result<Homeostat> {
        self.serve_with(&self.config(mode, Some(bundle)))
    }

    /// `homeostat serve` in this mode, which trains when it starts; not started.
    pub(crate) fn serve_untrained(&self, mode: &str) -> Result<Homeostat> {
        self.serve_with(&self.config(mode, None))
    }

    fn serve_with(&self, config: &str) -> Result<Homeostat> {
        let homeostat = Homeostat::serve(config)?;
        self.write_policies(homeostat.folder())?;
        Ok(homeostat)
    }

    fn write_config(&self, folder: &Path, mode: &str, bundle: Option<&Path>) -> Result<PathBuf> {
        self.write_policies(folder)?;
        let path = folder.join("homeostat.yml");
        std::fs::write(&path, self.config(mode, bundle))?;
        Ok(path)
    }

    /// One of several replicas, which runs as this service account; not started.
    pub(crate) fn serve_replica(&self, identity: &Identity, bundle: &Path) -> Result<Homeostat> {
        self.serve_with(&self.replica_config(identity, bundle).to_string())
    }

    /// A replica's config, with a short lease.
    pub(crate) fn replica_config(&self, identity: &Identity, bundle: &Path) -> Value {
        let mut config = self.config_value("execute", Some(bundle));
        config["kubernetes"] = json!({"kubeconfig": identity.kubeconfig, "timeout": "2s", "namespace": self.namespace});
        config["storage"] = json!({"journal": "kubernetes"});
        config["leader_election"] =
            json!({"enabled": true, "lease_duration": "5s", "renew_deadline": "4s", "retry_period": "500ms"});
        config
    }

    /// Another service account with exactly the rights that `homeostat rbac` prints for a replica's config.
    pub(crate) async fn replica_identity(&self, name: &str) -> Result<Identity> {
        let identity = self.plane.service_account(&self.namespace, name).await?;
        let folder = Scratch::new(name)?;
        self.write_policies(folder.path())?;
        let path = folder.write("homeostat.yml", self.replica_config(&identity, Path::new("none")).to_string())?;
        let config = format!("--config.file={}", path.display());
        let account = format!("--service-account={}/{name}", self.namespace);
        let printed = Homeostat::command(["rbac".to_owned(), config, account])?.run(SOON).await?;
        ensure!(printed.status.success(), "rbac: {}", printed.output);
        // The roles are the same for both; each account gets bindings of its own.
        let printed = printed.output.replace(
            "kind: RoleBinding\nmetadata: {name: homeostat",
            &format!("kind: RoleBinding\nmetadata: {{name: {name}"),
        );
        manifest::apply(&self.client, &printed).await.with_context(|| printed.clone())?;
        let may = || may(&self.client, &identity, Some(&self.namespace), "homeostat.io", "journalrows", "create");
        wait::until_true("the rights are in force", SOON, may).await?;
        Ok(identity)
    }

    fn config(&self, mode: &str, bundle: Option<&Path>) -> String {
        self.config_value(mode, bundle).to_string()
    }

    fn config_value(&self, mode: &str, bundle: Option<&Path>) -> Value {
        let mut config = json!({
            "mode": mode,
            "global": {"step": "2s", "history": "15m", "offset": "2s", "scrape_interval": "2s"},
            "datasources": [{"url": self.prometheus.base_url(), "timeout": "3s"}],
            "preset": "kubernetes-workload",
            "incidents": {"calibration": "calibration.json"},
            "policies": ["policies.yml"],
            "kubernetes": {"kubeconfig": self.identity.kubeconfig, "timeout": "5s", "facts_namespaces": [self.namespace]},
        });
        if let Some(bundle) = bundle {
            config["bundle"] = json!(bundle);
        }
        config
    }

    /// A policy that acts on killed containers, and the outcomes that make it sure: what an organisation has that judged
    /// a hundred such incidents.
    fn write_policies(&self, folder: &Path) -> Result<()> {
        let policy = |incident_type: &str| {
            let mut policy = json!({
                "incident_type": incident_type,
                "auto_execute": !self.asks_first,
                "confidence_threshold": 0.9,
                "max_attempts": 1,
                "cooldown_after_action": "1m",
                "verification_settle": "4s",
                "verification_window": "1m",
                "scope": {"namespaces": [self.namespace], "workloads": [VICTIM]},
            });
            if let Some(action) = self.action {
                policy["action"] = json!(action);
            }
            policy
        };
        // A new revision may be taken for the cause.
        let of_revisions = self.action.map(|_| "bad-deployment");
        let policies: Vec<Value> = ["oom-killed", "memory-leak"].into_iter().chain(of_revisions).map(policy).collect();
        let policies = json!({"remediation_policies": policies});
        let sure = json!({"n_outcomes": 100, "steps": [{"score_min": 0.0, "confidence": 0.98, "lower": 0.95}]});
        let calibration =
            json!({"types": {"oom-killed": sure, "memory-leak": sure, "bad-deployment": sure}, "pooled": []});
        std::fs::write(folder.join("policies.yml"), policies.to_string())?;
        std::fs::write(folder.join("calibration.json"), calibration.to_string())?;
        Ok(())
    }

    /// A file of this scene, which nobody has made.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Gives homeostat exactly the rights that `homeostat rbac` prints for its config.
    pub(crate) async fn grant_what_rbac_prints(&self) -> Result<()> {
        let config = self.write_config(self.scratch.path(), "execute", None)?;
        let config = format!("--config.file={}", config.display());
        let account = format!("--service-account={}/homeostat", self.namespace);
        let printed = Homeostat::command(["rbac".to_owned(), config, account])?.run(SOON).await?;
        ensure!(printed.status.success(), "rbac: {}", printed.output);
        manifest::apply(&self.client, &printed.output).await.with_context(|| printed.output.clone())?;
        let may = || may(&self.client, &self.identity, Some(&self.namespace), "apps", "deployments", "patch");
        wait::until_true("the rights are in force", SOON, may).await
    }

    /// Waits until a homeostat that has just started has looked at ten whole rows and has nothing open about the victim. On a busy machine its
    /// start alone makes scrapes late, which looks like a drop in traffic, and what befalls a workload with an open incident joins that one.
    pub(crate) async fn quiet(&self, homeostat: &Homeostat) -> Result<()> {
        let since = format!("min(count_over_time(up[{QUIET_S}s]))");
        let all_but_one = f64::from(QUIET_S) - 1.0;
        let n_cycles = || async {
            let text = homeostat_tests::http::get(&format!("{}/metrics", homeostat.base_url())).await?;
            let ok = text.lines().find_map(|line| line.strip_prefix(r#"homeostat_cycles_total{result="ok"}"#));
            Ok::<f64, anyhow::Error>(ok.and_then(|n| n.trim().parse().ok()).unwrap_or(0.0))
        };
        let victim = &format!("{}/deployment/{VICTIM}", self.namespace);
        let is_quiet = || async {
            if n_cycles().await? < f64::from(QUIET_S) / 2.0 {
                return Ok(false);
            }
            // Scrapes first: a row with a gap that is still to come isn't followed by the kill.
            self.prometheus.wait_for(&since, SOON, |n_scrapes| n_scrapes >= all_but_one).await?;
            let rows = incidents(homeostat).await?;
            Ok(!rows.iter().any(|row| row["incident"]["subject"] == **victim && row["incident"]["state"] != "resolved"))
        };
        // An incident resolves minutes after its last unusual row.
        wait::until_true("nothing is open about the victim", 6 * SOON, is_quiet).await
    }

    /// The victim's containers are killed three times for lack of memory.
    pub(crate) async fn oom_kill(&self) -> Result<()> {
        self.feed.shop().oom_kill(VICTIM, 3);
        workload::oom_kill(&self.client, &self.namespace, VICTIM, 3).await?;
        Ok(())
    }

    /// How many `ReplicaSets` the victim has had: one, and one more for each restart.
    pub(crate) async fn n_replica_sets(&self) -> Result<usize> {
        Ok(workload::replica_sets_of(&self.client, &self.namespace, VICTIM).await?.len())
    }

    /// What homeostat has changed in the cluster, by the API server's own log.
    pub(crate) async fn changes(&self) -> Result<Vec<String>> {
        let changes = self.plane.changes_by(&self.identity.user).await?;
        Ok(changes.iter().map(|event| format!("{} {} {}", event.verb, event.resource, event.name)).collect())
    }

    /// Waits until homeostat shows an incident of the victim for which `holds`, and returns it with its decision.
    pub(crate) async fn incident(
        &self,
        homeostat: &Homeostat,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let (holds, victim) = (&holds, &format!("{}/deployment/{VICTIM}", self.namespace));
        let found = wait::until(what, 2 * SOON, || async move {
            let rows = incidents(homeostat).await?;
            Ok(rows.into_iter().find(|row| row["incident"]["subject"] == **victim && holds(row)))
        });
        found.await.with_context(|| format!("homeostat's log ends:\n{}", tail(&homeostat.log())))
    }
}

/// All incidents that `homeostat incident list` shows, newest first.
pub(crate) async fn incidents(homeostat: &Homeostat) -> Result<Vec<Value>> {
    let listed = on_storage(homeostat, &["incident", "list", "-o", "json"]).await?;
    ensure!(listed.status.success(), "incident list: {}", listed.output);
    serde_json::from_str(&listed.output).with_context(|| listed.output.clone())
}

/// Runs a command on the service's storage, as an operator beside it would.
pub(crate) async fn on_storage(homeostat: &Homeostat, args: &[&str]) -> Result<Finished> {
    let storage = format!("--storage.path={}", homeostat.data().display());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).chain([storage]).collect();
    Homeostat::command(args)?.run(SOON).await
}

/// The end of a log, as much as helps to see what went wrong.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Whether the row's decision is this one.
pub(crate) fn is_decided(row: &Value, outcome: &str) -> bool {
    row["decision"]["outcome"] == outcome
}

/// The codes of the reasons against.
pub(crate) fn refusals(row: &Value) -> Vec<String> {
    let refusals = row["decision"]["refusals"].as_array().cloned().unwrap_or_default();
    refusals.iter().filter_map(|refusal| Some(refusal.as_object()?.get("code")?.as_str()?.to_owned())).collect()
}
