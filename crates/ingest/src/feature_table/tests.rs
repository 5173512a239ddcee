use std::io::Cursor;

use super::*;
use crate::readers::{ReadOptions, read_samples};

fn table(text: &str) -> Result<FeatureTable, ReadError> {
    let mut table = FeatureTable::new();
    read_samples(Cursor::new(text.as_bytes().to_vec()), &ReadOptions::default(), &mut table).map(|_| table)
}

#[test]
fn every_column_is_a_feature_and_rows_keep_their_places() {
    let text = "time,cpu,Queue Lag\n1700000047,1,\n1700000107,2,5\n1700000227,3,6\n";
    let windows = table(text).expect("read").windows(None).expect("windows");
    let window = &windows[0];
    assert_eq!(window.subject().to_string(), "data/external/series");
    assert_eq!(window.grid().step(), Duration::from_secs(60));
    let names: Vec<&str> = window.schema().features().iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["cpu", "Queue Lag"]);
    let cpu: Vec<f64> = window.values().column(0).to_vec();
    assert!(cpu[0] == 1.0 && cpu[1] == 2.0 && cpu[2].is_nan() && cpu[3] == 3.0, "{cpu:?}");
    assert!(!window.is_present(0, 1));
}

#[test]
fn subjects_come_from_their_columns() {
    let text = "time,subject,cpu\n60,shop/deployment/cart,1\n60,other,5\n120,shop/deployment/cart,2\n";
    let windows = table(text).expect("read").windows(None).expect("windows");
    let subjects: Vec<String> = windows.iter().map(|window| window.subject().to_string()).collect();
    assert_eq!(subjects, ["data/external/other", "shop/deployment/cart"]);
    assert_eq!(windows[0].grid(), windows[1].grid(), "all over the same rows");
    let text = "time,pod,cpu\n60,a,1\n60,b,5\n";
    assert!(table(text).expect_err("who?").to_string().contains("add one called subject"));
}

#[test]
fn mixed_intervals_one_row_and_nothing_are_refused() {
    let windows = |text: &str| table(text).expect("read").windows(None);
    let mixed = windows("time,cpu\n0,1\n60,1\n120,1\n150,1\n180,1\n240,1\n").expect_err("mixed");
    assert!(matches!(mixed, TableError::MixedIntervals { step, .. } if step == Duration::from_secs(60)), "{mixed}");
    assert!(matches!(windows("time,cpu\n60,1\n"), Err(TableError::OneRow)));
    let far = windows("time,cpu\n0,1\n1,1\n2,1\n99999999999,1\n");
    assert!(matches!(far, Err(TableError::TooLong { .. })), "a mistyped year isn't allocated");
}

#[test]
fn models_say_which_columns_and_which_step() {
    let trained = table("time,cpu,memory\n0,1,2\n60,1,2\n").expect("read").windows(None).expect("windows");
    let schema = trained[0].schema();
    let step = Duration::from_secs(60);
    let text = "time,memory,disk,cpu\n600,1,2,3\n660,4,5,6\n";
    let windows = table(text).expect("read").windows(Some((schema, step))).expect("windows");
    assert_eq!(windows[0].schema(), schema);
    assert_eq!(windows[0].row(0).to_vec(), [3.0, 1.0], "by name, in the models' order");
    let missing = table("time,cpu\n0,1\n60,1\n").expect("read").windows(Some((schema, step))).expect_err("no memory");
    assert!(missing.to_string().contains("no column memory"), "{missing}");
}

#[test]
fn raw_series_need_a_config() {
    assert!(table("up 1 60\n# EOF\n").expect_err("raw").to_string().contains("--config.file"));
}

#[test]
fn a_column_that_is_empty_throughout_is_named() {
    let mut table = FeatureTable::new();
    let text = "time,cpu,gpu\n60,1,\n120,,\n180,2,\n";
    read_samples(Cursor::new(text), &ReadOptions::default(), &mut table).expect("read");
    assert_eq!(table.empty_columns().collect::<Vec<_>>(), ["gpu"]);
}
