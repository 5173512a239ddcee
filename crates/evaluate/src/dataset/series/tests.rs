use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn entry(rows: usize) -> SeriesEntry {
    SeriesEntry {
        set: "set".into(),
        series: "one".into(),
        path: "set/one.csv.gz".into(),
        rows,
        train_rows: 1,
        interval_s: 60,
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("in memory");
    encoder.finish().expect("in memory")
}

fn read(text: &str, placement: Placement) -> Result<LabelledSeries, SeriesError> {
    let rows = text.lines().count().saturating_sub(1).max(1);
    LabelledSeries::read(&entry(rows), gzip(text).as_slice(), placement)
}

const GOOD: &str = "timestamp,a,b,label\n60,1.5,2,0\n120,,3,1\n180,2,4,0\n";

#[test]
fn rows_gaps_and_labels_are_read_gzipped_or_not() {
    for bytes in [gzip(GOOD), GOOD.as_bytes().to_vec(), GOOD.replace('\n', "\r\n").into_bytes()] {
        let series = LabelledSeries::read(&entry(3), bytes.as_slice(), Placement::Strict).expect("a series");
        assert_eq!(series.labels, [false, true, false]);
        assert_eq!(series.window.grid().start(), Timestamp::from_secs(60));
        assert!(!series.window.is_present(1, 0) && series.window.row(2)[1] == 4.0);
        assert_eq!(series.window.subject().to_string(), "set/external/one");
        assert_eq!((series.judged_labels(), series.stamps), (&[true, false][..], Stamps::default()));
    }
}

#[test]
fn several_gzip_members_are_one_file() {
    let (head, tail) = GOOD.split_at(30);
    let bytes = [gzip(head), gzip(tail)].concat();
    assert!(LabelledSeries::read(&entry(3), bytes.as_slice(), Placement::Strict).is_ok());
}

#[test]
fn a_truncated_gzip_says_so() {
    let long: String = (1..2000).map(|row| format!("{},{},0\n", row * 60, f64::from(row).sin())).collect();
    let bytes = gzip(&format!("timestamp,a,label\n{long}"));
    for n_bytes in [bytes.len() / 2, bytes.len() - 3] {
        let found = LabelledSeries::read(&entry(1999), &bytes[..n_bytes], Placement::Rows);
        assert!(matches!(found, Err(SeriesError::Truncated { .. })), "{n_bytes}: {found:?}");
    }
}

#[test]
fn what_is_missing_or_no_number_is_named_with_its_line() {
    // With its cause, as it is printed.
    let message = |text: &str| {
        let error = read(text, Placement::Rows).expect_err("bad");
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    };
    assert!(message("timestamp,a,b\n60,1,2\n").contains("\"label\""));
    assert!(message("time,a,label\n60,1,0\n").contains("\"timestamp\""));
    assert!(message("timestamp,label\n60,0\n").contains("feature"));
    assert!(message("timestamp,a,a,label\n60,1,1,0\n").contains("named"));
    assert!(message("timestamp,a,label\n60,1,0\n120,x,0\n").contains("line 3: \"x\" isn't a number"));
    assert!(message("timestamp,a,label\n60,1,2\n").contains("neither 0 nor 1"));
    assert!(message("timestamp,a,label\n60,1\n").contains("label"));
    assert!(message("timestamp,a,label\n60,1,0,0\n").contains("more than 1 features"));
    assert!(message("timestamp,a,label\nNaN,1,0\n").contains("isn't a time"));
    assert!(message("").contains("empty"));
    assert!(message("timestamp,a,label\n").contains("0 rows"));
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let text = format!("timestamp,a,label\n{}", "1".repeat(ROW_BYTES_MAX + 10));
    assert!(matches!(read(&text, Placement::Rows), Err(SeriesError::Row { .. })));
}

#[test]
fn odd_stamps_are_counted_or_refused() {
    let text = "timestamp,a,label\n60,1,0\n120,1,0\n120,1,0\n300,1,0\n";
    let series = read(text, Placement::Rows).expect("rows are rows");
    assert_eq!(series.stamps, Stamps { n_back: 1, n_irregular: 1 });
    assert_eq!(series.window.grid().end(), Timestamp::from_secs(240));
    assert!(matches!(read(text, Placement::Strict), Err(SeriesError::ClockBack { line: 4 })));
    let mixed = "timestamp,a,label\n60,1,0\n120,1,0\n300,1,0\n";
    assert!(matches!(read(mixed, Placement::Strict), Err(SeriesError::MixedIntervals { line: 4, .. })));
}
