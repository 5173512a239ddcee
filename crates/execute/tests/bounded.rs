//! A tick is bounded, and what it decides and writes is right at the moment it happens, not when the tick began (I8, I11).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homeostat_core::{Calendar, Incident, IncidentType, Mode, Signal, Subject, Timestamp, Topology};
use homeostat_execute::{Clock, Driver, DriverEvent, PausePoint, SetClock, StopSwitch, SubjectSignals, TickInput};
use homeostat_journal::Journal;
use homeostat_remediate::{
    Decision, KillSwitch, Observation, PastAction, RowScore, SafetyLimits, Stage, load_policies,
};
use support::{SimulatedExecutor, Trouble, incident};
use tokio::time::Instant;

const POLICY: &str = "
remediation_policy:
  incident_type: oom-killed
  auto_execute: true
  confidence_threshold: 0.9
  max_attempts: 2
  cooldown_after_action: 10m
  scope: {namespaces: [shop]}
";

const START: Timestamp = Timestamp::from_secs(36_000);

/// Goes on with tokio's own time, which tests let pass without waiting.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        START + self.0.elapsed()
    }
}

#[derive(Default)]
struct Stop(AtomicBool);

impl StopSwitch for Stop {
    fn read(&self) -> KillSwitch {
        KillSwitch { engaged: self.0.load(Ordering::SeqCst), why: "wait!".to_owned() }
    }
}

struct World {
    executor: Arc<SimulatedExecutor>,
    journal: Arc<Journal>,
    driver: Driver,
    incidents: Vec<Incident>,
    signals: BTreeMap<Subject, SubjectSignals>,
    stop: Arc<Stop>,
}

fn subject(idx: usize) -> Subject {
    Subject::deployment("shop", format!("cart-{idx}"))
}

impl World {
    /// So many workloads, each in an incident of its own.
    fn new(n: usize, clock: Arc<dyn Clock>) -> Self {
        Self::limited(n, clock, SafetyLimits::default())
    }

    fn limited(n: usize, clock: Arc<dyn Clock>, limits: SafetyLimits) -> Self {
        let subjects: Vec<Subject> = (0..n).map(subject).collect();
        let executor = Arc::new(SimulatedExecutor::with(&subjects.iter().collect::<Vec<_>>()));
        let journal = Arc::new(Journal::in_memory().unwrap());
        let policies = load_policies(POLICY, "p", &homeostat_execute::actions()).unwrap();
        let driver = Driver::new(executor.clone(), journal.clone(), policies, limits);
        let incidents = subjects.iter().map(|subject| incident(IncidentType::OomKilled, subject, START)).collect();
        let stop = Arc::new(Stop::default());
        Self { executor, journal, driver: driver.with_clock(clock), incidents, signals: BTreeMap::new(), stop }
    }

    fn paused_at(mut self, pause: impl Fn(PausePoint) + Send + Sync + 'static) -> Self {
        self.driver = self.driver.with_pause(Arc::new(pause));
        self
    }

    async fn tick(&mut self) -> Vec<DriverEvent> {
        let input = TickInput {
            incidents: &self.incidents,
            signals: &self.signals,
            kill_switch: self.stop.as_ref(),
            mode: Mode::Execute,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        // The moment that a tick is given counts only where there is no other clock.
        self.driver.tick(Timestamp::from_secs(0), &input).await
    }

    fn delay(&self, delay: Duration) {
        self.executor.0.lock().unwrap().delay = delay;
    }

    /// Whether every signal of the first incident is normal from now on.
    fn signals(&mut self, normal: bool) {
        let feature = self.incidents[0].evidence[0].feature.clone();
        let (signal, deviation) = (Signal::Other, Some(if normal { 0.0 } else { 9.0 }));
        let seen = Observation { feature, signal, at: START, value: Some(1.0), deviation, normal };
        let scores = vec![RowScore { at: START, is_calm: normal, opens_at_once: false }];
        self.signals.insert(subject(0), SubjectSignals { observations: vec![seen], scores, traffic: None });
    }

    fn requests(&self) -> usize {
        self.executor.0.lock().unwrap().requests
    }

    fn action(&self) -> Arc<PastAction> {
        self.journal.history().unwrap().actions.last().cloned().unwrap()
    }
}

/// The codes of every decision.
fn codes(events: &[DriverEvent]) -> Vec<Vec<String>> {
    let decided = |event: &DriverEvent| match event {
        DriverEvent::Decided { decision, .. } => {
            Some(decision.objections().iter().map(|objection| objection.code.to_string()).collect())
        }
        _ => None,
    };
    events.iter().filter_map(decided).collect()
}

fn is_executed(events: &[DriverEvent]) -> bool {
    events.iter().any(|event| matches!(event, DriverEvent::Decided { decision: Decision::Execute(_), .. }))
}

#[tokio::test(start_paused = true)]
async fn a_hung_cluster_costs_a_tick_little_more_than_one_look() {
    let mut world = World::new(8, Arc::new(TokioClock(Instant::now())));
    world.delay(Duration::from_secs(3600));
    let began = Instant::now();
    let events = world.tick().await;
    assert!(began.elapsed() <= Duration::from_secs(12), "{:?}", began.elapsed());
    assert_eq!(codes(&events), vec![vec!["cluster-unavailable"]; 8]);
    assert_eq!(world.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn several_targets_are_looked_at_in_the_time_of_one() {
    let mut world = World::new(8, Arc::new(TokioClock(Instant::now())));
    world.delay(Duration::from_secs(4));
    let began = Instant::now();
    let events = world.tick().await;
    assert!(is_executed(&events), "{events:?}");
    // Eight looks at once, one dry run, and one write.
    assert_eq!(began.elapsed(), Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_tick_holds_every_write_that_hasnt_left() {
    let mut world = World::new(3, Arc::new(TokioClock(Instant::now())));
    world.delay(Duration::from_secs(4));
    let stop = Arc::clone(&world.stop);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.0.store(true, Ordering::SeqCst);
    });
    let events = world.tick().await;
    assert_eq!(codes(&events), vec![vec!["kill-switch"]; 3]);
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn what_can_be_decided_without_a_look_asks_nothing() {
    let mut world = World::new(2, Arc::new(SetClock::new(START)));
    world.stop.0.store(true, Ordering::SeqCst);
    assert_eq!(codes(&world.tick().await), vec![vec!["kill-switch"]; 2]);
    assert_eq!(world.executor.0.lock().unwrap().looks, []);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_too_long_ago_isnt_acted_on() {
    let limits = SafetyLimits { inspection_age_max: Duration::from_secs(2), ..SafetyLimits::default() };
    let mut world = World::limited(1, Arc::new(TokioClock(Instant::now())), limits);
    world.delay(Duration::from_secs(3));
    assert_eq!(codes(&world.tick().await), [["stale-decision"]]);
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn no_write_leaves_after_its_time() {
    let clock = Arc::new(SetClock::new(START));
    let late = Arc::clone(&clock);
    let mut world = World::new(1, Arc::clone(&clock) as _).paused_at(move |_| late.advance(Duration::from_secs(121)));
    let events = world.tick().await;
    assert!(is_executed(&events), "{events:?}");
    assert_eq!(world.requests(), 0);
    assert_eq!(world.action().stage, Stage::NotApplied);
}

#[tokio::test]
async fn a_stop_between_journal_and_write_holds_the_write_until_resumed() {
    let clock = Arc::new(SetClock::new(START));
    let mut world = World::new(1, Arc::clone(&clock) as _);
    let stop = Arc::clone(&world.stop);
    world = world.paused_at(move |_| stop.0.store(true, Ordering::SeqCst));
    world.tick().await;
    assert_eq!((world.requests(), world.action().stage), (0, Stage::Applying));
    clock.advance(Duration::from_secs(30));
    world.tick().await;
    assert_eq!((world.requests(), world.action().stage), (0, Stage::Applying));
    world = world.paused_at(|_| {});
    world.stop.0.store(false, Ordering::SeqCst);
    world.driver.resume("drill over", clock.now()).unwrap();
    world.tick().await;
    assert_eq!((world.requests(), world.action().stage), (1, Stage::Verifying));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_changes_all_the_time_costs_neither_the_action_nor_an_attempt() {
    let mut world = World::new(1, Arc::new(TokioClock(Instant::now())));
    world.executor.0.lock().unwrap().conflicts = 3;
    let events = world.tick().await;
    assert!(events.iter().any(|event| matches!(event, DriverEvent::Applied { .. })), "{events:?}");
    assert_eq!((world.action().plan.attempt, world.executor.n_writes()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_never_rests_ends_in_time_and_says_so() {
    let mut world = World::new(1, Arc::new(TokioClock(Instant::now())));
    world.executor.0.lock().unwrap().conflicts = usize::MAX;
    let mut events = Vec::new();
    for _ in 0..5 {
        events = world.tick().await;
        if world.action().stage.is_end() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    let calls: Vec<&str> = events
        .iter()
        .filter_map(|event| if let DriverEvent::Escalate(call) = event { Some(call.message.as_str()) } else { None })
        .collect();
    assert!(calls.len() == 1 && calls[0].contains("status keeps changing"), "{events:?}");
    assert_eq!(world.executor.n_writes(), 0);
    let history = world.journal.history().unwrap();
    let attempts = history.attempts(&subject(0), IncidentType::OomKilled, Duration::from_secs(3600), START);
    assert_eq!(attempts, 0, "what wrote nothing costs nothing");
}

#[tokio::test]
async fn what_cant_be_written_now_is_written_when_it_can() {
    let clock = Arc::new(SetClock::new(START));
    let mut world = World::new(1, Arc::clone(&clock) as _);
    world.executor.0.lock().unwrap().trouble = Some(Trouble::NotNow);
    world.tick().await;
    assert_eq!((world.executor.n_writes(), world.action().stage), (0, Stage::Applying));
    let head = world.journal.head();
    for _ in 0..9 {
        clock.advance(Duration::from_secs(2));
        world.tick().await;
    }
    assert_eq!(
        (world.requests(), world.journal.head()),
        (1, head),
        "short cycles don't hammer it, nor fill the journal"
    );
    clock.advance(Duration::from_secs(2));
    world.tick().await;
    assert_eq!((world.executor.n_writes(), world.action().stage), (1, Stage::Verifying));
}

#[tokio::test]
async fn what_is_well_again_isnt_acted_on() {
    let clock = Arc::new(SetClock::new(START));
    let mut world = World::new(1, Arc::clone(&clock) as _);
    world.signals(true);
    assert_eq!(codes(&world.tick().await), [["signals-normal"]]);
    world.signals(false);
    // Decided, but the write couldn't leave; meanwhile its signals became normal.
    world.executor.0.lock().unwrap().trouble = Some(Trouble::NotNow);
    assert!(is_executed(&world.tick().await));
    world.signals(true);
    clock.advance(Duration::from_secs(30));
    let events = world.tick().await;
    assert_eq!((world.executor.n_writes(), world.action().stage), (0, Stage::NotApplied));
    assert!(!events.iter().any(|event| matches!(event, DriverEvent::Escalate(_))), "nobody is needed: {events:?}");
}

/// A datasource that sees objects created at these moments.
struct Sees(Vec<i64>);

#[async_trait::async_trait]
impl homeostat_execute::Witness for Sees {
    async fn created_s(&self, _: &Subject) -> Result<Vec<i64>, String> {
        Ok(self.0.clone())
    }

    fn how_to_prove(&self) -> String {
        "Scrape kube-state-metrics.".to_owned()
    }
}

#[tokio::test]
async fn nothing_is_done_to_an_object_that_isnt_surely_the_one_that_is_measured() {
    let cases: [(&[i64], bool); 5] =
        [(&[], false), (&[1_700], true), (&[1_700, 1_700], true), (&[1_800], false), (&[1_700, 1_800], false)];
    for (sees, is_one) in cases {
        let mut world = World::new(1, Arc::new(SetClock::new(START)));
        world.driver = world.driver.with_witness(Arc::new(Sees(sees.to_vec())));
        world.executor.change(&subject(0), |object| object.created_at = Some(Timestamp::from_secs(1_700)));
        let events = world.tick().await;
        let expected = if is_one { vec![] } else { vec!["cluster-unproven"] };
        assert_eq!(codes(&events), [expected], "{sees:?}");
        assert_eq!(world.executor.n_writes(), usize::from(is_one), "{sees:?}");
        let n_dry_runs = world.executor.0.lock().unwrap().n_dry_runs;
        assert_eq!(n_dry_runs, usize::from(is_one), "{sees:?}: another's cluster isn't even asked to write");
    }
}

#[tokio::test]
async fn a_dry_run_asks_only_where_a_write_might_leave() {
    let mut world = World::new(1, Arc::new(SetClock::new(START)));
    world.stop.0.store(true, Ordering::SeqCst);
    world.tick().await;
    let n_dry_runs = |world: &World| world.executor.0.lock().unwrap().n_dry_runs;
    assert_eq!(n_dry_runs(&world), 0, "stopped");
    world.stop.0.store(false, Ordering::SeqCst);
    world.driver.resume("test", START).unwrap();
    assert!(is_executed(&world.tick().await));
    assert_eq!((n_dry_runs(&world), world.executor.n_writes()), (1, 1));
}
