use super::*;
use crate::testing::{Receiver, Reply, TIMEOUT, noon};

async fn post(receiver: &Receiver) -> Delivery {
    let url = SecretUrl::parse(&receiver.url()).unwrap();
    let headers = [("idempotency-key", "chg-1")];
    let request = Post { url: &url, content_type: "application/json", headers: &headers, body: "{}".to_owned() };
    super::post(&Http::default(), request, Attempt { limit: TIMEOUT, now: noon() }).await
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
