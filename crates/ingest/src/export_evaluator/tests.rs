use std::io::Cursor;

use super::*;
use crate::query::tests::query;
use crate::query::{Aggregation, OnMissing, Query};
use crate::readers::{ReadOptions, read_samples};

const STEP: Duration = Duration::from_secs(60);

fn queries(exprs: &[(&str, &str)]) -> QuerySet {
    let one = |(name, expr): &(&str, &str)| Query {
        expr: (*expr).to_owned(),
        ..query(name, Aggregation::Max, OnMissing::Gap)
    };
    QuerySet::new(exprs.iter().map(one).collect()).expect("queries")
}

fn evaluator(exprs: &[(&str, &str)]) -> ExportEvaluator {
    ExportEvaluator::new(&queries(exprs), &SubjectRule::default(), STEP, DecodeLimits::default())
}

fn read(evaluator: &mut ExportEvaluator, text: &str, feature: Option<&str>) -> Result<(), ReadError> {
    let options = ReadOptions { format: None, feature: feature.map(str::to_owned) };
    read_samples(Cursor::new(text.as_bytes().to_vec()), &options, evaluator).map(|_| ())
}

const CART: &str = r#"namespace="shop",workload="cart""#;

fn raw() -> String {
    let mut text = String::new();
    for idx in 0..20 {
        text.push_str(&format!("requests_total{{{CART},pod=\"a\"}} {} {}\n", idx * 30, 1_699_999_990 + idx * 15));
    }
    for idx in 0..20 {
        text.push_str(&format!("other{{{CART},pod=\"a\"}} {idx} {}\n", 1_699_999_990 + idx * 15));
    }
    text + "# EOF\n"
}

#[test]
fn raw_samples_answer_queries() {
    let mut evaluator = evaluator(&[("traffic", "sum by (namespace, workload) (rate(requests_total[1m]))")]);
    read(&mut evaluator, &raw(), None).expect("read");
    assert_eq!(evaluator.targets.len(), 1, "what no query selects isn't kept");
    let evaluated = evaluator.finish().expect("answers");
    let matrix = evaluated.matrices[0].as_ref().expect("an answer");
    let series = &matrix.series()[0];
    let subject = SubjectRule::default().subject(series.labels()).expect("a subject");
    assert_eq!(subject.to_string(), "shop/deployment/cart");
    for sample in &series.samples()[1..] {
        assert!((sample.value - 2.0).abs() < 1e-12 && sample.at.align_down(STEP) == sample.at, "{sample:?}");
    }
}

#[test]
fn queries_that_raw_samples_cannot_answer_are_all_named() {
    let mut evaluator = evaluator(&[("a", "requests_total"), ("b", "histogram_quantile(0.9, x)"), ("c", "x and y")]);
    read(&mut evaluator, &raw(), None).expect("read");
    let error = evaluator.finish().expect_err("two can't").to_string();
    for part in ["b (`histogram_quantile()`", "c (`and`", "query_range"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("a (`"), "{error}");
}

#[test]
fn answers_stand_for_what_cannot_be_evaluated() {
    let mut evaluator = evaluator(&[("traffic", "requests_total"), ("latency", "histogram_quantile(0.9, x)")]);
    read(&mut evaluator, &raw(), None).expect("read");
    let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"namespace":"shop","workload":"cart"},"values":[[1700000040,"0.5"]]}]}}"#;
    read(&mut evaluator, answer, Some("latency")).expect("read");
    let evaluated = evaluator.finish().expect("answers");
    assert_eq!(evaluated.matrices.iter().flatten().count(), 2);
    assert_eq!(evaluated.matrices[1].as_ref().map(Matrix::n_samples), Some(1));
}

#[test]
fn a_table_answers_by_its_columns_names_and_subjects() {
    let mut evaluator = evaluator(&[("cpu", "whatever()"), ("memory", "whatever()")]);
    let table =
        "time,subject,cpu,memory,disk\n1700000047,shop/deployment/cart,1,2,3\n1700000107,shop/deployment/cart,4,,6\n";
    read(&mut evaluator, table, None).expect("read");
    let evaluated = evaluator.finish().expect("answers");
    assert_eq!(evaluated.unknown_features, ["disk"]);
    let cpu = evaluated.matrices[0].as_ref().expect("cpu");
    let subject = SubjectRule::default().subject(cpu.series()[0].labels()).expect("a subject");
    assert_eq!(subject.to_string(), "shop/deployment/cart");
    let moments: Vec<i64> = cpu.series()[0].samples().iter().map(|sample| sample.at.as_millis() / 1000).collect();
    assert_eq!(moments, [1_700_000_040, 1_700_000_100], "seven seconds past each minute are that minute");
}

#[test]
fn a_subject_that_the_config_cannot_mean_is_refused() {
    let mut evaluator = evaluator(&[("cpu", "x")]);
    let table = "time,subject,cpu\n1700000040,shop/daemon-set/cart,1\n";
    let error = read(&mut evaluator, table, None).expect_err("another kind").to_string();
    assert!(error.contains("shop/daemon-set/cart") && error.contains("`subjects`"), "{error}");
}

#[test]
fn mixed_intervals_are_refused() {
    let mut evaluator = evaluator(&[("cpu", "x")]);
    read(&mut evaluator, "time,cpu\n1700000040,1\n1700000100,2\n1700000130,3\n", None).expect("read");
    let error = evaluator.finish().expect_err("mixed").to_string();
    assert!(error.contains("query cpu") && error.contains("2023-11-14T22:15:30Z") && error.contains("1m"), "{error}");
}

#[test]
fn a_clock_that_goes_back_is_refused_and_a_shared_edge_is_not() {
    let back = "x{pod=\"a\"} 1 60\nx{pod=\"a\"} 2 120\nx{pod=\"a\"} 2 120\nx{pod=\"a\"} 3 90\n# EOF\n";
    let error = read(&mut evaluator(&[("cpu", "x")]), back, None).expect_err("back").to_string();
    assert!(error.contains("x{pod=\"a\"}") && error.contains("00:01:30Z comes after one of"), "{error}");
}

#[test]
fn two_series_of_the_same_labels_are_refused() {
    let twice = "x{pod=\"a\"} 1 60\nx{pod=\"a\"} 2 60\n# EOF\n";
    let error = read(&mut evaluator(&[("cpu", "x")]), twice, None).expect_err("twice").to_string();
    assert!(error.contains("two values") && error.contains("1 and 2"), "{error}");
    let rows = "time,cpu\n60,1\n60,2\n";
    let error = read(&mut evaluator(&[("cpu", "x")]), rows, None).expect_err("twice");
    assert!(matches!(error, ReadError::Duplicate { .. }), "{error}");
}

#[test]
fn nothing_and_half_are_told_apart() {
    let mut foreign = evaluator(&[("cpu", "x")]);
    read(&mut foreign, &raw(), None).expect("read");
    assert!(matches!(foreign.finish(), Err(ExportEvaluatorError::Nothing)));
    let mut half = evaluator(&[("cpu", "x"), ("memory", "y")]);
    read(&mut half, "time,cpu\n1700000040,1\n", None).expect("read");
    match half.finish() {
        Err(ExportEvaluatorError::Missing { queries }) => assert_eq!(queries, ["memory"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let limits = DecodeLimits { series_max: 1, samples_max: 10 };
    let queries = queries(&[("cpu", "requests_total")]);
    let mut small = ExportEvaluator::new(&queries, &SubjectRule::default(), STEP, limits);
    let table = "time,cpu\n".to_owned() + &(0..11).map(|idx| format!("{},1\n", idx * 60)).collect::<String>();
    assert!(matches!(read(&mut small, &table, None), Err(ReadError::TooMuch { limit: 10, .. })));
    let mut small = ExportEvaluator::new(&queries, &SubjectRule::default(), STEP, limits);
    let two = "requests_total{pod=\"a\"} 1 60\nrequests_total{pod=\"b\"} 1 60\n# EOF\n";
    assert!(matches!(read(&mut small, two, None), Err(ReadError::TooMuch { limit: 1, .. })));
}

#[test]
fn raw_samples_say_when_the_source_scraped_and_when_it_did_not() {
    let mut evaluator = evaluator(&[("traffic", "sum by (namespace, workload) (rate(requests_total[1m]))")]);
    let mut text = String::new();
    for scrape in (0..40).chain(80..100) {
        text.push_str(&format!("requests_total{{{CART}}} {} {}\n", scrape * 30, 1_700_000_000 + scrape * 15));
    }
    read(&mut evaluator, &(text + "# EOF\n"), None).expect("read");
    let scrapes = evaluator.finish().expect("answers").scrapes.expect("raw samples");
    let ages: Vec<i64> =
        scrapes.series()[0].samples().iter().map(|sample| sample.at.as_millis() / 1000 - sample.value as i64).collect();
    assert_eq!(ages.iter().filter(|age| **age < 15).count(), 15, "{ages:?}");
    assert!(ages.iter().max().is_some_and(|oldest| (241..=300).contains(oldest)), "five minutes back, and no further");
    let moments: Vec<i64> = scrapes.series()[0].samples().iter().map(|sample| sample.at.as_millis() / 60_000).collect();
    assert!(moments.windows(2).any(|pair| pair[1] - pair[0] > 4), "the gap has no answer: {moments:?}");
}

#[test]
fn samples_of_another_step_are_one_clear_sentence() {
    for (step_s, found) in [(300, "5m apart"), (15, "15s apart")] {
        let mut evaluator = evaluator(&[("cpu", "cpu")]);
        let rows: String = (0..9).map(|row| format!("{},1\n", 1_700_000_040 + row * step_s)).collect();
        read(&mut evaluator, &format!("time,cpu\n{rows}"), None).expect("read");
        let error = evaluator.finish().expect_err("another step").to_string();
        assert!(error.contains(found) && error.contains("global.step is 1m"), "{error}");
    }
}
