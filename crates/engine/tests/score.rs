//! `homeostat score`: the same rows in every format it writes, and incidents that open by the config's rule.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let output = command.args(["--log.level", "warn"]).args(args).output().expect("the program runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Two features of two services at a minute, from this row on; `fault` lifts one of cart's.
fn table(from: i64, n_rows: i64, fault: std::ops::Range<i64>) -> String {
    let mut text = "time,subject,cpu,latency\n".to_owned();
    for row in from..from + n_rows {
        for (salt, service) in [(5, "cart"), (77, "pay")] {
            let noise = |salt: i64| (row * 7919 + salt).rem_euclid(97) as f64 / 97.0;
            let lift = if service == "cart" && fault.contains(&row) { 40.0 } else { 0.0 };
            let at = 1_767_571_200 + row * 60;
            let (cpu, latency) = (noise(salt), 20.0 + noise(salt + 31) + lift);
            let _ = writeln!(text, "{at},shop/deployment/{service},{cpu:.4},{latency:.4}");
        }
    }
    text
}

/// Models of 600 rows, and the 60 rows after them with a fault of ten.
struct Place {
    dir: tempfile::TempDir,
    models: String,
    later: String,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let name = |name: &str| dir.path().join(name).display().to_string();
        let (history, later, models) = (name("history.csv"), name("later.csv"), name("models"));
        std::fs::write(&history, table(0, 600, 0..0)).expect("written");
        std::fs::write(&later, table(600, 60, 630..640)).expect("written");
        let place = Self { models: format!("--bundle={models}"), later, dir };
        run(&["train", &history, &place.config("plain.yml", ""), &format!("--output={models}")]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The flag for a config with these options of detection.
    fn config(&self, name: &str, detection: &str) -> String {
        let path = self.path(name);
        let queries = "queries: {cpu: {expr: cpu}, latency: {expr: latency}}";
        let text = format!(
            "datasources: [{{url: 'http://127.0.0.1:9'}}]\n{queries}\ndetectors: [residual, dbscan]\n{detection}"
        );
        std::fs::write(&path, text).expect("written");
        format!("--config.file={}", path.display())
    }

    /// The rows as this file.
    fn scored(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        run(&["score", &self.later, &self.models, &format!("--output={}", path.display())]);
        assert!(!self.path(&format!("{name}.partial")).exists());
        std::fs::read(path).expect("written")
    }
}

fn lines(csv: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8(csv.to_vec()).expect("text");
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// How many rows alarm, and the scores, of a CSV.
fn alerts_and_scores(csv: &[u8]) -> (usize, Vec<String>) {
    let lines = lines(csv);
    let column = |name: &str| lines[0].iter().position(|column| column == name).expect("a column");
    let (alert, smoothed) = (column("alert"), column("smoothed_score"));
    let n_alerts = lines.iter().filter(|line| line[alert] == "1").count();
    (n_alerts, lines[1..].iter().map(|line| line[smoothed].clone()).collect())
}

#[test]
fn every_format_holds_the_same_rows_with_a_column_a_vote() {
    let place = Place::new();
    let csv = place.scored("scores.csv");
    let rows = lines(&csv);
    assert_eq!(rows.len(), 121, "a header and a line for each service and minute");
    assert_eq!(&rows[0][rows[0].len() - 2..], ["residual", "dbscan"]);
    assert_eq!(alerts_and_scores(&csv).0, 1);
    assert_eq!(run(&["score", &place.later, &place.models]).stdout, csv, "standard output is the same CSV");

    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&place.scored("scores.csv.gz")[..]).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, csv);
    let mut unpacked = Vec::new();
    let packed = place.scored("scores.csv.zst");
    ruzstd::decoding::StreamingDecoder::new(&packed[..]).expect("zstd").read_to_end(&mut unpacked).expect("zstd");
    assert_eq!(unpacked, csv);

    let array: Vec<serde_json::Value> = serde_json::from_slice(&place.scored("scores.json")).expect("an array");
    let json_lines = String::from_utf8(place.scored("scores.ndjson")).expect("text");
    let objects: Vec<serde_json::Value> =
        json_lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(array, objects);
    for (object, row) in objects.iter().zip(&rows[1..]) {
        assert_eq!(object["lasting_score"].as_f64(), row[3].parse().ok(), "{object} {row:?}");
        assert_eq!(object["smoothed_score"].as_f64(), row[4].parse().ok(), "{object} {row:?}");
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_the_rows_of_the_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    let place = Place::new();
    let rows = lines(&place.scored("scores.csv"));
    place.scored("scores.parquet");
    let file = std::fs::File::open(place.path("scores.parquet")).expect("there");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let names: Vec<String> =
        reader.metadata().file_metadata().schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    assert_eq!(names, rows[0]);
    let read: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(read.len(), rows.len() - 1);
    for (read, row) in read.iter().zip(&rows[1..]) {
        assert_eq!(read.get_string(1).expect("a subject"), &row[1]);
        assert_eq!(read.get_double(3).ok(), row[3].parse().ok());
        assert_eq!(read.get_bool(7).expect("an alert"), row[7] == "1");
        assert_eq!(read.get_double(9).ok(), row[9].parse().ok());
    }
}

#[test]
fn incidents_open_by_the_configs_rule() {
    let place = Place::new();
    let by = |config: &str| {
        let output = run(&["score", &place.later, &place.models, config]);
        alerts_and_scores(&output.stdout)
    };
    let (usual, scores) = by(&place.config("usual.yml", ""));
    // More alarming rows than there are, and a height that none reaches.
    let slow = "detection: {opening: {open_rows: 61, of_rows: 64, at_once: 1000000}}\n";
    let (slow, same_scores) = by(&place.config("slow.yml", slow));
    assert_eq!((usual, slow), (1, 0));
    assert_eq!(scores, same_scores, "the rule decides what opens, not what a row scores");
    assert!(scores.iter().any(|score| !score.is_empty()));
}

#[test]
fn rows_of_another_step_than_the_models_are_refused_and_not_silent() {
    let place = Place::new();
    let every_fifth: String = {
        let whole = table(600, 300, 0..0);
        let minute = |line: &str| line.split(',').next().and_then(|at| at.parse::<i64>().ok()).map(|at| at / 60);
        let kept = whole.lines().filter(|line| minute(line).is_none_or(|minute| minute % 5 == 0));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let sparse = place.path("sparse.csv");
    std::fs::write(&sparse, every_fifth).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let refused = command.arg("score").arg(&sparse).arg(&place.models).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the rows are 5m apart, the models were trained on rows 1m apart"), "{said}");
    assert!(refused.stdout.is_empty());
}

#[test]
fn what_was_there_is_replaced_only_by_a_whole_result() {
    let place = Place::new();
    let path = place.path("scores.csv");
    std::fs::write(&path, "older").expect("written");
    let output = format!("--output={}", path.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let failed = command.args(["score", "/nowhere.csv", &place.models, &output]).output().expect("it runs");
    assert!(!failed.status.success());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "older");
    place.scored("scores.csv");
    assert!(std::fs::read_to_string(&path).expect("there").starts_with("timestamp,subject,"));
    assert!(Path::new(&path).is_file());
}
