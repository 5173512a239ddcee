//! A recorded past through the program, without any other part: replayed, trained on, and refused where it doesn't fit.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_core::{Seed, Timestamp};
use homeostat_simulate::{Fault, FaultKind, Severity, Shop, ShopSpec};
use homeostat_tests::homeostat::{Finished, Homeostat};
use homeostat_tests::scratch::Scratch;
use serde_json::{Value, json};

/// Training a dozen services on a day and a half takes seconds; this leaves room for a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
const HOUR: Duration = Duration::from_secs(3600);

/// Two days of a shop; the last quarter is what `replay` judges, and holds a leak.
fn export(scratch: &Scratch) -> Result<()> {
    let start = Timestamp::from_secs(1_767_571_200);
    let spec = ShopSpec { history_steps: 48 * 60, ..ShopSpec::default() };
    let mut shop = Shop::new(spec, Seed::new(5), start)?;
    let victim = shop.subjects().find(|subject| subject.name == "payment-api").cloned().context("no payment-api")?;
    shop.schedule(Fault::new(FaultKind::MemoryLeak, victim, start + 40 * HOUR, Severity::MODERATE))?;
    shop.advance_to(start + 48 * HOUR);
    let names: Vec<String> = shop.schema().features().iter().map(|feature| feature.name.clone()).collect();
    for name in names {
        scratch.write(&format!("{name}.json"), shop.query_range_json(&name).context("no such feature")?)?;
    }
    Ok(())
}

/// The config of that export; `bundle` names models to use instead of training.
fn config(bundle: Option<&Path>) -> Value {
    let query = |signal: &str, direction: &str, deviation_min: f64| json!({"expr": format!("shop:{}", signal.replace('-', "_")), "signal": signal, "direction": direction, "deviation_min": deviation_min});
    let mut config = json!({
        "mode": "recommend",
        "global": {"step": "1m", "history": "2d"},
        "datasources": [{"url": "http://127.0.0.1:9"}],
        "queries": {
            "memory": query("memory", "up", 0.05),
            "cpu": query("cpu", "up", 0.1),
            "restarts": query("restarts", "up", 0.5),
            "oom-kills": query("oom-kills", "up", 0.5),
            "error-ratio": query("error-ratio", "up", 0.01),
            "latency": query("latency", "up", 0.02),
            "traffic": query("traffic", "both", 2.0),
            "replicas-unavailable": query("replicas-unavailable", "up", 0.5),
        },
        "policies": ["policies.yml"],
    });
    if let Some(bundle) = bundle {
        config["bundle"] = json!(bundle);
    }
    config
}

fn write_config(scratch: &Scratch, name: &str, config: &Value) -> Result<String> {
    let policy = json!({"remediation_policy": {
        "incident_type": "memory-leak", "auto_execute": true, "confidence_threshold": 0.9,
        "scope": {"namespaces": ["shop"]},
    }});
    scratch.write("policies.yml", policy.to_string())?;
    Ok(format!("--config.file={}", scratch.write(name, config.to_string())?.display()))
}

async fn run(args: &[&str]) -> Result<Finished> {
    Homeostat::command(args.iter().copied())?.run(WITHIN).await
}

/// What it printed on standard output: JSON lines. Log lines lie between them, with the machine's own time.
fn json_lines(finished: &Finished) -> Vec<String> {
    finished.output.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_same_export_gives_the_same_bytes_with_the_leak_in_them() -> Result<()> {
    let scratch = Scratch::new("replay")?;
    export(&scratch)?;
    let config = write_config(&scratch, "homeostat.yml", &config(None))?;
    let input = format!("--input={}", scratch.path().display());
    let first = run(&["replay", &config, &input]).await?;
    ensure!(first.status.success(), "{}", first.output);
    let second = run(&["replay", &config, &input]).await?;
    assert_eq!(json_lines(&first), json_lines(&second));

    let lines: Vec<Value> =
        json_lines(&first).iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    let opened = lines.iter().find(|line| {
        line["change"] == "opened"
            && line["incident"]["subject"].as_str().is_some_and(|name| name.ends_with("payment-api"))
    });
    let opened = opened.with_context(|| format!("no incident of payment-api in {lines:#?}"))?;
    let decided = lines.iter().find(|line| line["incident_id"] == opened["incident"]["id"]);
    let decided = decided.with_context(|| format!("no decision on it in {lines:#?}"))?;
    ensure!(decided["decision"] != "execute", "nothing is ever executed in a replay: {decided}");
    ensure!(!decided["refusals"].as_array().context("reasons")?.is_empty(), "and the reasons are told: {decided}");
    Ok(())
}

/// Two sets of policies over one past: one would act on the leak, the other asks a person first.
#[tokio::test]
async fn two_sets_of_policies_are_compared_and_nothing_is_executed() -> Result<()> {
    let scratch = Scratch::new("compare")?;
    export(&scratch)?;
    let config = write_config(&scratch, "homeostat.yml", &config(None))?;
    let policy = |auto_execute: bool| {
        json!({"remediation_policy": {
            "incident_type": "memory-leak", "auto_execute": auto_execute, "confidence_threshold": 0.5,
            "scope": {"namespaces": ["shop"]},
        }})
    };
    let policies = format!("--policies={}", scratch.write("acts.yml", policy(true).to_string())?.display());
    let against = format!("--against={}", scratch.write("asks.yml", policy(false).to_string())?.display());
    let input = format!("--input={}", scratch.path().display());

    let finished = run(&["replay", &config, &input, &policies, &against, "--output=json"]).await?;
    ensure!(finished.status.success(), "{}", finished.output);
    let start = finished.output.find("{\n").context("no JSON")?;
    let mut values = serde_json::Deserializer::from_str(&finished.output[start..]).into_iter::<Value>();
    let compared = values.next().context("no JSON")??;
    let rows = compared["incidents"].as_array().context("no incidents")?;
    let leak = rows
        .iter()
        // By the policy that was asked: its type may have become oom-killed since.
        .find(|row| row["policies"]["policy"] == "memory-leak" && row["against"]["policy"] == "memory-leak")
        .with_context(|| format!("no leak in {compared:#}"))?;
    println!("{leak:#}");
    assert_eq!(leak["policies"]["answer"], "execute", "{leak:#}");
    assert_eq!(leak["policies"]["objections"], json!([]), "the replay's own mode is no objection: {leak:#}");
    assert_eq!(leak["against"]["answer"], "propose", "{leak:#}");
    ensure!(!leak["against"]["objections"].as_array().context("reasons")?.is_empty(), "{leak:#}");
    assert_eq!(leak["differs"], true);

    // A set doesn't differ from itself; the table says so.
    let itself = policies.replace("--policies", "--against");
    let same = run(&["replay", &config, &input, &policies, &itself]).await?;
    ensure!(same.status.success() && same.output.contains("They differ on 0 of"), "{}", same.output);

    // A file that isn't there is told by its name.
    let missing = run(&["replay", &config, &input, "--policies=missing.yml"]).await?;
    ensure!(missing.status.code() == Some(1) && missing.output.contains("missing.yml"), "{}", missing.output);
    Ok(())
}

#[tokio::test]
async fn a_bundle_is_trained_checked_and_refused_where_it_does_not_fit() -> Result<()> {
    let scratch = Scratch::new("bundle")?;
    export(&scratch)?;
    let input = format!("--input={}", scratch.path().display());
    let plain = write_config(&scratch, "plain.yml", &config(None))?;
    let bundle = scratch.path().join("bundle");
    let output = format!("--output={}", bundle.display());
    let trained = run(&["train", &plain, &input, &output]).await?;
    ensure!(trained.status.success(), "{}", trained.output);
    let path = bundle.display().to_string();
    let checked = run(&["check", "bundle", &path]).await?;
    ensure!(checked.status.success() && checked.output.contains("OK"), "{}", checked.output);

    // Nobody's models are overwritten by a second training.
    let again = run(&["train", &plain, &input, &output]).await?;
    ensure!(again.status.code() == Some(1) && again.output.contains("already exists"), "{}", again.output);

    // Other features than it was trained on.
    let mut other = config(Some(&bundle));
    let cpu = other["queries"].as_object_mut().and_then(|queries| queries.remove("cpu")).context("no cpu")?;
    other["queries"]["cpu-cores"] = cpu;
    std::fs::copy(scratch.path().join("cpu.json"), scratch.path().join("cpu-cores.json"))?;
    let other = write_config(&scratch, "other.yml", &other)?;
    let refused = run(&["replay", &other, &input]).await?;
    ensure!(refused.status.code() == Some(1), "{}", refused.output);
    ensure!(refused.output.contains("other features") && refused.output.contains("cpu"), "{}", refused.output);

    // Cut in half, as a full disk leaves it.
    let state = std::fs::read_dir(&bundle)?
        .filter_map(|entry| Some(entry.ok()?.path().join("state.postcard")))
        .find(|file| file.is_file())
        .context("no state in the bundle")?;
    let whole = std::fs::read(&state)?;
    std::fs::write(&state, &whole[..whole.len() / 2])?;
    let damaged = run(&["check", "bundle", &path]).await?;
    ensure!(damaged.status.code() == Some(1) && damaged.output.contains("damaged"), "{}", damaged.output);
    ensure!(damaged.output.contains("state.postcard"), "it names the file: {}", damaged.output);
    Ok(())
}
