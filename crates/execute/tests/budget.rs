//! Budgets hold whatever happens: restarts of the driver, clocks that step back, policies loaded anew (I3, I4, I28).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Calendar, IncidentType, Mode, Subject, Timestamp, Topology};
use homeostat_execute::{Driver, SubjectSignals, TickInput};
use homeostat_journal::Journal;
use homeostat_remediate::{KillSwitch, SafetyLimits, Stage, load_policies};
use proptest::prelude::*;
use support::{SimulatedExecutor, Trouble, block_on, incident};

/// As greedy as a policy may be.
const GREEDY: &str = "
remediation_policies:
- {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.5, max_attempts: 10, cooldown_after_action: 1m,
   verification_window: 1m, verification_settle: 0s, scope: {namespaces: [shop]}}
- {incident_type: cpu-spike, auto_execute: true, confidence_threshold: 0.5, max_attempts: 3, cooldown_after_action: 1m,
   verification_window: 1m, verification_settle: 0s, scope: {namespaces: [shop]}}
";

#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    ClockBack(u16),
    Restart,
    Reload,
    OpenAnew(bool),
    Trouble(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (10u16..600).prop_map(Step::Pass),
        1 => (1u16..3000).prop_map(Step::ClockBack),
        1 => Just(Step::Restart),
        1 => Just(Step::Reload),
        2 => any::<bool>().prop_map(Step::OpenAnew),
        1 => (0u8..3).prop_map(Step::Trouble),
    ];
    prop::collection::vec(step, 20..150)
}

struct World {
    executor: Arc<SimulatedExecutor>,
    journal: Arc<Journal>,
    driver: Driver,
}

impl World {
    fn new(limits: &SafetyLimits) -> Self {
        let executor = Arc::new(SimulatedExecutor::with(&[&Subject::deployment("shop", "cart")]));
        let journal = Arc::new(Journal::in_memory().unwrap());
        let driver = Self::driver(&executor, &journal, limits);
        Self { executor, journal, driver }
    }

    fn driver(executor: &Arc<SimulatedExecutor>, journal: &Arc<Journal>, limits: &SafetyLimits) -> Driver {
        let journal: Arc<Journal> = journal.clone();
        Driver::new(
            executor.clone(),
            journal,
            load_policies(GREEDY, "p", &homeostat_execute::actions()).unwrap(),
            limits.clone(),
        )
    }

    fn tick(&mut self, kind: IncidentType, opened_at: Timestamp, now: Timestamp) {
        let subject = Subject::deployment("shop", "cart");
        let mut open = incident(kind, &subject, opened_at);
        open.updated_at = now;
        let incidents = [open];
        let signals: BTreeMap<Subject, SubjectSignals> = BTreeMap::new();
        let input = TickInput {
            incidents: &incidents,
            signals: &signals,
            kill_switch: &KillSwitch::default(),
            mode: Mode::Execute,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        let _ = block_on(self.driver.tick(now, &input));
    }

    /// Moments of intents that may have written something, by type: those that surely didn't cost nothing.
    fn intents(&self) -> Vec<(Timestamp, IncidentType)> {
        let history = self.journal.history().unwrap();
        let may_have_written = history.actions.iter().filter(|action| action.stage != Stage::NotApplied);
        may_have_written.map(|action| (action.intended_at, action.plan.incident_type)).collect()
    }
}

/// The most that fall into any window of this length.
fn most_in_a_window(mut moments: Vec<Timestamp>, window: Duration) -> usize {
    moments.sort();
    let in_window = |start: &Timestamp| moments.iter().filter(|at| **at >= *start && **at < *start + window).count();
    moments.iter().map(in_window).max().unwrap_or(0)
}

fn run(steps: &[Step], limits: &SafetyLimits) -> World {
    let mut world = World::new(limits);
    let mut now = Timestamp::from_secs(100_000);
    let (mut kind, mut opened_at) = (IncidentType::OomKilled, now);
    for step in steps {
        match step {
            Step::Pass(secs) => now = now + Duration::from_secs(u64::from(*secs)),
            Step::ClockBack(secs) => now = now - Duration::from_secs(u64::from(*secs)),
            Step::Restart => {
                world.driver = World::driver(&world.executor, &world.journal, limits);
                let _ = block_on(world.driver.recover(now));
            }
            Step::Reload => {
                world.driver.set_policies(load_policies(GREEDY, "p", &homeostat_execute::actions()).unwrap())
            }
            Step::OpenAnew(is_cpu) => {
                kind = if *is_cpu { IncidentType::CpuSpike } else { IncidentType::OomKilled };
                opened_at = now;
            }
            Step::Trouble(which) => {
                let troubles = [Trouble::LostAnswer, Trouble::LostRequest, Trouble::Forbidden];
                world.executor.0.lock().unwrap().trouble = Some(troubles[usize::from(*which)]);
            }
        }
        world.tick(kind, opened_at, now);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_window_ever_holds_more_attempts_than_allowed(steps in steps()) {
        // The widest limits that are allowed at all, so that the policies' own are what holds.
        let limits = SafetyLimits { target_attempts_max: 10, starts_max: 25, ..SafetyLimits::default() }.checked().unwrap();
        let world = run(&steps, &limits);
        let intents = world.intents();
        let hour = Duration::from_secs(3600);
        for (kind, max_attempts) in [(IncidentType::OomKilled, 10), (IncidentType::CpuSpike, 3)] {
            let moments = intents.iter().filter(|(_, of)| *of == kind).map(|(at, _)| *at).collect();
            prop_assert!(most_in_a_window(moments, hour) <= max_attempts);
        }
        let all: Vec<Timestamp> = intents.iter().map(|(at, _)| *at).collect();
        prop_assert!(most_in_a_window(all.clone(), hour) <= 10);
        prop_assert!(most_in_a_window(all, Duration::from_secs(45 * 60)) < 12);
        prop_assert!(world.executor.n_writes() <= intents.len(), "a write without an intent");
        world.journal.verify_chain().unwrap();
    }
}

#[test]
fn twelve_restarts_in_45_minutes_are_impossible() {
    // A fault that restarts don't cure, a policy as greedy as can be, the widest limits, a cycle every 10 seconds.
    let limits = SafetyLimits { target_attempts_max: 10, starts_max: 25, ..SafetyLimits::default() };
    let steps = vec![Step::Pass(10); 45 * 6];
    let world = run(&steps, &limits);
    let n_writes = world.executor.n_writes();
    // After four of four that didn't help the policy only proposes (`poor-record`), sooner than any limit holds.
    assert_eq!(n_writes, 4);
    // With the limits as delivered.
    let n_writes = run(&steps, &SafetyLimits::default()).executor.n_writes();
    assert_eq!(n_writes, 4);
}
