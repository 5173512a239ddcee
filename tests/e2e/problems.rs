//! Faults of cluster management, put on a real control plane while homeostat serves with policies that would restart anything: for
//! each, somebody is called who reads the cause, and nothing is made worse. A restart cures none of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_tests::faults::{self, Fault};
use homeostat_tests::homeostat::Homeostat;
use homeostat_tests::identity::Identity;
use homeostat_tests::receiver::Receiver;
use homeostat_tests::rights::allow;
use homeostat_tests::{need_parts, wait};
use serde_json::{Value, json};

use crate::scene::{Scene, tail};

// A program of its own: three services more beside the tests of the loop would make its scrapes late.
#[path = "loop/scene.rs"]
#[allow(dead_code, reason = "the tests of the loop use the rest of it")]
mod scene;

/// More incidents at once than this are a storm, of which one call is made; so each service watches fewer namespaces.
const FAULTS_EACH: usize = 8;

/// What pods wait for must last for five minutes before anybody is called; the rest is for a busy machine.
const CALLED_WITHIN: Duration = Duration::from_secs(480);

/// Scaled to zero is a reason and never opens an incident: environments are scaled down every night, and only who misses one knows that
/// it wasn't meant. Where traffic misses it the detectors open an incident, which then has it as its cause.
const CALLS_NOBODY: [&str; 1] = ["zero"];

/// A service that watches some of the namespaces.
struct Watcher<'a> {
    homeostat: Homeostat,
    identity: Identity,
    receiver: Receiver,
    faults: &'a [Fault],
}

impl<'a> Watcher<'a> {
    async fn start(scene: &Scene, bundle: &std::path::Path, nth: usize, faults: &'a [Fault]) -> Result<Self> {
        let identity = scene.plane.service_account(&scene.namespace, &format!("watcher-{nth}")).await?;
        // It may look at everything, and could do harm.
        let look = ["get", "list", "watch"];
        let rights = [
            allow("", &["pods", "events", "services", "persistentvolumeclaims", "nodes", "namespaces"], &look),
            allow("apps", &["deployments", "replicasets", "statefulsets", "daemonsets"], &look),
            allow("autoscaling", &["horizontalpodautoscalers"], &look),
            allow("policy", &["poddisruptionbudgets"], &look),
            allow("apps", &["deployments"], &["patch"]),
        ];
        scene.plane.grant_everywhere(&identity, &rights).await?;
        let receiver = Receiver::start()?;
        let namespaces: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
        let config = json!({
            "mode": "execute",
            "global": {"step": "2s", "history": "15m", "offset": "2s", "scrape_interval": "2s"},
            "datasources": [{"url": scene.prometheus.base_url(), "timeout": "3s"}],
            "preset": "kubernetes-workload",
            "policies": ["policies.yml"],
            "bundle": bundle,
            "channels": {"pager": {"type": "webhook", "url": receiver.url()}},
            "kubernetes": {"kubeconfig": identity.kubeconfig, "timeout": "5s", "facts_namespaces": namespaces},
        });
        let mut homeostat = Homeostat::serve(&config.to_string())?;
        homeostat.write("policies.yml", policies(faults, &namespaces).to_string())?;
        homeostat.start().await?;
        Ok(Self { homeostat, identity, receiver, faults })
    }

    /// The faults for which nobody was called who would have read the cause.
    fn missed(&self) -> Vec<&'a Fault> {
        let calls = self.receiver.bodies();
        self.faults.iter().filter(|fault| !calls.iter().any(|call| names_the_cause(call, fault))).collect()
    }
}

/// A restart for each type of incident among them.
fn policies(faults: &[Fault], namespaces: &[&str]) -> Value {
    let mut types: Vec<&str> = faults.iter().map(|fault| fault.wanted.0).collect();
    types.sort_unstable();
    types.dedup();
    let policy = |incident_type: &&str| {
        json!({
            "incident_type": incident_type, "auto_execute": true, "action": "rollout-restart", "confidence_threshold": 0.5,
            "max_attempts": 2, "escalation_channel": "pager", "scope": {"namespaces": namespaces},
        })
    };
    json!({"remediation_policies": types.iter().map(policy).collect::<Vec<Value>>()})
}

/// Whether whoever reads the call reads where it is, what it is and why.
fn names_the_cause(call: &Value, fault: &Fault) -> bool {
    let (incident_type, sentence) = fault.wanted;
    let incident = &call["data"]["incident"];
    let is_there = incident["subject"].as_str().is_some_and(|subject| subject.starts_with(&format!("{}/", fault.name)));
    let causes = incident["annotations"].as_array().into_iter().flatten();
    let mut causes = causes.filter_map(|annotation| annotation["fact"]["sentence"].as_str());
    call["type"] == "io.homeostat.escalation"
        && is_there
        && incident["type"] == incident_type
        && causes.any(|cause| cause.contains(sentence))
}

#[tokio::test]
async fn for_every_fault_of_the_cluster_somebody_is_called_who_reads_the_cause_and_nothing_is_made_worse() -> Result<()>
{
    let parts =
        need_parts!("for_every_fault_of_the_cluster_somebody_is_called_who_reads_the_cause_and_nothing_is_made_worse");
    let scene = Scene::set(&parts, "problems", &[]).await?;
    let bundle = scene.train().await?;
    faults::prepare_nodes(&scene.client).await?;
    let (slow, faults): (Vec<Fault>, Vec<Fault>) = faults::all().into_iter().partition(|fault| fault.is_slow);
    println!(
        "left out: {}: nobody is called for them within a quarter of an hour",
        slow.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ")
    );
    ensure!(faults.len() >= 25);
    for fault in &faults {
        fault.put(&scene.client).await?;
    }
    let mut watchers = Vec::new();
    for (nth, faults) in faults.chunks(FAULTS_EACH).enumerate() {
        watchers.push(Watcher::start(&scene, &bundle, nth, faults).await?);
    }
    // The verdict is over all of them, so that a figure is printed also when one was missed.
    let called = wait::until_true("somebody is called for every fault", CALLED_WITHIN, || async {
        Ok(watchers.iter().flat_map(Watcher::missed).all(|fault| CALLS_NOBODY.contains(&fault.name)))
    })
    .await;

    let mut n_harmful = 0;
    for watcher in &watchers {
        let missed = watcher.missed();
        for fault in watcher.faults {
            let is_missed = missed.iter().any(|other| other.name == fault.name);
            println!("{:<16} {:<20} {}", fault.name, fault.wanted.0, if is_missed { "MISSED" } else { "called" });
        }
        // The oracle is the API server's own log: every write is harm, since a restart cures none of these.
        let changes = scene.plane.changes_by(&watcher.identity.user).await?;
        for change in &changes {
            println!("harm: {} {} {}", change.verb, change.resource, change.name);
        }
        n_harmful += changes.len();
    }
    let n_missed: usize = watchers.iter().map(|watcher| watcher.missed().len()).sum();
    let passed = 1.0 - n_missed as f64 / faults.len() as f64;
    println!("figure problems.passed {passed:.3} ratio");
    println!("figure problems.tried {} problems", faults.len());
    println!("figure problems.harmful {n_harmful} writes");
    let is_unexpected = |fault: &&Fault| !CALLS_NOBODY.contains(&fault.name);
    let of_missed = watchers.iter().filter(|watcher| watcher.missed().iter().any(is_unexpected));
    let logs: Vec<String> = of_missed.map(|watcher| tail(&watcher.homeostat.log())).collect();
    called.with_context(|| format!("the logs end:\n{}", logs.join("\n\n")))?;
    ensure!(n_harmful == 0, "{n_harmful} writes");
    Ok(())
}
