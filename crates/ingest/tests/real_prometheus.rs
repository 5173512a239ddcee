//! The client and the presets against a real Prometheus, on data with known answers.
//!
//! Needs `prometheus` and `promtool` on the PATH; without them there is nothing to test against, and it says so.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "all of this file is a test")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use homeostat_core::{Grid, Seed, Timestamp, Window, WorkloadKind};
use homeostat_ingest::{
    FetchError, Matrix, PresetParams, PrometheusConfig, PrometheusSource, QuerySet, RetryPolicy, align, preset,
    rollouts_expr,
};

const STEP: Duration = Duration::from_secs(60);
/// Scrapes, 15 s apart, from this moment on; on the step.
const START_S: i64 = 1_700_000_040;
const N_SCRAPES: i64 = 160;

struct Running {
    child: Child,
    url: String,
    _data: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Prometheus that serves this OpenMetrics text; `None` where there is no Prometheus to run.
fn prometheus(open_metrics: &str) -> Option<Running> {
    let here = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !(here("prometheus") && here("promtool")) {
        eprintln!("not run: no prometheus and promtool on the PATH");
        return None;
    }
    let data = tempfile::tempdir().expect("a folder");
    let file = |name: &str| data.path().join(name);
    std::fs::write(file("metrics.txt"), open_metrics).expect("written");
    std::fs::write(file("prometheus.yml"), "scrape_configs: []\n").expect("written");
    let import = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
        .args([file("metrics.txt"), file("data")])
        .output()
        .expect("promtool runs");
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let child = Command::new("prometheus")
        .arg(flag("config.file", &file("prometheus.yml")))
        .arg(flag("storage.tsdb.path", &file("data")))
        // The data is old; nothing may be cleared away.
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus runs");
    Some(Running { child, url: format!("http://127.0.0.1:{port}"), _data: data })
}

fn source(running: &Running) -> PrometheusSource {
    PrometheusSource::new(config(running)).expect("a source")
}

fn config(running: &Running) -> PrometheusConfig {
    let url = running.url.parse().expect("a URL");
    let mut config = PrometheusConfig::new(url, Seed::new(1));
    // The first request waits for Prometheus to come up, as the service would.
    let (wait_base, wait_max) = (Duration::from_millis(100), Duration::from_millis(200));
    config.retry = RetryPolicy { attempts_max: 500, wait_base, wait_max };
    config
}

/// Whether this Prometheus is 2.43 or later, which is when queries got a lookback of their own.
fn takes_a_lookback() -> bool {
    let said = Command::new("prometheus").arg("--version").output().expect("prometheus runs");
    // Older ones say it on standard error.
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let version = said.split("version ").nth(1).expect("a version");
    let mut parts = version.split(['.', ',', '+', '-', ' ']).map(|part| part.parse::<u32>().expect("a number"));
    (parts.next(), parts.next()) >= (Some(2), Some(43))
}

/// Series as text, one line a scrape.
struct Series {
    family: &'static str,
    labels: String,
    value: Box<dyn Fn(i64) -> f64>,
}

fn series(family: &'static str, labels: &str, value: impl Fn(i64) -> f64 + 'static) -> Series {
    Series { family, labels: labels.to_owned(), value: Box::new(value) }
}

/// OpenMetrics wants a family's lines together.
fn open_metrics(mut all: Vec<Series>) -> String {
    all.sort_by(|a, b| a.family.cmp(b.family));
    let mut text = String::new();
    let mut family = "";
    for one in all {
        if one.family != family {
            family = one.family;
            writeln!(text, "# TYPE {family} unknown").expect("text");
        }
        for scrape in 0..N_SCRAPES {
            let (value, at) = ((one.value)(scrape), START_S + scrape * 15);
            if value.is_finite() {
                writeln!(text, "{family}{{{}}} {value} {at}", one.labels).expect("text");
            }
        }
    }
    text + "# EOF\n"
}

/// Deployment `cart` with two pods in trouble, `api` with one healthy pod, and a pod that belongs to no Deployment.
fn shop() -> Vec<Series> {
    let mut all = Vec::new();
    // Two replicas of kube-state-metrics: everything it says is there twice.
    for ksm in ["ksm-0", "ksm-1"] {
        let ksm = format!(r#"job="kube-state-metrics",instance="{ksm}""#);
        for (pod, owner, kind) in [
            ("cart-1", "cart-7d", "ReplicaSet"),
            ("cart-2", "cart-8e", "ReplicaSet"),
            ("api-1", "api-9f", "ReplicaSet"),
            ("db-0", "db", "StatefulSet"),
        ] {
            let pod = format!(r#"{ksm},namespace="shop",pod="{pod}""#);
            all.push(series("kube_pod_owner", &format!(r#"{pod},owner_kind="{kind}",owner_name="{owner}""#), |_| 1.0));
            let container = format!(r#"{pod},container="app""#);
            let limits = format!(r#"{container},resource="memory",unit="byte""#);
            all.push(series("kube_pod_container_resource_limits", &limits, |_| 1000.0));
            let is_cart = owner.starts_with("cart");
            // A restart every 3 minutes (12 scrapes) in each of cart's pods.
            let restarts = move |scrape: i64| if is_cart { (scrape / 12) as f64 } else { 0.0 };
            all.push(series("kube_pod_container_status_restarts_total", &container, restarts));
            if pod.contains("cart-1") {
                let reason = format!(r#"{container},reason="OOMKilled""#);
                all.push(series("kube_pod_container_status_last_terminated_reason", &reason, |_| 1.0));
            }
        }
        for (set, deployment) in [("cart-7d", "cart"), ("cart-8e", "cart"), ("api-9f", "api")] {
            let labels = format!(
                r#"{ksm},namespace="shop",replicaset="{set}",owner_kind="Deployment",owner_name="{deployment}""#
            );
            all.push(series("kube_replicaset_owner", &labels, |_| 1.0));
        }
        // cart lacks one; api has one more than wanted, as in a surge.
        for (deployment, wanted, available) in [("cart", 2.0, 1.0), ("api", 1.0, 2.0)] {
            let labels = format!(r#"{ksm},namespace="shop",deployment="{deployment}""#);
            all.push(series("kube_deployment_spec_replicas", &labels, move |_| wanted));
            all.push(series("kube_deployment_status_replicas_available", &labels, move |_| available));
        }
    }
    for (pod, memory, cpu) in
        [("cart-1", 800.0, 0.25), ("cart-2", 500.0, 0.5), ("api-1", 100.0, 0.1), ("db-0", 999.0, 9.0)]
    {
        let pod = format!(r#"namespace="shop",pod="{pod}""#);
        for container in ["app", "POD", ""] {
            let labels = format!(r#"{pod},container="{container}""#);
            all.push(series("container_memory_working_set_bytes", &labels, move |_| memory));
            all.push(series("container_cpu_usage_seconds_total", &labels, move |scrape| (scrape * 15) as f64 * cpu));
        }
    }
    for (pod, code, per_s) in
        [("cart-1", "200", 12.0), ("cart-2", "200", 6.0), ("cart-2", "503", 2.0), ("api-1", "200", 5.0)]
    {
        let labels = format!(r#"namespace="shop",pod="{pod}",code="{code}""#);
        all.push(series("http_requests_total", &labels, move |scrape| (scrape * 15) as f64 * per_s));
    }
    // All requests take between 0.1 and 0.2 s.
    for (le, share) in [("0.1", 0.0), ("0.2", 1.0), ("+Inf", 1.0)] {
        let labels = format!(r#"namespace="shop",pod="cart-1",le="{le}""#);
        all.push(series("http_request_duration_seconds_bucket", &labels, move |scrape| (scrape * 15) as f64 * share));
    }
    all
}

fn assert_last_row(window: &Window, wanted: &[(&str, Option<f64>)]) {
    for (name, wanted) in wanted {
        let column = window.schema().position(name).expect(name);
        let found = Some(window.last_row()[column]).filter(|value| !value.is_nan());
        let is_near = match (found, wanted) {
            (Some(found), Some(wanted)) => (found - wanted).abs() <= wanted.abs() * 0.02 + 1e-9,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        assert!(is_near, "{} {name}: found {found:?}, wanted {wanted:?}", window.subject());
    }
}

#[tokio::test]
async fn the_kubernetes_preset_gives_the_known_values() {
    let Some(running) = prometheus(&open_metrics(shop())) else { return };
    let source = source(&running);
    let preset =
        preset("kubernetes-workload", &PresetParams::for_intervals(Duration::from_secs(15), STEP)).expect("a preset");
    let queries = QuerySet::new(preset.queries).expect("queries");
    let end = Timestamp::from_secs(START_S + (N_SCRAPES - 1) * 15);
    let grid = Grid::ending_at(end, STEP, 10).expect("a grid");
    let pull = source.pull(&queries, grid.start(), grid.end(), STEP).await;
    assert!(pull.failed.is_empty(), "{:?}", pull.failed);
    let matrices = pull.matrices;
    let aligned = align(&queries, &matrices, &preset.rule, &grid);

    let subjects: Vec<String> = aligned.windows.iter().map(|window| window.subject().to_string()).collect();
    assert_eq!(subjects, ["shop/deployment/api", "shop/deployment/cart"]);
    assert!(aligned.unplaced.iter().all(|query| query.series_unmatched == 0 && query.samples_off_grid == 0));
    assert!(matrices.iter().flatten().all(|matrix| !matrix.is_partial()));
    assert_last_row(
        &aligned.windows[0],
        &[
            ("memory", Some(0.1)),
            ("cpu", Some(0.1)),
            ("restarts", Some(0.0)),
            ("oom-kills", Some(0.0)),
            ("error-ratio", Some(0.0)),
            ("latency", None),
            ("traffic", Some(5.0)),
            ("replicas-unavailable", Some(0.0)),
        ],
    );
    // increase() over 10 minutes of a restart every 3 minutes: 3 or 4, extrapolated; two pods, one of them OOM-killed.
    let cart = &aligned.windows[1];
    let value = |name: &str| cart.last_row()[cart.schema().position(name).expect(name)];
    assert!((5.9..8.3).contains(&value("restarts")), "{}", value("restarts"));
    assert!((value("oom-kills") - value("restarts") / 2.0).abs() < 1e-9, "{}", value("oom-kills"));
    assert_last_row(
        cart,
        &[
            ("memory", Some(0.8)),
            ("cpu", Some(0.75)),
            ("error-ratio", Some(0.1)),
            ("latency", Some(0.199)),
            ("traffic", Some(20.0)),
            ("replicas-unavailable", Some(1.0)),
        ],
    );
}

#[tokio::test]
async fn gaps_pages_and_refusals_are_as_prometheus_has_them() {
    let gap = |scrape: i64| if (40..80).contains(&scrape) { f64::NAN } else { scrape as f64 };
    let Some(running) = prometheus(&open_metrics(vec![series("gauge", r#"job="a""#, gap)])) else { return };
    let source = source(&running);
    let (start, end) = (Timestamp::from_secs(START_S), Timestamp::from_secs(START_S + 159 * 15));

    let scrapes = |matrix: &Matrix| -> Vec<(i64, f64)> {
        let samples = matrix.series()[0].samples().iter();
        samples.map(|sample| ((sample.at.as_millis() / 1000 - START_S) / 15, sample.value)).collect()
    };
    let measured: Vec<(i64, f64)> =
        (0..160).step_by(4).filter(|scrape| !(40..80).contains(scrape)).map(|scrape| (scrape, scrape as f64)).collect();
    // A range that holds one scrape at most (open or closed on the left, as versions differ): the ten minutes without a
    // sample are ten gaps.
    let matrix = source.range("last_over_time(gauge[14s])", start, end, STEP).await.expect("a matrix");
    assert_eq!(scrapes(&matrix), measured);

    // By itself Prometheus repeats the last sample for five minutes; with a lookback of less than a scrape it doesn't.
    let flat = source.range("gauge", start, end, STEP).await.expect("a matrix");
    assert!(scrapes(&flat).contains(&(56, 39.0)), "{:?}", scrapes(&flat));
    let honest = PrometheusConfig { lookback: Some(Duration::from_secs(14)), ..config(&running) };
    let honest = PrometheusSource::new(honest).expect("a source");
    let found = scrapes(&honest.range("gauge", start, end, STEP).await.expect("a matrix"));
    assert_eq!(found, if takes_a_lookback() { measured } else { scrapes(&flat) });

    // 12 h at one second are 43 201 points, which Prometheus would refuse in one piece.
    let early = start - Duration::from_secs(12 * 3600 - 159 * 15);
    let long =
        source.range("last_over_time(gauge[14s])", early, end, Duration::from_secs(1)).await.expect("five pages");
    assert!(source.stats().requests_ok >= 6);
    assert_eq!(long.series().len(), 1);

    let wrong = source.range("sum(", start, end, STEP).await.expect_err("no PromQL");
    assert!(matches!(wrong, FetchError::BadQuery { .. }) && wrong.to_string().contains("parse error"), "{wrong}");
    let empty = source.range("absent_metric", start, end, STEP).await.expect("no series is an answer");
    assert!(empty.series().is_empty());
}

/// Whether a revision is the newest at a scrape.
type IsNewest = fn(i64) -> bool;

/// What kube-state-metrics tells of workloads that are rolled out, scaled, made and left alone, from two replicas of itself. Scrapes
/// are 15 s apart; between the 40th and the 60th both are away.
fn rolled_out_and_not() -> Vec<Series> {
    let is_away = |scrape: i64| (40..60).contains(&scrape);
    let while_there = move |is_there: bool, scrape: i64| if is_there && !is_away(scrape) { 1.0 } else { f64::NAN };
    let mut all = Vec::new();
    for ksm in ["ksm-0", "ksm-1"] {
        let ksm = format!(r#"job="kube-state-metrics",instance="{ksm}",namespace="shop""#);
        // Of each StatefulSet its revisions, and when each is the newest. The second roll-out of the database goes back, after more
        // than the five minutes for which an imported series stays visible.
        let revisions: [(&str, &str, IsNewest); 4] = [
            ("db", "db-1", |scrape| !(100..126).contains(&scrape)),
            ("db", "db-2", |scrape| (100..126).contains(&scrape)),
            ("cache", "cache-1", |_| true),
            ("new", "new-1", |scrape| scrape >= 90),
        ];
        for (set, revision, is_newest) in revisions {
            let labels = format!(r#"{ksm},statefulset="{set}",revision="{revision}""#);
            let value = move |scrape: i64| while_there(is_newest(scrape), scrape);
            all.push(series("kube_statefulset_status_update_revision", &labels, value));
        }
        for (set, labels) in
            [("cache", format!(r#"{ksm},statefulset="cache""#)), ("db", format!(r#"{ksm},statefulset="db""#))]
        {
            // The cache was scaled: another generation, the same revision.
            let generation = move |scrape: i64| if set == "cache" && scrape > 80 { 5.0 } else { 4.0 };
            all.push(series("kube_statefulset_metadata_generation", &labels, generation));
        }
        for (set, changes_at) in [("agent", 110), ("proxy", i64::MAX)] {
            let labels = format!(r#"{ksm},daemonset="{set}""#);
            let generation = move |scrape: i64| {
                if is_away(scrape) { f64::NAN } else { 3.0 + f64::from(u8::from(scrape >= changes_at)) }
            };
            all.push(series("kube_daemonset_metadata_generation", &labels, generation));
        }
        for (set, owner, created) in [("cart-7d", "cart", 10), ("cart-8e", "cart", 70), ("api-9f", "api", 5)] {
            let labels = format!(r#"{ksm},replicaset="{set}""#);
            let created_s = (START_S + created * 15) as f64;
            all.push(series(
                "kube_replicaset_created",
                &labels,
                move |scrape| {
                    if scrape >= created { created_s } else { f64::NAN }
                },
            ));
            let labels = format!(r#"{labels},owner_kind="Deployment",owner_name="{owner}""#);
            all.push(series("kube_replicaset_owner", &labels, |_| 1.0));
        }
    }
    all
}

#[tokio::test]
async fn roll_outs_of_every_kind_are_known_by_their_minute_and_nothing_else_is_one() {
    let Some(running) = prometheus(&open_metrics(rolled_out_and_not())) else { return };
    let source = source(&running);
    let params = PresetParams::for_intervals(Duration::from_secs(15), STEP);
    let end = Timestamp::from_secs(START_S + (N_SCRAPES - 1) * 15);
    let (db, agent, cart, api) = (126, 110, 70, 5);
    let cases = [
        (WorkloadKind::Deployment, vec![("api", api, 0), ("cart", cart, 0)]),
        (WorkloadKind::StatefulSet, vec![("db", db, 60)]),
        (WorkloadKind::DaemonSet, vec![("agent", agent, 60)]),
    ];
    for (kind, expected) in cases {
        let expr = rollouts_expr(kind, &params).expect("a query");
        let answer = source.range(&expr, end, end, STEP).await.expect("a matrix");
        let mut found: Vec<(String, f64)> = answer
            .series()
            .iter()
            .map(|one| (one.labels().get("workload").expect("a name").to_owned(), one.samples()[0].value))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), "{}: {found:?}", kind.name());
        for ((name, at), (_, scrape, late_s)) in found.iter().zip(expected) {
            let rolled_out = (START_S + scrape * 15) as f64;
            assert!((rolled_out..=rolled_out + f64::from(late_s)).contains(at), "{name}: {at} of {rolled_out}");
        }
    }
}
