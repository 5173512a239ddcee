//! Dies at every journal row in turn and goes on with a new driver on the same file: nothing is done twice, nothing is
//! forgotten (I3, I5, I6, I7, I33).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Calendar, Incident, IncidentType, Mode, Subject, Timestamp, Topology};
use homeostat_execute::{Driver, DriverEvent, PausePoint, SubjectSignals, TickInput};
use homeostat_journal::{AppendError, Cut, Epoch, Head, Journal, ReadError, Row, SqliteStore, Store};
use homeostat_remediate::{KillSwitch, Observation, Policy, RowScore, SafetyLimits, Stage, load_policies};
use support::{SimulatedExecutor, Trouble, block_on, incident};

const POLICY: &str = "
remediation_policy:
  incident_type: bad-deployment
  auto_execute: true
  confidence_threshold: 0.9
  rollback_if_failed: true
  scope: {namespaces: [shop]}
";

/// A panic with this is the process being killed.
struct Killed;

/// A store whose process is killed before or after its n-th row becomes durable.
struct Dying {
    store: SqliteStore,
    rows_left: AtomicUsize,
    is_after: bool,
}

#[async_trait]
impl Store for Dying {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        self.store.base().await
    }
    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        self.store.read(after).await
    }
    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        let left = self.rows_left.fetch_sub(1, Ordering::SeqCst);
        if left == 1 && !self.is_after {
            std::panic::panic_any(Killed);
        }
        let written = self.store.append(row, after, epoch).await;
        if left == 1 {
            std::panic::panic_any(Killed);
        }
        written
    }
    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.store.archive(cut, row, after, epoch).await
    }
    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        self.store.rows_of(incident).await
    }
}

/// How the story goes on after the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Recovers,
    NeedsUndo,
}

/// Where the process dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    Never,
    BeforeRow(usize),
    AfterRow(usize),
    At(PausePoint),
}

struct Outcome {
    n_writes: usize,
    n_undos: usize,
    stage: Stage,
    n_attempts: usize,
    calls: Vec<String>,
    was_killed: bool,
}

fn policies() -> Vec<Policy> {
    load_policies(POLICY, "policy.yaml", &homeostat_execute::actions()).unwrap()
}

/// What a window that ends now says, as the engine would pull it anew after a restart.
fn window(incident: &Incident, is_cured: bool, now: Timestamp) -> SubjectSignals {
    let step = Duration::from_secs(30);
    let moments = std::iter::successors(Some(now.align_down(step)), |at| Some(*at - step));
    let moments = moments.take_while(|at| *at > incident.opened_at);
    let observations = moments.clone().map(|at| Observation {
        feature: incident.evidence[0].feature.clone(),
        signal: incident.evidence[0].signal,
        at,
        value: Some(1.0),
        deviation: Some(if is_cured { 0.0 } else { 9.0 }),
        normal: is_cured,
    });
    let scores = moments.map(|at| RowScore { at, is_calm: is_cured, opens_at_once: false }).collect();
    SubjectSignals { observations: observations.collect(), scores, traffic: None }
}

/// One process: starts on the file, recovers, ticks until `until` or until it is killed. Says when it ended.
fn process(
    path: &Path,
    executor: &Arc<SimulatedExecutor>,
    death: Death,
    story: Story,
    from: Timestamp,
    calls: &mut Vec<String>,
) -> Option<Timestamp> {
    let (store, epoch) = SqliteStore::open(path).unwrap();
    let (rows_left, is_after) = match death {
        Death::Never | Death::At(_) => (usize::MAX, false),
        Death::BeforeRow(n) => (n, false),
        Death::AfterRow(n) => (n, true),
    };
    let dying = Dying { store, rows_left: AtomicUsize::new(rows_left), is_after };
    let journal = Arc::new(Journal::over(Box::new(dying), epoch).unwrap());
    let mut driver = Driver::new(executor.clone(), journal, policies(), SafetyLimits::default());
    if let Death::At(point) = death {
        driver = driver.with_pause(Arc::new(move |reached| {
            if reached == point {
                std::panic::panic_any(Killed);
            }
        }));
    }
    let subject = Subject::deployment("shop", "cart");
    let opened_at = Timestamp::from_secs(36_000);
    let mut now = from;
    let end = opened_at + Duration::from_secs(900);
    let (topology, calendar, kill_switch) = (Topology::new(), Calendar::default(), KillSwitch::default());
    let mut deliver = |driver: &mut Driver, events: Vec<DriverEvent>, now| {
        for event in events {
            if let DriverEvent::Escalate(call) = event {
                calls.push(call.reason.clone());
                driver.escalation_delivered(&call.incident, &call.reason, now).unwrap();
            }
        }
    };
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let events = block_on(driver.recover(now));
        deliver(&mut driver, events, now);
        while now < end {
            let mut open = incident(IncidentType::BadDeployment, &subject, opened_at);
            open.updated_at = now;
            // Nothing gets well before something was done about it.
            let is_cured = story == Story::Recovers && executor.n_writes() > 0;
            let signals = BTreeMap::from([(subject.clone(), window(&open, is_cured, now))]);
            let incidents = [open];
            let input = TickInput {
                incidents: &incidents,
                signals: &signals,
                kill_switch: &kill_switch,
                mode: Mode::Execute,
                topology: &topology,
                calendar: &calendar,
            };
            let events = block_on(driver.tick(now, &input));
            deliver(&mut driver, events, now);
            now = now + Duration::from_secs(30);
        }
    }));
    match lived {
        Ok(()) => None,
        Err(panic) if panic.is::<Killed>() => Some(now),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn run(death: Death, story: Story, trouble: Option<Trouble>) -> Outcome {
    // In memory where there is such a folder: a hundred lives with ten fsyncs each take half a minute on a disk.
    let in_memory = Path::new("/dev/shm");
    let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() }.unwrap();
    let path = folder.path().join("journal.db");
    let executor = Arc::new(SimulatedExecutor::with(&[&Subject::deployment("shop", "cart")]));
    executor.0.lock().unwrap().trouble = trouble;
    let mut calls = Vec::new();
    let start = Timestamp::from_secs(36_000);
    let died_at = process(&path, &executor, death, story, start, &mut calls);
    if let Some(died_at) = died_at {
        let again = died_at + Duration::from_secs(10);
        assert_eq!(process(&path, &executor, Death::Never, story, again, &mut calls), None);
    }
    let journal = Journal::open(&path).unwrap();
    journal.verify_chain().unwrap();
    let history = journal.history().unwrap();
    Outcome {
        n_writes: executor.n_writes(),
        n_undos: executor.n_undos(),
        stage: history.actions.first().map_or(Stage::Planned, |action| action.stage),
        n_attempts: history.actions.len(),
        calls,
        was_killed: died_at.is_some(),
    }
}

/// Dies everywhere: before and after every row until a process writes fewer rows than that, and at the pause points.
/// Says how many deaths there were.
fn every_death(story: Story, trouble: Option<Trouble>, check: impl Fn(&Outcome, &str)) -> usize {
    let mut n_killed = 0;
    let mut die = |death: Death| {
        let outcome = run(death, story, trouble);
        let told = format!(
            "{death:?} {trouble:?}: {} writes, {} undos, {}, called for {:?}",
            outcome.n_writes, outcome.n_undos, outcome.stage, outcome.calls
        );
        check(&outcome, &told);
        n_killed += usize::from(outcome.was_killed);
        outcome.was_killed
    };
    for point in [PausePoint::AfterJournal, PausePoint::AfterApply] {
        die(Death::At(point));
    }
    let mut n_rows = 1;
    while die(Death::BeforeRow(n_rows)) {
        die(Death::AfterRow(n_rows));
        n_rows += 1;
    }
    n_killed
}

/// Deaths are meant; every other panic is printed as usual.
fn silence_deaths() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.payload().is::<Killed>() {
                usual(panic);
            }
        }));
    });
}

#[test]
fn dying_anywhere_does_it_once_and_finishes_it() {
    silence_deaths();
    for trouble in [None, Some(Trouble::LostAnswer), Some(Trouble::LostRequest)] {
        let n_killed = every_death(Story::Recovers, trouble, |outcome, told| {
            assert_eq!((outcome.n_writes, outcome.n_undos, outcome.n_attempts), (1, 0, 1), "{told}");
            assert_eq!(outcome.stage, Stage::Recovered, "{told}");
        });
        // Guards the test itself: a story that nobody dies in proves nothing.
        assert!(n_killed >= 10, "only {n_killed} deaths");
    }
}

#[test]
fn dying_anywhere_undoes_it_once_and_calls_a_human() {
    silence_deaths();
    let n_killed = every_death(Story::NeedsUndo, None, |outcome, told| {
        assert_eq!((outcome.n_writes, outcome.n_undos, outcome.n_attempts), (1, 1, 1), "{told}");
        assert_eq!(outcome.stage, Stage::Undone, "{told}");
        assert!(outcome.calls.iter().any(|reason| reason == "undone"), "nobody was called: {told}");
    });
    assert!(n_killed >= 16, "only {n_killed} deaths");
}
