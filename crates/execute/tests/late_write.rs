//! A write that nobody answered may take effect later: until that is over, nobody says that nothing was written (I3, I4, I6).
//! Found by the model in tests/proofs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use homeostat_core::{Calendar, IncidentType, Mode, Subject, Timestamp, Topology};
use homeostat_execute::{Clock, Driver, PausePoint, SetClock, TickInput};
use homeostat_journal::Journal;
use homeostat_remediate::{KillSwitch, SafetyLimits, Stage, load_policies};
use support::{SimulatedExecutor, Trouble, block_on, incident};

const POLICY: &str = "
remediation_policy: {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, scope: {namespaces: [shop]}}
";

const START: Timestamp = Timestamp::from_secs(36_000);

struct World {
    executor: Arc<SimulatedExecutor>,
    journal: Arc<Journal>,
    clock: Arc<SetClock>,
    driver: Driver,
}

fn subject() -> Subject {
    Subject::deployment("shop", "cart")
}

impl World {
    /// Whose first write is on its way for long.
    fn new() -> Self {
        let executor = Arc::new(SimulatedExecutor::with(&[&subject()]));
        executor.0.lock().unwrap().trouble = Some(Trouble::Late);
        let journal = Arc::new(Journal::in_memory().unwrap());
        let clock = Arc::new(SetClock::new(START));
        let driver = Self::driver(&executor, &journal, &clock);
        let mut world = Self { executor, journal, clock, driver };
        world.tick(0);
        assert_eq!((world.stage(), world.executor.n_writes()), (Stage::Applying, 0));
        world
    }

    fn driver(executor: &Arc<SimulatedExecutor>, journal: &Arc<Journal>, clock: &Arc<SetClock>) -> Driver {
        let policies = load_policies(POLICY, "p", &homeostat_execute::actions()).unwrap();
        let driver = Driver::new(executor.clone(), journal.clone(), policies, SafetyLimits::default());
        driver.with_clock(clock.clone())
    }

    /// Dies, and starts again after so many seconds.
    fn restart(&mut self, after_s: u64) {
        self.driver = Self::driver(&self.executor, &self.journal, &self.clock);
        self.clock.set(START + Duration::from_secs(after_s));
        block_on(self.driver.recover(self.clock.now()));
    }

    fn tick(&mut self, after_s: u64) {
        self.clock.set(START + Duration::from_secs(after_s));
        let mut open = incident(IncidentType::OomKilled, &subject(), START);
        open.updated_at = self.clock.now();
        let input = TickInput {
            incidents: &[open],
            signals: &BTreeMap::new(),
            kill_switch: &KillSwitch::default(),
            mode: Mode::Execute,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        block_on(self.driver.tick(self.clock.now(), &input));
    }

    fn stage(&self) -> Stage {
        self.journal.history().unwrap().actions.last().unwrap().stage
    }

    /// Does this when the start of the next write is journaled and nothing is sent.
    fn before_the_next_write(&mut self, then: impl Fn() + Send + Sync + 'static) {
        let driver = Self::driver(&self.executor, &self.journal, &self.clock);
        let driver = std::mem::replace(&mut self.driver, driver);
        let n_writes = AtomicUsize::new(0);
        self.driver = driver.with_pause(Arc::new(move |point| {
            if point == PausePoint::AfterJournal && n_writes.fetch_add(1, Ordering::SeqCst) == 0 {
                then();
            }
        }));
    }
}

#[test]
fn a_write_that_arrives_after_a_restart_isnt_called_not_applied() {
    let mut world = World::new();
    // Too late to send it again; and it arrives only now.
    world.restart(121);
    assert_eq!(world.stage(), Stage::Applying);
    world.executor.arrive();
    world.tick(130);
    assert_eq!((world.stage(), world.executor.n_writes()), (Stage::Verifying, 1));
}

#[test]
fn a_write_that_never_arrives_is_given_up_half_a_minute_later() {
    let mut world = World::new();
    world.restart(121);
    world.tick(150);
    assert_eq!(world.stage(), Stage::Applying);
    world.tick(151);
    assert_eq!((world.stage(), world.executor.n_writes()), (Stage::NotApplied, 0));
}

/// I6: an API server that shows the past is found out by the write itself.
#[test]
fn a_write_that_arrived_behind_stale_reads_isnt_called_not_applied() {
    let mut world = World::new();
    world.restart(121);
    world.executor.stand_still();
    world.executor.arrive();
    for after_s in [130, 151, 200] {
        world.tick(after_s);
        assert_eq!((world.stage(), world.executor.n_writes()), (Stage::Applying, 1));
    }
    world.tick(4 * 3600);
    assert_eq!((world.stage(), world.executor.n_writes()), (Stage::Unknown, 1));
}

#[test]
fn what_waited_too_long_after_an_unanswered_write_is_looked_at_again() {
    let mut world = World::new();
    let (executor, clock) = (world.executor.clone(), world.clock.clone());
    // The write is due again; before it leaves the machine stands still, and meanwhile the first one arrives.
    world.before_the_next_write(move || {
        executor.arrive();
        clock.advance(Duration::from_secs(100));
    });
    world.tick(30);
    assert_eq!((world.stage(), world.executor.n_writes()), (Stage::Applying, 1));
    world.tick(140);
    assert_eq!(world.stage(), Stage::Verifying);
}

#[test]
fn what_was_put_back_after_an_unanswered_write_counts_as_an_attempt() {
    let mut world = World::new();
    let executor = world.executor.clone();
    world.before_the_next_write(move || {
        executor.arrive();
        executor.change(&subject(), |object| {
            (object.marker, object.version, object.generation) = (None, object.version + 1, object.generation + 1);
        });
    });
    world.tick(30);
    assert_eq!((world.stage(), world.executor.n_writes()), (Stage::Unknown, 1));
    let history = world.journal.history().unwrap();
    let hour = Duration::from_secs(3600);
    assert_eq!(history.attempts(&subject(), IncidentType::OomKilled, hour, world.clock.now()), 1);
}
