//! What a sick replica does to its workload's incidents.

use homeostat_core::Evidence;

use super::*;
use crate::replica_watch::OutlierReplica;

fn sick(replica: &str) -> OutlierReplica {
    let evidence = vec![Evidence {
        feature: "pod-latency".into(),
        signal: Signal::Latency,
        observed: 2.0,
        expected: 0.2,
        deviation: 12.0,
    }];
    OutlierReplica { replica: replica.into(), since: Timestamp::from_secs(0), evidence }
}

impl Play {
    fn compare(&mut self, outliers: &[OutlierReplica]) -> Vec<IncidentChange> {
        self.tracker.take_replicas(self.now(), &subject("cart"), outliers.to_vec(), &self.context)
    }
}

fn replicas(incident: &Incident) -> Vec<&str> {
    incident
        .annotations
        .iter()
        .filter_map(|annotation| match annotation {
            Annotation::ReplicaOutlier { replica, .. } => Some(replica.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_sick_replica_opens_an_incident_of_its_workload_that_names_it() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.2, CALM)]);
    let changes = play.compare(&[sick("cart-c")]);
    assert_eq!(names(&changes), [("opened", "cart".to_owned())]);
    let incident = changes[0].incident();
    assert_eq!(replicas(incident), ["cart-c"]);
    assert_eq!(incident.incident_type, IncidentType::Latency);
    assert_eq!(incident.confidence.n_outcomes, 0, "no outcome of a comparison was ever labelled");
}

#[test]
fn it_stays_open_while_the_replica_is_sick_however_calm_the_workload_is() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.2, CALM)]);
    play.compare(&[sick("cart-c")]);
    for _ in 0..60 {
        assert!(play.step(&[given("cart", 0.2, CALM)]).is_empty());
        assert!(play.compare(&[sick("cart-c")]).is_empty());
    }
    play.compare(&[]);
    assert_eq!(names(&play.step(&[given("cart", 0.2, CALM)])), [("resolved", "cart".to_owned())]);
}

#[test]
fn silence_of_the_replicas_is_stale_and_never_resolved() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.2, CALM)]);
    play.compare(&[sick("cart-c")]);
    let changes = play.steps(50, &[given("cart", 0.2, CALM)]);
    assert_eq!(names(&changes), [("stale", "cart".to_owned())]);
    assert_eq!(play.open().len(), 1);
}

#[test]
fn a_sick_replica_of_a_workload_in_an_incident_is_named_there_and_only_told_once() {
    let mut play = Play::new();
    play.steps(5, &[given("cart", 1.5, SLOW)]);
    let id = play.open()[0].id.clone();
    let changes = play.compare(&[sick("cart-c")]);
    assert_eq!(names(&changes), [("updated", "cart".to_owned())]);
    assert_eq!((replicas(changes[0].incident()), &changes[0].incident().id), (vec!["cart-c"], &id));
    assert!(play.compare(&[sick("cart-c")]).is_empty());
}

#[test]
fn when_the_workload_alarms_too_it_is_the_same_incident_with_a_calibrated_confidence() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.2, CALM)]);
    play.compare(&[sick("cart-c")]);
    let id = play.open()[0].id.clone();
    play.steps(5, &[given("cart", 2.0, SLOW)]);
    let open = play.open();
    assert_eq!((open.len(), &open[0].id), (1, &id));
    assert!(open[0].evidence.iter().any(|one| one.feature == "latency"), "{:?}", open[0].evidence);
    // It is over when both are: the replica alone no longer holds it once comparing has stopped.
    let changes = play.steps(60, &[given("cart", 0.1, CALM)]);
    assert_eq!(names(&changes).last(), Some(&("resolved", "cart".to_owned())));
}

#[test]
fn while_a_workload_settles_after_a_roll_out_of_ours_no_replica_opens_anything() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.2, CALM)]);
    let at = play.now();
    play.context.rollouts.push(Rollout { subject: subject("cart"), at, revision: "2".into(), by_us: true });
    assert!(play.compare(&[sick("cart-c")]).is_empty());
}

#[test]
fn an_incident_of_a_replica_survives_a_restart() {
    let mut play = Play::new();
    play.steps(10, &[given("cart", 0.2, CALM)]);
    play.compare(&[sick("cart-c")]);
    let saved = play.tracker.save().expect("plain data");
    let mut again = Play { minute: play.minute, ..Play::new() };
    again.tracker.restore(&saved).expect("what was saved");
    assert!(again.step(&[given("cart", 0.2, CALM)]).is_empty());
    assert_eq!(replicas(again.open()[0]), ["cart-c"]);
}
