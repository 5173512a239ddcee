//! The closed loop, end to end on the simulated shop: what only some of its parts can do together.

use homeostat_core::{Annotation, IncidentState, Subject};
use homeostat_simulate::{Fault, FaultKind, Severity};

use super::*;
use crate::config::Detection;

fn cart() -> Subject {
    Subject::deployment("shop", "cart")
}

/// A shop with models of two simulated days, watched in mode observe.
async fn closed_loop(compares_replicas: bool, faults: impl Fn(Timestamp) -> Vec<Fault>) -> ClosedLoop {
    let spec = ShopSpec { history_steps: 2 * 24 * 60, ..ShopSpec::default() };
    // Two detectors: what is tested here is what comes after them.
    let detection = Detection { detectors: vec!["forest", "forecast"], ..Detection::default() };
    let (mut shop, trained) = train_on_shop(&spec, 2, Seed::new(3), &detection, |_| {}).expect("a trained shop");
    for fault in faults(shop.now()) {
        shop.schedule(fault).expect("scheduled");
    }
    let journal = Arc::new(Journal::in_memory().expect("a journal"));
    let calibration = Calibration::unknown();
    let closed =
        ClosedLoop::new(shop, &trained, calibration, Vec::new(), journal, Mode::Observe).await.expect("a loop");
    if compares_replicas { closed.comparing_replicas() } else { closed }
}

impl ClosedLoop {
    async fn steps(&mut self, n_steps: usize) -> Vec<IncidentChange> {
        let from = self.changes.len();
        for _ in 0..n_steps {
            self.step().await;
        }
        self.changes[from..].to_vec()
    }
}

fn replica_of(change: &IncidentChange) -> Option<&str> {
    change.incident().annotations.iter().find_map(|annotation| match annotation {
        Annotation::ReplicaOutlier { replica, .. } => Some(replica.as_str()),
        Annotation::PlannedEvent { .. }
        | Annotation::RecentRollout { .. }
        | Annotation::ThresholdRule { .. }
        | Annotation::DependencyAffected { .. }
        | Annotation::ClusterFact { .. } => None,
    })
}

/// One pod of three burns a little CPU for nothing, from an hour after the start for an hour.
fn one_sick_pod(now: Timestamp) -> Vec<Fault> {
    let hour = Duration::from_secs(3_600);
    let severity = Severity::new(0.05).expect("a severity");
    let fault = Fault::new(FaultKind::CpuSpike, cart(), now + hour, severity).lasting(hour);
    vec![fault.of_one_replica()]
}

#[tokio::test]
async fn one_sick_pod_is_an_incident_of_its_workload_that_names_it_until_it_is_well() {
    let mut closed = closed_loop(true, one_sick_pod).await;
    assert!(closed.steps(60).await.iter().all(|change| replica_of(change).is_none()), "all are well");
    let changes = closed.steps(60).await;
    let opened = changes.iter().find(|change| replica_of(change).is_some()).expect("the sick pod is named");
    assert_eq!(opened.incident().subject, cart());
    assert_eq!(replica_of(opened), Some("cart-000001-0"));
    assert!(opened.incident().opened_at.since(closed.began_at).as_secs() < 3_600 + 15 * 60, "{opened:?}");
    let id = opened.incident().id.clone();
    // The journal has it, and so have `incident show` and the API.
    let journal = closed.cycle.driver().journal().incidents().expect("a journal");
    let recorded = journal.iter().find(|incident| incident.id == id).expect("it is recorded");
    assert!(recorded.annotations.iter().any(|one| matches!(one, Annotation::ReplicaOutlier { .. })));
    let changes = closed.steps(60).await;
    let last = changes.iter().rfind(|change| change.incident().id == id).expect("it ends");
    assert_eq!(last.incident().state, IncidentState::Resolved);
}

#[tokio::test]
async fn without_comparing_nobody_names_a_pod_and_a_quiet_day_of_comparing_names_none() {
    let mut closed = closed_loop(false, one_sick_pod).await;
    assert!(closed.steps(120).await.iter().all(|change| replica_of(change).is_none()));
    let mut closed = closed_loop(true, |_| Vec::new()).await;
    let named: Vec<IncidentChange> =
        closed.steps(24 * 60).await.into_iter().filter(|change| replica_of(change).is_some()).collect();
    assert!(named.is_empty(), "{named:?}");
}

#[tokio::test]
async fn a_slow_leak_says_when_memory_reaches_its_limit_and_about_then_it_does() {
    let hour = Duration::from_secs(3_600);
    let leak = |now: Timestamp| {
        let severity = Severity::new(0.1).expect("a severity");
        vec![Fault::new(FaultKind::MemoryLeak, cart(), now + hour, severity).lasting(12 * hour)]
    };
    let mut closed = closed_loop(false, leak).await;
    let changes = closed.steps(12 * 60).await;
    let of_cart = || changes.iter().map(IncidentChange::incident).filter(|incident| incident.subject == cart());
    let said = of_cart().find_map(|incident| incident.limits_ahead.first()).expect("a limit ahead");
    assert_eq!(said.feature, "memory");
    let killed =
        of_cart().find(|incident| incident.evidence.iter().any(|one| one.feature == "oom-kills" && one.observed > 0.0));
    let killed_at = killed.expect("a kill").updated_at;
    assert!(said.as_of < killed_at, "{said} {killed_at}");
    // It is told after an hour and a half of the leak, and a straight line through a night doesn't know that mornings have more traffic, which
    // takes memory too.
    let (told, real) = (said.expected_at.since(said.as_of), killed_at.since(said.as_of));
    assert!(told.abs_diff(real) <= real / 3, "{said:?} {killed_at}");
    // It is told once, not with every row.
    let n_told = of_cart().filter(|incident| !incident.limits_ahead.is_empty()).count();
    assert!(n_told <= 40, "{n_told}");
}
