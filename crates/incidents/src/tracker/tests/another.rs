//! Another fault while an incident is open, and numbers that are those of the newest row.

use super::*;

/// Surging traffic, for which nothing fails.
const SURGE: [f64; 4] = [0.0, 0.0, 0.0, 20.0];

#[test]
fn another_fault_after_the_first_has_gone_is_named_and_notifies() {
    let mut play = Play::new();
    let opened = play.steps(2, &[given("cart", 1.5, SURGE)]);
    assert_eq!(opened[0].incident().incident_type, IncidentType::TrafficSurge);
    // The surge ends, but before that could be believed the memory begins to leak.
    play.steps(2, &[given("cart", 0.4, CALM)]);
    let changes = play.steps(10, &[given("cart", 1.2, LEAKING)]);
    let notified: Vec<&IncidentChange> = changes.iter().filter(|change| change.notifies()).collect();
    assert_eq!(notified.iter().map(|change| change.name()).collect::<Vec<_>>(), ["refired"], "once");
    let incident = notified[0].incident();
    assert_eq!(incident.incident_type, IncidentType::MemoryLeak);
    let features: Vec<&str> = incident.evidence.iter().map(|one| one.feature.as_str()).collect();
    assert_eq!(features, ["memory"], "what was back to normal is no evidence of this one");
    // It is over when the leak is.
    assert_eq!(names(&play.steps(5, &[given("cart", 0.1, CALM)])), [("resolved", "cart".into())]);
}

#[test]
fn a_fault_that_goes_on_keeps_its_name_while_others_come_and_go() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, LEAKING)]);
    let both = [9.0, 9.0, 0.0, 20.0];
    let changes = play.steps(30, &[given("cart", 1.4, both)]);
    assert!(changes.iter().all(|change| change.incident().incident_type == IncidentType::MemoryLeak));
    assert!(changes.iter().all(|change| !change.notifies()), "{:?}", names(&changes));
}

#[test]
fn one_odd_row_is_not_another_fault() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, SURGE)]);
    for _ in 0..10 {
        assert!(play.steps(4, &[given("cart", 1.2, LEAKING)]).iter().all(|change| !change.notifies()));
        play.step(&[given("cart", 1.2, SURGE)]);
    }
    assert_eq!(play.open()[0].incident_type, IncidentType::TrafficSurge);
}

#[test]
fn memory_that_fills_up_while_traffic_surges_is_a_leak() {
    let mut play = Play::new();
    let limits = [("memory".to_owned(), 1.0)].into_iter().collect();
    let mut watch = LimitWatch::new(&schema(), STEP, &limits).expect("limits");
    // It has risen for two hours and a half, to five sixths of its limit.
    let start = play.now() - Duration::from_secs(60 * 150);
    for minute in 0..=150_u32 {
        let memory = 0.53 + 0.002 * f64::from(minute);
        let at = start + Duration::from_secs(60 * u64::from(minute));
        watch.observe(at, &[None, Some(memory), None, None]);
    }
    play.limits = watch;
    let changes = play.steps(3, &[given("cart", 1.5, [0.0, 9.0, 0.0, 20.0])]);
    assert_eq!(changes[0].incident().incident_type, IncidentType::MemoryLeak, "not a surge that will pass");
}

#[test]
fn a_change_has_the_numbers_of_the_newest_row() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, [20.0, 0.0, 0.0, 0.0])]);
    play.steps(5, &[given("cart", 1.2, [12.0, 0.0, 0.0, 0.0])]);
    let changes = play.steps(2, &[given("cart", 9.0, [12.0, 9.0, 0.0, 0.0])]);
    let incident = changes[0].incident();
    let numbers: Vec<(&str, f64)> = incident.evidence.iter().map(|one| (one.feature.as_str(), one.observed)).collect();
    assert_eq!(numbers, [("latency", 12.0), ("memory", 9.0)], "not those of the opening");
    let over = play.steps(6, &[given("cart", 0.1, [0.5, 0.25, 0.0, 0.0])]);
    let incident = over.last().expect("a change").incident();
    assert_eq!(incident.state, IncidentState::Resolved);
    assert_eq!(incident.evidence.iter().map(|one| one.observed).collect::<Vec<_>>(), [0.5, 0.25]);
}

#[test]
fn evidence_never_denies_itself() {
    let mut play = Play::new();
    play.minute += 1;
    // As after a gap: far from the rows before, and where it was expected.
    let mut row = assessed(play.now(), &given("cart", 9.0, [0.0, 9.0, 0.0, 0.0]));
    row.features[0] =
        FeatureState { value: Some(0.2398), expected: Some(0.2401), deviation: Some(0.1), normal: true, usual: true };
    (row.assessment.deviations[0], row.assessment.expected[0]) = (Some(55.9), Some(0.2401));
    let (schema, cart) = (schema(), subject("cart"));
    let row = SubjectRow { subject: &cart, schema: &schema, step: STEP, row: &row, limits: &LimitWatch::default() };
    let changes = play.tracker.step(play.now(), [row], &play.context);
    let features: Vec<&str> = changes[0].incident().evidence.iter().map(|one| one.feature.as_str()).collect();
    assert_eq!(features, ["memory"]);
}
