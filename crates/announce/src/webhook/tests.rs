use super::*;
use crate::testing::{Receiver, Reply, TIMEOUT, change};

async fn deliver(receiver: &Receiver) -> Delivery {
    let sink = WebhookSink::new(receiver.url().parse().unwrap(), TIMEOUT).unwrap();
    sink.deliver(&Event::of_change(&change("opened"), "/homeostat/test")).await
}

#[tokio::test]
async fn an_event_is_posted_as_a_structured_cloudevent() {
    let receiver = Receiver::start(&[Reply::Status(202)]).await;
    assert_eq!(deliver(&receiver).await, Delivery::Accepted);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    let (head, body) = &requests[0];
    assert!(head.starts_with("post /hook/s3cret http/1.1"), "{head}");
    assert!(head.contains("content-type: application/cloudevents+json"), "{head}");
    assert!(head.contains("user-agent: homeostat/"), "{head}");
    assert_eq!(body.to_string(), Event::of_change(&change("opened"), "/homeostat/test").body);
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let cases = [
        (Reply::Status(200), "accepted"),
        (Reply::Status(204), "accepted"),
        (Reply::Status(302), "refused"),
        (Reply::Status(400), "refused"),
        (Reply::Status(401), "refused"),
        (Reply::Status(404), "refused"),
        (Reply::Status(408), "retry"),
        (Reply::Status(425), "retry"),
        (Reply::Status(429), "retry"),
        (Reply::Status(500), "retry"),
        (Reply::Status(503), "retry"),
        (Reply::HangUp, "retry"),
        (Reply::Silence, "retry"),
    ];
    for (reply, expected) in cases {
        let receiver = Receiver::start(&[reply]).await;
        let delivery = deliver(&receiver).await;
        let kind = match &delivery {
            Delivery::Accepted => "accepted",
            Delivery::Retry { .. } => "retry",
            Delivery::Refused { .. } => "refused",
        };
        assert_eq!(kind, expected, "{reply:?}: {delivery:?}");
        assert!(!format!("{delivery:?}").contains("s3cret"), "the URL is a secret: {delivery:?}");
        assert_eq!(receiver.requests().len(), 1, "{reply:?}: one attempt");
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again_and_the_url_stays_secret() {
    let receiver = Receiver::start(&[Reply::HangUp]).await;
    let sink = WebhookSink::new(receiver.url().parse().unwrap(), TIMEOUT).unwrap();
    receiver.stop().await;
    let Delivery::Retry { why, after: None } = sink.deliver(&Event::of_change(&change("opened"), "/a")).await else {
        panic!("not retried")
    };
    assert!(why.to_lowercase().contains("refused") && !why.contains("s3cret"), "{why}");
}

#[tokio::test]
async fn the_receivers_wish_is_read_in_seconds() {
    for (wish, expected) in
        [("120", Some(120)), (" 7 ", Some(7)), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
    {
        let receiver = Receiver::start(&[Reply::RetryAfter(429, wish)]).await;
        let Delivery::Retry { after, why } = deliver(&receiver).await else { panic!("not retried") };
        assert_eq!(after, expected.map(Duration::from_secs), "{wish}");
        assert!(why.contains("429") && why.contains("answer"), "{why}");
    }
}
