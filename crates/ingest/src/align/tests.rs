use std::time::Duration;

use homeostat_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::matrix::{Dropped, Labels, Sample};
use crate::query::tests::query;

fn series(workload: &str, pod: &str, points: &[(i64, f64)]) -> Series {
    let labels: Labels = [("namespace", "shop"), ("workload", workload), ("pod", pod)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let samples =
        points.iter().map(|(secs, value)| Sample { at: Timestamp::from_secs(*secs), value: *value }).collect();
    Series::new(labels, samples).0
}

fn matrix(series: Vec<Series>) -> Option<Matrix> {
    Some(Matrix::new(series, Dropped::default()))
}

fn grid(n_steps: usize) -> Grid {
    Grid::new(Timestamp::from_secs(0), Duration::from_secs(60), n_steps).expect("a grid")
}

fn queries(list: &[(&str, Aggregation, OnMissing)]) -> QuerySet {
    QuerySet::new(list.iter().map(|(name, aggregation, on_missing)| query(name, *aggregation, *on_missing)).collect())
        .expect("queries")
}

fn columns(window: &Window) -> Vec<Vec<Option<f64>>> {
    window
        .values()
        .columns()
        .into_iter()
        .map(|column| column.iter().map(|value| (!value.is_nan()).then_some(*value)).collect())
        .collect()
}

#[test]
fn samples_land_on_their_own_row_and_a_gap_is_a_gap() {
    let queries = queries(&[("cpu", Aggregation::Max, OnMissing::Gap), ("traffic", Aggregation::Sum, OnMissing::Gap)]);
    let cpu = matrix(vec![series("cart", "a", &[(0, 1.0), (120, 2.0)])]);
    let traffic = matrix(vec![series("cart", "a", &[(60, 5.0)]), series("api", "a", &[(0, 7.0)])]);
    let aligned = align(&queries, &[cpu, traffic], &SubjectRule::default(), &grid(3));
    let subjects: Vec<String> = aligned.windows.iter().map(|window| window.subject().to_string()).collect();
    assert_eq!(subjects, ["shop/deployment/api", "shop/deployment/cart"], "sorted by subject");
    assert_eq!(columns(&aligned.windows[0]), [[None, None, None], [Some(7.0), None, None]]);
    assert_eq!(columns(&aligned.windows[1]), [[Some(1.0), None, Some(2.0)], [None, Some(5.0), None]]);
}

#[test]
fn several_series_of_a_subject_become_one_value() {
    let pods = || matrix(vec![series("cart", "a", &[(0, 1.0), (60, 2.0)]), series("cart", "b", &[(0, 5.0)])]);
    for (aggregation, wanted) in
        [(Aggregation::Max, [5.0, 2.0]), (Aggregation::Sum, [6.0, 2.0]), (Aggregation::Mean, [3.0, 2.0])]
    {
        let aligned =
            align(&queries(&[("q", aggregation, OnMissing::Gap)]), &[pods()], &SubjectRule::default(), &grid(2));
        assert_eq!(columns(&aligned.windows[0]), [wanted.map(Some)], "{aggregation:?}");
    }
}

#[test]
fn what_finds_no_place_is_counted_by_query() {
    let lost = Series::new(Labels::new(), vec![Sample { at: Timestamp::from_secs(0), value: 1.0 }]).0;
    let between = series("cart", "a", &[(0, 1.0), (7, 2.0), (-60, 3.0), (600, 4.0)]);
    let queries = queries(&[("cpu", Aggregation::Max, OnMissing::Gap), ("traffic", Aggregation::Max, OnMissing::Gap)]);
    let aligned = align(&queries, &[matrix(vec![lost, between])], &SubjectRule::default(), &grid(2));
    assert_eq!(
        aligned.unplaced,
        [
            Unplaced { query: "cpu".into(), series_unmatched: 1, samples_off_grid: 1, ..Unplaced::default() },
            Unplaced { query: "traffic".into(), ..Unplaced::default() }
        ],
        "what lies before or after the grid is no mistake"
    );
}

#[test]
fn zeros_fill_only_where_the_subject_lives_and_the_answer_was_whole() {
    let queries =
        queries(&[("cpu", Aggregation::Max, OnMissing::Gap), ("oom-kills", Aggregation::Sum, OnMissing::Zero)]);
    let cpu = || matrix(vec![series("cart", "a", &[(0, 1.0), (120, 1.0)])]);
    let oom = vec![series("cart", "a", &[(180, 2.0)])];
    let rule = SubjectRule::default();

    let whole = align(&queries, &[cpu(), matrix(oom.clone())], &rule, &grid(4));
    assert_eq!(columns(&whole.windows[0])[1], [Some(0.0), None, Some(0.0), Some(2.0)]);

    let partial = Some(Matrix::new(oom, Dropped::default()).with_notes(vec!["a store is down".into()], vec![]));
    let partial = align(&queries, &[cpu(), partial], &rule, &grid(4));
    assert_eq!(columns(&partial.windows[0])[1], [None, None, None, Some(2.0)]);

    let failed = align(&queries, &[cpu(), None], &rule, &grid(4));
    assert_eq!(columns(&failed.windows[0])[1], [None; 4]);

    let empty = align(&queries, &[cpu(), matrix(vec![])], &rule, &grid(4));
    assert_eq!(columns(&empty.windows[0])[1], [Some(0.0), None, Some(0.0), None]);
}

#[test]
fn no_series_and_one_series_are_no_special_case() {
    let queries = queries(&[("cpu", Aggregation::Max, OnMissing::Gap)]);
    assert!(align(&queries, &[matrix(vec![])], &SubjectRule::default(), &grid(2)).windows.is_empty());
    assert!(align(&queries, &[], &SubjectRule::default(), &grid(2)).windows.is_empty());
    let outside = matrix(vec![series("cart", "a", &[(6000, 1.0)])]);
    assert!(align(&queries, &[outside], &SubjectRule::default(), &grid(2)).windows.is_empty());
}

#[test]
fn a_sum_that_overflows_is_a_gap() {
    let pods = matrix(vec![series("cart", "a", &[(0, f64::MAX)]), series("cart", "b", &[(0, f64::MAX)])]);
    let aligned =
        align(&queries(&[("q", Aggregation::Sum, OnMissing::Gap)]), &[pods], &SubjectRule::default(), &grid(1));
    assert_eq!(columns(&aligned.windows[0]), [[None]]);
}

/// Workload, pod and (step, value) points.
type Plain = (usize, usize, Vec<(i64, f64)>);

/// A few of each, so that they meet.
fn any_series() -> impl Strategy<Value = Vec<Plain>> {
    let points = proptest::collection::vec((-2i64..8, -1e6f64..1e6), 0..8);
    proptest::collection::vec((0usize..3, 0usize..3, points), 0..8)
}

fn built(list: &[Plain]) -> Vec<Series> {
    list.iter()
        .map(|(workload, pod, points)| {
            let points: Vec<(i64, f64)> = points.iter().map(|(step, value)| (step * 60, *value)).collect();
            series(&format!("w{workload}"), &format!("p{pod}"), &points)
        })
        .collect()
}

proptest! {
    #[test]
    fn a_value_is_never_invented(list in any_series()) {
        let grid = grid(6);
        let all = built(&list);
        let queries = queries(&[("q", Aggregation::Max, OnMissing::Gap)]);
        let aligned = align(&queries, &[matrix(all.clone())], &SubjectRule::default(), &grid);
        for window in &aligned.windows {
            for step_idx in 0..6 {
                let here: Vec<f64> = all
                    .iter()
                    .filter(|series| series.labels()["workload"] == window.subject().name)
                    .flat_map(|series| series.samples().iter())
                    .filter(|sample| sample.at == grid.at(step_idx))
                    .map(|sample| sample.value)
                    .collect();
                if window.is_present(step_idx, 0) {
                    prop_assert!(here.contains(&window.values()[[step_idx, 0]]));
                } else {
                    prop_assert!(here.is_empty(), "a sample was lost");
                }
            }
        }
    }

    #[test]
    fn the_order_of_series_changes_nothing(list in any_series(), turn in 0usize..8, aggregation in 0usize..3) {
        // Of two series with the same labels the first wins, so only different ones may change places.
        let mut seen = std::collections::BTreeSet::new();
        let list: Vec<_> = list.into_iter().filter(|(workload, pod, _)| seen.insert((*workload, *pod))).collect();
        let aggregation = [Aggregation::Max, Aggregation::Sum, Aggregation::Mean][aggregation];
        let queries = queries(&[("q", aggregation, OnMissing::Gap)]);
        let mut other = list.clone();
        other.reverse();
        let n = other.len().max(1);
        other.rotate_left(turn % n);
        let bits = |list: &[Plain]| -> Vec<(String, Vec<u64>)> {
            align(&queries, &[matrix(built(list))], &SubjectRule::default(), &grid(6))
                .windows
                .iter()
                .map(|window| (window.subject().to_string(), window.values().iter().map(|v| v.to_bits()).collect()))
                .collect()
        };
        prop_assert_eq!(bits(&list), bits(&other));
    }
}
