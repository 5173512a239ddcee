//! A replica that follows watches as the leader does, and records nothing before it has its turn.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use homeostat_core::IncidentChange;
use homeostat_journal::{Epoch, Head, Journal};

use super::*;
use crate::serve::replica::{Mandate, Peers, Replica};
use crate::serve::snapshot::Role;

/// Leads when a test says so.
struct Said {
    leads: Arc<AtomicBool>,
    held: bool,
}

#[async_trait]
impl Peers for Said {
    async fn mandate(&mut self, journal: &Journal) -> Mandate {
        let (held, leads) = (self.held, self.leads.load(Ordering::SeqCst));
        self.held = leads;
        match (held, leads) {
            (true, true) => Mandate::Kept,
            (false, true) => {
                journal.lead(Epoch(9)).expect("readable");
                Mandate::New
            }
            (_, false) => {
                journal.follow("another one leads");
                Mandate::None { why: "another one leads".to_owned() }
            }
        }
    }

    async fn closed(&self) {
        std::future::pending().await
    }

    fn note_head(&self, _: Head) {}

    fn lease(&self) -> Option<&str> {
        Some("homeostat")
    }

    async fn end(self: Box<Self>) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_follows_watches_and_records_nothing_until_it_takes_over() {
    let mut scene = Scene::at_noon().await;
    let leads = Arc::new(AtomicBool::new(false));
    let journal = Arc::clone(scene.service.cycle.driver().journal());
    let said = Said { leads: Arc::clone(&leads), held: false };
    scene.service.replica = Replica::among(Arc::clone(&journal), Box::new(said));
    let shown = |scene: &Scene| {
        let snapshot = scene.snapshot.borrow();
        let rows = snapshot.incidents.page(None, 10, |_| true).expect("a page").0;
        rows.iter().map(|row| row.state.clone()).collect::<Vec<_>>()
    };
    scene.minutes(5).await;
    scene.fault(60);
    scene.minutes(10).await;
    assert_eq!(shown(&scene), ["open"], "it sees what happens");
    assert_eq!(scene.incidents(), [], "and records nothing");
    assert_eq!(scene.snapshot.borrow().role, Role::Follows { why: "another one leads".to_owned() });
    assert_eq!(journal.head(), Head::empty());

    leads.store(true, Ordering::SeqCst);
    scene.clock.pass(MINUTE);
    scene.change_newest();
    let at = scene.service.begin_cycle().await;
    assert_eq!(scene.incidents(), [IncidentState::Open], "recorded before anything is done about it");
    let pulled = scene.service.puller.ask(at).await;
    let (seen, _) = scene.service.puller.take(pulled);
    let now = scene.true_now();
    let tick = scene.service.cycle.observe(now, &seen.windows, &[]);
    let opened = tick.changes.iter().filter(|change| matches!(change, IncidentChange::Opened(_))).count();
    assert_eq!(opened, 1, "told by nobody before, and once");
    scene.minutes(2).await;
    assert_eq!(scene.snapshot.borrow().role, Role::Acts);

    // The other one takes over, sees it through, and this one goes on watching.
    leads.store(false, Ordering::SeqCst);
    let n_rows = journal.head().seq;
    scene.minutes(90).await;
    assert_eq!(journal.head().seq, n_rows, "it records nothing any more");
    // Back again: what the journal has open is over, and that is recorded.
    leads.store(true, Ordering::SeqCst);
    scene.minutes(60).await;
    assert_eq!(scene.incidents(), [IncidentState::Resolved]);
}
