use homeostat_core::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::matrix::{Labels, Sample};

fn check(text: &str) -> Result<(Expr, Vec<Leaf>), String> {
    let mut leaves = Vec::new();
    parse(text, &mut leaves).map(|expr| (expr, leaves)).map_err(|error| error.to_string())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Samples every `interval_s` from `from_s`.
fn samples(from_s: i64, interval_s: i64, values: &[f64]) -> Vec<Sample> {
    let moments = (0..).map(|idx| Timestamp::from_secs(from_s + interval_s * idx));
    moments.zip(values).map(|(at, value)| Sample { at, value: *value }).collect()
}

#[test]
fn selectors_match_as_prometheus_does() {
    let pod = labels(&[("__name__", "up"), ("job", "shop"), ("pod", "cart-1")]);
    for (text, wanted) in [
        ("up", true),
        ("down", false),
        (r#"up{job="shop"}"#, true),
        (r#"up{job!="shop"}"#, false),
        (r#"up{pod=~"cart-.*"}"#, true),
        (r#"up{pod=~"cart"}"#, false),
        (r#"up{pod!~"cart-[23]"}"#, true),
        (r#"up{absent=""}"#, true),
        (r#"up{absent!=""}"#, false),
        (r#"{__name__=~"up|down",job="shop",}"#, true),
        (r#"{"up", "job"='shop'}"#, true),
    ] {
        let (_, leaves) = check(text).expect(text);
        assert_eq!(leaves[0].selector.matches(&pod), wanted, "{text}");
    }
}

#[test]
fn what_is_not_evaluated_is_named() {
    for (text, part) in [
        ("histogram_quantile(0.9, x)", "`histogram_quantile()`"),
        ("label_replace(up, \"a\", \"b\", \"c\", \"d\")", "`label_replace()`"),
        ("a and b", "`and`"),
        ("a or b", "`or`"),
        ("a > 5", "`>`"),
        ("a / on (pod) b", "`on`"),
        ("rate(x[5m:1m])", "subqueries"),
        ("rate(x)", "needs a range"),
        ("x[5m]", "a range needs a function"),
        ("x @ 5", "`@`"),
        ("topk(5, x)", "`topk()`"),
        ("up{job=~\"(\"}", "pattern"),
        ("{job=~\".*\"}", "isn't empty"),
        ("sum by (a (x)", "`)` is expected"),
        ("x offset -5m", "a duration is expected"),
        ("", "a selector or a function is expected, not the end"),
        ("a % 2", "`%`"),
    ] {
        let why = check(text).expect_err(text);
        assert!(why.contains(part), "{text}: {why}");
    }
    assert!(check(&"(".repeat(100_000)).expect_err("deep").contains("nested"), "no stack is used up");
}

#[test]
fn what_is_evaluated_is_promql() {
    for text in [
        "sum by (namespace, workload) (rate(http_requests_total{code=~\"5..\"}[5m]))",
        "sum(rate(a_total[5m])) by (pod) / sum without (code) (rate(b_total[1h30m] offset 5m)) * 100",
        "max(up) - -1",
        "1e3 * avg_over_time(x[90s])",
        "{\"http.server\", code=\"200\"}",
    ] {
        check(text).expect(text);
        if !text.starts_with("{\"") {
            promql_parser::parser::parse(text).expect(text);
        }
    }
}

/// By hand, after the rules of `extrapolatedRate`.
#[test]
fn rate_and_increase_are_prometheuss_own() {
    let end = Timestamp::from_secs(60);
    let counter = samples(5, 15, &[100.0, 115.0, 130.0, 145.0]);
    // From 5 to 50 s grows 45; 5 s to the start, 10 s to the end, both within 16.5 s.
    assert_eq!(RangeFunction::Increase.value(&counter, end, 60_000), Some(60.0));
    // One a second, but for what Prometheus's own order of operations leaves in the last bit.
    assert_eq!(RangeFunction::Rate.value(&counter, end, 60_000), Some(45.0 * ((60.0 / 45.0) / 60.0)));

    // A reset: what was lost is added.
    let reset = samples(5, 15, &[100.0, 115.0, 10.0, 25.0]);
    assert_eq!(RangeFunction::Increase.value(&reset, end, 60_000), Some(40.0 * (60.0 / 45.0)));
    assert_eq!(RangeFunction::Delta.value(&reset, end, 60_000), Some(-75.0 * (60.0 / 45.0)));

    // Never below zero: it was 1 at 5 s and grows 1 a second, so it began one second before.
    let young = samples(5, 15, &[1.0, 16.0, 31.0, 46.0]);
    assert_eq!(RangeFunction::Increase.value(&young, end, 60_000), Some(45.0 * (56.0 / 45.0)));

    // Beyond 1.1 of the distance half of it is believed: 30 to 45 s of a minute.
    let late = samples(30, 15, &[0.0, 15.0]);
    assert_eq!(RangeFunction::Delta.value(&late, end, 60_000), Some(15.0 * ((15.0 + 7.5 + 15.0) / 15.0)));

    assert_eq!(RangeFunction::Rate.value(&counter[..1], end, 60_000), None, "one sample is no rate");
    assert_eq!(RangeFunction::Irate.value(&reset, end, 60_000), Some(1.0));
    assert_eq!(RangeFunction::Irate.value(&reset[..3], end, 60_000), Some(10.0 / 15.0));
    assert_eq!(RangeFunction::Idelta.value(&reset[..3], end, 60_000), Some(-105.0));
}

fn stepped(text: &str, series: &[(Labels, Vec<Sample>)], last: i64) -> Result<Columns, NotEvaluable> {
    let mut leaves = Vec::new();
    let expr = parse(text, &mut leaves)?;
    let mut columns = vec![Columns::new(); leaves.len()];
    for (leaf, columns) in leaves.iter().zip(&mut columns) {
        for (labels, samples) in series.iter().filter(|(labels, _)| leaf.selector.matches(labels)) {
            let mut state = LeafSeries::new(labels.clone());
            for sample in samples {
                assert!(state.push(leaf, 60_000, *sample));
            }
            let (labels, column) = state.finish(leaf, 60_000, last);
            columns.insert(labels, column);
        }
    }
    evaluated(&expr, &leaves, &columns)
}

#[test]
fn an_instant_selector_takes_the_newest_sample_of_five_minutes() {
    let up = labels(&[("__name__", "up")]);
    let mut given = samples(30, 60, &[1.0, 2.0]);
    given.extend(samples(1000, 60, &[3.0, f64::NAN]));
    let columns = stepped("up", &[(up.clone(), given)], 20).expect("columns");
    let column = &columns[&up];
    assert_eq!((column.first, column.values.len()), (1, 17));
    let at = |step: i64| column.values[usize::try_from(step - 1).expect("a step")];
    assert_eq!((at(1), at(2), at(6)), (1.0, 2.0, 2.0));
    assert!(at(7).is_nan(), "390 s is 300 s after the last: the left edge is out");
    assert_eq!(at(17), 3.0);
    assert!(column.end() == Some(18), "after a NaN there is nothing: {column:?}");
}

#[test]
fn a_range_leaves_out_its_left_edge() {
    let x = labels(&[("__name__", "x")]);
    let columns = stepped("count_over_time(x[1m])", &[(x, samples(0, 15, &[0.0; 9]))], 2).expect("columns");
    assert_eq!(columns[&Labels::new()].values, [1.0, 4.0, 4.0]);
}

#[test]
fn an_offset_looks_back_further() {
    let x = labels(&[("__name__", "x")]);
    let columns = stepped("x offset 2m", &[(x.clone(), samples(0, 60, &[5.0, 6.0]))], 3).expect("columns");
    assert_eq!((columns[&x].first, &columns[&x].values), (2, &vec![5.0, 6.0]));
}

#[test]
fn an_offset_tells_nothing_of_what_comes_after_the_end() {
    let x = labels(&[("__name__", "x")]);
    let columns = stepped("x offset 2m", &[(x.clone(), samples(0, 60, &[5.0, 6.0, 7.0, 8.0]))], 3).expect("columns");
    assert_eq!(columns[&x].values, [5.0, 6.0]);
}

#[test]
fn groups_are_aggregated_where_there_is_something() {
    let of = |pod: &str, code: &str| labels(&[("__name__", "x"), ("pod", pod), ("code", code)]);
    let series = [
        (of("a", "1"), samples(0, 60, &[1.0, 2.0])),
        (of("a", "2"), samples(60, 60, &[10.0])),
        (of("b", "1"), samples(0, 60, &[5.0])),
    ];
    let pod = |pod: &str| labels(&[("pod", pod)]);
    let sum = stepped("sum by (pod) (x)", &series, 1).expect("columns");
    assert_eq!((&sum[&pod("a")].values, &sum[&pod("b")].values), (&vec![1.0, 12.0], &vec![5.0, 5.0]));
    for (text, wanted) in [("max", 10.0), ("min", 2.0), ("avg", 6.0), ("count", 2.0)] {
        let columns = stepped(&format!("{text} without (code) (x)"), &series, 1).expect("columns");
        assert_eq!(columns[&pod("a")].values[1], wanted, "{text}");
    }
    let all = stepped("sum(x)", &series, 1).expect("columns");
    assert_eq!(all[&Labels::new()].values, [6.0, 17.0]);
}

#[test]
fn arithmetic_joins_series_of_equal_labels() {
    let of = |name: &str, pod: &str| labels(&[("__name__", name), ("pod", pod)]);
    let series = [
        (of("bad", "a"), samples(0, 60, &[1.0, 0.0])),
        (of("all", "a"), samples(0, 60, &[4.0, 0.0])),
        (of("all", "b"), samples(0, 60, &[4.0])),
    ];
    let ratio = stepped("100 * bad / all", &series, 1).expect("columns");
    assert_eq!(ratio.len(), 1, "b has no partner");
    let column = &ratio[&labels(&[("pod", "a")])].values;
    assert!(column[0] == 25.0 && column[1].is_nan(), "0/0 is a gap: {column:?}");
    let why = stepped("rate({pod=\"a\"}[5m])", &series, 1).expect_err("two series of one name");
    assert!(why.to_string().contains("select one metric"), "{why}");
}

proptest! {
    /// Evaluating as samples come gives what looking at all of them at once gives.
    #[test]
    fn a_stream_gives_what_the_whole_gives(
        gaps in prop::collection::vec(1_i64..200, 2..60),
        values in prop::collection::vec(0.0_f64..1e6, 60),
        window_s in 30_i64..600,
        offset_s in 0_i64..120,
        function in 0_usize..RangeFunction::ALL.len(),
    ) {
        let function = RangeFunction::ALL[function];
        let mut at = 0;
        let given: Vec<Sample> = gaps.iter().zip(&values).map(|(gap, value)| {
            at += gap;
            Sample { at: Timestamp::from_secs(at), value: *value }
        }).collect();
        let last = at / 60;
        let text = format!("{}(x[{window_s}s] offset {offset_s}s)", function.name());
        let columns = stepped(&text, &[(labels(&[("__name__", "x")]), given.clone())], last).expect("columns");
        for step in 0..=last {
            let end = step * 60 - offset_s;
            let within: Vec<Sample> = given.iter().copied()
                .filter(|sample| (end - window_s + 1..=end).contains(&(sample.at.as_millis() / 1000))).collect();
            let wanted = function.value(&within, Timestamp::from_secs(end), window_s * 1000);
            let found = columns.values().next().and_then(|column| {
                let idx = usize::try_from(step - column.first).ok()?;
                column.values.get(idx).copied().filter(|value| !value.is_nan())
            });
            prop_assert_eq!(found.map(f64::to_bits), wanted.map(f64::to_bits), "{} at {}", text, end);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = check(&text);
    }
}
