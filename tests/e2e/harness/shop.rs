//! The shop's history is queryable, the present continues it, and the cluster's faults are seen in Prometheus.

use std::time::Duration;

use anyhow::{Context, Result};
use homeostat_core::{Seed, Timestamp};
use homeostat_tests::control_plane::ControlPlane;
use homeostat_tests::kube_state::Snapshot;
use homeostat_tests::prometheus::{Prometheus, WORKLOAD_RULES};
use homeostat_tests::scratch::Scratch;
use homeostat_tests::shop::{Disturbance, Shop};
use homeostat_tests::shop_feed::{self, ShopFeed};
use homeostat_tests::{need_parts, shop_history, wait, workload};

const SOON: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_secs(30);
const SIX_HOURS_MS: i64 = 6 * 3600 * 1000;

fn six_hours_before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() - SIX_HOURS_MS)
}

#[tokio::test]
async fn the_present_continues_the_history() -> Result<()> {
    let parts = need_parts!("the_present_continues_the_history");
    let scratch = Scratch::new("shop")?;
    let now = shop_feed::now();
    let mut shop = Shop::new("shop", Seed::new(7), six_hours_before(now));
    let mut setup = shop_history::setup(&mut shop, now, STEP, &scratch)?;
    let feed = ShopFeed::start(shop)?;
    setup.jobs = feed.jobs();
    setup.rules = Some(WORKLOAD_RULES.to_owned());
    let prometheus = Prometheus::start(&parts, &setup).await?;

    let samples = r#"count_over_time(http_requests_total{service="payment-api",code="200",pod=~".*-00000"}[6h])"#;
    prometheus.wait_for(samples, SOON, |count| count >= 720.0).await?;
    prometheus.wait_for(r#"sum(up{job=~"shop|kubelet|kube-state-metrics"})"#, SOON, |n_up| n_up == 3.0).await?;
    // One series per pod and code: nothing changed its labels between history and now.
    let series = r#"count(count_over_time(http_requests_total{service="payment-api"}[7h]))"#;
    assert_eq!(prometheus.value(series).await?, Some(6.0));
    let restarts = r#"count(count_over_time(kube_pod_container_status_restarts_total{container="cart"}[7h]))"#;
    assert_eq!(prometheus.value(restarts).await?, Some(3.0));
    let resets = r#"sum(resets(http_requests_total{service="payment-api"}[7h]))"#;
    assert_eq!(prometheus.value(resets).await?, Some(0.0));
    // 40 requests a second at noon, 16 at midnight.
    let rate = r#"sum(rate(http_requests_total{service="payment-api"}[5m]))"#;
    prometheus.wait_for(rate, SOON, |rate| (14.0..44.0).contains(&rate)).await?;
    let latency = r#"histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket{service="payment-api"}[5m])))"#;
    prometheus.wait_for(latency, SOON, |latency| (0.05..0.15).contains(&latency)).await?;
    let workloads = r#"count(namespace_workload_pod:kube_pod_owner:relabel{workload="payment-api"})"#;
    prometheus.wait_for(workloads, SOON, |n_pods| n_pods == 3.0).await?;

    feed.shop().disturb("payment-api", Disturbance { errors: 0.5, ..Disturbance::default() });
    let errors = r#"sum(rate(http_requests_total{service="payment-api",code="500"}[10s]))
        / sum(rate(http_requests_total{service="payment-api"}[10s]))"#;
    prometheus.wait_for(errors, SOON, |ratio| ratio > 0.4).await?;
    feed.shop().disturb("payment-api", Disturbance::default());
    prometheus.wait_for(errors, SOON, |ratio| ratio < 0.05).await?;
    Ok(())
}

#[tokio::test]
async fn an_oom_kill_in_the_cluster_is_seen_in_prometheus_and_a_restart_ends_it() -> Result<()> {
    let parts = need_parts!("an_oom_kill_in_the_cluster_is_seen_in_prometheus_and_a_restart_ends_it");
    let client = ControlPlane::shared(&parts).await?.client().await?;
    workload::create_namespace(&client, "shop").await?;
    workload::deploy(&client, "shop", "payment-api", 3).await?;

    let scratch = Scratch::new("shop")?;
    let now = shop_feed::now();
    let mut shop = Shop::new("shop", Seed::new(7), six_hours_before(now));
    shop.follow(&Snapshot::read(&client, "shop").await?);
    let mut setup = shop_history::setup(&mut shop, now, STEP, &scratch)?;
    let feed = ShopFeed::start(shop)?;
    let _mirror = feed.follow(client.clone()).await?;
    setup.jobs = feed.jobs();
    let prometheus = Prometheus::start(&parts, &setup).await?;

    let leak = Disturbance { leak_bytes_per_s: 1e6, ends_with_its_pods: true, ..Disturbance::default() };
    feed.shop().disturb("payment-api", leak);
    feed.shop().oom_kill("payment-api", 3);
    let killed = workload::oom_kill(&client, "shop", "payment-api", 3).await?;

    let restarts = format!(
        r#"increase(kube_pod_container_status_restarts_total{{namespace="shop",pod="{killed}"}}[10m]) > 0
           and on (namespace, pod, container) kube_pod_container_status_last_terminated_reason{{reason="OOMKilled"}} == 1"#
    );
    prometheus.wait_for(&restarts, SOON, |increase| increase >= 2.5).await?;
    let ooms = r#"sum(increase(container_oom_events_total{namespace="shop",container="payment-api"}[10m]))"#;
    prometheus.wait_for(ooms, SOON, |increase| increase >= 2.5).await?;
    let available = r#"kube_deployment_status_replicas_available{namespace="shop",deployment="payment-api"}"#;
    prometheus.wait_for(available, SOON, |n_available| n_available == 3.0).await?;

    workload::restart(&client, "shop", "payment-api").await?;
    workload::wait_rolled_out(&client, "shop", "payment-api").await?;
    let reason = r#"count(kube_pod_container_status_last_terminated_reason{namespace="shop"}) or vector(0)"#;
    prometheus.wait_for(reason, SOON, |n_pods| n_pods == 0.0).await?;
    let new = workload::pods_of(&client, "shop", "payment-api").await?;
    let name = new.first().and_then(|pod| pod.metadata.name.clone()).context("no pod")?;
    let memory = format!(r#"container_memory_working_set_bytes{{pod="{name}"}}"#);
    wait::until_true("the new pod's memory is scraped", SOON, || async {
        Ok(prometheus.value(&memory).await?.is_some())
    })
    .await
}

#[test]
fn a_shop_with_the_same_seed_is_the_same_shop() -> Result<()> {
    let start = Timestamp::from_secs(1_790_000_000);
    let text = |seed: u64, steps: &[i64]| {
        let mut shop = Shop::new("shop", Seed::new(seed), start);
        steps.iter().for_each(|at| shop.advance(Timestamp::from_millis(start.as_millis() + at)));
        shop.pages().map(|page| page.text())
    };
    assert_eq!(text(7, &[3_600_000]), text(7, &[3_600_000]));
    assert_eq!(text(7, &[3_600_000])[0], text(7, &[1_000_000, 900_000, 3_600_000])[0]);
    assert_ne!(text(7, &[3_600_000]), text(8, &[3_600_000]));
    Ok(())
}
