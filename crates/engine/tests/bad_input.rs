//! What users get wrong, through every command that reads files: told once, with the file, the place in it and what to do.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const START_S: i64 = 1_767_571_200;

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(["--log.level", "warn"]).args(args).output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Two features at a minute with some noise, from this row on.
fn rows(from: i64, n_rows: i64) -> String {
    let mut text = String::new();
    for row in from..from + n_rows {
        let noise = |salt: i64| (row * 7919 + salt).rem_euclid(97) as f64 / 97.0;
        let _ = writeln!(text, "{},{:.4},{:.4}", START_S + row * 60, 1.0 + noise(5), 20.0 + noise(41));
    }
    text
}

fn good() -> String {
    format!("time,cpu,latency\n{}", rows(0, 400))
}

/// A place with a config, models trained by it, and files.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory") };
        let config = "datasources: [{url: 'http://127.0.0.1:9'}]\nqueries: {cpu: {expr: cpu}, latency: {expr: latency}}\ndetectors: [residual, dbscan]\n";
        place.write("homeostat.yml", config.as_bytes());
        let file = place.write("good.csv", good().as_bytes());
        let trained = run(&["train", &file, &place.config(), &format!("--output={}", place.bundle())]);
        assert!(trained.status.success(), "{}", text(&trained));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.name(name)
    }

    fn config(&self) -> String {
        format!("--config.file={}", self.name("homeostat.yml"))
    }

    fn bundle(&self) -> String {
        self.name("models")
    }

    /// The commands that read metrics, on this file. What they would write is `out`.
    fn commands(&self, file: &str) -> Vec<Vec<String>> {
        let (config, bundle) = (self.config(), format!("--bundle={}", self.bundle()));
        let (models, scores) = (format!("--output={}", self.name("out")), format!("--output={}", self.name("out.csv")));
        [
            vec!["train", file, &models],
            vec!["train", file, &config, &models],
            vec!["score", file, &bundle, &scores],
            vec!["score", file, &config, &bundle, &scores],
            vec!["replay", file, &config],
        ]
        .map(|args| args.into_iter().map(str::to_owned).collect())
        .into()
    }

    /// Names of everything there, in order.
    fn there(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).expect("packed");
    packed.finish().expect("packed")
}

/// No part of a message is in it twice: that is a cause that both an error and what it is the cause of have told.
fn assert_told_once(what: &str, message: &str) {
    for line in message.lines().filter(|line| line.starts_with("homeostat: ")) {
        let parts: Vec<&str> = line.split(": ").collect();
        for (idx, part) in parts.iter().enumerate() {
            let again = parts[..idx].iter().any(|before| before.contains(part) || part.contains(before));
            // Short parts are names and numbers.
            assert!(!again || part.len() < 12, "{what}: {part:?} is told twice in {line}");
        }
    }
}

/// Files that are wrong, with what must be said of each.
fn wrong_files() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let good = good();
    let rows: Vec<&str> = good.lines().collect();
    let changed = |idx: usize, line: &str| [&rows[..idx], &[line], &rows[idx + 1..]].concat().join("\n");
    let whole = gzipped(&good);
    let swapped = [&rows[..10], &rows[11..12], &rows[10..11], &rows[12..]].concat().join("\n");
    let second = format!("{},9,9", START_S + 18 * 60);
    let odd = format!("{good}{},0.1,0.5\n", START_S + 400 * 60 + 13);
    let regions = rows[1..].iter().enumerate().map(|(idx, row)| format!("{row},r{}\n", idx % 2));
    let regions = format!("time,cpu,latency,region\n{}", regions.collect::<String>());
    vec![
        ("cut.csv.gz", whole[..whole.len() / 2].to_vec(), vec!["stops in the middle", "copy it again"]),
        ("broken.csv.gz", [&whole[..40], &[0xff; 60], &whole[100..]].concat(), vec!["copy it again"]),
        ("empty.csv", Vec::new(), vec!["is empty", "export it again"]),
        ("header.csv", b"time,cpu,latency\n".to_vec(), vec!["is empty"]),
        ("back.csv", swapped.into_bytes(), vec!["cpu", "comes after one of", "sort"]),
        ("twice.csv", changed(20, &second).into_bytes(), vec!["cpu", "two values at", "keep one"]),
        ("mixed.csv", odd.into_bytes(), vec!["cpu", "intervals are mixed", "export with one step"]),
        ("text.csv", changed(7, "1767571560,much,3").into_bytes(), vec!["line 8", "\"much\" isn't a number"]),
        ("short.csv", changed(7, "1767571560,1").into_bytes(), vec!["line 8", "2 cells", "3"]),
        ("columns.csv", good.replacen("latency", "cpu", 1).into_bytes(), vec!["line 1", "two columns are called"]),
        ("timeless.csv", good.replacen("time", "when", 1).into_bytes(), vec!["none of", "--format"]),
        ("regions.csv", regions.into_bytes(), vec!["region", "subject"]),
        ("page.html", b"<html>not found</html>".to_vec(), vec!["none of", "--format"]),
        (
            "error.json",
            br#"{"status":"error","errorType":"bad_data","error":"no such function"}"#.to_vec(),
            vec!["no such function"],
        ),
        (
            "vector.json",
            br#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_vec(),
            vec!["query_range"],
        ),
    ]
}

#[test]
fn a_wrong_file_is_refused_by_every_command_with_its_place_and_what_to_do_and_leaves_nothing() {
    let place = Place::new();
    for (name, bytes, parts) in wrong_files() {
        let file = place.write(name, &bytes);
        let before = place.there();
        for args in place.commands(&file) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let refused = run(&args);
            let what = format!("{name} by {args:?}");
            assert_eq!(refused.status.code(), Some(1), "{what}: {}", text(&refused));
            for part in &parts {
                assert!(text(&refused).contains(part), "{what}: no {part:?} in {}", text(&refused));
            }
            // What shows only once all files are read is said of the series or of its labels.
            let of_all = ["mixed.csv", "regions.csv"].contains(&name);
            assert!(of_all || text(&refused).contains(name), "{what}: {}", text(&refused));
            assert_told_once(&what, &text(&refused));
            assert_eq!(place.there(), before, "{what}: something is left behind");
        }
        // For whoever reads the test's output.
        print!("{name}: {}", text(&run(&["score", &file, &format!("--bundle={}", place.bundle())])));
    }
}

#[test]
fn what_is_not_there_is_named_once_by_every_command() {
    let place = Place::new();
    let (config, bundle, good) = (place.config(), format!("--bundle={}", place.bundle()), place.name("good.csv"));
    let (gone, output) = (place.name("gone"), format!("--output={}", place.name("out")));
    let of = |flag: &str| format!("{flag}={gone}");
    let cases: [&[&str]; 16] = [
        &["train", &gone, &output],
        &["train", &gone, &config, &output],
        &["train", &config, &of("--input"), &output],
        &["train", &good, &of("--config.file"), &output],
        &["score", &gone, &bundle],
        &["score", &good, &of("--bundle")],
        &["score", &good, &bundle, &format!("--output={gone}/out.csv")],
        &["replay", &gone, &config],
        &["replay", &config, &of("--input")],
        &["evaluate", &of("--dataset")],
        &["evaluate", &of("--dataset"), &of("--against")],
        &["evaluate", &of("--dataset"), &format!("--peer=x={gone}")],
        &["tune", &of("--dataset"), &output],
        &["check", "policy", &gone],
        &["check", "bundle", &gone],
        &["incident", "list", &of("--storage.path")],
    ];
    for args in cases {
        let refused = run(args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {}", text(&refused));
        assert!(text(&refused).contains("gone"), "{args:?}: {}", text(&refused));
        assert!(text(&refused).matches("os error").count() <= 1, "{args:?}: {}", text(&refused));
        assert_told_once(&format!("{args:?}"), &text(&refused));
        assert!(!place.path("out").exists() && !place.path("gone").exists());
    }
    std::fs::create_dir(place.path("gone")).expect("a directory");
    let refused = run(&["score", &gone, &bundle]);
    assert!(!refused.status.success() && text(&refused).contains("holds no file"), "{}", text(&refused));
}

#[test]
fn a_parquet_of_other_types_or_a_build_without_it_is_said() {
    let place = Place::new();
    // Magic bytes and nothing behind them.
    let file = place.write("cut.parquet", b"PAR1\x15\x04");
    let wanted = if cfg!(feature = "parquet") { "stops in the middle" } else { "--features parquet" };
    for args in place.commands(&file) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let refused = run(&args);
        assert!(refused.status.code() == Some(1) && text(&refused).contains(wanted), "{args:?}: {}", text(&refused));
        assert!(text(&refused).contains("cut.parquet"), "{}", text(&refused));
    }
    let scores = format!("--output={}", place.name("scores.parquet"));
    let scored = run(&["score", &place.name("good.csv"), &format!("--bundle={}", place.bundle()), &scores]);
    assert_eq!(scored.status.success(), cfg!(feature = "parquet"), "{}", text(&scored));
    assert_eq!(place.path("scores.parquet").exists(), cfg!(feature = "parquet"));
    if !cfg!(feature = "parquet") {
        assert!(text(&scored).contains("--features parquet"), "{}", text(&scored));
    }
}

/// Columns that are no numbers, or no moments.
#[cfg(feature = "parquet")]
#[test]
fn a_parquet_of_other_types_is_refused_by_its_column() {
    use parquet::data_type::{ByteArrayType, Int64Type};

    let place = Place::new();
    for (name, columns, wanted) in [
        ("bytes", "REQUIRED INT64 time; REQUIRED BYTE_ARRAY cpu;", "column cpu holds bytes"),
        ("stamps", "REQUIRED BYTE_ARRAY time (UTF8); REQUIRED INT64 cpu;", "column time: \"monday\""),
    ] {
        let schema =
            parquet::schema::parser::parse_message_type(&format!("message m {{ {columns} }}")).expect("a schema");
        let path = place.path(&format!("{name}.parquet"));
        let file = std::fs::File::create(&path).expect("a file");
        let mut writer = parquet::file::writer::SerializedFileWriter::new(file, schema.into(), Default::default())
            .expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        while let Some(mut column) = group.next_column().expect("a column") {
            match column.untyped() {
                parquet::column::writer::ColumnWriter::ByteArrayColumnWriter(_) => {
                    let texts = ["monday", "tuesday"].map(Into::into);
                    column.typed::<ByteArrayType>().write_batch(&texts, None, None).expect("written");
                }
                _whole => {
                    column.typed::<Int64Type>().write_batch(&[60, 120], None, None).expect("written");
                }
            }
            column.close().expect("closed");
        }
        group.close().expect("closed");
        writer.close().expect("closed");
        for args in place.commands(&path.display().to_string()) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let refused = run(&args);
            assert_eq!(refused.status.code(), Some(1), "{args:?}: {}", text(&refused));
            assert!(text(&refused).contains(wanted) && text(&refused).contains(name), "{args:?}: {}", text(&refused));
            assert_told_once(name, &text(&refused));
        }
    }
}

/// A device on which nothing has space.
const FULL: &str = "/dev/full";

#[cfg(target_os = "linux")]
#[test]
fn without_space_no_command_leaves_half_a_result_or_says_that_it_went_well() {
    let place = Place::new();
    let (config, good) = (place.config(), place.name("good.csv"));
    let bundle = format!("--bundle={}", place.bundle());
    let dataset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/shop").display().to_string();
    let mut outputs = vec!["scores.csv", "scores.csv.gz", "scores.csv.zst", "scores.json", "scores.jsonl"];
    outputs.extend(cfg!(feature = "parquet").then_some("scores.parquet"));
    let judge = ["evaluate", "--dataset", &dataset, "--detectors=residual,dbscan", "--set=shop"];
    let json = format!("--output.json={}", place.name("out.json"));
    let mut cases: Vec<(&str, Vec<String>)> =
        vec![("out.json", [&judge[..], &[&json]].concat().iter().map(|arg| (*arg).to_owned()).collect())];
    for output in &outputs {
        let to = format!("--output={}", place.name(output));
        cases.push((output, ["score", &good, &bundle, &to].map(str::to_owned).into()));
    }
    for (output, args) in cases {
        // What a command writes before the file has its name.
        let partial = place.path(&format!("{output}.partial"));
        std::os::unix::fs::symlink(FULL, &partial).expect("a link");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let refused = run(&args);
        assert_eq!(refused.status.code(), Some(1), "{output}: {}", text(&refused));
        for part in [output, "No space left on device"] {
            assert!(text(&refused).contains(part), "{output}: no {part:?} in {}", text(&refused));
        }
        assert_told_once(output, &text(&refused));
        assert!(!place.path(output).exists() && !partial.is_symlink(), "{output} is left behind");
    }
    // Results on standard output.
    for args in [
        vec!["score", &good, &bundle],
        vec!["replay", &good, &config],
        vec!["check", "config", &place.name("homeostat.yml")],
    ] {
        let full = std::fs::File::create(FULL).expect("the device");
        let refused = Command::new(env!("CARGO_BIN_EXE_homeostat")).args(&args).stdout(full).output().expect("it runs");
        if args[0] == "replay" && refused.status.success() {
            // Nothing happened in it, so nothing had to be written.
            assert!(run(&args).stdout.is_empty());
            continue;
        }
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(text(&refused).contains("standard output can't be written"), "{args:?}: {}", text(&refused));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_bundle_that_found_no_space_is_none() {
    let place = Place::new();
    // The shell's limit on a file's size stands for a disk that ends in the middle of a write.
    for blocks in [1, 8] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let output = format!("--output={}", place.name("new"));
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_homeostat"), "train"]);
        let refused = command.args([&place.name("good.csv"), &place.config(), &output]).output().expect("a shell");
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains("free space"), "{}", text(&refused));
        assert!(!place.path("new").exists(), "half a bundle is loadable");
        assert_told_once("train", &text(&refused));
    }
}

/// A dataset of one set whose second series is as given.
fn dataset(place: &Place, name: &str, manifest: Option<&str>, second: &[u8]) -> PathBuf {
    let dir = place.path(name);
    std::fs::create_dir(&dir).expect("a directory");
    let entry = |series: &str| {
        format!(
            "{{\"set\":\"s\",\"series\":\"{series}\",\"path\":\"{series}.csv\",\"rows\":400,\"train_rows\":300,\"interval_s\":60}}"
        )
    };
    std::fs::write(dir.join("one.csv"), labelled()).expect("written");
    std::fs::write(dir.join("two.csv"), second).expect("written");
    let whole = format!("[{},{}]", entry("one"), entry("two"));
    std::fs::write(dir.join("manifest.json"), manifest.unwrap_or(&whole)).expect("written");
    dir
}

/// A good series of a dataset.
fn labelled() -> String {
    let lines = rows(0, 400);
    let lines =
        lines.lines().enumerate().map(|(row, line)| format!("{line},{}\n", u8::from((350..360).contains(&row))));
    format!("timestamp,cpu,latency,label\n{}", lines.collect::<String>())
}

#[test]
fn a_wrong_series_of_a_dataset_is_told_and_left_out_and_a_dataset_of_none_fails() {
    let place = Place::new();
    let good = labelled();
    let lines: Vec<&str> = good.lines().collect();
    let changed = |idx: usize, line: &str| [&lines[..idx], &[line], &lines[idx + 1..]].concat().join("\n").into_bytes();
    let packed = gzipped(&good);
    let cases: [(&str, Vec<u8>, &[&str]); 9] = [
        ("cut", packed[..packed.len() / 2].to_vec(), &["gzip stream is cut off", "fetch the file again"]),
        ("empty", Vec::new(), &["is empty"]),
        ("unlabelled", good.replacen(",label", "", 1).into_bytes(), &["no column \"label\"", "the last label"]),
        ("short", lines[..200].join("\n").into_bytes(), &["has 199 rows, the manifest says 400"]),
        ("text", changed(5, "1767571440,x,1,0"), &["line 6", "\"x\" isn't a number"]),
        ("half", changed(5, "1767571440,1"), &["line 6"]),
        ("truth", changed(5, "1767571440,1,1,2"), &["line 6", "neither 0 nor 1"]),
        ("back", changed(5, "1767571260,1,1,0"), &["line 6", "isn't after the one before", "sort the rows"]),
        ("mixed", changed(5, "1767571441,1,1,0"), &["line 6", "61 s after", "60 s"]),
    ];
    for (name, bytes, parts) in cases {
        let dir = dataset(&place, name, None, &bytes).display().to_string();
        let strict = ["evaluate", "--dataset", &dir, "--detectors=residual,dbscan", "--stamps=strict"];
        let judged = run(&strict);
        assert!(judged.status.success(), "{name}: {}", text(&judged));
        for part in [&["failed: s/two", "two.csv", "figure eval.vus_pr.s "], parts].concat() {
            assert!(text(&judged).contains(part), "{name}: no {part:?} in {}", text(&judged));
        }
        // Of stamps alone it is only told, unless asked to be strict.
        if ["back", "mixed"].contains(&name) {
            let lenient = run(&strict[..4]);
            assert!(
                lenient.status.success() && text(&lenient).contains("aren't one interval apart"),
                "{}",
                text(&lenient)
            );
        }
        std::fs::write(place.path(name).join("one.csv"), &bytes).expect("written");
        let failed = run(&strict);
        assert_eq!(failed.status.code(), Some(1), "{name}: {}", text(&failed));
        assert!(text(&failed).contains("no series could be judged"), "{name}: {}", text(&failed));
    }
    for (name, manifest, part) in [
        ("no-list", "{}", "isn't a list of series"),
        ("nothing", "[]", "no series"),
        ("cut-list", "[{\"set\":", "isn't a list of series"),
    ] {
        let dir = dataset(&place, name, Some(manifest), &[]).display().to_string();
        let refused = run(&["evaluate", "--dataset", &dir]);
        assert_eq!(refused.status.code(), Some(1), "{name}: {}", text(&refused));
        assert!(text(&refused).contains(part) && text(&refused).contains("manifest.json"), "{}", text(&refused));
        assert_told_once(name, &text(&refused));
    }
}
