use super::*;
use crate::feed::{Feed, FeedConfig};
use crate::matrix::{Dropped, Labels, Sample, Series};
use crate::query::tests::query;
use crate::query::{Aggregation, OnMissing, Query};

const STEP: Duration = Duration::from_secs(60);

fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(n * 60)
}

fn queries() -> QuerySet {
    let rate = Query { expr: "rate(x[3m])".into(), ..query("rate", Aggregation::Sum, OnMissing::Gap) };
    QuerySet::new(vec![rate, query("kills", Aggregation::Sum, OnMissing::Zero)]).expect("queries")
}

/// Minutes `from..=to` of some workloads; each is away for a while of its own.
fn page(n_workloads: i64, from: i64, to: i64) -> Matrix {
    let series = (0..n_workloads).map(|idx| {
        let labels = [("namespace", "shop".to_owned()), ("workload", format!("w{idx}"))];
        let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value)).into();
        let is_there = |at: &i64| !(idx * 3 + 5..idx * 3 + 9).contains(at);
        let samples = (from..=to).filter(is_there).map(|at| Sample { at: minute(at), value: (at * 7 + idx) as f64 });
        Series::new(labels, samples.collect()).0
    });
    Matrix::new(series.filter(|series| !series.samples().is_empty()).collect(), Dropped::default())
}

#[test]
fn windows_are_those_of_a_feed_that_was_given_all_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let grid = Grid::new(minute(0), STEP, 40).expect("a grid");
    let mut history = History::new(queries(), SubjectRule::default(), grid, 100, dir.path()).expect("a history");
    for (from, to) in [(0, 6), (7, 7), (8, 25), (26, 39)] {
        history.put(0, &page(5, from, to), minute(from), minute(to)).expect("put");
        history.put(1, &Matrix::default(), minute(from), minute(to)).expect("put");
    }
    let config =
        FeedConfig { queries: queries(), rule: SubjectRule::default(), step: STEP, n_steps: 40, subjects_max: 100 };
    let mut feed = Feed::new(config).expect("a feed");
    feed.push(&[Some(page(5, 0, 39)), Some(Matrix::default())], minute(0), minute(39)).expect("pushed");
    let mut windows: Vec<Window> =
        (0..history.subjects().len()).filter_map(|idx| history.window(idx).expect("readable")).collect();
    windows.sort_by(|a, b| a.subject().cmp(b.subject()));
    let wanted = feed.windows_at(minute(39)).expect("windows");
    assert_eq!(windows.len(), 5);
    for (window, wanted) in windows.iter().zip(&wanted) {
        let bits = |window: &Window| window.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!((window.subject(), bits(window)), (wanted.subject(), bits(wanted)));
    }
    assert_eq!(history.totals()[0].n_subjects, 5);
    assert_eq!(history.totals()[0].n_samples, 5 * 36);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0, "the file has no name");
}

#[test]
fn more_subjects_than_the_limit_are_refused_by_the_keys_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let grid = Grid::new(minute(0), STEP, 4).expect("a grid");
    let mut history = History::new(queries(), SubjectRule::default(), grid, 2, dir.path()).expect("a history");
    let refused = history.put(0, &page(3, 0, 3), minute(0), minute(3)).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|why| why.contains("limits.workloads_max")));
}

#[test]
fn a_gap_of_the_source_is_a_gap_of_every_workload() {
    let dir = tempfile::tempdir().expect("a directory");
    let grid = Grid::new(minute(20), STEP, 20).expect("a grid");
    let mut history = History::new(queries(), SubjectRule::default(), grid, 9, dir.path()).expect("a history");
    history.put(0, &page(1, 20, 39), minute(20), minute(39)).expect("put");
    let ages = (20..40).filter(|at| !(30..32).contains(at));
    let ages = ages.map(|at| Sample { at: minute(at), value: (at * 60 - 2) as f64 }).collect();
    history.put_scrapes(&Matrix::new(vec![Series::new(Labels::new(), ages).0], Dropped::default()));
    let window = history.window(0).expect("readable").expect("a subject");
    let shown: String = window.values().column(0).iter().map(|value| if value.is_nan() { '.' } else { 'x' }).collect();
    assert_eq!(shown, "xxxxxxxxxx.....xxxxx");
}
