use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::feature_table::FeatureTable;
use crate::readers::{Format, ReadError, ReadOptions, read_file};

/// Three minutes of two subjects.
fn write(path: &Path, compression: Compression) {
    let message = "message schema {
        REQUIRED INT64 timestamp (TIMESTAMP_MILLIS);
        REQUIRED BYTE_ARRAY subject (UTF8);
        REQUIRED DOUBLE cpu;
        OPTIONAL DOUBLE memory;
        REQUIRED INT64 restarts;
    }";
    let schema = Arc::new(parse_message_type(message).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let minutes: Vec<i64> = (0..6).map(|row| 1_700_000_040_000 + row / 2 * 60_000).collect();
    let subjects: Vec<ByteArray> = (0..6).map(|row| ["a", "b"][row % 2].into()).collect();
    let mut column = group.next_column().expect("a column").expect("timestamp");
    column.typed::<Int64Type>().write_batch(&minutes, None, None).expect("written");
    column.close().expect("closed");
    let mut column = group.next_column().expect("a column").expect("subject");
    column.typed::<ByteArrayType>().write_batch(&subjects, None, None).expect("written");
    column.close().expect("closed");
    let mut column = group.next_column().expect("a column").expect("cpu");
    column.typed::<DoubleType>().write_batch(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], None, None).expect("written");
    column.close().expect("closed");
    let mut column = group.next_column().expect("a column").expect("memory");
    column.typed::<DoubleType>().write_batch(&[7.0], Some(&[1, 0, 0, 0, 0, 0]), None).expect("written");
    column.close().expect("closed");
    let mut column = group.next_column().expect("a column").expect("restarts");
    column.typed::<Int64Type>().write_batch(&[0, 1, 0, 1, 0, 1], None, None).expect("written");
    column.close().expect("closed");
    group.close().expect("closed");
    writer.close().expect("closed");
}

fn read(path: &Path) -> Result<(Format, FeatureTable), ReadError> {
    let mut table = FeatureTable::new();
    read_file(path, &ReadOptions::default(), &mut table).map(|format| (format, table))
}

#[test]
fn a_wide_parquet_is_a_column_a_feature() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("any.name");
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())] {
        write(&path, compression);
        let (format, table) = read(&path).expect("read");
        assert_eq!(format, Format::Parquet);
        let windows = table.windows(None).expect("windows");
        assert_eq!(windows.len(), 2);
        let names: Vec<&str> = windows[0].schema().features().iter().map(|feature| feature.name.as_str()).collect();
        assert_eq!(names, ["cpu", "memory", "restarts"]);
        assert_eq!(windows[1].values().column(0).to_vec(), [1.0, 3.0, 5.0]);
        assert_eq!(windows[0].row(0).to_vec(), [0.0, 7.0, 0.0]);
        assert!(!windows[0].is_present(1, 1), "null is a gap");
    }
}

#[test]
fn a_parquet_that_was_cut_or_holds_other_types_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("cut.parquet");
    write(&path, Compression::SNAPPY);
    let whole = std::fs::read(&path).expect("bytes");
    std::fs::write(&path, &whole[..whole.len() - 20]).expect("cut");
    assert!(matches!(read(&path), Err(ReadError::CutShort { .. })));

    for (columns, part) in [
        ("REQUIRED BYTE_ARRAY blob;", "column blob holds bytes"),
        ("REPEATED DOUBLE cpus;", "column cpus holds lists"),
        ("REQUIRED INT64 cost (DECIMAL(10, 2));", "column cost holds decimals"),
        ("REQUIRED FIXED_LEN_BYTE_ARRAY (16) id;", "column id holds bytes of a fixed length"),
    ] {
        let message = format!("message schema {{ REQUIRED INT64 timestamp; {columns} }}");
        let schema = parse_message_type(&message).expect("a schema");
        let error = super::is_text(&schema.get_fields()[1]).expect_err(columns).to_string();
        assert!(error.contains(part), "{error}");
    }
}
