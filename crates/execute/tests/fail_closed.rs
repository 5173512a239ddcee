//! When the journal, the cluster or a human says no, nothing is written; and somebody is called (I8, I11, I12, I33).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Calendar, Incident, IncidentType, Mode, Subject, Timestamp, Topology};
use homeostat_execute::{Driver, DriverEvent, PausePoint, TickInput};
use homeostat_journal::{AppendError, Cut, Epoch, Head, Journal, ReadError, Row, SqliteStore, Store};
use homeostat_remediate::{Decision, KillSwitch, SafetyLimits, Stage, load_policies};
use support::{SimulatedExecutor, block_on, incident};

const POLICY: &str = "
remediation_policy:
  incident_type: oom-killed
  auto_execute: true
  confidence_threshold: 0.9
  cooldown_after_action: 10m
  scope: {namespaces: [shop]}
";

const START: Timestamp = Timestamp::from_secs(36_000);

const SOUND: u8 = 0;
const WRITES_NOTHING: u8 = 1;
const READS_NOTHING: u8 = 2;
/// Intents and their start are written, but the answer to the latter is lost.
const FORGETS_ITS_ANSWER: u8 = 3;

/// An end is written, but the answer to that is lost.
const FORGETS_AN_END: u8 = 4;

/// Somebody else writes the journal now.
const FENCED: u8 = 5;

/// A store that fails in one way until it is told otherwise.
struct Faulty {
    store: SqliteStore,
    fault: Arc<AtomicU8>,
}

#[async_trait]
impl Store for Faulty {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        self.store.base().await
    }
    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        if self.fault.load(Ordering::SeqCst) == READS_NOTHING {
            return Err(ReadError { why: "input/output error".into() });
        }
        self.store.read(after).await
    }
    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        let lost = || AppendError::NotConfirmed("input/output error".into());
        match self.fault.load(Ordering::SeqCst) {
            WRITES_NOTHING => return Err(AppendError::NotWritten("disk full".into())),
            READS_NOTHING => return Err(lost()),
            FENCED => return Err(AppendError::Fenced("another process writes here".into())),
            _ => {}
        }
        self.store.append(row, after, epoch).await?;
        // As the comment at the constant says.
        let is_forgotten = match self.fault.load(Ordering::SeqCst) {
            FORGETS_ITS_ANSWER => row.kind == "apply-started",
            FORGETS_AN_END => row.kind == "not-applied",
            _ => false,
        };
        if is_forgotten { Err(lost()) } else { Ok(()) }
    }
    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.store.archive(cut, row, after, epoch).await
    }
    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        self.store.rows_of(incident).await
    }
}

struct World {
    executor: Arc<SimulatedExecutor>,
    journal: Arc<Journal>,
    fault: Arc<AtomicU8>,
    driver: Driver,
    open: Vec<Incident>,
    kill_switch: KillSwitch,
}

impl World {
    fn new(fault: u8) -> Self {
        Self::with(POLICY, IncidentType::OomKilled, fault)
    }

    fn with(policy: &str, kind: IncidentType, fault: u8) -> Self {
        let subject = Subject::deployment("shop", "cart");
        let executor = Arc::new(SimulatedExecutor::with(&[&subject]));
        let faults = Arc::new(AtomicU8::new(SOUND));
        let (store, epoch) = SqliteStore::in_memory().unwrap();
        let store = Faulty { store, fault: faults.clone() };
        let journal = Arc::new(Journal::over(Box::new(store), epoch).unwrap());
        faults.store(fault, Ordering::SeqCst);
        let policies = load_policies(policy, "p", &homeostat_execute::actions()).unwrap();
        let driver = Driver::new(executor.clone(), journal.clone(), policies, SafetyLimits::default());
        let open = vec![incident(kind, &subject, START)];
        Self { executor, journal, fault: faults, driver, open, kill_switch: KillSwitch::default() }
    }

    fn tick(&mut self, after_s: u64) -> Vec<DriverEvent> {
        block_on(self.go_on(after_s))
    }

    async fn go_on(&mut self, after_s: u64) -> Vec<DriverEvent> {
        let now = START + Duration::from_secs(after_s);
        for incident in &mut self.open {
            incident.updated_at = now;
        }
        let input = TickInput {
            incidents: &self.open,
            signals: &BTreeMap::new(),
            kill_switch: &self.kill_switch,
            mode: Mode::Execute,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        self.driver.tick(now, &input).await
    }

    fn stages(&self) -> Vec<Stage> {
        let history = self.journal.history().unwrap();
        history.actions.iter().map(|action| action.stage).collect()
    }
}

fn reasons(events: &[DriverEvent]) -> Vec<&str> {
    let mut calls = Vec::new();
    for event in events {
        if let DriverEvent::Escalate(call) = event {
            calls.push(call.reason.as_str());
        }
    }
    calls
}

#[test]
fn without_a_journal_nothing_is_done_and_a_human_is_called_once() {
    for fault in [WRITES_NOTHING, READS_NOTHING] {
        let mut world = World::new(fault);
        let events = world.tick(0);
        assert_eq!(reasons(&events), ["journal-unavailable"], "{events:?}");
        let refused =
            events.iter().any(|event| matches!(event, DriverEvent::Decided { decision: Decision::Refuse { .. }, .. }));
        assert!(refused, "{events:?}");
        assert!(reasons(&world.tick(30)).is_empty());
        assert_eq!(world.executor.n_writes(), 0);
        // It is back: what was held is done, without a human.
        world.fault.store(SOUND, Ordering::SeqCst);
        world.tick(60);
        assert_eq!(world.executor.n_writes(), 1);
    }
}

#[test]
fn an_unconfirmed_start_sends_nothing_until_it_is_read_back() {
    let mut world = World::new(FORGETS_ITS_ANSWER);
    world.tick(0);
    assert_eq!(world.executor.0.lock().unwrap().requests, 0);
    world.fault.store(SOUND, Ordering::SeqCst);
    world.tick(30);
    assert_eq!((world.executor.n_writes(), world.stages()), (1, vec![Stage::Verifying]));
}

/// I8: the journal lost its answer, and before it was back the incident was over.
#[test]
fn an_incident_that_is_over_before_the_write_cancels_it() {
    let mut world = World::new(FORGETS_ITS_ANSWER);
    world.tick(0);
    world.fault.store(SOUND, Ordering::SeqCst);
    world.open.clear();
    let events = world.tick(30);
    assert_eq!((world.executor.n_writes(), world.stages()), (0, vec![Stage::NotApplied]));
    assert!(reasons(&events).is_empty(), "nobody needs to come for an incident that is over");
}

#[test]
fn a_plan_that_waited_too_long_is_not_applied() {
    let mut world = World::new(FORGETS_ITS_ANSWER);
    world.tick(0);
    world.fault.store(SOUND, Ordering::SeqCst);
    let events = world.tick(121);
    assert_eq!((world.executor.n_writes(), world.stages()), (0, vec![Stage::NotApplied]));
    assert_eq!(reasons(&events), ["not-applied"]);
}

/// I8: a plan is as old as a clock says that never steps. By the time of day, which was set back, it is one second old.
#[tokio::test(start_paused = true)]
async fn a_plan_doesnt_get_younger_by_setting_the_clock_back() {
    for (passed_s, n_writes, stage) in [(119, 1, Stage::Verifying), (121, 0, Stage::NotApplied)] {
        let mut world = World::new(FORGETS_ITS_ANSWER);
        world.go_on(0).await;
        world.fault.store(SOUND, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(passed_s)).await;
        world.go_on(1).await;
        assert_eq!((world.executor.n_writes(), world.stages()), (n_writes, vec![stage]), "after {passed_s} s");
    }
}

/// I11: whatever was decided before, an engaged switch sends nothing more.
#[test]
fn the_kill_switch_holds_a_plan_that_is_journaled_already() {
    let mut world = World::new(FORGETS_ITS_ANSWER);
    world.tick(0);
    world.fault.store(SOUND, Ordering::SeqCst);
    world.kill_switch = KillSwitch { engaged: true, why: "drill".into() };
    world.tick(30);
    // The source forgets it (a file that config management put back): it stays engaged.
    world.kill_switch = KillSwitch::default();
    world.tick(60);
    assert_eq!((world.executor.0.lock().unwrap().requests, world.stages()), (0, vec![Stage::Applying]));
    world.driver.resume("ada: drill over", START + Duration::from_secs(61)).unwrap();
    world.tick(90);
    assert_eq!(world.executor.n_writes(), 1);
}

#[test]
fn an_unreachable_cluster_is_waited_for_and_then_a_call() {
    let mut world = World::new(SOUND);
    world.executor.0.lock().unwrap().is_down = true;
    let mut calls = Vec::new();
    for cycle in 0..10 {
        calls.extend(reasons(&world.tick(30 * cycle)).iter().map(|reason| (*reason).to_owned()));
    }
    assert!(calls.is_empty(), "an API server that restarts calls nobody: {calls:?}");
    assert_eq!(reasons(&world.tick(300)), ["cluster-unavailable"]);
    assert!(world.stages().is_empty(), "an attempt that couldn't begin costs no budget");
}

/// I15: a cluster that never answers again still lets the action end.
#[test]
fn an_action_whose_outcome_cannot_be_found_out_ends_at_its_deadline() {
    let mut world = World::new(SOUND);
    world.executor.0.lock().unwrap().trouble = Some(support::Trouble::LostAnswer);
    world.tick(0);
    world.executor.0.lock().unwrap().is_down = true;
    let mut calls = Vec::new();
    for cycle in 1..60 {
        calls.extend(reasons(&world.tick(30 * cycle)).iter().map(|reason| (*reason).to_owned()));
    }
    assert_eq!(world.stages(), [Stage::Unknown]);
    assert_eq!(calls.first().map(String::as_str), Some("unknown"));
}

#[test]
fn the_pause_points_are_on_either_side_of_the_write() {
    let mut world = World::new(SOUND);
    let seen: Arc<Mutex<Vec<(PausePoint, usize)>>> = Arc::default();
    let (log, executor) = (seen.clone(), world.executor.clone());
    let driver = std::mem::replace(&mut world.driver, World::new(SOUND).driver);
    world.driver = driver.with_pause(Arc::new(move |point| log.lock().unwrap().push((point, executor.n_writes()))));
    world.tick(0);
    assert_eq!(*seen.lock().unwrap(), [(PausePoint::AfterJournal, 0), (PausePoint::AfterApply, 1)]);
}

/// I33, found by a fault schedule: the action has ended, the driver doesn't know, and nothing is in flight any more.
#[test]
fn an_end_whose_journaling_went_unanswered_calls_a_human_all_the_same() {
    let mut world = World::new(FORGETS_AN_END);
    world.executor.0.lock().unwrap().trouble = Some(support::Trouble::Forbidden);
    let events = world.tick(0);
    assert!(reasons(&events).is_empty(), "{events:?}");
    world.fault.store(SOUND, Ordering::SeqCst);
    assert_eq!(reasons(&world.tick(30)), ["not-applied"]);
    assert_eq!(world.stages(), [Stage::NotApplied]);
}

/// I9: sending an undo again passes the journal's fence, as sending it did.
#[test]
fn who_doesnt_write_the_journal_any_more_takes_nothing_back() {
    let policy = "
remediation_policy: {incident_type: bad-deployment, auto_execute: true, confidence_threshold: 0.9, rollback_if_failed: true,
  scope: {namespaces: [shop]}}
";
    let mut world = World::with(policy, IncidentType::BadDeployment, SOUND);
    world.tick(0);
    world.executor.change(&Subject::deployment("shop", "cart"), |object| object.rollout_breaks = true);
    world.executor.0.lock().unwrap().trouble = Some(support::Trouble::LostRequest);
    world.tick(30);
    let requests = world.executor.0.lock().unwrap().requests;
    assert_eq!((requests, world.stages()), (2, vec![Stage::Undoing]));
    world.fault.store(FENCED, Ordering::SeqCst);
    world.tick(60);
    let requests = world.executor.0.lock().unwrap().requests;
    assert_eq!((requests, world.executor.n_undos()), (2, 0));
}
