//! `homeostat check cluster` on what a real API server lists, with some thirty faults in it: each is named, with its object and its cause.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::faults::{self, Fault};
use homeostat_tests::homeostat::Homeostat;
use homeostat_tests::need_parts;
use homeostat_tests::scratch::Scratch;
use homeostat_tests::wait;
use kube::Client;
use kube::api::ListParams;
use kube::core::Request;
use serde_json::Value;

/// Controllers need seconds; the autoscaler looks every fifteen.
const WITHIN: Duration = Duration::from_secs(120);

/// What `kubectl get … -A -o json` asks for.
const LISTS: [&str; 11] = [
    "/api/v1/pods",
    "/api/v1/events",
    "/api/v1/services",
    "/api/v1/nodes",
    "/api/v1/persistentvolumeclaims",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/autoscaling/v2/horizontalpodautoscalers",
    "/apis/policy/v1/poddisruptionbudgets",
];

async fn dump(client: &Client, scratch: &Scratch) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (idx, path) in LISTS.iter().enumerate() {
        let list: Value = client.request(Request::new(*path).list(&ListParams::default())?).await?;
        files.push(scratch.write(&format!("{idx}.json"), list.to_string())?);
    }
    Ok(files)
}

/// The facts by `homeostat check cluster`, as of ten minutes from now: what must last has lasted.
async fn facts(files: &[PathBuf]) -> Result<Vec<Value>> {
    let later = homeostat_tests::shop_feed::now() + Duration::from_secs(600);
    let mut args = vec!["check".to_owned(), "cluster".to_owned(), "-o=json".to_owned(), format!("--at={later}")];
    args.extend(files.iter().map(|file| file.display().to_string()));
    let checked = Homeostat::command(args)?.run(WITHIN).await?;
    ensure!(checked.status.success(), "check cluster: {}", checked.output);
    let answer: Value = serde_json::from_str(&checked.output).with_context(|| checked.output.clone())?;
    Ok(answer["facts"].as_array().cloned().unwrap_or_default())
}

fn is_said(fault: &Fault, facts: &[Value]) -> bool {
    let (incident_type, sentence) = fault.wanted;
    facts.iter().any(|fact| {
        let subject = fact["subject"].as_str().unwrap_or_default();
        subject.starts_with(&format!("{}/", fault.name))
            && fact["type"] == incident_type
            && fact["sentence"].as_str().is_some_and(|said| said.contains(sentence))
    })
}

#[tokio::test]
async fn of_thirty_faults_on_a_real_control_plane_each_is_named_with_its_cause() -> Result<()> {
    let parts = need_parts!("of_thirty_faults_on_a_real_control_plane_each_is_named_with_its_cause");
    let plane = ControlPlane::shared(&parts).await?;
    let client = plane.client().await?;
    let scratch = Scratch::new("facts")?;
    faults::prepare_nodes(&client).await?;
    let faults = faults::all();
    ensure!(faults.len() >= 30);
    for fault in &faults {
        fault.put(&client).await?;
    }
    faults::cordon(&client).await?;
    // Healthy neighbours of whom nothing may be said.
    homeostat_tests::workload::create_namespace(&client, "healthy").await?;
    homeostat_tests::workload::deploy(&client, "healthy", "catalog", 2).await?;

    let missing = |facts: &[Value]| -> Vec<&str> {
        faults.iter().filter(|fault| !is_said(fault, facts)).map(|fault| fault.name).collect()
    };
    let last = std::sync::Mutex::new(Vec::new());
    let found = wait::until("every fault is named", WITHIN, || async {
        let facts = facts(&dump(&client, &scratch).await?).await?;
        let is_complete = missing(&facts).is_empty();
        *last.lock().unwrap() = facts.clone();
        Ok(is_complete.then_some(facts))
    })
    .await;
    let facts = last.into_inner()?;
    found.with_context(|| format!("not named: {:?}; said was:\n{}", missing(&facts), lines(&facts)))?;
    let of_healthy: Vec<&Value> =
        facts.iter().filter(|fact| fact["subject"].as_str().is_some_and(|name| name.starts_with("healthy/"))).collect();
    ensure!(of_healthy.is_empty(), "{of_healthy:#?}");
    Ok(())
}

fn lines(facts: &[Value]) -> String {
    let line = |fact: &Value| format!("{} {} {}", fact["subject"], fact["type"], fact["sentence"]);
    facts.iter().map(line).collect::<Vec<String>>().join("\n")
}
