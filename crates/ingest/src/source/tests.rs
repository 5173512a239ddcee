use std::time::{Duration, Instant};

use homeostat_core::{Seed, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::retry::RetryPolicy;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

mod fake;

use fake::{FakeServer, Reply, Request};

const STEP: Duration = Duration::from_secs(60);

/// Short waits, so that tests that wait are quick; nothing but the waits differs from the defaults.
fn config(url: &str) -> PrometheusConfig {
    let url: ServerUrl = url.parse().expect("a URL");
    let retry = RetryPolicy { attempts_max: 3, wait_base: Duration::from_millis(5), wait_max: Duration::from_secs(2) };
    PrometheusConfig { timeout: Duration::from_secs(5), retry, ..PrometheusConfig::new(url, Seed::new(1)) }
}

fn source(config: PrometheusConfig) -> PrometheusSource {
    PrometheusSource::new(config).expect("a source")
}

async fn pull(source: &PrometheusSource) -> Result<Matrix, FetchError> {
    source.range("up", Timestamp::from_secs(0), Timestamp::from_secs(120), STEP).await
}

fn matrix_json(result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#)
}

fn one_series() -> String {
    matrix_json(r#"{"metric":{"job":"a"},"values":[[0,"1"],[60,"2"],[120,"3"]]}"#)
}

fn error_json(kind: &str, words: &str) -> String {
    format!(r#"{{"status":"error","errorType":"{kind}","error":"{words}"}}"#)
}

/// Pulls once from a server that answers so, with one attempt.
async fn pulled_once(reply: Reply) -> Result<Matrix, FetchError> {
    let server = FakeServer::start(move |_| reply.clone()).await;
    let mut config = config(&server.url());
    config.retry.attempts_max = 1;
    pull(&source(config)).await
}

#[tokio::test]
async fn a_range_is_asked_by_post_with_aligned_ends_and_limits() {
    let server = FakeServer::start(|_| Reply::ok(one_series())).await;
    let mut config = config(&format!("{}/prometheus/", server.url()));
    config.lookback = Some(Duration::from_secs(60));
    config.headers = vec![("X-Scope-OrgID".into(), Secret::new("team-a"))];
    let source = source(config);
    let matrix = source
        .range("up == 1", Timestamp::from_millis(59_999), Timestamp::from_secs(130), STEP)
        .await
        .expect("a matrix");
    assert_eq!(matrix.n_samples(), 3);
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/prometheus/api/v1/query_range"));
    assert_eq!(request.header("x-scope-orgid"), Some("team-a"));
    for (name, wanted) in [
        ("query", "up == 1"),
        ("start", "0"),
        ("end", "120"),
        ("step", "60"),
        ("timeout", "5000ms"),
        ("limit", "10001"),
        ("lookback_delta", "60000ms"),
    ] {
        assert_eq!(request.param(name).as_deref(), Some(wanted), "{name}");
    }
    let stats = source.stats();
    assert_eq!((stats.requests_ok, stats.series, stats.samples, stats.retries), (1, 1, 3, 0));
    assert_eq!(stats.bytes, one_series().len() as u64);
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_shows_no_credentials() {
    let server = FakeServer::start(|_| Reply::ok(one_series())).await;
    let url = server.url().replace("http://", "http://me:hunter2@");
    drop(server);
    let source = source(config(&url));
    let error = pull(&source).await.expect_err("nobody is there");
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.is_passing());
    assert_eq!(source.stats().requests_unreachable, 3, "a refused connection is tried again");
    for shown in [format!("{error} {error:?}"), format!("{source:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn credentials_in_the_url_are_sent() {
    let server = FakeServer::start(|_| Reply::ok(one_series())).await;
    let url = server.url().replace("http://", "http://me:hunter2@");
    pull(&source(config(&url))).await.expect("a matrix");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic bWU6aHVudGVyMg=="));
}

#[tokio::test]
async fn silence_is_a_timeout_and_is_not_asked_twice() {
    let server = FakeServer::start(|_| Reply::Silence).await;
    let mut config = config(&server.url());
    config.timeout = Duration::from_millis(200);
    let error = pull(&source(config)).await.expect_err("no answer");
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_a_timeout() {
    let server = FakeServer::start(|_| Reply::HalfThenSilence(one_series())).await;
    let mut config = config(&server.url());
    config.timeout = Duration::from_millis(200);
    let error = pull(&source(config)).await.expect_err("half an answer");
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn half_an_answer_is_garbled_and_asked_again() {
    for reply in [Reply::HalfThenClose(200, one_series()), Reply::HalfWithoutLength(one_series())] {
        let half = reply.clone();
        let server = FakeServer::start(move |_| half.clone()).await;
        let error = pull(&source(config(&server.url()))).await.expect_err("half an answer");
        assert!(matches!(error, FetchError::Garbled { .. }), "{error}");
        assert_eq!(server.requests().len(), 3);

        let server = FakeServer::start(move |request| match request.number {
            0 => reply.clone(),
            _ => Reply::ok(one_series()),
        })
        .await;
        assert_eq!(pull(&source(config(&server.url()))).await.map(|matrix| matrix.n_samples()), Ok(3));
    }
}

#[tokio::test]
async fn the_servers_refusals_keep_its_words() {
    for (status, kind, words, reason) in [
        (400, "bad_data", "parse error: unexpected (", "bad-query"),
        (422, "execution", "many-to-many matching not allowed", "bad-query"),
        (422, "execution", "query processing would load too many samples into memory", "too-much"),
        (500, "internal", "disk on fire", "busy"),
        (503, "timeout", "query timed out in expression evaluation", "busy"),
        (200, "bad_data", "wrapped by a proxy", "bad-query"),
        (401, "unauthorized", "who are you", "denied"),
    ] {
        let error = pulled_once(Reply::status(status, error_json(kind, words))).await.expect_err("refused");
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_prometheus_is_garbled() {
    for reply in [
        Reply::ok("<html>Welcome</html>".into()),
        Reply::status(404, "404 page not found".into()),
        Reply::status(302, String::new()),
        Reply::ok(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.into()),
        Reply::status(400, "<html>".into()),
    ] {
        let error = pulled_once(reply).await.expect_err("garbled");
        assert_eq!(error.reason(), "garbled", "{error}");
        assert!(error.to_string().contains("check that the URL"), "{error}");
    }
}

#[tokio::test]
async fn half_a_refusal_is_still_that_refusal() {
    let words = error_json("timeout", "query timed out in expression evaluation");
    let error = pulled_once(Reply::HalfThenClose(503, words.clone())).await.expect_err("refused");
    assert_eq!(error.reason(), "busy", "{error}");
    let error = pulled_once(Reply::HalfThenClose(401, words)).await.expect_err("refused");
    assert_eq!(error.reason(), "denied", "{error}");
}

#[tokio::test]
async fn a_wrong_query_is_never_asked_again() {
    for status in [400, 422] {
        let server = FakeServer::start(move |_| Reply::status(status, error_json("bad_data", "no"))).await;
        let error = pull(&source(config(&server.url()))).await.expect_err("refused");
        assert!(!error.is_passing());
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_until_it_answers() {
    for status in [429, 502, 503, 504] {
        let server = FakeServer::start(move |request| match request.number {
            0 | 1 => Reply::status(status, "busy".into()),
            _ => Reply::ok(one_series()),
        })
        .await;
        let source = source(config(&server.url()));
        assert_eq!(pull(&source).await.map(|matrix| matrix.n_samples()), Ok(3), "{status}");
        let stats = source.stats();
        assert_eq!((stats.requests_busy, stats.retries, stats.requests_ok), (2, 2, 1));
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let server = FakeServer::start(|request| match request.number {
        0 => Reply::status_asking_for(503, "1"),
        _ => Reply::ok(one_series()),
    })
    .await;
    let began = Instant::now();
    pull(&source(config(&server.url()))).await.expect("a matrix");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_wants_long_to_be_left_alone_is() {
    let server = FakeServer::start(|_| Reply::status_asking_for(429, "3600")).await;
    let error = pull(&source(config(&server.url()))).await.expect_err("busy");
    let FetchError::ServerBusy { retry_after, .. } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_deadline_ends_the_attempts() {
    let server = FakeServer::start(|_| Reply::status(503, "busy".into())).await;
    let mut config = config(&server.url());
    config.retry =
        RetryPolicy { attempts_max: 1000, wait_base: Duration::from_millis(40), wait_max: Duration::from_millis(40) };
    config.deadline = Duration::from_secs(1);
    let began = Instant::now();
    let error = pull(&source(config)).await.expect_err("busy");
    assert_eq!(error.reason(), "busy");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!((2..=50).contains(&server.requests().len()), "{}", server.requests().len());
}

#[tokio::test]
async fn warnings_are_kept_and_counted() {
    let text = one_series().replacen('{', r#"{"warnings":["store b is down"],"#, 1);
    let server = FakeServer::start(move |_| Reply::ok(text.clone())).await;
    let source = source(config(&server.url()));
    let matrix = pull(&source).await.expect("partial data is data");
    assert_eq!(matrix.warnings(), ["store b is down"]);
    assert!(matrix.is_partial());
    assert_eq!(source.stats().answers_partial, 1);
}

#[tokio::test]
async fn gaps_infinities_and_disorder_come_through_as_gaps() {
    let text = matrix_json(r#"{"metric":{},"values":[[120,"3"],[0,"NaN"],[60,"+Inf"],[120,"4"]]}"#);
    let matrix = pulled_once(Reply::ok(text)).await.expect("a matrix");
    assert_eq!(matrix.n_samples(), 1);
    let dropped = matrix.dropped();
    assert_eq!((dropped.not_finite, dropped.duplicate), (2, 1));
    assert!(pulled_once(Reply::ok(matrix_json(""))).await.expect("no series").series().is_empty());
}

#[tokio::test]
async fn a_hundred_thousand_series_are_too_much_by_name() {
    let one = r#"{"metric":{},"values":[[0,"1"]]}"#;
    let text = matrix_json(&vec![one; 100_000].join(","));
    let server = FakeServer::start(move |_| Reply::ok(text.clone())).await;
    let mut few = config(&server.url());
    few.limits.series_max = 100;
    let error = pull(&source(few)).await.expect_err("too many series");
    let shown = error.to_string();
    assert!(shown.contains("\"up\"") && shown.contains("100 series"), "{shown}");

    let mut small = config(&server.url());
    small.bytes_max = 10_000;
    let source = source(small);
    let error = pull(&source).await.expect_err("too many bytes");
    assert_eq!(error.reason(), "too-much");
    assert!(source.stats().bytes <= 100_000, "an announced length isn't read at all");
    assert_eq!(server.requests().len(), 2, "neither is asked for again");
}

#[tokio::test]
async fn too_many_series_blind_nobody_who_is_preferred() {
    let series =
        |name: usize| format!(r#"{{"metric":{{"namespace":"shop","workload":"w{name}"}},"values":[[0,"1"]]}}"#);
    let text = matrix_json(&(0..500).map(series).collect::<Vec<_>>().join(","));
    let server = FakeServer::start(move |_| Reply::ok(text.clone())).await;
    let mut few = config(&server.url());
    few.limits.series_max = 100;
    let source = source(few);
    assert_eq!(pull(&source).await.expect_err("too many series").reason(), "too-much");
    let known = homeostat_core::Subject::deployment("shop", "w499");
    source.prefer(crate::Preferred::new(crate::SubjectRule::default(), [known]));
    let matrix = pull(&source).await.expect("an answer");
    assert_eq!((matrix.series().len(), matrix.series_left_out()), (101, 399));
    assert!(matrix.series().iter().any(|series| series.labels()["workload"] == "w499"));
    assert_eq!(server.requests()[1].param("limit"), None, "a server would choose others");
}

#[tokio::test]
async fn an_error_says_nothing_of_the_servers_time() {
    let date = vec![("Date", "Sat, 31 Jan 2026 12:00:00 GMT")];
    let answers = [Reply::Whole(503, date.clone(), "a proxy's page".to_owned()), Reply::Whole(200, date, one_series())];
    let server = FakeServer::start(move |request| answers[request.number.min(1)].clone()).await;
    let mut config = config(&server.url());
    config.retry.attempts_max = 1;
    let source = source(config);
    assert!(pull(&source).await.is_err());
    assert_eq!(source.server_time(), None);
    assert!(pull(&source).await.is_ok());
    assert!(source.server_time().is_some());
}

#[tokio::test]
async fn an_unannounced_flood_stops_at_the_limit() {
    let text = matrix_json(&format!("{}1", " ".repeat(1_000_000)));
    let server = FakeServer::start(move |_| Reply::WithoutLength(text.clone())).await;
    let mut config = config(&server.url());
    config.bytes_max = 10_000;
    let source = source(config);
    assert_eq!(pull(&source).await.expect_err("too much").reason(), "too-much");
    assert!(source.stats().bytes < 500_000, "{}", source.stats().bytes);
}

#[tokio::test]
async fn a_server_without_post_is_asked_by_get_from_then_on() {
    let server = FakeServer::start(|request| match request.method.as_str() {
        "POST" => Reply::status(405, String::new()),
        _ => Reply::ok(one_series()),
    })
    .await;
    let source = source(config(&server.url()));
    for _ in 0..2 {
        pull(&source).await.expect("a matrix");
    }
    let methods: Vec<String> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["POST", "GET", "GET"]);
}

#[tokio::test]
async fn two_requests_that_both_meet_405_both_go_on_by_get() {
    let server = FakeServer::start(|request| match request.method.as_str() {
        "POST" => Reply::status(405, String::new()),
        _ => Reply::ok(one_series()),
    })
    .await;
    let source = source(config(&server.url()));
    let (one, other) = tokio::join!(pull(&source), pull(&source));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
}

#[tokio::test]
async fn no_more_requests_run_at_once_than_allowed() {
    let server = FakeServer::start(|_| Reply::Slow(Duration::from_millis(100), one_series())).await;
    let source = source(config(&server.url()));
    let pulls: Vec<_> = (0..6)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { pull(&source).await.map(|matrix| matrix.n_samples()) })
        })
        .collect();
    for one in pulls {
        assert_eq!(one.await.expect("a task"), Ok(3));
    }
    assert_eq!(server.at_once_max(), 2);
}

#[tokio::test]
async fn a_range_that_makes_no_sense_is_not_asked() {
    let server = FakeServer::start(|_| Reply::ok(one_series())).await;
    let source = source(config(&server.url()));
    let (early, late) = (Timestamp::from_secs(0), Timestamp::from_secs(600));
    for (start, end, step) in [(late, early, STEP), (early, late, Duration::from_millis(100))] {
        assert_eq!(source.range("up", start, end, step).await.expect_err("nonsense").reason(), "bad-query");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_config_that_could_never_work_is_refused() {
    let good = config("http://localhost:1");
    let zero = PrometheusConfig { concurrency_max: 0, ..good.clone() };
    assert!(matches!(PrometheusSource::new(zero), Err(SourceError::Zero { name: "concurrency_max" })));
    let newline = vec![("Authorization".to_owned(), Secret::new("hunter2\r\n"))];
    let error = PrometheusSource::new(PrometheusConfig { headers: newline, ..good }).expect_err("no header");
    assert!(error.to_string().contains("Authorization") && !error.to_string().contains("hunter2"));
}

#[test]
fn the_newest_step_is_a_complete_one() {
    let source = source(config("http://localhost:1"));
    let newest = source.newest_step(Timestamp::from_secs(1000), STEP);
    assert_eq!(newest, Timestamp::from_secs(900), "1000 s less 60 s delay, on the minute");
}

/// A server that has a sample of each of two series on every third and fourth second.
fn honest(request: &Request) -> Reply {
    let number = |name: &str| request.param(name).and_then(|text| text.parse::<i64>().ok()).expect("a number");
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let series: Vec<String> = [("a", 3), ("b", 4)]
        .iter()
        .map(|(job, every)| {
            let values: Vec<String> = (0..=(end - start) / step)
                .map(|step_idx| start + step_idx * step)
                .filter(|secs| secs % every == 0)
                .map(|secs| format!(r#"[{secs},"{}"]"#, secs * secs))
                .collect();
            format!(r#"{{"metric":{{"job":"{job}"}},"values":[{}]}}"#, values.join(","))
        })
        .collect();
    Reply::ok(matrix_json(&series.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn split_ranges_give_the_same_matrix_as_one(start in 0i64..500, length in 0i64..60, step in 1u64..4, points in 1usize..20) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = FakeServer::start(honest).await;
            let whole = source(config(&server.url()));
            let split = PrometheusSource::with_points_max(config(&server.url()), points).expect("a source");
            let (from, to) = (Timestamp::from_secs(start), Timestamp::from_secs(start + length));
            let step = Duration::from_secs(step);
            let whole = whole.range("up", from, to, step).await.expect("one request");
            let split = split.range("up", from, to, step).await.expect("several");
            prop_assert_eq!(whole, split);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn one_failed_query_does_not_take_the_others_with_it() {
    use crate::query::tests::query;
    use crate::query::{Aggregation, OnMissing, QuerySet};
    let server = FakeServer::start(|request| match request.param("query").as_deref() {
        Some("bad_metric") => Reply::status(400, error_json("bad_data", "parse error")),
        Some("partial_metric") => Reply::ok(one_series().replacen('{', r#"{"warnings":["store b is down"],"#, 1)),
        _ => Reply::ok(one_series()),
    })
    .await;
    let names = ["good", "bad", "partial"];
    let queries = names.map(|name| query(name, Aggregation::Max, OnMissing::Gap)).to_vec();
    let queries = QuerySet::new(queries).expect("queries");
    let source = source(config(&server.url()));
    let pull = source.pull(&queries, Timestamp::from_secs(0), Timestamp::from_secs(120), STEP).await;
    let answered: Vec<bool> = pull.matrices.iter().map(Option::is_some).collect();
    assert_eq!(answered, [true, false, true]);
    assert_eq!(
        pull.failed.iter().map(|(name, error)| (name.as_str(), error.reason())).collect::<Vec<_>>(),
        [("bad", "bad-query")]
    );
    assert_eq!(pull.partial(&queries).collect::<Vec<_>>(), [("partial", "store b is down")]);
}

#[tokio::test]
async fn pages_that_add_up_to_too_much_are_too_much() {
    let server = FakeServer::start(honest).await;
    let mut config = config(&server.url());
    config.limits.samples_max = 40;
    let source = PrometheusSource::with_points_max(config, 20).expect("a source");
    let (start, end) = (Timestamp::from_secs(0), Timestamp::from_secs(99));
    let error = source.range("up", start, end, Duration::from_secs(1)).await.expect_err("59 samples");
    assert!(error.to_string().contains("more than 40 samples"), "{error}");
    assert!(server.requests().len() < 5, "it stops as soon as it knows");
}

#[test]
fn authorities_that_are_none_are_refused() {
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let config = PrometheusConfig { ca_pem: Some(pem.into()), ..config("https://localhost:1") };
        assert!(PrometheusSource::new(config).is_err(), "{pem:?}");
    }
}
