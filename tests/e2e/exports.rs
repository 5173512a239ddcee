//! Exported metrics: evaluated as a real Prometheus evaluates them, the same models from every format, scored, and refused
//! where they are wrong.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use homeostat_core::{Direction, Signal};
use homeostat_ingest::{
    DecodeLimits, ExportEvaluator, Matrix, Query, QuerySet, ReadOptions, SubjectRule, read_samples,
};
use homeostat_tests::homeostat::{Finished, Homeostat};
use homeostat_tests::parts::Parts;
use homeostat_tests::prometheus::{Prometheus, Setup};
use homeostat_tests::scratch::Scratch;
use homeostat_tests::{http, need_parts, shop_feed};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(180);
const STEP: Duration = Duration::from_secs(60);
const START_S: i64 = 1_767_571_200;

/// One series: its labels as a text and its samples, milliseconds and values.
struct Exported {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    samples: Vec<(i64, f64)>,
}

impl Exported {
    fn labels_text(&self) -> String {
        self.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect::<Vec<_>>().join(",")
    }
}

/// Numbers between 0 and 1 that are the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

/// What a shop of two services would have been scraped for from then on, every 15 s and a bit beside: counters that reset and a
/// gauge, with gaps. No sample lies on a minute: there, Prometheus 2 and 3 disagree on whether a range includes it.
fn shop(start_s: i64, n_scrapes: i64) -> Vec<Exported> {
    let mut noise = Noise(7);
    let mut all = Vec::new();
    for workload in ["cart", "pay"] {
        for pod in ["a", "b"] {
            let mut counter = 1e6;
            let (mut requests, mut memory) = (Vec::new(), Vec::new());
            for scrape in 0..n_scrapes {
                let at = start_s * 1000 + scrape * 15_000 + 3_217 + (noise.next() * 40.0) as i64;
                let wave = (scrape as f64 / 960.0).sin();
                counter += (30.0 + 10.0 * wave + 4.0 * noise.next()).floor();
                if noise.next() < 0.0005 {
                    // Never near zero: there Prometheus 2 and 3 extrapolate differently.
                    counter = 5e5;
                }
                if noise.next() < 0.01 {
                    continue;
                }
                requests.push((at, counter));
                memory.push((at, (2e8 + 3e7 * wave + 1e6 * noise.next()).floor()));
            }
            let labels =
                vec![("namespace", "shop".to_owned()), ("pod", pod.to_owned()), ("workload", workload.to_owned())];
            all.push(Exported { name: "requests_total", labels: labels.clone(), samples: requests });
            all.push(Exported { name: "memory_bytes", labels, samples: memory });
        }
    }
    all
}

/// Expressions and the features they make.
const QUERIES: [(&str, &str); 8] = [
    ("traffic", "sum by (namespace, workload) (rate(requests_total[2m]))"),
    ("memory", "max by (namespace, workload) (memory_bytes)"),
    ("growth", "max by (namespace, workload) (increase(requests_total{pod=\"a\"}[5m]))"),
    ("slope", "max by (namespace, workload) (delta(memory_bytes{pod=~\"b|c\"}[3m]))"),
    ("last-rate", "min by (namespace, workload) (irate(requests_total[1m]))"),
    ("mean", "sum without (pod) (avg_over_time(memory_bytes[90s] offset 1m)) / 1e6"),
    (
        "share",
        "sum by (namespace, workload) (rate(requests_total{pod=\"a\"}[2m])) / sum by (namespace, workload) (rate(requests_total[2m]))",
    ),
    ("pods", "count by (namespace, workload) (requests_total)"),
];

/// Those whose last bits don't depend on Prometheus's version, as those of a mean over time do.
fn exact_queries() -> impl Iterator<Item = (&'static str, &'static str)> {
    QUERIES.into_iter().filter(|(name, _)| *name != "mean")
}

fn queries() -> Result<QuerySet> {
    let one = |(name, expr): &(&str, &str)| Query {
        name: (*name).to_owned(),
        expr: (*expr).to_owned(),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
        aggregation: homeostat_ingest::Aggregation::Max,
        on_missing: homeostat_ingest::OnMissing::Gap,
        limit: None,
    };
    Ok(QuerySet::new(QUERIES.iter().map(one).collect())?)
}

/// In the order of time, as scrapes come: families apart, as the format wants it.
fn open_metrics(series: &[Exported]) -> String {
    let mut text = String::new();
    for family in ["requests_total", "memory_bytes"] {
        let kind = if family == "requests_total" { "counter" } else { "gauge" };
        text.push_str(&format!("# TYPE {} {kind}\n", family.trim_end_matches("_total")));
        let mut lines: Vec<(i64, String)> = Vec::new();
        for one in series.iter().filter(|one| one.name == family) {
            let labels = one.labels_text();
            for (at, value) in &one.samples {
                let (secs, millis) = (at / 1000, at % 1000);
                lines.push((*at, format!("{family}{{{labels}}} {value} {secs}.{millis:03}\n")));
            }
        }
        lines.sort();
        text.extend(lines.into_iter().map(|(_, line)| line));
    }
    text + "# EOF\n"
}

/// As `promtool tsdb dump-openmetrics` of Prometheus 3.5 was seen to write it: series by series, without types, numbers as
/// Go's `%g`.
fn dumped_open_metrics(series: &[Exported]) -> String {
    let mut text = String::new();
    for one in series {
        let labels = one.labels_text();
        for (at, value) in &one.samples {
            let written = format!("{value:e}");
            let (number, exponent) = written.split_once('e').unwrap_or((written.as_str(), "0"));
            let number = if exponent == "0" { number.to_owned() } else { format!("{number}e+{exponent:0>2}") };
            text.push_str(&format!("{}{{{labels}}} {number} {}.{:03}\n", one.name, at / 1000, at % 1000));
        }
    }
    text + "# EOF\n"
}

fn victoria_metrics(series: &[Exported]) -> String {
    let line = |one: &Exported| {
        let mut metric = json!({"__name__": one.name});
        for (name, value) in &one.labels {
            metric[name] = json!(value);
        }
        let (stamps, values): (Vec<i64>, Vec<f64>) = one.samples.iter().copied().unzip();
        json!({"metric": metric, "values": values, "timestamps": stamps}).to_string() + "\n"
    };
    series.iter().rev().map(line).collect()
}

fn long_csv(series: &[Exported]) -> String {
    let mut text = "time,__name__,namespace,pod,workload,value\n".to_owned();
    for one in series {
        let labels: Vec<&str> = one.labels.iter().map(|(_, value)| value.as_str()).collect();
        for (at, value) in &one.samples {
            text.push_str(&format!("{at},{},{},{value}\n", one.name, labels.join(",")));
        }
    }
    text
}

fn promtool(parts: &Parts, args: &[&std::ffi::OsStr]) -> Result<Vec<u8>> {
    let output = Command::new(&parts.promtool).arg("tsdb").args(args).output().context("promtool")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// A TSDB that holds the history, made by a real `promtool`.
fn tsdb(parts: &Parts, scratch: &Scratch, history: &Path) -> Result<PathBuf> {
    let data = scratch.path().join("tsdb");
    let args = ["create-blocks-from".as_ref(), "--quiet".as_ref(), "openmetrics".as_ref(), history.as_ref()];
    promtool(parts, &[&args[..], &[data.as_ref()]].concat())?;
    // A store that no server has opened has none, and older promtools want one.
    std::fs::create_dir_all(data.join("wal"))?;
    Ok(data)
}

/// What a real `promtool` dumps of it as OpenMetrics, if it can: Debian's 2.42 can't, 2.50 and later can. To test with a newer
/// one, put it first in PATH; otherwise it is imitated.
fn dump_open_metrics(parts: &Parts, data: &Path, series: &[Exported]) -> Vec<u8> {
    promtool(parts, &["dump-openmetrics".as_ref(), data.as_ref()])
        .unwrap_or_else(|_| dumped_open_metrics(series).into_bytes())
}

fn evaluated(file: &Path) -> Result<Vec<Option<Matrix>>> {
    let mut evaluator = ExportEvaluator::new(&queries()?, &SubjectRule::default(), STEP, DecodeLimits::default());
    read_samples(File::open(file)?, &ReadOptions::default(), &mut evaluator)?;
    Ok(evaluator.finish()?.matrices)
}

/// Each sample by its series' labels and its moment.
fn by_moment(matrix: &Matrix) -> BTreeMap<(String, i64), f64> {
    let series = matrix.series().iter();
    series
        .flat_map(|series| {
            let name = format!("{:?}", series.labels());
            series.samples().iter().map(move |sample| ((name.clone(), sample.at.as_millis()), sample.value))
        })
        .collect()
}

async fn answer(prometheus: &Prometheus, expr: &str, start_s: i64, end_s: i64) -> Result<String> {
    let (url, query) = (prometheus.base_url(), http::escaped(expr));
    let url = format!("{url}/api/v1/query_range?query={query}&start={start_s}&end={end_s}&step=60");
    Ok(http::get_json(&url).await?.to_string())
}

#[tokio::test]
async fn raw_samples_are_evaluated_as_prometheus_does() -> Result<()> {
    let parts = need_parts!("raw_samples_are_evaluated_as_prometheus_does");
    let scratch = Scratch::new("evaluated")?;
    let history = scratch.write("history.txt", open_metrics(&shop(START_S, 4 * 240)))?;
    let ours = evaluated(&history)?;
    let prometheus = Prometheus::start(&parts, &Setup { history: Some(history), ..Setup::default() }).await?;
    for ((name, expr), ours) in QUERIES.iter().zip(&ours) {
        let ours = by_moment(ours.as_ref().context("no answer of ours")?);
        let json = answer(&prometheus, expr, START_S, START_S + 4 * 3600 - 60).await?;
        let theirs = homeostat_ingest::decode_matrix(json.as_bytes(), &DecodeLimits::default())?;
        let theirs = by_moment(&theirs);
        assert!(theirs.len() > 400, "{name}: {} samples are too few to compare", theirs.len());
        let only = |these: &BTreeMap<(String, i64), f64>, those: &BTreeMap<(String, i64), f64>| {
            these.keys().filter(|key| !those.contains_key(*key)).cloned().collect::<Vec<_>>()
        };
        let (more, fewer) = (only(&ours, &theirs), only(&theirs, &ours));
        assert!(more.is_empty() && fewer.is_empty(), "{name}: only ours {more:?}, only Prometheus's {fewer:?}");
        for (key, theirs) in &theirs {
            let ours = ours[key];
            assert!((ours - theirs).abs() <= 1e-12 * theirs.abs(), "{name} at {key:?}: {ours}, Prometheus {theirs}");
        }
    }
    Ok(())
}

fn config(scratch: &Scratch, name: &str, url: &str, global: &serde_json::Value) -> Result<String> {
    let queries: serde_json::Map<String, serde_json::Value> =
        exact_queries().map(|(name, expr)| (name.to_owned(), json!({"expr": expr}))).collect();
    let config = json!({
        "global": global,
        "datasources": [{"url": url}],
        "queries": queries,
        "detectors": ["forest", "dbscan", "forecast"],
    });
    Ok(format!("--config.file={}", scratch.write(name, config.to_string())?.display()))
}

async fn run(args: &[&str]) -> Result<Finished> {
    Homeostat::command(args.iter().copied())?.run(WITHIN).await
}

/// Every file of a bundle but the manifest, which says when and from what it was made.
fn models(bundle: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![bundle.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|name| name != "manifest.json") {
                files.insert(path.strip_prefix(bundle)?.to_owned(), std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

fn gzipped(scratch: &Scratch, name: &str, text: &str) -> Result<PathBuf> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes())?;
    scratch.write(name, packed.finish()?)
}

/// A wide table of Prometheus's own answers: a row a subject and minute, empty where there is no answer.
fn wide_answers(answers: &[(&str, Matrix)]) -> String {
    let names: Vec<&str> = answers.iter().map(|(name, _)| *name).collect();
    let mut rows: BTreeMap<(i64, String), Vec<String>> = BTreeMap::new();
    for (idx, (_, matrix)) in answers.iter().enumerate() {
        for series in matrix.series() {
            let label = |name: &str| series.labels().get(name).cloned().unwrap_or_default();
            let subject = format!("{},{}", label("namespace"), label("workload"));
            for sample in series.samples() {
                let row = rows.entry((sample.at.as_millis(), subject.clone()));
                row.or_insert_with(|| vec![String::new(); names.len()])[idx] = sample.value.to_string();
            }
        }
    }
    let lines = rows.into_iter().map(|((at, subject), cells)| format!("{at},{subject},{}\n", cells.join(",")));
    format!("time,namespace,workload,{}\n{}", names.join(","), lines.collect::<String>())
}

/// Trains on a live Prometheus so that it asks for exactly these minutes, and gives the bundle.
async fn trained_live(scratch: &Scratch, url: &str, start_s: i64, end_s: i64) -> Result<PathBuf> {
    let bundle = scratch.path().join("live");
    // It asks for what ends `offset` before now, rounded down to a minute: half a minute is left for starting.
    let offset_s = shop_feed::now().as_millis() / 1000 - end_s - 10;
    let global = json!({"history": format!("{}s", end_s - start_s), "offset": format!("{offset_s}s")});
    let config = config(scratch, "live.yml", url, &global)?;
    let trained = run(&["train", &config, &format!("--output={}", bundle.display())]).await?;
    ensure!(trained.status.success(), "{}", trained.output);
    Ok(bundle)
}

#[tokio::test]
async fn a_live_prometheus_and_every_format_give_the_same_models_byte_for_byte() -> Result<()> {
    let parts = need_parts!("a_live_prometheus_and_every_format_give_the_same_models_byte_for_byte");
    let scratch = Scratch::new("formats")?;
    // Ends three minutes ago: a live Prometheus is asked for what ends within the longest offset there is, five minutes.
    let start_s = (shop_feed::now().as_millis() / 60_000 - 12 * 60 - 2) * 60;
    let end_s = start_s + 12 * 3600 - 60;
    let series = shop(start_s, 12 * 240);
    let history = scratch.write("open-metrics.txt", open_metrics(&series))?;
    let data = tsdb(&parts, &scratch, &history)?;
    let dump = scratch.write("dump.txt", promtool(&parts, &["dump".as_ref(), data.as_ref()])?)?;
    let mut exports = vec![
        ("open-metrics", history.clone()),
        ("tsdb-dump", dump),
        ("dump-openmetrics", scratch.write("dump-openmetrics.txt", dump_open_metrics(&parts, &data, &series))?),
        ("victoria-metrics", gzipped(&scratch, "export.jsonl.gz", &victoria_metrics(&series))?),
        ("csv-long", scratch.write("long.csv", long_csv(&series))?),
    ];
    let prometheus = Prometheus::start(&parts, &Setup { history: Some(history), ..Setup::default() }).await?;
    let answers = scratch.path().join("answers");
    std::fs::create_dir(&answers)?;
    let mut matrices = Vec::new();
    for (name, expr) in exact_queries() {
        let json = answer(&prometheus, expr, start_s, end_s).await?;
        matrices.push((name, homeostat_ingest::decode_matrix(json.as_bytes(), &DecodeLimits::default())?));
        std::fs::write(answers.join(format!("{name}.json")), json)?;
    }
    exports.push(("query-range", answers));
    exports.push(("csv-wide", scratch.write("wide.csv", wide_answers(&matrices))?));

    // From the minute before the first answers on, in which nothing was scraped: files begin there, too.
    let live = models(&trained_live(&scratch, &prometheus.base_url(), start_s, end_s).await?)?;
    ensure!(live.len() >= 2, "a bundle of {:?}", live.keys());
    let config = config(&scratch, "homeostat.yml", "http://127.0.0.1:9", &json!({}))?;
    for (name, file) in exports {
        let bundle = scratch.path().join(name);
        let output = format!("--output={}", bundle.display());
        let trained = run(&["train", &file.display().to_string(), &config, &output]).await?;
        ensure!(trained.status.success(), "{name}: {}", trained.output);
        let models = models(&bundle)?;
        let differing: Vec<&PathBuf> =
            live.iter().filter(|(path, bytes)| models.get(*path) != Some(*bytes)).map(|(path, _)| path).collect();
        ensure!(differing.is_empty() && live.len() == models.len(), "{name}: other bytes in {differing:?}");
    }
    Ok(())
}

/// Minutes of two columns; from row `sick_from` on the latency is five times what it was.
fn wide_csv(start_s: i64, n_rows: i64, sick_from: i64) -> String {
    let mut noise = Noise(u64::try_from(start_s).unwrap_or(1));
    let mut text = "timestamp,latency,cpu\n".to_owned();
    for row in 0..n_rows {
        let wave = (row as f64 / 229.0).sin();
        let sick = if row >= sick_from { 0.4 } else { 0.0 };
        let latency = 0.1 + 0.01 * wave + 0.01 * noise.next() + sick;
        let cpu = 0.5 + 0.1 * wave + 0.05 * noise.next();
        text.push_str(&format!("{},{latency:.6},{cpu:.6}\n", start_s + row * 60));
    }
    text
}

#[tokio::test]
async fn a_table_is_trained_on_and_scored_without_any_config() -> Result<()> {
    let scratch = Scratch::new("score")?;
    let history = scratch.write("january.csv", wide_csv(START_S + 7, 1440, i64::MAX))?.display().to_string();
    let later = scratch.write("february.csv", wide_csv(START_S + 7 + 86_400, 400, 300))?.display().to_string();
    let bundle = format!("{}", scratch.path().join("models").display());
    let trained = run(&["train", &history, &format!("--output={bundle}")]).await?;
    ensure!(trained.status.success(), "{}", trained.output);

    let rows = scratch.path().join("scores.csv");
    let models = format!("--bundle={bundle}");
    let scored = run(&["score", &later, &models, &format!("--output={}", rows.display())]).await?;
    ensure!(scored.status.success(), "{}", scored.output);
    let text = std::fs::read_to_string(&rows)?;
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    ensure!(lines[0].starts_with(&[
        "timestamp",
        "subject",
        "score",
        "lasting_score",
        "smoothed_score",
        "confidence",
        "type",
        "alert",
        "open"
    ]));
    ensure!(lines[0].contains(&"forest") && lines[0].contains(&"forecast"), "{:?}", lines[0]);
    ensure!(lines.len() == 401, "a line a row: {}", lines.len());
    let alerts: Vec<usize> = (1..lines.len()).filter(|row| lines[*row][7] == "1").collect();
    ensure!(alerts.iter().any(|row| (301..330).contains(row)), "the fault isn't found: alerts at {alerts:?}");
    let score: f64 = lines[310][2].parse()?;
    ensure!(score > 1.0, "a row of the fault scores {score}");

    // What the models were trained on is scored as well, and it's said what that is worth.
    let before = scratch.path().join("before.csv");
    let trained_on = run(&["score", &history, &models, &format!("--output={}", before.display())]).await?;
    ensure!(
        trained_on.status.success() && trained_on.output.contains("score lower than new rows would"),
        "{}",
        trained_on.output
    );
    let text = std::fs::read_to_string(&before)?;
    let n_scored =
        text.lines().skip(1).filter(|line| line.split(',').nth(2).is_some_and(|score| !score.is_empty())).count();
    ensure!(n_scored > 1_300, "{n_scored} of the rows that were trained on have a score");

    // The same as JSON, with reasons.
    let rows = scratch.path().join("scores.json");
    let again = run(&["score", &later, &models, &format!("--output={}", rows.display())]).await?;
    ensure!(again.status.success(), "{}", again.output);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&rows)?)?;
    assert_eq!(json.as_array().map(Vec::len), Some(400));
    assert_eq!(json[309]["score"].as_f64(), Some(score));
    assert_eq!(json[309]["votes"].as_array().map(|votes| votes[0]["vote"].clone()), Some(json!("scored")));
    Ok(())
}

#[tokio::test]
async fn wrong_files_are_refused_with_what_to_do_and_nothing_is_left_behind() -> Result<()> {
    let scratch = Scratch::new("wrong")?;
    let good = wide_csv(START_S, 1440, i64::MAX);
    let history = scratch.write("good.csv", &good)?.display().to_string();
    let bundle = scratch.path().join("models").display().to_string();
    let trained = run(&["train", &history, &format!("--output={bundle}")]).await?;
    ensure!(trained.status.success(), "{}", trained.output);

    let whole = std::fs::read(gzipped(&scratch, "whole.csv.gz", &good)?)?;
    let rows: Vec<&str> = good.lines().collect();
    let swapped = [&rows[..10], &rows[11..12], &rows[10..11], &rows[12..]].concat().join("\n");
    let twice = format!("{}\n{},9,9\n", rows[..20].join("\n"), START_S + 18 * 60);
    let mixed = format!("{good}{},0.1,0.5\n", START_S + 1440 * 60 + 13);
    let renamed = good.replacen("cpu", "processor", 1);
    let cases: [(&str, Vec<u8>, &[&str]); 8] = [
        ("cut.csv.gz", whole[..whole.len() / 2].to_vec(), &["stops in the middle", "copy it again"]),
        ("empty.csv", Vec::new(), &["is empty"]),
        ("back.csv", swapped.into_bytes(), &["comes after one of", "sort"]),
        ("twice.csv", twice.into_bytes(), &["two values at"]),
        ("mixed.csv", mixed.into_bytes(), &["intervals are mixed", "1m"]),
        ("renamed.csv", renamed.into_bytes(), &["no column cpu"]),
        ("raw.txt", b"up{job=\"a\"} 1 1700000000\n# EOF\n".to_vec(), &["--config.file"]),
        ("page.html", b"<html>not found</html>".to_vec(), &["none of", "--format"]),
    ];
    for (name, bytes, parts) in cases {
        let file = scratch.write(name, bytes)?.display().to_string();
        let output = scratch.path().join("scores.csv");
        let refused =
            run(&["score", &file, &format!("--bundle={bundle}"), &format!("--output={}", output.display())]).await?;
        ensure!(refused.status.code() == Some(1), "{name}: {}", refused.output);
        for part in parts {
            ensure!(refused.output.contains(part), "{name}: no {part:?} in {}", refused.output);
        }
        ensure!(!output.exists() && !output.with_extension("csv.partial").exists(), "{name}: scores are left behind");
    }
    Ok(())
}
