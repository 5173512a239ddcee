//! Receivers that are told the ends of incidents.

use super::*;

/// A receiver that keeps a call open until it hears that it is over.
struct KeepsOpen(Arc<FakeReceiver>);

#[async_trait::async_trait]
impl Deliver for KeepsOpen {
    async fn deliver(&self, event: &Event, attempt: crate::outlet::Attempt) -> Delivery {
        self.0.deliver(event, attempt).await
    }

    fn wants_ends(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_receiver_that_keeps_calls_open_hears_of_ends_though_it_gets_no_other_changes() {
    let directory = tempfile::tempdir().unwrap();
    let (pager, feed) = (ok(), ok());
    let mut set = Set::new(directory.path(), &pager, &feed);
    let keeps_open = |changes| Channel {
        kind: "fake",
        changes,
        outlet: Outlet::Deliver(Arc::new(KeepsOpen(Arc::clone(&pager))) as Arc<dyn Deliver>),
    };
    set.announcer.reload(&Channels::from_iter([("pager".to_owned(), keeps_open(false))]));
    set.run().await;
    set.announcer.escalate(&to(&["pager"], "storm"), Some(&incident("payment-api")));
    set.announcer.announce(&[change("opened"), change("updated"), change("resolved")]);
    settle().await;
    let names: Vec<bool> = pager.got().iter().map(Event::closes).collect();
    assert_eq!(names, [false, true], "the call, and its incident's end once");
    // Also one that ended while nobody could tell it, and never one that it wasn't called for.
    let mut over = incident("cart");
    set.announcer.escalate(&Escalation { incident: over.id.clone(), ..to(&["pager"], "storm") }, Some(&over));
    settle().await;
    over.state = IncidentState::Resolved;
    set.announcer.resync(&[incident("shipping")], |id| (*id == over.id).then(|| over.clone()));
    settle().await;
    let ended: Vec<_> = pager.got()[2..].iter().map(|event| (event.incident_id().clone(), event.closes())).collect();
    assert_eq!(ended, [(over.id.clone(), false), (over.id.clone(), true)]);
    // With all changes it hears of the end once, not twice.
    set.announcer.reload(&Channels::from_iter([("pager".to_owned(), keeps_open(true))]));
    settle().await;
    let n_before = pager.n_got();
    set.announcer.announce(&[change_of("shipping", "resolved")]);
    settle().await;
    assert_eq!(pager.n_got(), n_before + 1);
    set.end().await;
}
