//! What every kind must keep that is shown what is open.

use homeostat_core::{Incident, Subject, Timestamp};
use serde_json::Value;

use super::*;
use crate::outlet::Mirror;

fn mirrors() -> impl Iterator<Item = &'static &'static ChannelKind> {
    KINDS.iter().filter(|kind| matches!(open(kind, kind.example).0.unwrap(), Outlet::Mirror(_)))
}

fn mirror(kind: &ChannelKind, receiver: &Receiver) -> Arc<dyn Mirror> {
    match outlet(kind, receiver) {
        Outlet::Mirror(mirror) => mirror,
        other => panic!("{}: {other:?}", kind.name),
    }
}

fn at(secs: u64) -> Attempt {
    Attempt { limit: TIMEOUT, now: noon() + Duration::from_secs(secs) }
}

/// What was posted, one list each time: the subject's name, and whether it is over by the time it was sent.
fn posted(receiver: &Receiver, now: Timestamp) -> Vec<Vec<(String, bool)>> {
    let lists = receiver.requests().into_iter().map(|(_, body)| serde_json::from_str::<Vec<Value>>(&body).unwrap());
    let alert = |alert: &Value| {
        let ends_at: Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
        (alert["labels"]["deployment"].as_str().unwrap().to_owned(), ends_at <= now)
    };
    lists.map(|list| list.iter().map(alert).collect()).collect()
}

#[tokio::test]
async fn every_mirror_shows_all_that_is_open_each_time_and_tells_each_end_once() {
    for kind in mirrors() {
        let receiver = Receiver::start(&[Reply::Status(200)]).await;
        let mirror = mirror(kind, &receiver);
        let (cart, payment) = (incident("cart"), incident("payment-api"));
        for open in [&[cart.clone(), payment.clone()][..], &[cart.clone(), payment], &[cart], &[], &[]] {
            assert_eq!(mirror.show(open, at(0)).await, Delivery::Accepted, "{}", kind.name);
        }
        let (cart, payment) = ("cart".to_owned(), "payment-api".to_owned());
        let both = vec![(cart.clone(), false), (payment.clone(), false)];
        let expected = [both.clone(), both, vec![(cart.clone(), false), (payment, true)], vec![(cart, true)]];
        assert_eq!(posted(&receiver, noon()), expected, "{}: nothing is told of nothing", kind.name);
    }
}

#[tokio::test]
async fn through_every_mirror_an_end_is_told_until_it_was_accepted() {
    for kind in mirrors() {
        let replies = [Reply::Status(200), Reply::Status(503), Reply::HangUp, Reply::Status(200)];
        let receiver = Receiver::start(&replies).await;
        let mirror = mirror(kind, &receiver);
        assert_eq!(mirror.show(&[incident("cart")], at(0)).await, Delivery::Accepted);
        for secs in [60, 120] {
            let shown = mirror.show(&[], at(secs)).await;
            assert!(matches!(shown, Delivery::Retry { .. }), "{}: {shown:?}", kind.name);
        }
        assert_eq!(mirror.show(&[], at(180)).await, Delivery::Accepted);
        assert_eq!(mirror.show(&[], at(240)).await, Delivery::Accepted);
        assert_eq!(receiver.requests().len(), 4, "{}", kind.name);
    }
}

#[tokio::test]
async fn what_every_mirror_shows_ends_by_itself_when_it_isnt_shown_again() {
    for kind in mirrors() {
        let receiver = Receiver::start(&[Reply::Status(200)]).await;
        let mirror = mirror(kind, &receiver);
        assert_eq!(mirror.show(&[incident("cart")], at(0)).await, Delivery::Accepted);
        let still_open = |after: Duration| posted(&receiver, noon() + after)[0] == [("cart".to_owned(), false)];
        assert!(still_open(mirror.every() * 3), "{}: three times in a row may be lost", kind.name);
        assert!(!still_open(mirror.every() * 5), "{}", kind.name);
    }
}

#[tokio::test]
async fn no_mirror_shows_its_secrets_or_lets_a_label_forge_anything_or_waits_for_ever() {
    let hostile = "cart\n\r\u{1b}[2J\u{7}\"}],{\"x\":\"<script>alert(1)</script>\u{202e}";
    let subject = Subject { name: hostile.to_owned(), ..incident("cart").subject };
    let open = [Incident { subject, ..incident("cart") }];
    for kind in mirrors() {
        for reply in [Reply::EchoesPath(400), Reply::EchoesPath(500), Reply::HangUp, Reply::Silence] {
            let receiver = Receiver::start(&[reply]).await;
            let mirror = mirror(kind, &receiver);
            let attempt = Attempt { limit: Duration::from_millis(300), now: noon() };
            let delivery = mirror.show(&open, attempt).await;
            assert_ne!(delivery, Delivery::Accepted, "{}: {reply:?}", kind.name);
            let shown = format!("{delivery:?} {:?}", Outlet::Mirror(mirror));
            assert!(!shown.contains(SECRET), "{}: {shown}", kind.name);
            let (_, body) = receiver.requests().remove(0);
            assert!(!body.contains(|char: char| char.is_control()), "{}: {body:?}", kind.name);
            let alerts: Vec<Value> = serde_json::from_str(&body).unwrap();
            assert_eq!(alerts.len(), 1, "{}", kind.name);
        }
    }
}
