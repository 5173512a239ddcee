use proptest::prelude::*;

use super::*;
use crate::align::align;
use crate::matrix::{Dropped, Labels, Sample, Series};
use crate::query::tests::query;
use crate::query::{Aggregation, OnMissing};

const STEP: Duration = Duration::from_secs(60);

fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(n * 60)
}

fn config(n_steps: usize) -> FeedConfig {
    let queries =
        vec![query("cpu", Aggregation::Max, OnMissing::Gap), query("oom-kills", Aggregation::Sum, OnMissing::Zero)];
    let queries = QuerySet::new(queries).expect("queries");
    FeedConfig { queries, rule: SubjectRule::default(), step: STEP, n_steps, subjects_max: 3 }
}

fn feed(n_steps: usize) -> Feed {
    Feed::new(config(n_steps)).expect("a feed")
}

/// A matrix from (workload, minute, value).
fn matrix(points: &[(&str, i64, f64)]) -> Option<Matrix> {
    let series = points
        .iter()
        .map(|(workload, at, value)| {
            let labels: Labels =
                [("namespace", "shop"), ("workload", *workload)].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
            Series::new(labels, vec![Sample { at: minute(*at), value: *value }]).0
        })
        .collect();
    Some(Matrix::new(series, Dropped::default()))
}

fn none() -> Option<Matrix> {
    matrix(&[])
}

/// The windows as (name, one list of values a feature).
fn shown(windows: &[Window]) -> Vec<(String, Vec<Vec<Option<f64>>>)> {
    windows
        .iter()
        .map(|window| {
            let columns = window.values();
            let columns = columns.columns().into_iter();
            let columns = columns.map(|column| column.iter().map(|v| (!v.is_nan()).then_some(*v)).collect()).collect();
            (window.subject().name.clone(), columns)
        })
        .collect()
}

fn cpu_at(feed: &Feed, at: i64) -> Vec<Option<f64>> {
    let windows = feed.windows_at(minute(at)).expect("windows");
    assert!(windows.iter().all(|window| window.grid().end() == minute(at)));
    shown(&windows).into_iter().next().map(|(_, columns)| columns[0].clone()).unwrap_or_default()
}

#[test]
fn rows_roll_and_every_window_ends_where_asked() {
    let mut feed = feed(3);
    assert!(feed.windows_at(minute(0)).expect("windows").is_empty());
    for at in 0..5 {
        feed.push(&[matrix(&[("cart", at, at as f64)]), none()], minute(at), minute(at)).expect("pushed");
    }
    assert_eq!(cpu_at(&feed, 4), [Some(2.0), Some(3.0), Some(4.0)]);
    assert_eq!(cpu_at(&feed, 5), [Some(3.0), Some(4.0), None], "what was not pushed is not known");
    let passed = feed.windows_at(minute(3)).expect_err("passed");
    assert_eq!(passed, FeedError::Passed { at: minute(3), end: minute(4) });
}

#[test]
fn a_row_pushed_again_only_fills_gaps() {
    let mut feed = feed(3);
    feed.push(&[matrix(&[("cart", 1, 1.0)]), none()], minute(0), minute(1)).expect("pushed");
    let again = matrix(&[("cart", 0, 7.0), ("cart", 1, 9.0), ("cart", 2, 2.0)]);
    let pushed = feed.push(&[again, none()], minute(0), minute(2)).expect("pushed");
    assert_eq!(cpu_at(&feed, 2), [Some(7.0), Some(1.0), Some(2.0)]);
    assert_eq!(pushed.samples_late, 1);
}

#[test]
fn a_late_sample_replaces_an_assumed_zero() {
    let mut feed = feed(2);
    feed.push(&[matrix(&[("cart", 1, 1.0)]), none()], minute(1), minute(1)).expect("pushed");
    assert_eq!(shown(&feed.windows_at(minute(1)).expect("windows"))[0].1[1], [None, Some(0.0)]);
    feed.push(&[none(), matrix(&[("cart", 1, 3.0)])], minute(1), minute(1)).expect("pushed");
    assert_eq!(shown(&feed.windows_at(minute(1)).expect("windows"))[0].1[1], [None, Some(3.0)]);
}

#[test]
fn an_unanswered_query_gives_gaps_not_zeros() {
    let mut feed = feed(2);
    feed.push(&[matrix(&[("cart", 1, 1.0)]), none()], minute(1), minute(1)).expect("pushed");
    feed.push(&[matrix(&[("cart", 2, 1.0)]), None], minute(2), minute(2)).expect("pushed");
    assert_eq!(shown(&feed.windows_at(minute(2)).expect("windows"))[0].1[1], [Some(0.0), None]);
}

#[test]
fn a_subject_that_vanishes_gets_gaps_and_is_then_forgotten() {
    let mut feed = feed(3);
    feed.push(&[matrix(&[("cart", 0, 1.0)]), none()], minute(0), minute(0)).expect("pushed");
    for (at, wanted) in [(1, vec![None, Some(1.0), None]), (2, vec![Some(1.0), None, None]), (3, vec![])] {
        feed.push(&[none(), none()], minute(at), minute(at)).expect("pushed");
        assert_eq!(cpu_at(&feed, at), wanted);
    }
    assert_eq!(feed.n_subjects(), 0);
}

#[test]
fn a_long_silence_leaves_nothing_of_before() {
    let mut feed = feed(3);
    feed.push(&[matrix(&[("cart", 0, 1.0), ("api", 0, 1.0)]), none()], minute(0), minute(0)).expect("pushed");
    feed.push(&[matrix(&[("cart", 100, 2.0)]), none()], minute(100), minute(100)).expect("pushed");
    let found = shown(&feed.windows_at(minute(100)).expect("windows"));
    let cpu = vec![None, None, Some(2.0)];
    assert_eq!(found, [("cart".to_owned(), vec![cpu, vec![None, None, Some(0.0)]])]);
}

#[test]
fn the_number_of_subjects_is_bounded_and_room_is_made_again() {
    let mut feed = feed(2);
    let many = matrix(&[("a", 0, 1.0), ("b", 0, 1.0), ("c", 0, 1.0), ("d", 0, 1.0), ("e", 0, 1.0)]);
    let pushed = feed.push(&[many, none()], minute(0), minute(0)).expect("pushed");
    assert_eq!((feed.n_subjects(), pushed.subjects_refused), (3, 2));
    let pushed = feed.push(&[matrix(&[("d", 9, 1.0)]), none()], minute(9), minute(9)).expect("pushed");
    assert_eq!((feed.n_subjects(), pushed.subjects_refused), (1, 0));
}

#[test]
fn steps_that_make_no_sense_are_refused_and_old_ones_ignored() {
    let mut feed = feed(3);
    let off = Timestamp::from_secs(61);
    assert!(matches!(feed.push(&[], minute(2), minute(1)), Err(FeedError::Backwards { .. })));
    assert!(matches!(feed.push(&[], off, minute(9)), Err(FeedError::Grid(_))));
    assert!(matches!(feed.push(&[], minute(0), off), Err(FeedError::Grid(_))));
    feed.push(&[none(), none()], minute(9), minute(9)).expect("pushed");
    assert!(matches!(feed.windows_at(Timestamp::from_secs(601)), Err(FeedError::Grid(_))));
    feed.push(&[matrix(&[("cart", 1, 1.0)]), none()], minute(0), minute(1)).expect("pushed");
    assert_eq!((feed.n_subjects(), feed.end()), (0, Some(minute(9))));
    assert!(Feed::new(config(0)).is_err());
}

fn any_points() -> impl Strategy<Value = Vec<(usize, i64, f64)>> {
    proptest::collection::vec((0usize..3, 0i64..20, -5.0f64..5.0), 0..60)
}

fn named(points: &[(usize, i64, f64)]) -> Option<Matrix> {
    let points: Vec<(&str, i64, f64)> = points.iter().map(|(w, at, v)| (["a", "b", "c"][*w], *at, *v)).collect();
    matrix(&points)
}

proptest! {
    #[test]
    fn step_by_step_gives_what_aligning_all_at_once_gives(
        cpu in any_points(), oom in any_points(), chunk in 1i64..9, overlap in 0i64..4,
    ) {
        let matrices = [named(&cpu), named(&oom)];
        let mut feed = feed(4);
        let mut from = 0;
        while from < 20 {
            let to = (from + chunk - 1).min(19);
            feed.push(&matrices, minute((from - overlap).max(0)), minute(to)).expect("pushed");
            let grid = Grid::ending_at(minute(to), STEP, 4).expect("a grid");
            // Before minute 0 nothing was pushed, so nothing was answered there, and nothing was measured either.
            let at_once = align(&feed.config.queries, &matrices, &feed.config.rule, &grid);
            let rolled = feed.windows_at(minute(to)).expect("windows");
            prop_assert_eq!(shown(&rolled), shown(&at_once.windows));
            from = to + 1;
        }
    }
}

#[test]
fn a_full_feed_still_takes_those_that_have_models() {
    let mut feed = feed(3);
    feed.prefer([Subject::deployment("shop", "zebra")]);
    let all = matrix(&[("a", 1, 1.0), ("b", 1, 1.0), ("c", 1, 1.0), ("d", 1, 1.0), ("zebra", 1, 1.0)]);
    let pushed = feed.push(&[all, none()], minute(1), minute(1)).expect("pushed");
    assert_eq!(pushed.subjects_refused, 1, "the limit is three");
    let windows = feed.windows_at(minute(1)).expect("windows");
    assert!(windows.iter().any(|window| window.subject().name == "zebra"));
}

#[test]
fn what_a_push_was_worth_is_told_by_query() {
    use crate::quality::AnswerState;
    let mut feed = feed(20);
    let labels = [("namespace", "shop"), ("pod", "x")].map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    let nameless = Series::new(labels, vec![Sample { at: minute(1), value: 1.0 }]).0;
    let nameless = Some(Matrix::new(vec![nameless], Dropped::default()));
    let quality = feed.push(&[nameless, none()], minute(1), minute(1)).expect("pushed").quality;
    assert_eq!(quality.queries[0].state, AnswerState::NoSubject);
    assert_eq!(quality.queries[1].state, AnswerState::Usable, "no kills have no series");
    let unanswered = feed.push(&[None, None], minute(2), minute(2)).expect("pushed").quality;
    assert_eq!(unanswered.queries[0].n_series, 0);
    feed.push(&[matrix(&[("cart", 3, 1.0)]), none()], minute(3), minute(3)).expect("pushed");
    let later = feed.push(&[none(), none()], minute(4), minute(9)).expect("pushed").quality;
    assert_eq!(later.silent, [(Subject::deployment("shop", "cart"), minute(3))]);
}
