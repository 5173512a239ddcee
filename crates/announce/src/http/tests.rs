use super::*;
use crate::testing::{Receiver, Reply, TIMEOUT, noon};

async fn post(receiver: &Receiver) -> Delivery {
    let url = SecretUrl::parse(&receiver.url()).unwrap();
    let headers = [("idempotency-key", "chg-1")];
    let post = Post { url: &url, content_type: "application/json", headers: &headers, body: "{}".to_owned() };
    Http::default().post(post, Attempt { limit: TIMEOUT, now: noon() }).await
}

#[tokio::test]
async fn it_is_posted_once_with_its_headers() {
    let receiver = Receiver::start(&[Reply::Status(202)]).await;
    assert_eq!(post(&receiver).await, Delivery::Accepted);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = &requests[0];
    for expected in [
        "post /hook/s3cret http/1.1",
        "content-type: application/json",
        "idempotency-key: chg-1",
        "user-agent: homeostat/",
    ] {
        assert!(head.contains(expected), "{expected} in {head}");
    }
    assert_eq!(body, "{}");
}

#[tokio::test]
async fn an_answer_is_quoted_and_a_redirect_explained() {
    let receiver = Receiver::start(&[Reply::Status(503)]).await;
    let Delivery::Retry { why, .. } = post(&receiver).await else { panic!("not retried") };
    assert!(why.contains("503") && why.contains("answer"), "{why}");
    let receiver = Receiver::start(&[Reply::Status(302)]).await;
    let Delivery::Retry { why, .. } = post(&receiver).await else { panic!("not retried") };
    assert!(why.contains("configure the final URL"), "{why}");
    assert_eq!(receiver.requests().len(), 1, "not followed");
}

#[test]
fn retry_after_is_read_in_both_forms() {
    for (wish, expected) in [
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("Sat, 31 Jan 2026 12:00:30 GMT", Some(30)),
        ("Sat, 31 Jan 2026 11:00:00 GMT", Some(0)),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(retry_after(wish, noon()), expected.map(Duration::from_secs), "{wish}");
    }
}

#[test]
fn what_a_url_hides_is_hidden_wherever_it_is_repeated() {
    let url = SecretUrl::parse("https://bot:passw0rd@chat.example/services/T0KEN123?key=qwertz77").unwrap();
    let answer = "404: POST /services/T0KEN123?key=qwertz77 as bot passw0rd: no service T0KEN123 for qwertz77";
    let shown = url.redact(answer);
    for secret in ["T0KEN123", "qwertz77", "passw0rd"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.starts_with("404: POST <secret>"), "{shown}");
    assert_eq!(format!("{url:?}"), "SecretUrl(<secret>)");
}

#[test]
fn only_what_can_be_posted_to_is_taken() {
    for good in ["http://127.0.0.1:8099/escalations", "https://u:p@host/x?y=z"] {
        assert!(SecretUrl::parse(good).is_ok(), "{good}");
    }
    for bad in ["host/path", "user:secret@host", "ftp://secret/", "https://", "http://[secret", ""] {
        let why = SecretUrl::parse(bad).unwrap_err();
        assert!(!why.contains("secret"), "{why}");
    }
}
