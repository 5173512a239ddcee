//! What a config asks of a live server: told as a table, and saved as files that `train` reads.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use support::prometheus::noise;

/// A server with three workloads of `good`, series without a workload for `nameless`, histograms for `native`, and nothing else.
fn serve() -> String {
    support::prometheus::serve(|asked| match asked.query() {
        "good" => (0..3)
            .map(|idx| {
                let labels = format!(r#"{{"namespace":"shop","workload":"w{idx}"}}"#);
                asked.series(&labels, |at| noise(at, idx << 40, 12))
            })
            .collect(),
        "nameless" => vec![asked.series(r#"{"pod":"x"}"#, |at| noise(at, 1 << 40, 12))],
        "native" => vec![format!(
            r#"{{"metric":{{"namespace":"shop","workload":"w0"}},"histograms":[[{},{{"count":"1","sum":"2"}}]]}}"#,
            asked.end
        )],
        _nothing => Vec::new(),
    })
}

fn run(dir: &Path, args: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_homeostat")).current_dir(dir).args(args).output().expect("it runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

fn config(dir: &Path, queries: &str) {
    let text = format!(
        "datasources: [{{url: '{}'}}]\nglobal: {{step: 1s, history: 10m}}\nqueries: {{{queries}}}\ndetectors: [residual, forest]\n",
        serve()
    );
    std::fs::write(dir.join("c.yml"), text).expect("written");
}

#[test]
fn check_config_online_says_of_each_query_what_it_gives_and_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "a: good, b: nothing, c: nameless, d: native");
    let (output, text) = run(dir.path(), &["check", "config", "--online", "c.yml"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default();
    assert!(line("a").contains("100 %") && line("a").trim_end().ends_with('-'), "{text}");
    assert!(line("b").contains("no series; check the metric's name"), "{text}");
    assert!(line("c").contains("no series has the labels that name a workload"), "{text}");
    assert!(line("d").contains("only native histograms") && line("d").contains("histogram_quantile()"), "{text}");
    config(dir.path(), "a: good");
    let (output, text) = run(dir.path(), &["check", "config", "--online", "c.yml"]);
    assert!(output.status.success() && text.contains("all queries have data"), "{text}");
}

#[test]
fn what_is_exported_is_what_train_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    config(dir.path(), "a: good");
    let (output, text) = run(dir.path(), &["export", "--config.file=c.yml", "--output=saved", "--range=5m"]);
    assert!(output.status.success() && text.contains("903 samples of 1 queries"), "{text}");
    assert!(dir.path().join("saved/a.json.gz").exists());
    let (output, text) = run(dir.path(), &["train", "saved", "--config.file=c.yml", "--output=models"]);
    assert!(output.status.success() && text.contains("3 subjects trained"), "{text}");
    let (output, text) = run(dir.path(), &["export", "--config.file=c.yml", "--output=saved"]);
    assert!(!output.status.success() && text.contains("isn't empty"), "{text}");
}
