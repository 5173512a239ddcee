//! `homeostat evaluate` and `tune` from the command line: on a small dataset made here, and, where `HOMEOSTAT_LABELLED_DATASET` names a real
//! one, against its independent judge (`HOMEOSTAT_JUDGE`, else `eval.py` beside the dataset; Python with numpy and pandas).

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn evaluate(args: &[&str], paths: &[(&str, &Path)]) -> Output {
    run("evaluate", args, paths)
}

fn run(what: &str, args: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(["--log.level", "warn", what]).args(args);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command.output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("written")).expect("JSON")
}

/// One day at a minute, two features with noise; in the last third two faults of 20 rows, labelled.
fn csv(salt: u32) -> String {
    let mut state = salt.wrapping_mul(2_654_435_761) | 1;
    let mut noise = || {
        let mut sum = 0.0;
        for _ in 0..6 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sum += f64::from(state >> 8) / f64::from(1 << 24);
        }
        sum - 3.0
    };
    let mut text = String::from("timestamp,cpu,latency,label\n");
    for row in 0..1440_u32 {
        let label = (1000..1020).contains(&row) || (1300..1320).contains(&row);
        let (cpu, latency) = (noise(), noise() + if label { 9.0 } else { 0.0 });
        let _ = writeln!(text, "{},{cpu:.4},{latency:.4},{}", row * 60, u8::from(label));
    }
    text
}

/// Two sets of two series.
fn small_dataset(dir: &Path) -> PathBuf {
    let dataset = dir.join("dataset");
    let mut entries = Vec::new();
    for (idx, (set, series)) in [("shop", "cart"), ("shop", "web"), ("bank", "pay"), ("bank", "log")].iter().enumerate()
    {
        std::fs::create_dir_all(dataset.join(set)).expect("a directory");
        let path = format!("{set}/{series}.csv.gz");
        let file = std::fs::File::create(dataset.join(&path)).expect("a file");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(csv(idx as u32 + 1).as_bytes()).expect("written");
        gzip.finish().expect("written");
        entries.push(serde_json::json!({
            "set": set, "series": series, "path": path, "rows": 1440, "train_rows": 900, "features": 2, "interval_s": 60,
        }));
    }
    std::fs::write(dataset.join("manifest.json"), Value::from(entries).to_string()).expect("written");
    dataset
}

const QUICK: [&str; 4] = ["--detectors", "residual,dbscan", "--ablation", "--seeds=1"];

#[test]
fn a_dataset_is_judged_and_its_scores_judge_the_same_as_any_programs() {
    let dir = tempfile::tempdir().expect("a directory");
    let dataset = small_dataset(dir.path());
    let (json, scores, cache) = (dir.path().join("a.json"), dir.path().join("scores"), dir.path().join("cache"));
    let markdown = dir.path().join("a.md");
    let ours = evaluate(
        &QUICK,
        &[
            ("--dataset", &dataset),
            ("--output.json", &json),
            ("--output.scores", &scores),
            ("--output.markdown", &markdown),
            ("--cache", &cache),
        ],
    );
    assert!(ours.status.success(), "{}", text(&ours));
    let first = read_json(&json);
    assert!(first["macro"]["vus_pr"]["value"].as_f64().is_some_and(|vus| vus > 0.8), "{}", text(&ours));
    assert!(
        text(&ours).contains("figure eval.ablation.dbscan") && text(&ours).contains("figure eval.event_f1.shop 1.0")
    );
    assert!(std::fs::read_to_string(markdown).expect("written").contains("| bank |"));

    // Judged as a stranger's scores, every figure that doesn't need votes is the same.
    let theirs_json = dir.path().join("b.json");
    let theirs = evaluate(
        &[],
        &[("--dataset", &dataset), ("--scores", &scores), ("--output.json", &theirs_json), ("--against", &json)],
    );
    assert!(theirs.status.success(), "{}", text(&theirs));
    let second = read_json(&theirs_json);
    for figure in ["vus_pr", "auc_pr", "events", "confidence"] {
        assert_eq!(first["macro"][figure], second["macro"][figure], "{figure}");
    }
    assert!(text(&theirs).contains("noise") && !text(&theirs).contains("WORSE"), "{}", text(&theirs));

    // Again from the cache, the same; and with one thread, too.
    let again_json = dir.path().join("c.json");
    let again = evaluate(
        &QUICK,
        &[("--dataset", &dataset), ("--output.json", &again_json), ("--cache", &cache), ("--workers", Path::new("1"))],
    );
    assert!(again.status.success(), "{}", text(&again));
    assert_eq!(read_json(&again_json), first);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_judged() {
    let dir = tempfile::tempdir().expect("a directory");
    let dataset = small_dataset(dir.path());
    let whole = std::fs::read(dataset.join("shop/web.csv.gz")).expect("made");
    std::fs::write(dataset.join("shop/web.csv.gz"), &whole[..whole.len() / 2]).expect("written");
    let cut = evaluate(&QUICK, &[("--dataset", &dataset)]);
    assert!(text(&cut).contains("failed: shop/web") && text(&cut).contains("gzip stream is cut off"), "{}", text(&cut));
    assert!(text(&cut).contains("figure eval.vus_pr.shop"), "{}", text(&cut));
    for (args, wanted) in [
        (&["--set", "nowhere"][..], "it has bank, shop"),
        (&["--detectors", "magic"][..], "use one of residual, forest"),
        (&["--against", "missing.json"][..], "--against: reading missing.json"),
    ] {
        let refused = evaluate(args, &[("--dataset", &dataset)]);
        assert!(!refused.status.success() && text(&refused).contains(wanted), "{}", text(&refused));
    }
}

#[test]
fn peers_are_judged_on_the_same_series_and_shown_beside_ours() {
    let dir = tempfile::tempdir().expect("a directory");
    let dataset = small_dataset(dir.path());
    let (scores, json, html) = (dir.path().join("scores"), dir.path().join("a.json"), dir.path().join("a.html"));
    let ours = evaluate(&QUICK, &[("--dataset", &dataset), ("--output.scores", &scores)]);
    assert!(ours.status.success(), "{}", text(&ours));
    // A peer that sees the latency and says how surprising it is, for every row; of one series it says nothing.
    let plain = dir.path().join("plain");
    for (idx, name) in ["shop/cart", "shop/web", "bank/pay"].iter().enumerate() {
        let latency = |line: &str| line.split(',').nth(2).and_then(|cell| cell.parse::<f64>().ok()).map(f64::abs);
        let csv = csv(idx as u32 + 1);
        let rows = csv.lines().filter_map(latency).map(|far| format!("{far},{}\n", far * far / 2.0));
        let path = plain.join(format!("{name}.csv"));
        std::fs::create_dir_all(path.parent().expect("a set")).expect("a directory");
        std::fs::write(path, format!("score,surprise\n{}", rows.collect::<String>())).expect("written");
    }
    let beside = evaluate(
        &QUICK,
        &[
            ("--dataset", &dataset),
            ("--peer", Path::new(&format!("twin={}", scores.display()))),
            ("--peer", Path::new(&format!("plain={}", plain.display()))),
            ("--output.json", &json),
            ("--output.html", &html),
        ],
    );
    assert!(beside.status.success(), "{}", text(&beside));
    let told = text(&beside);
    for wanted in [
        "side by side",
        "homeostat's policy",
        "plain: 1 series couldn't be judged",
        "bank/log: no scores",
        "figure eval.peer.vus_pr.twin",
    ] {
        assert!(told.contains(wanted), "{wanted} isn't in\n{told}");
    }
    let found = read_json(&json);
    for figure in ["vus_pr", "auc_pr", "events"] {
        assert_eq!(found["peers"][0]["macro"][figure], found["macro"][figure], "{figure} of our own scores");
    }
    assert_eq!(found["peers"][0]["alerts_by"], "itself");
    assert_eq!(found["peers"][1]["alerts_by"], "policy");
    assert!(
        found["peers"][1]["by_fixed_threshold"]["f1"].is_number() && found["peers"][0]["by_fixed_threshold"].is_null()
    );
    assert!(std::fs::read_to_string(html).expect("written").contains("Side by side"));
    for (peer, wanted) in
        [("x", "NAME=DIR"), ("a b=x", "invalid name"), ("x=", "no directory"), ("x=/nowhere", "isn't a directory")]
    {
        let refused = evaluate(&["--peer", peer], &[("--dataset", &dataset)]);
        assert!(!refused.status.success() && text(&refused).contains(wanted), "{}", text(&refused));
    }
    let twice = format!("x={}", plain.display());
    let refused = evaluate(&["--peer", &twice, "--peer", &twice], &[("--dataset", &dataset)]);
    assert!(!refused.status.success() && text(&refused).contains("two are called x"), "{}", text(&refused));
}

const FEW: [&str; 4] = ["--option", "detectors,opening.rows", "--budget-trials", "6"];

#[test]
fn a_search_that_was_cut_off_goes_on_to_the_same_config_which_is_read_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let dataset = small_dataset(dir.path());
    let (whole, resumed) = (dir.path().join("whole.yaml"), dir.path().join("resumed.yaml"));
    let first = run("tune", &FEW, &[("--dataset", &dataset), ("--output", &whole)]);
    assert!(first.status.success(), "{}", text(&first));
    for wanted in ["figure eval.vus_pr.loso 0.", "chosen on the other sets", "what mattered", "detectors"] {
        assert!(text(&first).contains(wanted), "{wanted} isn't in\n{}", text(&first));
    }
    // As a kill leaves it: some lines, the last one cut off.
    let journal = std::fs::read_to_string(dir.path().join("whole.yaml.journal")).expect("a journal");
    let n_lines = journal.lines().count();
    let half: String = journal.lines().take(n_lines / 2).map(|line| format!("{line}\n")).collect();
    std::fs::write(dir.path().join("resumed.yaml.journal"), half + "{\"trial\":1,\"ser").expect("written");
    let second = run("tune", &FEW, &[("--dataset", &dataset), ("--output", &resumed), ("--workers", Path::new("1"))]);
    assert!(second.status.success(), "{}", text(&second));
    let read = |path: &Path| std::fs::read_to_string(path).expect("written");
    assert_eq!(read(&whole), read(&resumed));
    let again = read(&dir.path().join("resumed.yaml.journal"));
    assert!(again.starts_with(&journal.lines().take(n_lines / 2).map(|line| format!("{line}\n")).collect::<String>()));
    assert_eq!(again.lines().count(), n_lines, "what was done isn't done again");

    let checked = run("check", &["config", whole.to_str().expect("a name")], &[]);
    assert!(checked.status.success() && text(&checked).contains("OK"), "{}", text(&checked));
    let judged = evaluate(&[], &[("--dataset", &dataset), ("--config.file", &whole)]);
    assert!(judged.status.success() && text(&judged).contains("figure eval.vus_pr.macro"), "{}", text(&judged));
}

#[test]
fn a_wrong_search_is_refused_before_it_begins() {
    let dir = tempfile::tempdir().expect("a directory");
    let dataset = small_dataset(dir.path());
    let output = dir.path().join("tuned.yaml");
    let base = dir.path().join("base.yaml");
    std::fs::write(&base, "mode: observe\ndatasorces: []\n").expect("written");
    std::fs::write(dir.path().join("mine.journal"), "{\"search\":\"of something else\"}\n").expect("written");
    for (args, paths, wanted) in [
        (
            &["--option", "forrest"][..],
            &[("--dataset", dataset.as_path())][..],
            "use one of detectors, forest.sample_rows_max",
        ),
        (&["--set", "nowhere"], &[("--dataset", &dataset)], "it has bank, shop"),
        (&[], &[("--dataset", dir.path())], "manifest.json"),
        (&[], &[("--dataset", &dataset), ("--config.file", &base)], "datasorces"),
        (&[], &[("--dataset", &dataset), ("--journal", &dir.path().join("mine.journal"))], "another search"),
        (&["--budget-trials", "1"], &[("--dataset", &dataset)], "2..=10000"),
    ] {
        let refused = run("tune", args, &[paths, &[("--output", &output)]].concat());
        assert!(!refused.status.success() && text(&refused).contains(wanted), "{wanted}: {}", text(&refused));
        assert!(!output.exists());
    }
    std::fs::write(&output, "mode: observe\n").expect("written");
    let refused = run("tune", &[], &[("--dataset", &dataset), ("--output", &output)]);
    assert!(!refused.status.success() && text(&refused).contains("already exists"), "{}", text(&refused));
    // A series that is cut off ends the search: options mustn't be chosen by what could be read.
    let whole = std::fs::read(dataset.join("shop/web.csv.gz")).expect("made");
    std::fs::write(dataset.join("shop/web.csv.gz"), &whole[..whole.len() / 2]).expect("written");
    let refused = run("tune", &FEW, &[("--dataset", &dataset), ("--output", &dir.path().join("other.yaml"))]);
    assert!(!refused.status.success() && text(&refused).contains("gzip stream is cut off"), "{}", text(&refused));
}

#[test]
fn simulated_faults_are_diagnosed_the_same_with_any_number_of_threads() {
    let dir = tempfile::tempdir().expect("a directory");
    let (one, two) = (dir.path().join("one.json"), dir.path().join("two.json"));
    // Without the network and the forest, to be quick: what is judged here is the judging.
    let args = ["--scenarios", "4", "--detectors", "residual,dbscan", "--workers"];
    let first = evaluate(&[&args[..], &["1"]].concat(), &[("--output.json", &one)]);
    assert!(first.status.success(), "{}", text(&first));
    for wanted in
        ["figure eval.rca_top1 ", "figure eval.rca_top3 ", "figure eval.typing ", "cause is the first suspect"]
    {
        assert!(text(&first).contains(wanted), "{wanted} isn't in\n{}", text(&first));
    }
    let second = evaluate(&[&args[..], &["2"]].concat(), &[("--output.json", &two)]);
    assert!(second.status.success(), "{}", text(&second));
    let diagnosis = read_json(&one)["diagnosis"].clone();
    assert_eq!(diagnosis["n_scenarios"], 4);
    assert!(diagnosis["cases"].as_array().is_some_and(|cases| !cases.is_empty()));
    assert_eq!(diagnosis, read_json(&two)["diagnosis"]);
    let neither = evaluate(&[], &[]);
    assert!(!neither.status.success() && text(&neither).contains("--dataset"), "{}", text(&neither));
}

/// The judge's answers on our scores of one set.
fn judged(judge: &Path, dataset: &Path, scores: &Path, sets: &str, json: &Path) -> Result<Value, String> {
    let python = std::env::var("HOMEOSTAT_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    command.arg(judge).arg(dataset).arg(scores).args(["--sets", sets, "--json"]).arg(json);
    match command.output() {
        Ok(output) if output.status.success() => Ok(read_json(json)),
        Ok(output) => Err(text(&output)),
        Err(error) => Err(format!("{python}: {error}")),
    }
}

#[test]
fn our_metrics_agree_with_the_datasets_own_judge() {
    let Ok(dataset) = std::env::var("HOMEOSTAT_LABELLED_DATASET")
        // Its name before.
        .or_else(|_| std::env::var("HOMEOSTAT_LABELLED_PACK"))
        .map(PathBuf::from)
    else {
        eprintln!(
            "SKIP our_metrics_agree_with_the_datasets_own_judge: HOMEOSTAT_LABELLED_DATASET names no labelled dataset"
        );
        return;
    };
    let judge = std::env::var("HOMEOSTAT_JUDGE").map(PathBuf::from).unwrap_or_else(|_| dataset.join("../eval.py"));
    let sets = std::env::var("HOMEOSTAT_LABELLED_SETS").unwrap_or_else(|_| "asd,nab".into());
    let dir = tempfile::tempdir().expect("a directory");
    let (json, scores) = (dir.path().join("ours.json"), dir.path().join("scores"));
    let ours = evaluate(
        &["--detectors", "residual,dbscan", "--set", &sets],
        &[("--dataset", &dataset), ("--output.json", &json), ("--output.scores", &scores)],
    );
    assert!(ours.status.success(), "{}", text(&ours));
    let ours = read_json(&json);
    let theirs = match judged(&judge, &dataset, &scores, &sets, &dir.path().join("theirs.json")) {
        Ok(theirs) => theirs,
        Err(why) if why.contains("No module named") => {
            eprintln!("SKIP our_metrics_agree_with_the_datasets_own_judge: the judge can't run: {why}");
            return;
        }
        Err(why) => panic!("the judge failed: {why}"),
    };
    let mut n_compared = 0;
    for wanted in theirs["series"].as_array().expect("series") {
        let same = |one: &&Value| one["set"] == wanted["set"] && one["series"] == wanted["series"];
        let found = ours["series"].as_array().and_then(|all| all.iter().find(same)).expect("the same series");
        for (ours, theirs) in [
            ("/vus_pr", "VUS_PR"),
            ("/auc_pr", "AUC_PR"),
            ("/base_rate", "base_rate"),
            ("/period_rows", "L"),
            ("/events/n_events", "events"),
            ("/events/n_found", "hit"),
            ("/events/n_episodes", "episodes"),
            ("/events/n_true", "tp_ep"),
        ] {
            let (found, wanted) = (found.pointer(ours).and_then(Value::as_f64), wanted[theirs].as_f64());
            let near = found.unwrap_or(-1.0) - wanted.unwrap_or(-1.0);
            assert!(near.abs() < 1e-6, "{ours}: {found:?}, the judge says {wanted:?}");
            n_compared += 1;
        }
    }
    // The judge rounds the figures of sets to three or four digits.
    for wanted in theirs["summary"].as_array().expect("sets") {
        let found = ours["sets"].as_array().and_then(|all| all.iter().find(|one| one["set"] == wanted["set"]));
        let found = found.expect("the same set");
        for (ours, theirs) in [
            ("/events/f1", "ev_F1"),
            ("/events/false_alarms_per_day", "FA_per_series_day"),
            ("/confidence/ece", "ECE"),
            ("/confidence/brier", "Brier"),
            ("/confidence/brier_base", "Brier_base"),
            ("/confidence/alert_ece", "alert_ECE"),
        ] {
            let (found, wanted) = (found.pointer(ours).and_then(Value::as_f64), wanted[theirs].as_f64());
            let near = found.unwrap_or(-1.0) - wanted.unwrap_or(-1.0);
            assert!(near.abs() < 5.1e-4, "{ours}: {found:?}, the judge says {wanted:?}");
            n_compared += 1;
        }
    }
    assert!(n_compared > 12, "{n_compared}");
}
