//! Gaps in the data are told as gaps: no workload is called for them, and what can't be used is named.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

const START_S: i64 = 1_767_571_200;
const CONFIG: &str = "datasources: [{url: 'http://127.0.0.1:1'}]\n\
    global: {step: 60s, history: 1d, scrape_interval: 30s}\n\
    queries: {rps: {expr: 'sum by (namespace, workload) (rate(http_requests_total[5m]))', signal: traffic}}\n\
    detectors: [residual, dbscan]\n";

fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.current_dir(dir).args(["--log.level", "warn"]).args(args).output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Counters of three workloads at about 30 a second with noise, scraped every 30 seconds from row `from` to `to`, but for those of `gap`.
fn counter(from: i64, to: i64, gap: std::ops::Range<i64>) -> String {
    counters(3, from, to, gap)
}

/// The same of so many workloads.
fn counters(n_workloads: usize, from: i64, to: i64, gap: std::ops::Range<i64>) -> String {
    let mut text = "# TYPE http_requests counter\n".to_owned();
    let (mut counts, mut state) = (vec![0_i64; n_workloads], 7_i64);
    for scrape in 0..to {
        for (workload, count) in counts.iter_mut().enumerate() {
            state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
            *count += 900 + state % 90;
            if scrape >= from && !gap.contains(&scrape) {
                let labels = format!("namespace=\"shop\",workload=\"w{workload}\",pod=\"w{workload}-0\"");
                let _ = writeln!(text, "http_requests_total{{{labels}}} {count} {}", START_S + 30 * scrape);
            }
        }
    }
    text + "# EOF\n"
}

/// Rows of the scores of one workload, as (minute of the file, has a score, calls somebody).
fn scored(dir: &Path, file: &str) -> Vec<(i64, bool, bool)> {
    let output = run(dir, &["score", file, "--config.file=homeostat.yml", "--bundle=models", "--output=scores.csv"]);
    assert!(output.status.success(), "{}", text(&output));
    let rows = std::fs::read_to_string(dir.join("scores.csv")).expect("scores");
    let mut lines = rows.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name: &str| header.iter().position(|known| *known == name).expect("a column");
    let (subject, score, alert) = (column("subject"), column("score"), column("alert"));
    let of_one = lines.map(|line| line.split(',').collect::<Vec<_>>()).filter(|cells| cells[subject].ends_with("/w1"));
    of_one
        .zip(0..)
        .map(|(cells, minute)| (minute, !cells[score].is_empty(), cells[alert] == "1" || cells[alert] == "true"))
        .collect()
}

fn trained() -> tempfile::TempDir {
    trained_on(&counter(0, 2_000, 0..0))
}

fn trained_on(history: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("homeostat.yml"), CONFIG).expect("written");
    std::fs::write(dir.path().join("train.txt"), history).expect("written");
    let output = run(dir.path(), &["train", "train.txt", "--config.file=homeostat.yml", "--output=models"]);
    assert!(output.status.success(), "{}", text(&output));
    dir
}

#[test]
fn nobody_is_called_for_a_scrape_gap_nor_for_the_beginning_of_a_file() {
    let dir = trained();
    // A gap of 15 minutes and one of two and a half, which no rate over five minutes shows.
    for (name, gap) in [("long", 2_200..2_230), ("short", 2_200..2_205)] {
        std::fs::write(dir.path().join(format!("{name}.txt")), counter(2_000, 2_600, gap)).expect("written");
        let rows = scored(dir.path(), &format!("{name}.txt"));
        let called: Vec<i64> = rows.iter().filter(|(_, _, calls)| *calls).map(|(minute, _, _)| *minute).collect();
        assert!(called.is_empty(), "{name}: called at minutes {called:?}");
        let n_scored = rows.iter().filter(|(_, is_scored, _)| *is_scored).count();
        assert!(n_scored > 250, "{name}: the rest is scored, {n_scored} rows");
        assert!(rows.iter().take(5).all(|(_, is_scored, _)| !is_scored), "{name}: {:?}", &rows[..8]);
    }
}

/// Finished rates of three workloads, from row `from` to `to`: their share of the usual in each row, and NaN where there is none.
fn rates(from: i64, to: i64, share: impl Fn(i64) -> f64) -> String {
    let mut text = "time,namespace,workload,rps\n".to_owned();
    for row in (from..to).filter(|row| !share(*row).is_nan()) {
        for workload in 0..3 {
            let noise = (row * 7_919 + workload * 331 + row * row % 211).rem_euclid(997) as f64 / 997.0;
            let _ = writeln!(text, "{},shop,w{workload},{:.4}", START_S + 60 * row, (30.0 + noise) * share(row));
        }
    }
    text
}

#[test]
fn rates_that_run_out_beside_a_gap_of_all_call_nobody_and_those_that_fall_by_themselves_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = CONFIG.replace("sum by (namespace, workload) (rate(http_requests_total[5m]))", "rps");
    std::fs::write(dir.path().join("homeostat.yml"), config).expect("written");
    std::fs::write(dir.path().join("train.csv"), rates(0, 1_000, |_| 1.0)).expect("written");
    let output = run(dir.path(), &["train", "train.csv", "--config.file=homeostat.yml", "--output=models"]);
    assert!(output.status.success(), "{}", text(&output));
    let gap = |row: i64| match row {
        1_100..1_105 => 0.9 - 0.2 * (row - 1_100) as f64,
        1_105..1_115 => f64::NAN,
        1_115..1_120 => 0.1 + 0.2 * (row - 1_115) as f64,
        _ => 1.0,
    };
    let drop = |row: i64| if (1_100..1_105).contains(&row) { 0.9 - 0.2 * (row - 1_100) as f64 } else { 1.0 };
    for (name, text, is_called) in
        [("gap.csv", rates(1_000, 1_200, gap), false), ("drop.csv", rates(1_000, 1_200, drop), true)]
    {
        std::fs::write(dir.path().join(name), text).expect("written");
        let called: Vec<i64> = scored(dir.path(), name).iter().filter(|row| row.2).map(|row| row.0).collect();
        assert_eq!(!called.is_empty(), is_called, "{name}: called at minutes {called:?}");
    }
}

#[test]
fn a_workload_whose_data_ends_is_told() {
    let dir = trained();
    let gone = counter(2_000, 2_400, 0..0);
    let gone: String = gone
        .lines()
        .filter(|line| !line.contains("workload=\"w1\"") || line.split(' ').nth(2).is_some_and(|at| at < "1767633000"))
        .fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(dir.path().join("gone.txt"), gone).expect("written");
    let output = run(dir.path(), &["score", "gone.txt", "--config.file=homeostat.yml", "--bundle=models"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("end before the end of the files"), "{told}");
    assert!(told.contains("w1") && !told.contains("w0") && !told.contains("w2"), "{told}");
    // Its rates run out, and it is gone: one call.
    let called: Vec<i64> = scored(dir.path(), "gone.txt").iter().filter(|row| row.2).map(|row| row.0).collect();
    assert_eq!(called.len(), 1, "called at minutes {called:?}");
}

#[test]
fn many_workloads_that_vanish_together_are_one_call() {
    const VANISHED: [&str; 3] = ["w0", "w1", "w2"];
    let dir = trained_on(&counters(8, 0, 2_000, 0..0));
    let is_there = |line: &&str| {
        let is_later = line.split(' ').nth(2).is_some_and(|at| at >= "1767633000");
        !(is_later && VANISHED.iter().any(|name| line.contains(&format!("workload=\"{name}\""))))
    };
    let text: String = counters(8, 2_000, 2_400, 0..0).lines().filter(is_there).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(dir.path().join("storm.txt"), text).expect("written");
    let output = run(
        dir.path(),
        &["score", "storm.txt", "--config.file=homeostat.yml", "--bundle=models", "--output=scores.csv"],
    );
    assert!(output.status.success(), "{}", self::text(&output));
    let scores = std::fs::read_to_string(dir.path().join("scores.csv")).expect("scores");
    let header: Vec<&str> = scores.lines().next().expect("a header").split(',').collect();
    let alert = header.iter().position(|known| *known == "alert").expect("a column");
    let called: Vec<&str> = scores.lines().filter(|line| line.split(',').nth(alert) == Some("1")).collect();
    assert_eq!(called.len(), 1, "{}", called.join("\n"));
}

#[test]
fn rows_of_another_step_are_one_sentence_and_exit_code_2() {
    let dir = tempfile::tempdir().expect("a directory");
    let table = |step: i64, n: i64| {
        let mut text = "time,cpu,latency\n".to_owned();
        for row in 0..n {
            let noise = |salt: i64| (row * 7_919 + salt).rem_euclid(97) as f64 / 97.0;
            let _ = writeln!(text, "{},{:.4},{:.4}", START_S + row * step, 1.0 + noise(5), 20.0 + noise(41));
        }
        text
    };
    for (name, step, n) in [("minutes.csv", 60, 500), ("fives.csv", 300, 500)] {
        std::fs::write(dir.path().join(name), table(step, n)).expect("written");
        let output = run(dir.path(), &["train", name, &format!("--output={name}.models")]);
        assert!(output.status.success(), "{}", text(&output));
    }
    for (file, models, sentence) in [
        ("fives.csv", "minutes.csv.models", "the rows are 5m apart, the models were trained on rows 1m apart"),
        ("minutes.csv", "fives.csv.models", "the rows are 1m apart, the models were trained on rows 5m apart"),
    ] {
        let output = run(dir.path(), &["score", file, &format!("--bundle={models}")]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(sentence), "{}", text(&output));
    }
}

#[test]
fn what_serve_would_refuse_check_config_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let head = "datasources: [{url: 'http://127.0.0.1:1'}]\n";
    for (name, body, part) in [
        ("syntax", "queries: {cpu: 'sum(rate(x[5m])'}\n", "queries.cpu: invalid PromQL: expected `)`"),
        ("offset", "queries: {cpu: x}\nglobal: {offset: 6m}\n", "global.offset: must be at most 5m"),
        (
            "rows",
            "queries: {cpu: x}\nglobal: {step: 15s, history: 14d}\n",
            "global.history: must be at most 50000 steps",
        ),
        ("bundle", "queries: {cpu: x}\nbundle: nowhere\n", "bundle"),
        ("cluster", "preset: kubernetes-workload\nsubjects: {cluster_label: cluster}\n", "subjects.cluster"),
    ] {
        std::fs::write(dir.path().join("c.yml"), format!("{head}{body}")).expect("written");
        let output = run(dir.path(), &["check", "config", "c.yml"]);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains(part), "{name}: {}", text(&output));
    }
    std::fs::write(dir.path().join("c.yml"), format!("{head}queries: {{cpu: x}}\nglobal: {{step: 15s}}\n"))
        .expect("written");
    let output = run(dir.path(), &["check", "config", "c.yml"]);
    assert!(output.status.success(), "short steps have a shorter default history: {}", text(&output));
}

#[test]
fn a_presets_promql_is_printed_as_a_config_has_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = run(dir.path(), &["check", "preset", "kubernetes-workload", "--step=30s"]);
    assert!(output.status.success(), "{}", text(&output));
    let queries = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(queries.contains("rate(container_cpu_usage_seconds_total"), "{queries}");
    std::fs::write(dir.path().join("c.yml"), format!("datasources: [{{url: 'http://127.0.0.1:1'}}]\n{queries}"))
        .expect("written");
    let output = run(dir.path(), &["check", "config", "c.yml"]);
    assert!(output.status.success(), "{}", text(&output));
}
