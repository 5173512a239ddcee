//! What an action only lent is given back when its time is over, once, whoever died meanwhile and whatever the incident came to (I16, I21).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Calendar, Incident, IncidentType, Mode, Subject, Timestamp, Topology};
use homeostat_execute::{Applied, ApplyError, Driver, DriverEvent, Executor, TickInput, WriteOutcome};
use homeostat_journal::{Intent, Journal, Journaled};
use homeostat_remediate::{
    ActionName, Actions, Args, InspectError, Inspected, Inverse, JournalEvent, KillSwitch, Levels, PayloadError, Plan,
    Progress, Restore, SafetyLimits, Step,
};
use support::{block_on, incident};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn at(seconds: i64) -> Timestamp {
    START + Duration::from_secs(seconds.unsigned_abs())
}

/// Answers an undo as it is told, and counts.
struct Lender {
    actions: Actions,
    answer: Mutex<fn() -> Result<Applied, ApplyError>>,
    n_undos: AtomicUsize,
}

fn given_back() -> Result<Applied, ApplyError> {
    Ok(Applied { resource_version: "9".into(), altered: None })
}

#[async_trait]
impl Executor for Lender {
    fn name(&self) -> &'static str {
        "lender"
    }
    fn actions(&self) -> &Actions {
        &self.actions
    }
    fn payload(&self, _: &Plan) -> Result<String, PayloadError> {
        Ok(String::new())
    }
    async fn inspect(&self, _: &ActionName, subject: &Subject, _: Timestamp) -> Result<Inspected, InspectError> {
        Err(InspectError::NotFound { subject: subject.clone() })
    }
    async fn outcome_of_write(&self, _: &Plan) -> Result<WriteOutcome, InspectError> {
        Ok(WriteOutcome::AppliedByUs)
    }
    async fn apply(&self, _: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        given_back()
    }
    async fn undo(&self, _: &Journaled) -> Result<Applied, ApplyError> {
        self.n_undos.fetch_add(1, Ordering::SeqCst);
        (*self.answer.lock().unwrap())()
    }
    async fn progress(&self, _: &Plan) -> Result<Progress, InspectError> {
        Ok(Progress::Complete { wanted: 3 })
    }
}

struct World {
    executor: Arc<Lender>,
    journal: Arc<Journal>,
    plan: Plan,
}

impl World {
    /// Something was lent for an hour, and the incident ended so.
    fn after(end: JournalEvent) -> Self {
        let executor = Lender {
            actions: homeostat_execute::actions(),
            answer: Mutex::new(given_back),
            n_undos: AtomicUsize::new(0),
        };
        let journal = Arc::new(Journal::in_memory().unwrap());
        let about = incident(IncidentType::TrafficSurge, &Subject::deployment("shop", "cart"), START);
        let plan = lending(&about);
        let intent = Intent {
            plan: plan.clone(),
            executor: "lender".into(),
            write: String::new(),
            traffic_before: None,
            levels_before: Levels::new(),
        };
        journal.record(&intent, START).unwrap();
        journal.append(&plan.id, &JournalEvent::ApplyStarted, START).unwrap();
        let applied = JournalEvent::Applied { resource_version: "8".into(), altered: None };
        journal.append(&plan.id, &applied, START).unwrap();
        journal.append(&plan.id, &end, at(60)).unwrap();
        Self { executor: Arc::new(executor), journal, plan }
    }

    /// A cycle of a new driver, which knows nothing but the journal.
    fn tick(&self, now: Timestamp, mode: Mode, stopped: bool) -> Vec<DriverEvent> {
        let executor = Arc::clone(&self.executor) as Arc<dyn Executor>;
        let mut driver = Driver::new(executor, Arc::clone(&self.journal), vec![], SafetyLimits::default());
        let kill_switch = KillSwitch { engaged: stopped, why: "a drill".into() };
        let input = TickInput {
            incidents: &[],
            signals: &BTreeMap::new(),
            kill_switch: &kill_switch,
            mode,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        block_on(driver.tick(now, &input))
    }

    fn n_undos(&self) -> usize {
        self.executor.n_undos.load(Ordering::SeqCst)
    }

    fn restore(&self) -> Restore {
        self.journal.action(&self.plan.id).unwrap().unwrap().restore
    }
}

fn lending(about: &Incident) -> Plan {
    let json = serde_json::json!({
        "id": "act-1", "incident": about.id, "correlation": about.correlation, "type": "traffic-surge", "policy": "p",
        "attempt": 1, "target": { "subject": "shop/deployment/cart", "uid": "u", "resource_version": "1" },
        "action": "scale", "args": { "replicas": 5 }, "inverse": "nothing", "undo_if_failed": false,
        "verify": { "features": ["errors"], "window": "5m", "settle": "1m", "fresh_points_min": 3, "traffic_floor": 0.5,
            "replicas_before": 3 },
        "decided_at": START, "apply_before": at(60), "deadline": at(600),
    });
    let plan: Plan = serde_json::from_value(json).unwrap();
    let step = Step { action: ActionName::new("scale"), args: Args::default().with("replicas", 2) };
    Plan { inverse: Inverse::Temporary { step, until: at(3600) }, ..plan }
}

fn not_recovered() -> JournalEvent {
    JournalEvent::NotRecovered { why: "still".into(), undo: false }
}

#[test]
fn it_is_given_back_once_when_its_time_is_over_whatever_the_end_was() {
    let unknown = JournalEvent::OutcomeUnknown { why: "who knows".into() };
    for end in [JournalEvent::Recovered, not_recovered(), unknown] {
        let world = World::after(end);
        assert!(world.tick(at(3599), Mode::Execute, false).is_empty());
        assert_eq!((world.n_undos(), world.restore()), (0, Restore::Pending));
        let events = world.tick(at(3600), Mode::Execute, false);
        assert!(matches!(events.as_slice(), [DriverEvent::Restored { .. }]), "{events:?}");
        world.tick(at(9000), Mode::Execute, false);
        assert_eq!((world.n_undos(), world.restore()), (1, Restore::Over));
    }
}

#[test]
fn what_put_it_back_itself_or_found_it_changed_gives_nothing_back() {
    let overridden = JournalEvent::Overridden { why: "put back".into() };
    let world = World::after(overridden);
    world.tick(at(3600), Mode::Execute, false);
    assert_eq!(world.n_undos(), 0);
}

#[test]
fn a_driver_that_died_while_giving_back_is_followed_by_one_that_does_it() {
    let world = World::after(JournalEvent::Recovered);
    world.journal.append(&world.plan.id, &JournalEvent::RestoreStarted, at(3600)).unwrap();
    assert_eq!(world.restore(), Restore::Started);
    world.tick(at(3700), Mode::Execute, false);
    assert_eq!((world.n_undos(), world.restore()), (1, Restore::Over));
}

#[test]
fn while_nothing_may_be_written_it_is_kept_and_a_human_is_called_in_time() {
    for (mode, stopped) in [(Mode::Recommend, false), (Mode::Observe, false), (Mode::Execute, true)] {
        let world = World::after(JournalEvent::Recovered);
        let calls = |events: &[DriverEvent]| {
            events
                .iter()
                .filter(|event| matches!(event, DriverEvent::Escalate(call) if call.reason == "restore-overdue"))
                .count()
        };
        assert_eq!(calls(&world.tick(at(3700), mode, stopped)), 0, "{mode:?}");
        assert_eq!(calls(&world.tick(at(5500), mode, stopped)), 1, "{mode:?}");
        assert_eq!(calls(&world.tick(at(5600), mode, stopped)), 0, "called once");
        assert_eq!(world.n_undos(), 0);
    }
}

#[test]
fn what_somebody_changed_since_stays_and_a_refusal_calls_a_human() {
    let world = World::after(JournalEvent::Recovered);
    *world.executor.answer.lock().unwrap() = || Err(ApplyError::Stale { why: "changed since".into() });
    assert!(world.tick(at(3600), Mode::Execute, false).is_empty(), "whoever changed it knew why");
    assert_eq!(world.restore(), Restore::Over);

    let world = World::after(JournalEvent::Recovered);
    *world.executor.answer.lock().unwrap() = || Err(ApplyError::Rejected { why: "403".into() });
    let events = world.tick(at(3600), Mode::Execute, false);
    assert!(matches!(events.as_slice(), [DriverEvent::Escalate(call)] if call.reason == "not-restored"), "{events:?}");

    let world = World::after(JournalEvent::Recovered);
    *world.executor.answer.lock().unwrap() = || Err(ApplyError::Unknown { why: "no answer".into() });
    world.tick(at(3600), Mode::Execute, false);
    *world.executor.answer.lock().unwrap() = given_back;
    world.tick(at(3700), Mode::Execute, false);
    assert_eq!((world.n_undos(), world.restore()), (2, Restore::Over), "it is sent again");
}
