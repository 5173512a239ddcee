use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;

use super::*;
use crate::feed::FeedConfig;
use crate::fetch_error::FetchError;
use crate::matrix::{Dropped, Labels, Sample, Series};
use crate::quality::{AnswerState, SourceState};
use crate::query::tests::query;
use crate::query::{Aggregation, OnMissing, Query};
use crate::subject_rule::SubjectRule;

const STEP: Duration = Duration::from_secs(60);

fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(n * 60)
}

type Value = fn(i64) -> Option<f64>;

/// A server of workloads whose values are a function of the minute; what it is asked is noted.
#[derive(Default)]
struct Fake {
    /// By expression and workload; `None` is no sample.
    values: BTreeMap<(&'static str, &'static str), Value>,
    /// Seconds since the newest scrape, by minute; none without `up`.
    scrape_age: Option<fn(i64) -> Option<f64>>,
    down: Mutex<bool>,
    asked: Mutex<Vec<(String, i64, i64)>>,
}

impl RangeSource for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn range<'a>(
        &'a self,
        expr: &'a str,
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Matrix, FetchError>> + Send + 'a>> {
        let minutes = start.as_millis() / 60_000..=end.as_millis() / 60_000;
        assert_eq!(step, STEP);
        self.asked.lock().expect("a lock").push((expr.to_owned(), *minutes.start(), *minutes.end()));
        let found = if *self.down.lock().expect("a lock") {
            Err(FetchError::Unreachable { server: "fake".into(), why: "down".into() })
        } else if expr == SCRAPES_EXPR {
            let age = |at: i64| Some((at * 60) as f64 - self.scrape_age?(at)?);
            let samples = minutes.filter_map(|at| Some(Sample { at: minute(at), value: age(at)? })).collect();
            let series = Some(Series::new(Labels::new(), samples).0).filter(|series| !series.samples().is_empty());
            Ok(Matrix::new(series.into_iter().collect(), Dropped::default()))
        } else {
            let of_query = self.values.iter().filter(|((known, _), _)| *known == expr);
            let series = of_query.map(|((_, workload), value)| {
                let labels = [("namespace", "shop"), ("workload", workload)];
                let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
                let samples = minutes.clone().filter_map(|at| Some(Sample { at: minute(at), value: value(at)? }));
                Series::new(labels, samples.collect()).0
            });
            let series = series.filter(|series| !series.samples().is_empty()).collect();
            Ok(Matrix::new(series, Dropped::default()))
        };
        Box::pin(std::future::ready(found))
    }
}

fn pulling(fake: Fake, exprs: &[&str]) -> (Arc<Fake>, Pulling<Feed>) {
    let of = |(idx, expr): (usize, &&str)| Query {
        expr: (*expr).to_owned(),
        ..query(&format!("q{idx}"), Aggregation::Max, OnMissing::Gap)
    };
    let queries = QuerySet::new(exprs.iter().enumerate().map(of).collect()).expect("queries");
    let config = FeedConfig { queries, rule: SubjectRule::default(), step: STEP, n_steps: 20, subjects_max: 100 };
    let fake = Arc::new(fake);
    (Arc::clone(&fake), Pulling::new(fake, Feed::new(config).expect("a feed")))
}

async fn cycle(pulling: &mut Pulling<Feed>, at: i64) -> Taken<Window> {
    let due = pulling.due(minute(at));
    let pull = pulling.pull(&due).await;
    pulling.take(&due, &pull).expect("taken")
}

fn shown(window: &Window, feature: usize) -> String {
    window.values().column(feature).iter().map(|value| if value.is_nan() { '.' } else { 'x' }).collect()
}

#[tokio::test]
async fn each_query_is_asked_for_what_it_has_not_answered() {
    let fake = Fake { values: BTreeMap::from([(("a", "cart"), (|_| Some(1.0)) as fn(i64) -> _)]), ..Fake::default() };
    let (fake, mut pulling) = pulling(fake, &["a", "b"]);
    cycle(&mut pulling, 100).await;
    cycle(&mut pulling, 101).await;
    *fake.down.lock().expect("a lock") = true;
    for at in 102..112 {
        let taken = cycle(&mut pulling, at).await;
        assert_eq!(taken.quality.state(), SourceState::Unanswered);
    }
    *fake.down.lock().expect("a lock") = false;
    fake.asked.lock().expect("a lock").clear();
    let taken = cycle(&mut pulling, 112).await;
    let asked: Vec<_> =
        fake.asked.lock().expect("a lock").iter().map(|(expr, from, to)| (expr.clone(), *from, *to)).collect();
    assert!(asked.contains(&("a".to_owned(), 102, 112)), "the outage's rows are there still: {asked:?}");
    assert_eq!(shown(&taken.windows[0], 0), "x".repeat(20), "no gap of our own making is left");
    fake.asked.lock().expect("a lock").clear();
    cycle(&mut pulling, 113).await;
    assert_eq!(fake.asked.lock().expect("a lock")[0], ("a".to_owned(), 109, 113), "and then a few rows again");
}

#[tokio::test]
async fn an_outage_longer_than_a_window_says_what_it_took() {
    let fake = Fake { values: BTreeMap::from([(("a", "cart"), (|_| Some(1.0)) as fn(i64) -> _)]), ..Fake::default() };
    for (n_minutes, wanted) in [(19, None), (20, None), (21, Some((101, 101))), (50, Some((101, 130)))] {
        let (fake, mut pulling) = pulling(Fake { values: fake.values.clone(), ..Fake::default() }, &["a"]);
        cycle(&mut pulling, 100).await;
        *fake.down.lock().expect("a lock") = true;
        for at in 101..100 + n_minutes {
            assert_eq!(cycle(&mut pulling, at).await.missed, None, "until it is over it may yet be caught up on");
        }
        *fake.down.lock().expect("a lock") = false;
        let taken = cycle(&mut pulling, 100 + n_minutes).await;
        assert_eq!(shown(&taken.windows[0], 0), "x".repeat(20));
        let missed = taken.missed.map(|missed| (missed.from, missed.until));
        assert_eq!(missed, wanted.map(|(from, until)| (minute(from), minute(until))), "{n_minutes} minutes");
        assert_eq!(cycle(&mut pulling, 101 + n_minutes).await.missed, None, "told once");
    }
}

#[tokio::test]
async fn rates_that_reach_into_a_scrape_gap_are_no_measurement_and_it_is_one_fact() {
    // Nothing is scraped for two and a half minutes from 12:05 on; a rate over five minutes goes on regardless, too low.
    let fake = Fake {
        values: BTreeMap::from([
            (("rate(x[5m])", "cart"), (|at| Some(if (6..13).contains(&at) { 0.5 } else { 1.0 })) as fn(i64) -> _),
            (("y", "cart"), |_| Some(3.0)),
        ]),
        scrape_age: Some(|at| Some(if (6..8).contains(&at) { (at - 5) as f64 * 60.0 } else { 5.0 })),
        ..Fake::default()
    };
    let (_, mut pulling) = pulling(fake, &["rate(x[5m])", "y"]);
    let mut states = Vec::new();
    for at in 0..20 {
        let taken = cycle(&mut pulling, at).await;
        states.push(taken.quality.state() == SourceState::ScrapeGap);
        let newest = taken.windows[0].last_row()[0];
        assert!(newest.is_nan() || newest == 1.0, "minute {at}: {newest} would be called a drop of traffic");
        if at == 19 {
            assert_eq!(shown(&taken.windows[0], 0), "xxxxxx.......xxxxxxx");
            assert_eq!(shown(&taken.windows[0], 1), "xxxxxx..xxxxxxxxxxxx", "a gauge is only stale in the gap itself");
        }
    }
    assert_eq!(states.iter().filter(|is_gap| **is_gap).count(), 2);
}

#[tokio::test]
async fn an_end_of_all_scrapes_is_seen_though_up_itself_is_gone() {
    let fake = Fake {
        values: BTreeMap::from([(("y", "cart"), (|_| Some(3.0)) as fn(i64) -> _)]),
        scrape_age: Some(|at| (at < 5).then_some(1.0)),
        ..Fake::default()
    };
    let (_, mut pulling) = pulling(fake, &["y"]);
    for at in 0..40 {
        let state = cycle(&mut pulling, at).await.quality.state();
        let wanted = if at < 5 { SourceState::Healthy } else { SourceState::ScrapeGap };
        assert_eq!(state, wanted, "minute {at}");
    }
}

#[tokio::test]
async fn a_query_without_data_and_workloads_that_all_go_are_told() {
    let fake = Fake {
        values: BTreeMap::from([
            (("a", "cart"), (|at| (at < 10).then_some(1.0)) as fn(i64) -> _),
            (("a", "web"), |at| (at < 10).then_some(1.0)),
            (("a", "db"), |_| Some(1.0)),
        ]),
        ..Fake::default()
    };
    let (_, mut pulling) = pulling(fake, &["a", "b"]);
    let first = cycle(&mut pulling, 5).await.quality;
    assert_eq!(first.queries[0].state, AnswerState::Usable);
    assert_eq!(first.queries[1].state, AnswerState::Empty);
    assert_eq!(first.state(), SourceState::QueriesUnusable { n_queries: 1 });
    let lost = cycle(&mut pulling, 15).await.quality;
    assert_eq!(lost.state(), SourceState::SubjectsLost { n_without_data: 2, n_known: 3 });
    assert_eq!(lost.last_sample, Some(minute(15)));
}

#[tokio::test]
async fn a_clock_that_was_set_back_asks_for_the_past_and_changes_nothing_that_is_known() {
    let fake = Fake { values: BTreeMap::from([(("y", "cart"), (|_| Some(3.0)) as fn(i64) -> _)]), ..Fake::default() };
    let (_, mut pulling) = pulling(fake, &["y"]);
    cycle(&mut pulling, 100).await;
    let due = pulling.due(minute(90));
    assert!(due.from[0] <= minute(90) && due.at == minute(90), "{due:?}");
    let pull = pulling.pull(&due).await;
    let taken = pulling.take(&due, &pull).expect("what is known stays");
    assert_eq!(taken.windows[0].grid().end(), minute(100), "its newest row is still the newest");
    assert_eq!(taken.windows[0].n_present(), 20);
    assert_eq!(cycle(&mut pulling, 101).await.windows[0].n_present(), 20);
}
