use std::path::Path;
use std::time::Duration;

use super::*;
use crate::router::SecretUrl;
use crate::testing::{Receiver, Reply, TIMEOUT, change, escalation, noon};

/// The log for changes and the receiver for calls and, as `feed`, for changes, too.
fn announcer(directory: &Path, url: &str) -> Announcer {
    let webhook = |changes| ChannelSpec::Webhook { url: SecretUrl::from(url), changes, timeout: TIMEOUT };
    let channels = BTreeMap::from([
        ("log".to_owned(), ChannelSpec::Log { changes: true }),
        ("pagerduty-p1".to_owned(), webhook(false)),
        ("feed".to_owned(), webhook(true)),
    ]);
    let router = Router::new("/homeostat/test", channels).unwrap();
    Announcer::new(router, Outbox::open(&directory.join("homeostat.db")).unwrap()).unwrap()
}

fn after(secs: u64) -> Timestamp {
    noon() + Duration::from_secs(secs)
}

const fn flushed(n_accepted: u64, n_retried: u64, n_refused: u64) -> Flushed {
    Flushed { n_accepted, n_retried, n_refused }
}

#[tokio::test]
async fn changes_go_where_they_are_wanted_and_escalations_where_the_policy_says() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    announcer.announce(&change("opened"), noon()).unwrap();
    announcer.escalate(&escalation("pagerduty-p1"), noon()).unwrap();
    assert!(receiver.requests().is_empty(), "nothing leaves before the flush");
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(3, 0, 0));
    let mut types: Vec<String> =
        receiver.requests().iter().map(|(_, body)| body["type"].as_str().unwrap().to_owned()).collect();
    types.sort();
    assert_eq!(types, ["io.homeostat.escalation", "io.homeostat.incident.opened"]);
    assert_eq!(announcer.backlog(noon()).unwrap(), Backlog::default());
    assert_eq!(announcer.flush(after(60)).await.unwrap(), Flushed::default(), "told once");
}

#[tokio::test]
async fn an_escalation_to_nowhere_is_refused_aloud() {
    let directory = tempfile::tempdir().unwrap();
    let announcer = announcer(directory.path(), "http://127.0.0.1:1/");
    let error = announcer.escalate(&escalation("slack"), noon()).unwrap_err();
    assert!(error.to_string().contains("\"slack\"") && error.to_string().contains("pagerduty-p1"), "{error}");
}

#[tokio::test]
async fn too_many_requests_are_tried_again_when_the_receiver_says() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::RetryAfter(429, "30"), Reply::Status(200)]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    announcer.escalate(&escalation("pagerduty-p1"), noon()).unwrap();
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(0, 1, 0));
    assert_eq!(announcer.flush(after(29)).await.unwrap(), Flushed::default(), "not before");
    assert_eq!(announcer.flush(after(30)).await.unwrap(), flushed(1, 0, 0));
    let ids = receiver.ids();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "the same event");
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_one_request_a_flush_and_an_alarm_when_it_lasts() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::Status(500)]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    for reason in ["first", "second"] {
        let told = Escalation { reason: reason.into(), ..escalation("pagerduty-p1") };
        announcer.escalate(&told, noon()).unwrap();
    }
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(0, 1, 0));
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(announcer.backlog(after(299)).unwrap().n_overdue, 0);
    let backlog = announcer.backlog(after(300)).unwrap();
    assert_eq!((backlog.n_overdue, backlog.n_pending_escalations), (2, 2));
    assert_eq!(backlog.oldest, Duration::from_secs(300));
    receiver.now_answers(Reply::Status(200));
    assert_eq!(announcer.flush(after(301)).await.unwrap(), flushed(2, 0, 0));
    assert_eq!(announcer.backlog(after(301)).unwrap(), Backlog::default());
}

#[tokio::test]
async fn a_message_that_a_receiver_chokes_on_doesnt_hold_the_next_ones_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::Status(500), Reply::Status(200)]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    for reason in ["first", "second"] {
        announcer.escalate(&Escalation { reason: reason.into(), ..escalation("pagerduty-p1") }, noon()).unwrap();
    }
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(0, 1, 0));
    assert_eq!(announcer.flush(after(1)).await.unwrap(), flushed(1, 0, 0), "the second, while the first waits");
    assert_eq!(announcer.flush(after(5)).await.unwrap(), flushed(1, 0, 0));
}

#[tokio::test]
async fn a_silent_channel_doesnt_keep_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::Silence]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    announcer.announce(&change("opened"), noon()).unwrap();
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(1, 1, 0), "the log has it, the feed hasn't");
}

#[tokio::test]
async fn what_is_refused_is_counted_and_not_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::Status(400)]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    announcer.announce(&change("opened"), noon()).unwrap();
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(1, 0, 1));
    assert_eq!(announcer.flush(after(3600)).await.unwrap(), Flushed::default());
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn what_is_queued_survives_the_process_under_the_same_id() {
    let directory = tempfile::tempdir().unwrap();
    let down = Receiver::start(&[Reply::HangUp]).await;
    let before = announcer(directory.path(), &down.url());
    before.escalate(&escalation("pagerduty-p1"), noon()).unwrap();
    assert_eq!(before.flush(noon()).await.unwrap(), flushed(0, 1, 0));
    drop(before);
    let up = Receiver::start(&[Reply::Status(200)]).await;
    let restarted = announcer(directory.path(), &up.url());
    // What the driver does after a crash between the journal and the outbox: it tells again, some time later.
    assert_eq!(restarted.escalate(&escalation("pagerduty-p1"), after(40)).unwrap(), Enqueued::AlreadyThere);
    assert_eq!(restarted.flush(after(40)).await.unwrap(), flushed(1, 0, 0));
    assert_eq!(up.ids(), down.ids());
    assert_eq!(up.requests()[0].1, down.requests()[0].1, "to the last byte");
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_like_others() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::HangUp]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    receiver.stop().await;
    announcer.escalate(&escalation("pagerduty-p1"), noon()).unwrap();
    assert_eq!(announcer.flush(noon()).await.unwrap(), flushed(0, 1, 0));
    assert_eq!(announcer.backlog(noon()).unwrap().n_pending_escalations, 1);
}

#[tokio::test]
async fn two_flushes_at_once_deliver_once() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[Reply::Status(200)]).await;
    let announcer = announcer(directory.path(), &receiver.url());
    announcer.escalate(&escalation("pagerduty-p1"), noon()).unwrap();
    let (one, other) = tokio::join!(announcer.flush(noon()), announcer.flush(noon()));
    assert_eq!(one.unwrap().n_accepted + other.unwrap().n_accepted, 1);
    assert_eq!(receiver.requests().len(), 1);
}
