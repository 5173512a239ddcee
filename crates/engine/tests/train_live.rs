//! `homeostat train` on a live server's history, stopped and gone on with: the history must not move on in between.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use homeostat_detect::BundleManifest;
use support::prometheus::noise;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homeostat");
const N_SUBJECTS: u64 = 5;

/// A server that knows every moment: what it answers depends on nothing but the moment asked for.
fn serve() -> String {
    support::prometheus::serve(|asked| {
        let series = |subject: u64| {
            let labels = format!(r#"{{"namespace":"shop","workload":"s{subject}"}}"#);
            let salt = (subject << 40) ^ asked.query().len() as u64;
            asked.series(&labels, |at| noise(at, salt, 16))
        };
        (0..N_SUBJECTS).map(series).collect()
    })
}

fn train(room: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(room).args(["train", "--config.file", "c.yaml", "--output", "b"]).args(more);
    command
}

#[test]
fn a_stopped_training_of_a_live_history_goes_on_with_the_history_it_began_with() {
    let room = tempfile::tempdir().expect("a directory");
    let url = serve();
    // A step of a second: the history that a new training would ask for is another each second.
    let config = format!(
        "datasources: [{{url: '{url}'}}]\nglobal: {{step: 1s, history: 10m}}\nqueries: {{latency: a, traffic: bb}}\n"
    );
    fs::write(room.path().join("c.yaml"), config).expect("room to write");
    let mut child =
        train(room.path(), &["--test.pause-after", "3"]).stderr(Stdio::piped()).spawn().expect("the program runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut told = String::new();
    while !told.contains("paused for a crash test") {
        assert!(lines.read_line(&mut told).expect("a line") > 0, "it ended by itself: {told}");
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let run = fs::read(room.path().join("b.partial/run.json")).expect("a note");
    let run: serde_json::Value = serde_json::from_slice(&run).expect("JSON");

    // A dry run in between neither goes on nor disturbs.
    let dry = train(room.path(), &["--dry-run"]).output().expect("the program runs");
    assert!(dry.status.success(), "{}", String::from_utf8_lossy(&dry.stderr));

    // Seconds have passed, so a training that began anew would ask for a later history, and find nothing of it kept.
    let done = train(room.path(), &[]).output().expect("the program runs");
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{told}");
    assert!(told.contains("fitted=3 of=5"), "{told}");
    let manifest = BundleManifest::read(&room.path().join("b")).expect("a bundle");
    let history_end = serde_json::to_value(manifest.provenance.history_end).expect("a moment");
    assert_eq!(history_end, run["history_end"], "the history ends where it did");
    assert_eq!(serde_json::to_value(manifest.provenance.trained_at).expect("a moment"), run["began"]);
    assert_eq!(manifest.recipe.queries[1]["expr"], "bb", "the manifest has the queries");
    assert!(!room.path().join("b.partial").exists());
}
