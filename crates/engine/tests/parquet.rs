//! Parquet as an input: the same measurements as CSV give the same models, whatever the table's shape.
#![cfg(feature = "parquet")]
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests, outside a test function")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// A cell of the table: when (milliseconds), of which service, which feature, and its value.
type Measurement = (i64, &'static str, &'static str, f64);

/// Two features of two services over 300 minutes, with gaps.
fn measurements() -> Vec<Measurement> {
    let mut all = Vec::new();
    for row in 0..300_i64 {
        for (salt, service) in [(5, "cart"), (77, "pay")] {
            for (more, feature) in [(0, "cpu"), (31, "latency")] {
                let value = (row * 7919 + salt + more).rem_euclid(97) as f64 / 97.0;
                if (row + salt + more) % 41 != 0 {
                    all.push((1_767_571_200_000 + row * 60_000, service, feature, value));
                }
            }
        }
    }
    all
}

/// By moment and service, a value a feature.
fn wide() -> BTreeMap<(i64, &'static str), [Option<f64>; 2]> {
    let mut rows: BTreeMap<(i64, &str), [Option<f64>; 2]> = BTreeMap::new();
    for (at, service, feature, value) in measurements() {
        rows.entry((at, service)).or_default()[usize::from(feature == "latency")] = Some(value);
    }
    rows
}

fn wide_csv() -> String {
    let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let line = |((at, service), cells): ((i64, &str), [Option<f64>; 2])| {
        format!("{at},shop,{service},{},{}\n", cell(cells[0]), cell(cells[1]))
    };
    format!("time,namespace,workload,cpu,latency\n{}", wide().into_iter().map(line).collect::<String>())
}

fn long_csv() -> String {
    let line = |(at, service, feature, value)| format!("{at},shop,{service},{feature},{value}\n");
    format!("time,namespace,workload,feature,value\n{}", measurements().into_iter().map(line).collect::<String>())
}

enum Column {
    Moments(Vec<i64>),
    Texts(Vec<&'static str>),
    Numbers(Vec<Option<f64>>),
}

fn write(path: &Path, columns: &[(&str, Column)]) {
    let typed = columns.iter().map(|(name, column)| match column {
        Column::Moments(_) => format!("REQUIRED INT64 {name} (TIMESTAMP_MILLIS);"),
        Column::Texts(_) => format!("REQUIRED BYTE_ARRAY {name} (UTF8);"),
        Column::Numbers(_) => format!("OPTIONAL DOUBLE {name};"),
    });
    let message = format!("message table {{ {} }}", typed.collect::<Vec<_>>().join(" "));
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&message).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    for (name, values) in columns {
        let mut column = group.next_column().expect("a column").expect(name);
        let written = match values {
            Column::Moments(values) => column.typed::<Int64Type>().write_batch(values, None, None),
            Column::Texts(values) => {
                let values: Vec<ByteArray> = values.iter().map(|text| (*text).into()).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)
            }
            Column::Numbers(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                let there: Vec<f64> = values.iter().copied().flatten().collect();
                column.typed::<DoubleType>().write_batch(&there, Some(&levels), None)
            }
        };
        written.expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
}

fn write_wide(path: &Path) {
    let rows = wide();
    write(
        path,
        &[
            ("time", Column::Moments(rows.keys().map(|key| key.0).collect())),
            ("namespace", Column::Texts(vec!["shop"; rows.len()])),
            ("workload", Column::Texts(rows.keys().map(|key| key.1).collect())),
            ("cpu", Column::Numbers(rows.values().map(|cells| cells[0]).collect())),
            ("latency", Column::Numbers(rows.values().map(|cells| cells[1]).collect())),
        ],
    );
}

fn write_long(path: &Path) {
    let rows = measurements();
    write(
        path,
        &[
            ("time", Column::Moments(rows.iter().map(|row| row.0).collect())),
            ("namespace", Column::Texts(vec!["shop"; rows.len()])),
            ("workload", Column::Texts(rows.iter().map(|row| row.1).collect())),
            ("feature", Column::Texts(rows.iter().map(|row| row.2).collect())),
            ("value", Column::Numbers(rows.iter().map(|row| Some(row.3)).collect())),
        ],
    );
}

/// The bytes of the models, without the manifest, which says when and from what they were made.
fn trained(dir: &Path, file: &str, config: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let bundle = dir.join(format!("{file}.bundle"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.args(["--log.level=warn", "train", "--config.file"]).arg(config).arg(dir.join(file));
    let output = command.arg("--output").arg(&bundle).output().expect("the program runs");
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    let mut files = BTreeMap::new();
    let mut open = vec![bundle.clone()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|name| name != "manifest.json") {
                let name = path.strip_prefix(&bundle).expect("inside").to_owned();
                files.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    assert!(!files.is_empty(), "{file}: an empty bundle");
    files
}

#[test]
fn parquet_gives_the_models_of_csv_byte_for_byte_long_and_wide() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("homeostat.yml");
    let queries = "queries: {cpu: {expr: cpu}, latency: {expr: latency}}";
    let text =
        format!("datasources: [{{url: 'http://127.0.0.1:9'}}]\n{queries}\ndetectors: [forest, residual, dbscan]\n");
    std::fs::write(&config, text).expect("written");
    std::fs::write(dir.path().join("wide.csv"), wide_csv()).expect("written");
    std::fs::write(dir.path().join("long.csv"), long_csv()).expect("written");
    write_wide(&dir.path().join("wide.parquet"));
    write_long(&dir.path().join("long.parquet"));
    let wanted = trained(dir.path(), "wide.csv", &config);
    for file in ["long.csv", "wide.parquet", "long.parquet"] {
        assert!(trained(dir.path(), file, &config) == wanted, "{file} gives other models");
    }
}
