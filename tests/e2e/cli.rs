//! The command line, as people and scripts meet it: clear answers, all problems at once, and exit codes that mean something.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_tests::homeostat::{Finished, Homeostat};
use homeostat_tests::{http, wait};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

async fn run(args: &[&str]) -> Result<Finished> {
    Homeostat::command(args.iter().copied())?.run(SOON).await
}

fn deploy(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name).display().to_string()
}

/// A config that is right, of a Prometheus that isn't there.
fn config() -> serde_json::Value {
    json!({
        "global": {"step": "1s", "history": "10m"},
        "datasources": [{"url": "http://127.0.0.1:9", "timeout": "1s"}],
        "queries": {"up": "up"},
    })
}

#[tokio::test]
async fn the_shipped_examples_are_right() -> Result<()> {
    let checked = run(&["check", "config", &deploy("homeostat.example.yaml")]).await?;
    ensure!(checked.status.success() && checked.output.contains("OK"), "{}", checked.output);
    let checked = run(&["check", "policy", &deploy("policies.example.yaml")]).await?;
    ensure!(checked.status.success() && checked.output.contains("OK"), "{}", checked.output);
    Ok(())
}

#[tokio::test]
async fn ten_mistakes_are_shown_in_one_go_with_their_places() -> Result<()> {
    let wrong = "\
mode: exectue
global:
  step: 30h
  histroy: 14d
datasources:
  - url: ftp://127.0.0.1:9090
    concurrency_max: 900
preset: kubernetes-worklod
queries:
  lag:
    expr: up
    signal: queue-leg
detectors: [forest, oracle]
topology:
  - workload: shop/checkout
    depends_on: [shop/deployment/payment-api]
calendar:
  - name: sale
    start: 2026-12-01T20:00:00Z
    end: 2026-12-01T08:00:00Z
server:
  listen_address: 0.0.0.0:9476
";
    let homeostat = Homeostat::command(["check", "config"])?;
    let file = homeostat.write("wrong.yml", wrong)?;
    let checked = homeostat.arg(file.as_os_str()).run(SOON).await?;
    assert_eq!(checked.status.code(), Some(1), "{}", checked.output);
    let places = [
        (1, "exectue"),
        (3, "global.step"),
        (4, "histroy"),
        (6, "http://"),
        (7, "concurrency_max"),
        (8, "kubernetes-worklod"),
        (12, "queue-leg"),
        (13, "oracle"),
        (15, "shop/checkout"),
        (20, "after the start"),
        (22, "loopback"),
    ];
    for (line, word) in places {
        let place = format!("wrong.yml:{line}:");
        let found = checked.output.lines().any(|told| told.contains(&place) && told.contains(word));
        ensure!(found, "nothing about {word:?} at {place}\n{}", checked.output);
    }
    Ok(())
}

#[tokio::test]
async fn help_names_every_command_and_wrong_flags_are_a_mistake_of_the_caller() -> Result<()> {
    let help = run(&["--help"]).await?;
    ensure!(help.status.success(), "{}", help.output);
    let commands =
        ["demo", "serve", "train", "replay", "evaluate", "tune", "check", "incident", "stop", "resume", "audit"];
    for command in commands {
        ensure!(help.output.lines().any(|line| line.trim_start().starts_with(command)), "{command}: {}", help.output);
        let own = run(&[command, "--help"]).await?;
        ensure!(own.status.success() && own.output.contains("Usage:"), "{command}: {}", own.output);
    }
    for wrong in
        [&["serve"][..], &["serve", "--confg.file=x"], &["replya"], &["--log.level=a=b=c", "audit", "--storage.path=x"]]
    {
        let answered = run(wrong).await?;
        assert_eq!(answered.status.code(), Some(2), "{wrong:?}: {}", answered.output);
    }
    Ok(())
}

#[tokio::test]
async fn a_config_that_is_not_there_is_said_so() -> Result<()> {
    let served = run(&["serve", "--config.file=/nowhere/homeostat.yml"]).await?;
    assert_eq!(served.status.code(), Some(1), "{}", served.output);
    ensure!(served.output.contains("/nowhere/homeostat.yml"), "{}", served.output);
    Ok(())
}

#[tokio::test]
async fn a_service_waits_for_its_prometheus_alive_but_not_ready() -> Result<()> {
    let mut homeostat = Homeostat::serve(&config().to_string())?;
    homeostat.spawn()?;
    homeostat.wait_log("trying again", SOON).await?;
    let log = homeostat.log();
    ensure!(log.contains("reach Prometheus at http://127.0.0.1:9"), "{log}");
    http::get(&format!("{}/livez", homeostat.base_url())).await?;
    let ready = http::client()?.get(format!("{}/readyz", homeostat.base_url())).send().await?;
    assert_eq!(ready.status().as_u16(), 503);
    ensure!(homeostat.running()?.ended()?.is_none(), "it must not end: {}", homeostat.log());
    let began = std::time::Instant::now();
    ensure!(homeostat.stop().await?.success(), "SIGTERM must end it well");
    ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?} to end", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() -> Result<()> {
    let homeostat = Homeostat::serve(&config().to_string())?;
    let address = homeostat.base_url().trim_start_matches("http://").to_owned();
    let _taken = TcpListener::bind(&address)?;
    let served = homeostat.run(SOON).await?;
    assert_eq!(served.status.code(), Some(1), "{}", served.output);
    ensure!(served.output.contains(&address) && served.output.contains("--web.listen-address"), "{}", served.output);
    Ok(())
}

#[tokio::test]
async fn a_storage_path_that_cannot_be_written_is_a_clear_error() -> Result<()> {
    let homeostat = Homeostat::command(["serve"])?;
    let config = homeostat.write("homeostat.yml", config().to_string())?;
    let file = homeostat.write("file", "in the way")?;
    let served = homeostat
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", file.join("data").display()))
        .run(SOON)
        .await?;
    assert_eq!(served.status.code(), Some(1), "{}", served.output);
    ensure!(served.output.contains("storage.path") && served.output.contains("file/data"), "{}", served.output);
    Ok(())
}

#[tokio::test]
async fn a_second_service_on_the_same_storage_is_turned_away() -> Result<()> {
    let mut first = Homeostat::serve(&config().to_string())?;
    first.spawn()?;
    let url = format!("{}/livez", first.base_url());
    wait::until("the first is alive", SOON, || async { Ok(Some(http::get(&url).await?)) }).await?;
    let second = Homeostat::serve(&config().to_string())?.without_arg("--storage.path");
    let storage = format!("--storage.path={}", first.data().display());
    let served = second.arg(storage).run(SOON).await.context("the second must end by itself")?;
    assert_eq!(served.status.code(), Some(1), "{}", served.output);
    ensure!(served.output.contains("journal.db"), "{}", served.output);
    Ok(())
}
