use homeostat_core::{Calibrated, DetectorVote, IncidentType, Subject, TailProbability, Timestamp, Vote};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};

use super::*;
use homeostat_core::RawScore;

fn row<'a>(subject: &'a Subject, idx: i64, votes: &'a [DetectorVote]) -> ScoredRow<'a> {
    ScoredRow {
        subject,
        at: Timestamp::from_secs(60 * idx),
        score: (idx % 3 != 0).then_some(idx as f64 / 2.0),
        lasting_score: Some(0.75),
        smoothed_score: Some(0.25),
        typed: (idx % 2 == 0).then_some((IncidentType::MemoryLeak, Calibrated::UNKNOWN)),
        alert: idx == 5,
        open: idx >= 5,
        votes,
    }
}

fn text(row: &Row) -> String {
    row.get_column_iter().map(|(name, field)| format!("{name}={field}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_are_read_back_in_groups_with_nulls_where_nothing_is_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("scores.parquet");
    let subject = Subject::deployment("shop", "cart");
    let tail = TailProbability::from_surprisal(1.5).expect("a surprisal");
    let votes = [DetectorVote { detector: "forest".into(), vote: Vote::Scored { raw: RawScore::ZERO, tail } }];
    let detectors = ["forest", "dbscan"].map(str::to_owned);
    let mut rows = ParquetRows::new(WholeFile::create(&path).expect("a file"), &detectors).expect("begun");
    let n_rows = GROUP_ROWS as i64 + 10;
    for idx in 0..n_rows {
        rows.push(&row(&subject, idx, &votes), &detectors).expect("written");
    }
    assert!(!path.exists(), "half a file has no name");
    rows.finish().expect("finished");

    let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("there")).expect("Parquet");
    assert_eq!(reader.num_row_groups(), 2);
    let read: Vec<Row> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(read.len() as i64, n_rows);
    let shown = text(&read[5]);
    for part in [
        "subject=\"shop/deployment/cart\"",
        "score=2.5",
        "alert=true",
        "open=true",
        "type=null",
        "forest=1.5",
        "dbscan=null",
    ] {
        assert!(shown.contains(part), "{part} isn't in {shown}");
    }
    assert!(
        text(&read[6]).contains("score=null") && text(&read[6]).contains("type=\"memory-leak\""),
        "{}",
        text(&read[6])
    );
    let stamp = read[GROUP_ROWS + 9].get_column_iter().next().map(|(_, field)| field.clone());
    assert_eq!(stamp, Some(Field::TimestampMillis((n_rows - 1) * 60_000)));
}
