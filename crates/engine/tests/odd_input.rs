//! Histories that are odd and not wrong (missing stretches, other steps, one column and forty, constants, series that begin or end in
//! the middle) and the few that are (clocks that go back, too little): what `train`, `score` and `evaluate` make of each, and what
//! they say.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

const START_S: i64 = 1_767_571_200;
/// Rows of each history, and of what is scored after it.
const TRAINED: i64 = 600;
const SCORED: i64 = 200;

/// A table: rows of a subject (empty where there is only one) by number, or none.
struct Table {
    n_columns: usize,
    step_s: i64,
    subjects: &'static [&'static str],
    /// What stands in this column of this subject's row; `None` is an empty cell.
    cell: fn(subject: &str, row: i64, column: usize) -> Option<f64>,
    /// Lines of a row, from the one that it would be.
    lines: fn(row: i64, line: String) -> Vec<String>,
}

fn noise(subject: &str, row: i64, column: usize) -> f64 {
    let salt = column as i64 * 104_729 + subject.bytes().map(i64::from).sum::<i64>();
    let mixed = (row * 7_919 + salt + row * row % 211).rem_euclid(997);
    10.0 * (column + 1) as f64 + mixed as f64 / 997.0
}

fn usual(subject: &str, row: i64, column: usize) -> Option<f64> {
    Some(noise(subject, row, column))
}

const fn plain() -> Table {
    Table { n_columns: 2, step_s: 60, subjects: &[""], cell: usual, lines: |_, line| vec![line] }
}

impl Table {
    fn text(&self, rows: std::ops::Range<i64>, is_labelled: bool) -> String {
        let names: Vec<String> = (0..self.n_columns).map(|column| format!("f{column}")).collect();
        let is_named = self.subjects != [""];
        let (subject, label) = (if is_named { "subject," } else { "" }, if is_labelled { ",label" } else { "" });
        let mut text = format!("timestamp,{subject}{}{label}\n", names.join(","));
        for subject in self.subjects {
            for row in rows.clone() {
                let cells = (0..self.n_columns).map(|column| (self.cell)(subject, row, column));
                let cells: Vec<String> =
                    cells.map(|cell| cell.map_or_else(String::new, |value| format!("{value:.4}"))).collect();
                if cells.iter().all(String::is_empty) && is_named {
                    continue;
                }
                let named = if is_named { format!("{subject},") } else { String::new() };
                let label = if is_labelled { format!(",{}", u8::from(row % 100 > 90)) } else { String::new() };
                let line = format!("{},{named}{}{label}", START_S + row * self.step_s, cells.join(","));
                for line in (self.lines)(row, line) {
                    let _ = writeln!(text, "{line}");
                }
            }
        }
        text
    }
}

/// What a command must say, and how it must end.
struct Wanted {
    code: i32,
    says: &'static [&'static str],
}

const QUIETLY: Wanted = Wanted { code: 0, says: &[] };

fn wanted(code: i32, says: &'static [&'static str]) -> Wanted {
    Wanted { code, says }
}

struct Case {
    name: &'static str,
    train: Table,
    trains: Wanted,
    /// Scored by these models, or by those of a plain history where these can't be trained.
    score: Table,
    scores: Wanted,
    /// How many of its rows get a score, at least and at most.
    n_scored: std::ops::RangeInclusive<usize>,
    /// As a labelled series of a dataset; `None` where a dataset can't be so.
    evaluates: Option<Wanted>,
}

fn case(name: &'static str, train: Table, score: Table) -> Case {
    let all = SCORED as usize;
    Case { name, train, trains: QUIETLY, score, scores: QUIETLY, n_scored: all..=all, evaluates: Some(QUIETLY) }
}

fn in_middle(row: i64) -> bool {
    (200..320).contains(&row) || (660..740).contains(&row)
}

/// The row an hour before, from the middle on.
fn back(row: i64, line: String) -> Vec<String> {
    let (_, cells) = line.split_once(',').expect("cells");
    let is_late = (300..330).contains(&row) || (700..730).contains(&row);
    vec![format!("{},{cells}", START_S + 60 * if is_late { row - 60 } else { row })]
}

/// Two rows of one moment.
fn twice(row: i64, line: String) -> Vec<String> {
    let (at, _) = line.split_once(',').expect("cells");
    let label = if line.matches(',').count() > 2 { ",0" } else { "" };
    let second = format!("{at},9,9{label}");
    if row % 300 == 100 { vec![line, second] } else { vec![line] }
}

fn cases() -> Vec<Case> {
    vec![
        case("plain", plain(), plain()),
        Case {
            n_scored: 100..=120,
            ..case(
                "stretch",
                Table {
                    cell: |subject, row, column| (!in_middle(row)).then(|| noise(subject, row, column)),
                    ..plain()
                },
                Table {
                    cell: |subject, row, column| (!in_middle(row)).then(|| noise(subject, row, column)),
                    ..plain()
                },
            )
        },
        Case {
            scores: wanted(2, &["the rows are 5m apart", "trained on rows 1m apart", "export with that step"]),
            n_scored: 0..=0,
            ..case("step", plain(), Table { step_s: 300, ..plain() })
        },
        case("one-column", Table { n_columns: 1, ..plain() }, Table { n_columns: 1, ..plain() }),
        case("forty-columns", Table { n_columns: 40, ..plain() }, Table { n_columns: 40, ..plain() }),
        Case {
            scores: wanted(0, &["the models don't know these columns", "f2"]),
            ..case("a-column-more", plain(), Table { n_columns: 3, ..plain() })
        },
        Case {
            scores: wanted(1, &["have no column f1"]),
            n_scored: 0..=0,
            ..case("a-column-less", plain(), Table { n_columns: 1, ..plain() })
        },
        case(
            "constant",
            Table { cell: |_, _, _| Some(5.0), ..plain() },
            Table { cell: |_, _, _| Some(5.0), ..plain() },
        ),
        Case {
            n_scored: 480..=510,
            evaluates: None,
            ..case(
                "begins",
                Table {
                    subjects: &["a", "b", "c"],
                    cell: |subject, row, column| (subject != "b" || row >= 300).then(|| noise(subject, row, column)),
                    ..plain()
                },
                Table {
                    subjects: &["a", "b", "c"],
                    cell: |subject, row, column| (subject != "b" || row >= 700).then(|| noise(subject, row, column)),
                    ..plain()
                },
            )
        },
        Case {
            scores: wanted(0, &["/b", "end before the end of the files"]),
            n_scored: 490..=510,
            evaluates: None,
            ..case(
                "ends",
                Table {
                    subjects: &["a", "b", "c"],
                    cell: |subject, row, column| (subject != "b" || row < 300).then(|| noise(subject, row, column)),
                    ..plain()
                },
                Table {
                    subjects: &["a", "b", "c"],
                    cell: |subject, row, column| (subject != "b" || row < 700).then(|| noise(subject, row, column)),
                    ..plain()
                },
            )
        },
        Case {
            trains: wanted(0, &["f1", "no value of this feature in its last third"]),
            ..case(
                "a-feature-ends",
                Table {
                    cell: |subject, row, column| (column == 0 || row < 100).then(|| noise(subject, row, column)),
                    ..plain()
                },
                plain(),
            )
        },
        Case {
            trains: wanted(1, &["odd.csv", "f0", "comes after one of", "sort the samples"]),
            scores: wanted(1, &["odd.csv", "f0", "comes after one of", "sort the samples"]),
            n_scored: 0..=0,
            evaluates: Some(wanted(1, &["isn't after the one before", "sort the rows"])),
            ..case("clock-back", Table { lines: back, ..plain() }, Table { lines: back, ..plain() })
        },
        Case {
            trains: wanted(1, &["odd.csv", "f0", "two values at", "two rows are of the same time"]),
            scores: wanted(1, &["odd.csv", "f0", "two values at", "two rows are of the same time"]),
            n_scored: 0..=0,
            evaluates: Some(wanted(1, &["isn't after the one before"])),
            ..case("twice", Table { lines: twice, ..plain() }, Table { lines: twice, ..plain() })
        },
        Case {
            trains: wanted(1, &["20 usable rows", "120 are needed", "pull a longer history"]),
            scores: wanted(0, &["alerts=0"]),
            n_scored: 0..=5,
            evaluates: Some(wanted(1, &["usable rows", "are needed"])),
            ..case(
                "short",
                Table { lines: |row, line| if row < 20 { vec![line] } else { Vec::new() }, ..plain() },
                Table { lines: |row, line| if row < TRAINED + 5 { vec![line] } else { Vec::new() }, ..plain() },
            )
        },
        Case {
            trains: wanted(1, &["the files hold no measurement"]),
            scores: wanted(1, &["the files hold no measurement"]),
            n_scored: 0..=0,
            evaluates: Some(wanted(1, &["usable rows", "are needed"])),
            ..case("empty-cells", Table { cell: |_, _, _| None, ..plain() }, Table { cell: |_, _, _| None, ..plain() })
        },
    ]
}

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_homeostat")).current_dir(dir).args(args).output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What is wrong with how a command ended, if anything.
fn objection(what: &str, output: &Output, wanted: &Wanted) -> Option<String> {
    let told = text(output);
    let is_quiet = wanted.code != 0 || !wanted.says.is_empty() || !told.contains("level=warn");
    let missing: Vec<&&str> = wanted.says.iter().filter(|part| !told.contains(**part)).collect();
    let is_as_wanted = output.status.code() == Some(wanted.code) && missing.is_empty() && is_quiet;
    (!is_as_wanted)
        .then(|| format!("{what}: {:?} instead of {}, without {missing:?}: {told}", output.status.code(), wanted.code))
}

fn n_scored(csv: &str) -> usize {
    csv.lines().skip(1).filter(|line| line.split(',').nth(2).is_some_and(|score| !score.is_empty())).count()
}

fn try_case(case: &Case, plain_models: &str) -> Vec<String> {
    let room = tempfile::tempdir().expect("a directory");
    let dir = room.path();
    let file = dir.join("odd.csv");
    let mut found = Vec::new();
    std::fs::write(&file, case.train.text(0..TRAINED, false)).expect("written");
    let trained = run(dir, &["train", "odd.csv", "--output", "models"]);
    found.extend(objection(&format!("train {}", case.name), &trained, &case.trains));
    let models = if dir.join("models").exists() { "models" } else { plain_models };
    std::fs::write(&file, case.score.text(TRAINED..TRAINED + SCORED, false)).expect("written");
    let scored = run(dir, &["score", "odd.csv", "--bundle", models, "--output", "scores.csv"]);
    found.extend(objection(&format!("score {}", case.name), &scored, &case.scores));
    let n = std::fs::read_to_string(dir.join("scores.csv")).map_or(0, |csv| n_scored(&csv));
    if !case.n_scored.contains(&n) {
        found.push(format!("score {}: {n} rows have a score", case.name));
    }
    if let Some(wanted) = &case.evaluates {
        let series = case.train.text(0..TRAINED, true);
        let n_rows = series.lines().count() - 1;
        std::fs::write(&file, series).expect("written");
        let manifest = format!(
            r#"[{{"set":"s","series":"odd","path":"odd.csv","rows":{n_rows},"train_rows":{},"interval_s":{}}}]"#,
            n_rows * 2 / 3,
            case.train.step_s
        );
        std::fs::write(dir.join("manifest.json"), manifest).expect("written");
        let args = ["evaluate", "--dataset", ".", "--detectors=residual,dbscan", "--stamps=strict"];
        found.extend(objection(&format!("evaluate {}", case.name), &run(dir, &args), wanted));
    }
    found
}

#[test]
fn what_is_odd_is_taken_as_it_is_or_refused_in_a_sentence() {
    let room = tempfile::tempdir().expect("a directory");
    std::fs::write(room.path().join("plain.csv"), plain().text(0..TRAINED, false)).expect("written");
    let trained = run(room.path(), &["train", "plain.csv", "--output", "models"]);
    assert!(trained.status.success(), "{}", text(&trained));
    let models = room.path().join("models").display().to_string();
    let found: Vec<String> = cases().iter().flat_map(|case| try_case(case, &models)).collect();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}
