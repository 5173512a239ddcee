use std::sync::Arc;

use homeostat_core::{Annotation, Assessment, Direction, Feature, Fused, IncidentType, PlannedEvent, Signal};
use homeostat_detect::FeatureState;

use super::*;
use crate::confidence::LabelledOutcome;

mod another;
mod data_faults;
mod excursion;
mod facts;
mod limits;
mod rebaselined;
mod recorded;
mod replicas;
mod silence;
mod source_gap;

const STEP: Duration = Duration::from_secs(60);
const SIGNALS: [Signal; 4] = [Signal::Latency, Signal::Memory, Signal::Restarts, Signal::Traffic];

fn subject(name: &str) -> Subject {
    Subject::deployment("shop", name)
}

fn schema() -> Arc<Schema> {
    let feature =
        |signal: Signal| Feature { name: signal.name().into(), signal, direction: Direction::Both, deviation_min: 0.0 };
    Arc::new(Schema::new(SIGNALS.map(feature).to_vec()).expect("a schema"))
}

/// A row of one subject as the test describes it: a score, and deviations of latency, memory, restarts and traffic. A
/// feature is normal within 4 deviations; NaN is a gap.
#[derive(Clone, Copy)]
struct Given {
    name: &'static str,
    score: Option<f64>,
    deviations: [f64; 4],
    /// Whether the forecast takes everything for usual.
    usual: bool,
    /// The score of what has added up.
    lasting: f64,
}

const CALM: [f64; 4] = [0.0; 4];
const SLOW: [f64; 4] = [9.0, 0.0, 0.0, 0.0];
const LEAKING: [f64; 4] = [0.0, 9.0, 0.0, 0.0];

fn given(name: &'static str, score: f64, deviations: [f64; 4]) -> Given {
    Given { name, score: Some(score), deviations, usual: false, lasting: 0.0 }
}

struct Play {
    tracker: Tracker,
    context: ClusterContext,
    limits: LimitWatch,
    minute: i64,
}

impl Play {
    fn new() -> Self {
        let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
        Self { tracker, context: ClusterContext::default(), limits: LimitWatch::default(), minute: 1000 }
    }

    /// Every caller depends on its dependency.
    fn with_dependencies(pairs: &[(&str, &str)]) -> Self {
        let mut play = Self::new();
        pairs.iter().for_each(|(caller, dependency)| play.context.topology.add(subject(caller), subject(dependency)));
        play
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_secs(60 * self.minute)
    }

    fn step(&mut self, rows: &[Given]) -> Vec<IncidentChange> {
        self.minute += 1;
        let (at, schema) = (self.now(), schema());
        let rows: Vec<(Subject, AssessedRow)> = rows.iter().map(|row| (subject(row.name), assessed(at, row))).collect();
        let limits = &self.limits;
        let row = |(subject, row)| SubjectRow { subject, schema: &schema, step: STEP, row, limits };
        let rows: Vec<SubjectRow<'_>> = rows.iter().map(|(subject, assessed)| row((subject, assessed))).collect();
        self.tracker.step(at, rows, &self.context)
    }

    fn steps(&mut self, n: usize, rows: &[Given]) -> Vec<IncidentChange> {
        (0..n).flat_map(|_| self.step(rows)).collect()
    }

    fn open(&self) -> Vec<&Incident> {
        self.tracker.open_incidents().collect()
    }
}

fn assessed(at: Timestamp, row: &Given) -> AssessedRow {
    let present = |deviation: f64| (!deviation.is_nan()).then_some(deviation);
    let score = |value: f64| Score::new(value).expect("a score");
    let fused = match row.score {
        Some(value) => {
            Fused::Scored { score: score(value), lasting_score: score(row.lasting), smoothed_score: score(value) }
        }
        None => Fused::TooFewVotes { n_scored: 0, n_needed: 2 },
    };
    let features = row.deviations.map(|deviation| FeatureState {
        value: present(deviation),
        expected: present(deviation).map(|_| 0.0),
        deviation: present(deviation),
        normal: deviation.abs() <= 4.0,
        usual: row.usual && !deviation.is_nan(),
    });
    let deviations = row.deviations.map(present).to_vec();
    let expected = vec![Some(0.0); 4];
    let assessment = Assessment { at, votes: Vec::new(), fused, deviations, expected };
    AssessedRow { assessment, features: features.to_vec() }
}

fn names(changes: &[IncidentChange]) -> Vec<(&'static str, String)> {
    changes.iter().map(|change| (change.name(), change.incident().subject.name.clone())).collect()
}

fn dependencies(incident: &Incident) -> usize {
    incident.annotations.iter().filter(|one| matches!(one, Annotation::DependencyAffected { .. })).count()
}

#[test]
fn two_of_three_rows_open_an_incident_with_evidence_and_type() {
    let mut play = Play::new();
    assert!(play.step(&[given("cart", 1.2, SLOW)]).is_empty());
    let changes = play.step(&[given("cart", 1.3, SLOW)]);
    assert_eq!(names(&changes), [("opened", "cart".into())]);
    let incident = changes[0].incident();
    assert_eq!((incident.incident_type, incident.opened_at), (IncidentType::Latency, play.now()));
    assert_eq!(incident.evidence.len(), 1, "what doesn't deviate is no evidence: {:?}", incident.evidence);
    assert!(play.steps(10, &[given("cart", 1.3, SLOW)]).is_empty(), "nothing new, nothing told");
}

#[test]
fn calm_scores_and_normal_evidence_resolve_and_both_are_needed() {
    let mut play = Play::new();
    play.steps(2, &[given("worker", 1.5, LEAKING)]);
    let quiet = play.steps(60, &[given("worker", 0.1, LEAKING)]);
    assert!(quiet.is_empty(), "everybody got used to it, but the memory is still nine deviations high");
    let noisy = play.steps(60, &[given("worker", 0.9, CALM)]);
    assert!(noisy.is_empty(), "the evidence is normal, but the scores aren't calm");
    let calm = play.steps(5, &[given("worker", 0.1, CALM)]);
    assert_eq!(names(&calm), [("resolved", "worker".into())]);
    assert!(play.open().is_empty());
}

#[test]
fn what_was_left_open_calls_again_when_it_flares_up_after_a_pause() {
    let mut play = Play::new();
    play.steps(2, &[given("worker", 1.5, LEAKING)]);
    let id = play.open()[0].id.clone();
    assert!(play.steps(4, &[given("worker", 0.1, LEAKING)]).is_empty());
    assert!(play.steps(2, &[given("worker", 1.5, LEAKING)]).is_empty(), "four calm rows are no pause");
    play.steps(5, &[given("worker", 0.1, LEAKING)]);
    assert!(play.step(&[given("worker", 1.5, LEAKING)]).is_empty(), "one odd row is no alarm");
    let again = play.step(&[given("worker", 1.5, LEAKING)]);
    assert_eq!(names(&again), [("refired", "worker".into())]);
    assert!(again[0].notifies() && again[0].incident().id == id && again[0].incident().updated_at == play.now());
    assert!(play.steps(20, &[given("worker", 1.5, LEAKING)]).is_empty(), "called once");
}

#[test]
fn an_alarm_that_lasts_reminds_ever_more_rarely_and_silence_or_calm_never() {
    let mut play = Play::new();
    play.steps(2, &[given("worker", 1.5, LEAKING)]);
    // Three days: after an hour, and half a day after that.
    let changes = play.steps(3 * 1440, &[given("worker", 1.5, LEAKING)]);
    assert_eq!(names(&changes), vec![("refired", "worker".to_owned()); 2]);
    // Nothing fails where there only is more traffic.
    let mut busy = Play::new();
    busy.steps(2, &[given("worker", 1.5, [0.0, 0.0, 0.0, 9.0])]);
    let changes = busy.steps(3 * 1440, &[given("worker", 1.5, [0.0, 0.0, 0.0, 9.0])]);
    assert!(changes.is_empty(), "told once: {:?}", names(&changes));
    let changes = busy.steps(2 * 1440, &[given("worker", 1.5, [0.0, 0.0, 0.0, 9.0])]);
    assert_eq!(names(&changes), [("refired", "worker".to_owned())], "four days later nobody has accepted it");
    assert!(play.steps(3 * 60, &[given("worker", 0.9, LEAKING)]).is_empty());
    assert!(
        !play.steps(3 * 60, &[Given { score: None, ..given("worker", 0.0, LEAKING) }]).iter().any(|one| one.notifies())
    );
}

#[test]
fn an_incident_that_grows_much_worse_notifies_anew_and_one_that_stays_as_bad_does_not() {
    let mut play = Play::new();
    play.steps(2, &[given("worker", 1.5, LEAKING)]);
    let calls = |changes: Vec<IncidentChange>| changes.iter().filter(|change| change.notifies()).count();
    // What comes within the hour is seen by whoever was notified.
    assert_eq!(calls(play.steps(50, &[given("worker", 4.0, LEAKING)])), 0);
    assert_eq!(calls(play.steps(70, &[given("worker", 4.0, LEAKING)])), 1, "the reminder");
    assert_eq!(calls(play.steps(120, &[given("worker", 11.0, LEAKING)])), 0, "not three times as bad");
    assert_eq!(calls(play.steps(30, &[given("worker", 13.0, LEAKING)])), 1);
}

#[test]
fn what_is_planned_or_explained_by_a_dependency_does_not_call_again() {
    let mut play = Play::new();
    play.context.calendar.events = vec![PlannedEvent {
        name: "campaign".into(),
        start: play.now(),
        end: play.now() + Duration::from_secs(86_400),
        namespaces: vec![],
        workloads: vec![],
    }];
    play.steps(2, &[given("worker", 1.5, LEAKING)]);
    assert!(play.steps(3 * 60, &[given("worker", 1.5, LEAKING)]).is_empty());

    let mut play = Play::with_dependencies(&[("web", "redis")]);
    play.steps(2, &[given("web", 1.5, SLOW), given("redis", 0.2, CALM)]);
    play.steps(2, &[given("web", 1.5, SLOW), given("redis", 1.5, SLOW)]);
    let changes = play.steps(101 * 60, &[given("web", 1.5, SLOW), given("redis", 1.5, SLOW)]);
    assert_eq!(names(&changes), [("refired", "redis".into())]);
}

#[test]
fn silence_is_stale_not_resolved() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, SLOW)]);
    let last = play.now();
    assert!(play.tracker.pass_time(last + Duration::from_secs(300)).is_empty());
    let changes = play.tracker.pass_time(last + Duration::from_secs(301));
    assert_eq!(names(&changes), [("stale", "cart".into())]);
    assert!(play.tracker.pass_time(last + Duration::from_secs(3_000)).is_empty(), "told once");
    assert_eq!(play.open()[0].state, IncidentState::Stale);
    // Rows without a score, and rows without the evidence, are silence, too.
    play.minute += 10;
    assert!(play.steps(20, &[Given { score: None, ..given("cart", 0.0, [f64::NAN; 4]) }]).is_empty());
    assert!(play.steps(20, &[given("cart", 0.0, [f64::NAN, 0.0, 0.0, 0.0])]).is_empty());
    let back = play.steps(5, &[given("cart", 0.1, CALM)]);
    assert_eq!(names(&back), [("updated", "cart".into()), ("resolved", "cart".into())]);
}

#[test]
fn a_dependency_that_fails_is_one_incident_with_its_callers_affected() {
    let mut play = Play::with_dependencies(&[("web", "cart"), ("cart", "redis"), ("search", "redis")]);
    let all = ["web", "cart", "search", "redis"].map(|name| given(name, 1.5, SLOW));
    let changes = play.steps(3, &all);
    assert_eq!(names(&changes), [("opened", "redis".into())], "told once, with everybody on it");
    let affected: Vec<&str> = play.open()[0].affected.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(affected.len(), 3, "{affected:?}");
}

#[test]
fn a_caller_waits_while_its_dependency_looks_suspicious_and_no_longer() {
    let mut play = Play::with_dependencies(&[("web", "redis")]);
    play.step(&[given("web", 1.5, SLOW), given("redis", 0.2, CALM)]);
    assert!(play.step(&[given("web", 1.5, SLOW), given("redis", 1.1, SLOW)]).is_empty());
    assert_eq!(names(&play.step(&[given("web", 1.5, SLOW), given("redis", 1.1, SLOW)])), [("opened", "redis".into())]);

    let mut play = Play::with_dependencies(&[("web", "redis")]);
    let changes = play.steps(2, &[given("web", 1.5, SLOW), given("redis", 0.2, CALM)]);
    assert_eq!(names(&changes), [("opened", "web".into())], "nothing is wrong with redis: no wait");

    let mut play = Play::with_dependencies(&[("web", "redis")]);
    let flickering = [given("redis", 1.1, SLOW), given("redis", 0.2, CALM), given("redis", 0.2, CALM)];
    let mut opened_after = None;
    for row in 0..12 {
        let changes = play.step(&[given("web", 1.5, SLOW), flickering[row % 3]]);
        if opened_after.is_none() && !changes.is_empty() {
            opened_after = Some(row);
        }
    }
    assert_eq!(opened_after, Some(4), "two rows to alarm, three of grace");
}

#[test]
fn a_caller_that_opened_first_is_annotated_and_joins_the_cause() {
    let mut play = Play::with_dependencies(&[("web", "redis")]);
    play.steps(2, &[given("web", 1.5, SLOW), given("redis", 0.2, CALM)]);
    play.step(&[given("web", 1.5, SLOW), given("redis", 1.5, SLOW)]);
    let changes = play.step(&[given("web", 1.5, SLOW), given("redis", 1.5, SLOW)]);
    assert_eq!(names(&changes), [("opened", "redis".into()), ("updated", "web".into())]);
    let web = changes[1].incident();
    assert_eq!((web.incident_type, dependencies(web)), (IncidentType::DependencyFailure, 1));
    assert_eq!(changes[0].incident().affected, [subject("web")]);
    // When the dependency recovers, the annotation goes; the caller resolves by its own signals.
    let changes = play.steps(6, &[given("web", 1.5, SLOW), given("redis", 0.1, CALM)]);
    assert_eq!(names(&changes), [("resolved", "redis".into()), ("updated", "web".into())]);
    assert_eq!(dependencies(play.open()[0]), 0);
}

#[test]
fn evidence_of_its_own_opens_an_incident_of_its_own() {
    let mut play = Play::with_dependencies(&[("web", "redis")]);
    let changes = play.steps(2, &[given("web", 1.5, LEAKING), given("redis", 1.5, SLOW)]);
    assert_eq!(names(&changes), [("opened", "redis".into()), ("opened", "web".into())]);
    let web = changes[1].incident();
    assert_eq!((web.incident_type, dependencies(web)), (IncidentType::MemoryLeak, 1));
    assert!(changes[0].incident().affected.is_empty());
}

#[test]
fn a_cycle_of_dependencies_is_one_incident_and_ends() {
    let mut play = Play::with_dependencies(&[("a", "b"), ("b", "c"), ("c", "a")]);
    let rows = [given("a", 1.5, SLOW), given("b", 2.5, SLOW), given("c", 1.5, SLOW)];
    let changes = play.steps(6, &rows);
    assert_eq!(names(&changes), [("opened", "b".into())], "the highest score");
    assert_eq!(play.open()[0].affected.len(), 2);
    assert_eq!(dependencies(play.open()[0]), 0);
}

#[test]
fn callers_get_time_to_settle_when_their_dependency_recovered() {
    let mut play = Play::with_dependencies(&[("web", "redis")]);
    play.steps(2, &[given("web", 1.5, SLOW), given("redis", 1.5, SLOW)]);
    let changes = play.steps(5, &[given("web", 1.5, SLOW), given("redis", 0.1, CALM)]);
    assert_eq!(names(&changes).last(), Some(&("resolved", "redis".into())));
    assert!(play.steps(4, &[given("web", 1.5, SLOW)]).is_empty());
    assert_eq!(names(&play.steps(2, &[given("web", 1.5, SLOW)])), [("opened", "web".into())]);
}

#[test]
fn our_own_roll_out_opens_nothing_while_it_settles() {
    // I35
    let mut play = Play::with_dependencies(&[("web", "cart")]);
    let at = play.now();
    play.context.rollouts = vec![Rollout { subject: subject("cart"), at, revision: "7".into(), by_us: true }];
    let rows = [given("cart", 9.0, [0.0, 0.0, 9.0, 0.0]), given("web", 9.0, SLOW), given("other", 9.0, SLOW)];
    assert_eq!(names(&play.steps(4, &rows)), [("opened", "other".into())]);
    let later = play.steps(1, &rows);
    assert_eq!(names(&later), [("opened", "cart".into())], "what lasts longer than settling is an incident");
    assert_eq!(later[0].incident().incident_type, IncidentType::CrashLoop);
    assert!(later[0].incident().annotations.is_empty(), "our own roll-out is no recent deployment to blame");
}

#[test]
fn a_recent_roll_out_of_others_is_annotated_and_blamed() {
    let mut play = Play::new();
    let rollout = |minutes_ago: u64, revision: &str| Rollout {
        subject: subject("cart"),
        at: Timestamp::from_secs(60_000) - Duration::from_secs(60 * minutes_ago),
        revision: revision.into(),
        by_us: false,
    };
    play.context.rollouts = vec![rollout(200, "6"), rollout(8, "7")];
    let changes = play.steps(2, &[given("cart", 1.5, SLOW)]);
    let incident = changes[0].incident();
    assert_eq!(incident.incident_type, IncidentType::BadDeployment);
    assert!(matches!(&incident.annotations[..], [Annotation::RecentRollout { revision, .. }] if revision == "7"));
}

#[test]
fn an_incident_that_opened_before_anything_stood_out_is_typed_by_what_first_does() {
    let mut play = Play::new();
    let opened = play.steps(2, &[given("worker", 1.5, [0.5, 1.0, 0.0, 0.0])]);
    assert_eq!(opened[0].incident().incident_type, IncidentType::Unknown);
    let changes = play.step(&[given("worker", 1.6, [0.5, 3.9, 0.0, 0.0])]);
    assert_eq!(names(&changes), [("updated", "worker".into())]);
    let worker = changes[0].incident();
    assert_eq!((worker.incident_type, worker.evidence.len()), (IncidentType::MemoryLeak, 1), "{:?}", worker.evidence);
    assert_eq!(worker.evidence[0].deviation, 3.9);
}

#[test]
fn a_planned_event_is_annotated_and_the_incident_is_not_lost() {
    let mut play = Play::new();
    play.context.calendar.events = vec![PlannedEvent {
        name: "sale".into(),
        start: play.now(),
        end: play.now() + Duration::from_secs(600),
        namespaces: vec![],
        workloads: vec![],
    }];
    let surge = [0.0, 0.0, 0.0, 20.0];
    let changes = play.steps(2, &[given("cart", 1.5, surge)]);
    assert_eq!(names(&changes), [("opened", "cart".into())]);
    assert_eq!(changes[0].incident().incident_type, IncidentType::TrafficSurge);
    assert_eq!(changes[0].incident().planned_event(), Some("sale"));
    let after = play.steps(10, &[given("cart", 1.5, surge)]);
    assert_eq!(names(&after), [("updated", "cart".into())]);
    assert_eq!(after[0].incident().planned_event(), None, "the event is over, the incident isn't");
}

#[test]
fn a_planned_event_is_one_incident_however_many_it_reaches() {
    let mut play = Play::new();
    play.context.calendar.events = vec![PlannedEvent {
        name: "sale".into(),
        start: play.now(),
        end: play.now() + Duration::from_secs(3_600),
        namespaces: vec![],
        workloads: vec![],
    }];
    let (surge, slow_surge) = ([0.0, 0.0, 0.0, 20.0], [9.0, 0.0, 0.0, 9.0]);
    let changes = play.steps(3, &[given("cart", 1.5, surge), given("web", 1.4, surge)]);
    assert_eq!(names(&changes), [("opened", "cart".into())]);
    let changes = play.steps(3, &[given("cart", 1.5, surge), given("web", 1.4, surge), given("db", 1.4, slow_surge)]);
    assert_eq!(names(&changes), [("updated", "cart".into())]);
    assert_eq!(play.open()[0].affected, [subject("web"), subject("db")]);
    // When it has calmed down, more load is still the event's.
    let changes = play.steps(6, &[given("cart", 0.1, CALM), given("web", 0.1, CALM), given("db", 0.1, CALM)]);
    assert_eq!(names(&changes), [("resolved", "cart".into())]);
    assert!(play.steps(6, &[given("cart", 0.1, CALM), given("web", 0.1, CALM)]).is_empty());
    assert!(play.steps(3, &[given("cart", 1.5, surge), given("web", 1.5, surge)]).is_empty(), "it was told");
    // What more traffic doesn't explain is an incident all the same.
    let failing = [
        given("pay", 1.5, SLOW),
        given("worker", 1.5, [0.0, 0.0, 9.0, 9.0]),
        given("shop", 1.5, [0.0, 0.0, 0.0, -9.0]),
    ];
    let changes = play.steps(3, &failing);
    assert_eq!(names(&changes), [("opened", "pay".into()), ("opened", "shop".into()), ("opened", "worker".into())]);
    assert_eq!(changes[0].incident().planned_event(), Some("sale"), "annotated");
    // What it brought goes away again; what goes on long after it is none of it any more.
    play.minute += 50;
    assert!(!play.steps(2, &[given("back", 1.5, [0.0, 0.0, 0.0, -9.0])]).iter().any(|one| one.name() == "opened"));
    play.minute += 60;
    let changes = play.steps(2, &[given("cart", 1.5, surge), given("late", 1.5, surge)]);
    assert!(names(&changes).contains(&("opened", "late".into())), "{:?}", names(&changes));
}

#[test]
fn a_type_sharpens_and_the_end_of_a_fault_is_no_new_symptom() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, SLOW)]);
    let changes = play.step(&[given("cart", 1.6, [9.0, 0.0, 5.0, 0.0])]);
    assert_eq!(changes[0].incident().incident_type, IncidentType::CrashLoop);
    assert_eq!(changes[0].incident().evidence.len(), 2);
    // Traffic comes back with a jump: far from the rows before, but back at its level.
    play.minute += 1;
    let mut jump = assessed(play.now(), &given("cart", 1.6, CALM));
    jump.assessment.deviations[3] = Some(15.0);
    let (schema, cart) = (schema(), subject("cart"));
    let row = SubjectRow { subject: &cart, schema: &schema, step: STEP, row: &jump, limits: &LimitWatch::default() };
    assert!(play.tracker.step(play.now(), [row], &play.context).is_empty());
}

#[test]
fn a_peak_that_doubles_is_told_and_confidence_follows() {
    let outcomes: Vec<LabelledOutcome> = (0..100)
        .map(|idx| LabelledOutcome {
            incident_type: IncidentType::Latency,
            score_peak: Score::new(f64::from(idx) / 10.0).expect("a score"),
            correct: idx >= 20,
        })
        .collect();
    let mut play = Play::new();
    play.tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::fit(&outcomes));
    let opened = play.steps(2, &[given("cart", 1.5, SLOW)]);
    assert!(opened[0].incident().confidence.confidence.value() < 0.2);
    let changes = play.step(&[given("cart", 3.5, SLOW)]);
    assert_eq!(names(&changes), [("updated", "cart".into())]);
    let incident = changes[0].incident();
    assert!(incident.confidence.lower.value() > 0.8 && incident.score_peak.value() == 3.5, "{incident:?}");
    assert!(play.step(&[given("cart", 3.9, SLOW)]).is_empty());
}

#[test]
fn open_incidents_survive_as_json() {
    let mut play = Play::new();
    play.steps(2, &[given("cart", 1.5, SLOW)]);
    let json = play.tracker.save().expect("plain data");
    let mut restarted = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    restarted.restore(&json).expect("what was saved");
    assert_eq!(restarted.open_incidents().collect::<Vec<_>>(), play.open());
    play.tracker = restarted;
    assert!(play.steps(4, &[given("cart", 0.1, CALM)]).is_empty());
    assert_eq!(names(&play.step(&[given("cart", 0.1, CALM)])), [("resolved", "cart".into())]);
    assert!(play.tracker.restore(&json[..json.len() / 2]).is_err());
}

#[test]
fn the_order_in_which_rows_are_given_changes_nothing() {
    let rows = ["web", "cart", "search", "redis"].map(|name| given(name, 1.5, SLOW));
    let mut reversed = rows;
    reversed.reverse();
    let pairs = [("web", "cart"), ("cart", "redis"), ("search", "redis")];
    let (mut a, mut b) = (Play::with_dependencies(&pairs), Play::with_dependencies(&pairs));
    assert_eq!(a.steps(5, &rows), b.steps(5, &reversed));
}
