//! `homeostat train` as its users meet it: stopped and gone on with, on a full disk, on one core, asked wrongly.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use homeostat_detect::BundleManifest;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homeostat");
const N_SUBJECTS: usize = 6;
const N_ROWS: usize = 400;

/// A table of workloads with two features; the last rows of the first have a fault if `fault` says so.
fn table(seed: u64, n_rows: usize, fault: usize) -> String {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut text = "timestamp,subject,latency,traffic\n".to_owned();
    for row in 0..n_rows {
        for subject in 0..N_SUBJECTS {
            let sick = if subject == 0 && row + fault >= n_rows { 40.0 } else { 0.0 };
            let (latency, traffic) = (1.0 + noise() + sick, 20.0 + noise());
            text += &format!("{},shop/deployment/s{subject},{latency:.6},{traffic:.6}\n", 60 * row);
        }
    }
    text
}

/// A directory with a table to train on.
fn room() -> tempfile::TempDir {
    let room = tempfile::tempdir().expect("a directory");
    fs::write(room.path().join("t.csv"), table(1, N_ROWS, 0)).expect("room to write");
    room
}

/// Every training says it was made at the same moment: then bundles can be compared.
fn train(room: &Path, output: &str, more: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(room).args(["train", "t.csv", "--output", output, "--source-date-epoch", "60"]).args(more);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the program runs")
}

fn succeeded(command: &mut Command) -> Output {
    let output = run(command);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below `dir` with its bytes, or the file itself.
fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut paths = vec![path.to_owned()];
    while let Some(next) = paths.pop() {
        if next.is_dir() {
            paths.extend(fs::read_dir(&next).expect("a directory").map(|entry| entry.expect("an entry").path()));
        } else {
            let name = next.strip_prefix(path).expect("inside").to_owned();
            found.insert(name, fs::read(&next).expect("a file"));
        }
    }
    found
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Trains until `n` subjects are kept, and sends the signal.
fn stopped(room: &Path, output: &str, n: usize, signal: &str) -> (std::process::ExitStatus, String) {
    let mut child = train(room, output, &["--test.pause-after", &n.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut told = String::new();
    while !told.contains("paused for a crash test") {
        assert!(lines.read_line(&mut told).expect("a line") > 0, "it ended by itself: {told}");
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    lines.read_to_string(&mut told).expect("the rest");
    (child.wait().expect("it ends"), told)
}

#[test]
fn a_training_that_was_stopped_goes_on_to_the_same_bytes() {
    let room = room();
    succeeded(&mut train(room.path(), "whole.tar.zst", &[]));
    let whole = fs::read(room.path().join("whole.tar.zst")).expect("a bundle");
    for (signal, code) in [("-INT", Some(130)), ("-TERM", Some(130)), ("-KILL", None)] {
        let (status, told) = stopped(room.path(), "b.tar.zst", 4, signal);
        assert_eq!(status.code(), code, "{told}");
        assert!(code.is_none() || told.contains("4 of 6 subjects are fitted and kept in b.tar.zst.partial"), "{told}");
        assert_eq!(names(room.path()), ["b.tar.zst.partial", "t.csv", "whole.tar.zst"], "no half bundle");
        let told = stderr(&succeeded(&mut train(room.path(), "b.tar.zst", &[])));
        assert!(told.contains("resuming from b.tar.zst.partial") && told.contains("fitted=4 of=6"), "{told}");
        assert!(fs::read(room.path().join("b.tar.zst")).expect("a bundle") == whole, "after {signal}");
        fs::remove_file(room.path().join("b.tar.zst")).expect("a file");
        assert_eq!(names(room.path()), ["t.csv", "whole.tar.zst"], "nothing is left of it");
    }
}

#[test]
fn a_changed_input_or_option_takes_nothing_of_what_was_kept() {
    let room = room();
    stopped(room.path(), "b", 3, "-INT");
    let text = fs::read_to_string(room.path().join("t.csv")).expect("a file");
    fs::write(room.path().join("t.csv"), text.replacen("0,shop/deployment/s5,1.", "0,shop/deployment/s5,2.", 1))
        .expect("room to write");
    let told = stderr(&succeeded(&mut train(room.path(), "b", &[])));
    assert!(!told.contains("fitted="), "{told}");
    succeeded(&mut train(room.path(), "fresh", &[]));
    assert!(files(&room.path().join("b")) == files(&room.path().join("fresh")));
    assert!(!room.path().join("b.partial").exists());
}

#[test]
fn what_was_kept_and_damaged_is_fitted_again() {
    let room = room();
    succeeded(&mut train(room.path(), "whole", &[]));
    stopped(room.path(), "b", 5, "-KILL");
    for dir in ["fitted", "models"] {
        let dir = room.path().join("b.partial").join(dir);
        for name in names(&dir).iter().step_by(2) {
            let bytes = fs::read(dir.join(name)).expect("a file");
            fs::write(dir.join(name), &bytes[..bytes.len() / 2]).expect("room to write");
        }
    }
    succeeded(&mut train(room.path(), "b", &[]));
    assert!(files(&room.path().join("b")) == files(&room.path().join("whole")));
}

#[test]
fn one_core_gives_the_bytes_of_many() {
    let room = room();
    succeeded(&mut train(room.path(), "many", &[]));
    let mut one = Command::new("taskset");
    one.current_dir(room.path()).args(["-c", "0", PROGRAM, "train", "t.csv", "--output", "one"]);
    match one.args(["--source-date-epoch", "60"]).output() {
        Ok(output) => assert!(output.status.success(), "{}", stderr(&output)),
        Err(error) => {
            println!("SKIP one_core_gives_the_bytes_of_many: taskset: {error}");
            return;
        }
    }
    assert!(files(&room.path().join("one")) == files(&room.path().join("many")));
}

#[test]
fn a_dry_run_says_what_it_takes_and_writes_nothing() {
    let room = room();
    let output = succeeded(&mut train(room.path(), "b.tar.zst", &["--dry-run"]));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["6 subjects, 400 rows of 2 features", "6 subjects of a kind share models", "time: ", "memory: about"] {
        assert!(told.contains(part), "{part} isn't in {told}");
    }
    assert!(told.contains("bundle: about") && told.ends_with("nothing was written\n"), "{told}");
    assert_eq!(names(room.path()), ["t.csv"]);
}

#[test]
fn without_a_terminal_there_are_plain_lines_only() {
    let room = room();
    let output = succeeded(&mut train(room.path(), "b", &[]));
    assert!(!output.stderr.contains(&b'\r') && !output.stderr.contains(&0x1b), "{}", stderr(&output));
}

/// Files may not grow beyond so many blocks of 512 bytes; a write beyond is an error, or a signal that ends the program.
fn with_small_files(room: &Path, output: &str, blocks: usize, is_error: bool) -> Output {
    let trap = if is_error { "trap '' XFSZ; " } else { "" };
    let script =
        format!("{trap}ulimit -f {blocks}; exec '{PROGRAM}' train t.csv --output {output} --source-date-epoch 60");
    run(Command::new("sh").current_dir(room).args(["-c", &script]))
}

#[test]
fn wherever_a_write_fails_no_half_bundle_is_left() {
    let room = room();
    succeeded(&mut train(room.path(), "whole", &[]));
    succeeded(&mut train(room.path(), "whole.tar.zst", &[]));
    let mut n_failed = 0;
    for output in ["b", "b.tar.zst"] {
        for blocks in [0, 4, 16, 60, 150] {
            for is_error in [true, false] {
                let ended = with_small_files(room.path(), output, blocks, is_error);
                let path = room.path().join(output);
                if ended.status.success() {
                    assert!(files(&path) == files(&room.path().join(output.replacen('b', "whole", 1))));
                    let remove = if path.is_dir() { fs::remove_dir_all } else { fs::remove_file };
                    remove(path).expect("removed");
                    continue;
                }
                n_failed += 1;
                assert!(!path.exists(), "{output} of {blocks} blocks");
                let told = stderr(&ended);
                assert!(!is_error || told.contains("File too large"), "{told}");
                // What a killed program left is no bundle either.
                for name in names(room.path()).iter().filter(|name| name.ends_with(".tmp")) {
                    assert!(!is_error, "an error cleans up: {name}");
                    let checked = Command::new(PROGRAM).args(["check", "bundle"]).arg(room.path().join(name)).output();
                    assert_eq!(checked.expect("the program runs").status.code(), Some(1), "{name} isn't loadable");
                }
            }
        }
        // With room enough it goes on and cleans up.
        succeeded(&mut train(room.path(), output, &[]));
        assert!(files(&room.path().join(output)) == files(&room.path().join(output.replacen('b', "whole", 1))));
    }
    assert!(n_failed >= 10, "{n_failed} of the writes failed");
    assert_eq!(names(room.path()), ["b", "b.tar.zst", "t.csv", "whole", "whole.tar.zst"]);
}

/// A real file system that is full, where this machine lets us make one.
#[test]
fn a_full_disk_leaves_no_half_bundle_and_says_so() {
    let room = room();
    for (size, output) in [("8k", "full/b"), ("60k", "full/b"), ("60k", "full/b.tar.zst"), ("120k", "full/b.tar.zst")] {
        let script = format!(
            "mkdir -p full && mount -t tmpfs -o size={size} none full || exit 77; \
             '{PROGRAM}' train t.csv --output {output}; code=$?; ls -A full | grep -v partial; exit $code"
        );
        let ended = Command::new("unshare")
            .current_dir(room.path())
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .output();
        let Ok(ended) = ended.map_err(|error| println!("SKIP a_full_disk: unshare: {error}")) else { return };
        let told = stderr(&ended);
        if ended.status.code() == Some(77) || told.contains("unshare:") {
            println!("SKIP a_full_disk: a file system of its own isn't allowed here: {told}");
            return;
        }
        assert_eq!(ended.status.code(), Some(1), "{size}: {told}");
        assert!(told.contains("No space left on device"), "{told}");
        assert!(ended.stdout.is_empty(), "left behind: {}", String::from_utf8_lossy(&ended.stdout));
    }
}

#[test]
fn what_is_asked_wrongly_is_refused_before_anything_is_read() {
    let room = room();
    fs::write(room.path().join("there"), "x").expect("room to write");
    for (output, wanted) in [
        ("there", "already exists"),
        ("b.tar.gz", "end the name with .tar.zst"),
        ("b.zip", "end the name with .tar.zst"),
        ("..", "name a file or directory"),
        ("there/b", "there"),
    ] {
        let ended = run(&mut train(room.path(), output, &[]));
        assert_eq!(ended.status.code(), Some(1), "{output}");
        assert!(stderr(&ended).contains(wanted), "{output}: {}", stderr(&ended));
    }
    let mut none = Command::new(PROGRAM);
    let ended = run(none.current_dir(room.path()).args(["train", "none.csv", "--output", "b"]));
    assert!(stderr(&ended).contains("none.csv"), "{}", stderr(&ended));
    assert_eq!(names(room.path()), ["t.csv", "there"]);
}

#[test]
fn a_bundle_scored_without_a_config_opens_by_its_own_rule() {
    let room = room();
    let config = |opening: &str| {
        format!(
            "datasources: [{{url: 'http://127.0.0.1:9'}}]\nglobal: {{step: 60s}}\nqueries: {{latency: a, traffic: b}}\n\
             detection: {{opening: {opening}}}\n"
        )
    };
    fs::write(room.path().join("live.csv"), table(2, N_ROWS, 4)).expect("room to write");
    let opened = |name: &str, opening: &str| {
        fs::write(room.path().join("c.yaml"), config(opening)).expect("room to write");
        succeeded(&mut train(room.path(), name, &["--config.file", "c.yaml"]));
        let mut score = Command::new(PROGRAM);
        let scored = succeeded(score.current_dir(room.path()).args(["score", "live.csv", "--bundle", name]));
        let text = String::from_utf8_lossy(&scored.stdout).into_owned();
        let open_idx = text.lines().next().and_then(|line| line.split(',').position(|name| name == "open"));
        let open_idx = open_idx.expect("a column called open");
        text.lines().filter(|line| line.contains("/s0,") && line.split(',').nth(open_idx) == Some("1")).count()
    };
    assert!(opened("eager", "{open_rows: 1, of_rows: 1}") >= 3, "four rows of fault open at once");
    let patient = "{open_rows: 10, of_rows: 10, at_once: 1000000}";
    assert_eq!(opened("patient", patient), 0, "four rows of fault aren't ten");
    let checked = run(Command::new(PROGRAM).args(["check", "bundle"]).arg(room.path().join("patient")));
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    for part in ["10 of 10 rows", "query       latency = a", "shop/deployment/s0", "every digest is right"] {
        assert!(told.contains(part), "{part} isn't in {told}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The network's training is the same bit for bit on one kind of processor only, so on another its file, and what was fitted to
/// its scores, may differ; the rest may not.
#[test]
fn the_shipped_bundle_is_what_its_command_makes() {
    let room = tempfile::tempdir().expect("a directory");
    let made = room.path().join("shop.tar.zst");
    let mut command = Command::new(PROGRAM);
    command.current_dir(root()).args(["train", "datasets/shop", "--config.file", "models/shop.yaml", "--output"]);
    succeeded(command.arg(&made).args(["--source-date-epoch", "1767744000"]));
    let shipped = root().join("models/shop.tar.zst");
    let of = |path: &Path| BundleManifest::read(path).expect("a bundle");
    let (new, old) = (of(&made), of(&shipped));
    let again = "make it again with `just models`";
    assert_eq!((new.format, &new.provenance, &new.recipe), (old.format, &old.provenance, &old.recipe), "{again}");
    let subjects = |manifest: &BundleManifest| -> Vec<String> {
        manifest.subjects.iter().map(|entry| entry.subject.to_string()).collect()
    };
    assert_eq!(subjects(&new), subjects(&old), "{again}");
    let without_network = |manifest: &BundleManifest| -> Vec<String> {
        manifest
            .files
            .keys()
            .filter(|name| name.ends_with(".postcard") && name.starts_with("models/"))
            .cloned()
            .collect()
    };
    assert_eq!(without_network(&new), without_network(&old), "models differ: {again}");
    let network = |manifest: &BundleManifest| -> Vec<String> {
        manifest.files.keys().filter(|name| name.ends_with(".onnx")).cloned().collect()
    };
    if network(&new) == network(&old) {
        assert!(fs::read(&made).expect("made") == fs::read(&shipped).expect("shipped"), "{again}");
    }
}

#[test]
fn the_shipped_bundle_scores_the_shipped_data_and_finds_its_faults() {
    let mut command = Command::new(PROGRAM);
    let scored =
        succeeded(command.current_dir(root()).args(["score", "datasets/shop", "--bundle", "models/shop.tar.zst"]));
    assert!(!stderr(&scored).contains("have seen"), "only rows that didn't train are scored: {}", stderr(&scored));
    let text = String::from_utf8_lossy(&scored.stdout).into_owned();
    assert_eq!(text.lines().count(), 1 + 9 * 2880, "two judged days of nine services");
    for (subject, kind) in [("catalog", "memory-leak"), ("cart", "cpu-spike")] {
        let is_told = text.lines().any(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            fields[1].ends_with(subject) && fields.contains(&kind) && fields.get(7) == Some(&"1")
        });
        assert!(is_told, "{kind} of {subject}");
    }
}
