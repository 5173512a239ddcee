//! What facts of the cluster do to incidents.

use homeostat_core::{ClusterFact, ClusterObjectRef, FactKind, Standing};

use super::*;

fn fact(name: &str, kind: FactKind, incident_type: IncidentType, since: Timestamp) -> ClusterFact {
    ClusterFact {
        kind,
        incident_type,
        standing: Standing::Opens,
        subject: subject(name),
        object: ClusterObjectRef { kind: "Pod".into(), namespace: "shop".into(), name: format!("{name}-1") },
        sentence: format!("something is wrong with {name}"),
        since,
        revision: None,
        affected: vec![],
        cannot_cure: vec![],
        may_cure: vec![],
    }
}

impl Play {
    fn tell(&mut self, facts: &[ClusterFact]) -> Vec<IncidentChange> {
        self.tracker.take_facts(self.now(), facts, &self.context)
    }

    fn image(&self, name: &str) -> ClusterFact {
        fact(name, FactKind::ImagePull, IncidentType::ImagePull, self.now())
    }
}

#[test]
fn a_fact_that_lasts_opens_an_incident_that_is_certain_and_one_that_passes_doesnt() {
    let mut play = Play::new();
    let image = play.image("cart");
    assert!(play.tell(std::slice::from_ref(&image)).is_empty(), "a node may still be pulling");
    play.minute += 1;
    assert!(play.tell(std::slice::from_ref(&image)).is_empty());
    play.minute += 1;
    let changes = play.tell(std::slice::from_ref(&image));
    assert_eq!(names(&changes), [("opened", "cart".to_owned())]);
    let incident = changes[0].incident();
    assert_eq!(incident.incident_type, IncidentType::ImagePull);
    assert_eq!(incident.established_by(), Some(&image));
    assert_eq!(incident.confidence.n_outcomes, 0, "nobody has counted anything");
    assert!(play.tell(&[image]).is_empty(), "it is told once");
}

#[test]
fn it_goes_on_without_any_rows_and_ends_two_minutes_after_the_fact() {
    let mut play = Play::new();
    let image = play.image("cart");
    play.minute += 2;
    play.tell(std::slice::from_ref(&image));
    for _ in 0..90 {
        play.minute += 1;
        assert!(play.tell(std::slice::from_ref(&image)).is_empty());
        assert!(play.tracker.pass_time(play.now()).is_empty(), "no row is no silence here");
    }
    play.minute += 1;
    assert_eq!(names(&play.tell(&[])), [("updated", "cart".to_owned())], "it is over, and may be back");
    play.minute += 1;
    let changes = play.tell(&[]);
    assert_eq!(names(&changes), [("resolved", "cart".to_owned())]);
    assert!(matches!(changes[0].incident().annotations[..], [Annotation::ClusterFact { until: Some(_), .. }]));
}

#[test]
fn an_incident_of_the_metrics_gets_the_cause_and_its_type_and_stays_one() {
    let mut play = Play::with_dependencies(&[("cart", "db")]);
    let image = play.image("cart");
    play.steps(5, &[given("cart", 1.5, SLOW), given("db", 0.1, CALM)]);
    let id = play.open()[0].id.clone();
    let changes = play.tell(&[image]);
    assert_eq!(names(&changes), [("updated", "cart".to_owned())]);
    let incident = changes[0].incident();
    assert_eq!((&incident.id, incident.incident_type), (&id, IncidentType::ImagePull));
    assert!(!incident.evidence.is_empty());
}

#[test]
fn the_metrics_join_an_incident_that_a_fact_opened_and_the_fact_holds_it_open() {
    let mut play = Play::new();
    play.steps(5, &[given("cart", 0.1, CALM)]);
    let image = play.image("cart");
    play.minute += 2;
    play.tell(std::slice::from_ref(&image));
    let id = play.open()[0].id.clone();
    for _ in 0..10 {
        play.step(&[given("cart", 1.5, SLOW)]);
        play.tell(std::slice::from_ref(&image));
    }
    assert_eq!((play.open().len(), &play.open()[0].id), (1, &id));
    for _ in 0..60 {
        assert!(play.step(&[given("cart", 0.1, CALM)]).iter().all(|change| change.name() != "resolved"));
        play.tell(std::slice::from_ref(&image));
    }
    play.tell(&[]);
    let changes = play.steps(10, &[given("cart", 0.1, CALM)]);
    assert_eq!(names(&changes).last(), Some(&("resolved", "cart".to_owned())));
}

#[test]
fn what_only_explains_or_hints_opens_nothing_and_only_what_explains_gives_a_type() {
    let mut play = Play::new();
    let mut zero = fact("cart", FactKind::ScaledToZero, IncidentType::ReplicaLoss, Timestamp::from_secs(0));
    zero.standing = Standing::Explains;
    let mut port = fact("cart", FactKind::ServicePort, IncidentType::ServiceUnreachable, Timestamp::from_secs(0));
    port.standing = Standing::Hints;
    assert!(play.tell(&[zero.clone(), port.clone()]).is_empty());
    play.steps(5, &[given("cart", 1.5, SLOW)]);
    play.tell(std::slice::from_ref(&port));
    assert_eq!(play.open()[0].incident_type, IncidentType::Latency, "a hint is shown, and no more");
    assert_eq!(play.open()[0].facts().count(), 1);
    play.tell(&[zero, port]);
    assert_eq!(play.open()[0].incident_type, IncidentType::ReplicaLoss);
}

#[test]
fn one_object_that_many_workloads_need_is_one_incident() {
    let mut play = Play::new();
    let quota = |name: &str| ClusterFact {
        object: ClusterObjectRef { kind: "ResourceQuota".into(), namespace: "shop".into(), name: "small".into() },
        ..fact(name, FactKind::QuotaExceeded, IncidentType::ResourceStarvation, Timestamp::from_secs(0))
    };
    let changes = play.tell(&[quota("cart"), quota("catalog"), quota("orders")]);
    assert_eq!(names(&changes), [("opened", "cart".to_owned())]);
    assert_eq!(changes[0].incident().affected, [subject("catalog"), subject("orders")]);
    // Two pods that can't be scheduled are two workloads' matter.
    let apart = |name: &str| fact(name, FactKind::Unschedulable, IncidentType::Unschedulable, Timestamp::from_secs(0));
    let mut play = Play::new();
    assert_eq!(play.tell(&[apart("cart"), apart("catalog")]).len(), 2);
}

#[test]
fn while_a_workload_settles_after_a_roll_out_of_ours_no_fact_opens_anything() {
    let mut play = Play::new();
    let at = play.now();
    play.context.rollouts.push(Rollout { subject: subject("cart"), at, revision: "2".into(), by_us: true });
    let lost = fact("cart", FactKind::CrashLoop, IncidentType::CrashLoop, Timestamp::from_secs(0));
    assert!(play.tell(&[lost]).is_empty());
}

#[test]
fn an_incident_of_a_fact_survives_a_restart_with_its_own_state_and_without() {
    let mut play = Play::new();
    let image = play.image("cart");
    play.minute += 2;
    let opened = play.tell(std::slice::from_ref(&image))[0].incident().clone();
    let saved = play.tracker.save().expect("plain data");
    let mut again = Play { minute: play.minute, ..Play::new() };
    again.tracker.restore(&saved).expect("what was saved");
    assert!(again.tell(std::slice::from_ref(&image)).is_empty());
    let mut from_record = Play { minute: play.minute, ..Play::new() };
    from_record.tracker.take_up([opened], |_| false, play.now());
    for mut play in [again, from_record] {
        play.minute += 3;
        play.tell(&[]);
        play.minute += 3;
        play.tell(&[]);
        assert!(play.open().is_empty(), "{:?}", play.open());
    }
}
