//! The shipped queries on the metrics of real parts: each answers, and names the subject it is about.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use homeostat_core::{Seed, Subject, Timestamp};
use homeostat_ingest::{PRESET_NAMES, PresetParams, preset};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::kube_state::Snapshot;
use homeostat_tests::prometheus::Prometheus;
use homeostat_tests::scratch::Scratch;
use homeostat_tests::shop::Shop;
use homeostat_tests::shop_feed::{self, ShopFeed};
use homeostat_tests::{need_parts, shop_history, wait, workload};

const STEP: Duration = Duration::from_secs(5);
const HISTORY_MS: i64 = 900_000;

#[tokio::test]
async fn every_query_of_the_preset_answers_about_the_deployment() -> Result<()> {
    let parts = need_parts!("every_query_of_the_preset_answers_about_the_deployment");
    let client = ControlPlane::shared(&parts).await?.client().await?;
    workload::create_namespace(&client, "shop").await?;
    workload::deploy(&client, "shop", "payment-api", 3).await?;
    let now = shop_feed::now();
    let mut shop = Shop::new("shop", Seed::new(7), Timestamp::from_millis(now.as_millis() - HISTORY_MS));
    shop.follow(&Snapshot::read(&client, "shop").await?);
    let scratch = Scratch::new("presets")?;
    let mut setup = shop_history::setup(&mut shop, now, STEP, &scratch)?;
    let feed = ShopFeed::start(shop)?;
    let _mirror = feed.follow(client.clone()).await?;
    setup.jobs = feed.jobs();
    let prometheus = Prometheus::start(&parts, &setup).await?;
    let victim: Subject = "shop/deployment/payment-api".parse()?;
    // Without a killed container there is no series of kills: its absence means zero.
    workload::oom_kill(&client, "shop", "payment-api", 3).await?;

    for name in PRESET_NAMES {
        let preset = preset(name, &PresetParams::for_intervals(STEP, STEP))?;
        let is_of_pods = name == "kubernetes-replicas";
        for query in &preset.queries {
            let what = format!("{} answers about {victim}", query.name);
            let value = wait::until(&what, Duration::from_secs(30), || async {
                let samples = prometheus.query(&query.expr).await?;
                let about = |sample: &&homeostat_tests::prometheus::Sample| {
                    let name = sample.label(&preset.rule.name_label);
                    preset.rule.kind == victim.kind
                        && sample.label(&preset.rule.namespace_label) == victim.namespace
                        && name == victim.name
                };
                let mine: Vec<f64> = samples.iter().filter(about).map(|sample| sample.value).collect();
                if is_of_pods {
                    let pods: BTreeSet<&str> = samples.iter().filter(about).map(|sample| sample.label("pod")).collect();
                    ensure!(pods.len() == mine.len(), "pods with several series: {samples:?}");
                    // The whole deployment's work, in three parts.
                    let sum: f64 =
                        if query.name == "cpu" { mine.iter().sum() } else { mine.iter().copied().fold(0.0, f64::max) };
                    return Ok(Some(sum).filter(|sum| mine.len() == 3 && is_plausible(&query.name, *sum)));
                }
                ensure!(mine.len() <= 1, "{} series of one subject: {samples:?}", mine.len());
                Ok(mine.first().copied().filter(|value| value.is_finite() && is_plausible(&query.name, *value)))
            })
            .await
            .with_context(|| query.expr.clone())?;
            ensure!(value >= 0.0, "{}: {value}", query.name);
        }
    }
    Ok(())
}

/// What the shop shows once three containers were killed: the queries measure what their names say, in the right unit.
fn is_plausible(query: &str, value: f64) -> bool {
    let range = match query {
        // Some 220 of 512 MiB; 16 to 40 requests a second; a fifth of 80 ms of computing for each.
        "memory" => 0.2..0.9,
        "cpu" => 0.1..1.5,
        "restarts" | "oom-kills" => 2.5..4.5,
        "error-ratio" => 0.0..0.02,
        "latency" => 0.05..2.5,
        "traffic" => 10.0..60.0,
        "replicas-unavailable" => 0.0..0.5,
        _ => return false,
    };
    range.contains(&value)
}
