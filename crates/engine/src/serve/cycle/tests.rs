//! Restarts: the tracker and the journal are brought together.

mod signals;

use homeostat_core::{Calibrated, CorrelationId, IncidentType, Score};
use homeostat_detect::Hysteresis;
use homeostat_incidents::{Calibration, Tracker, TrackerTimes};
use homeostat_journal::{Journal, Note};
use homeostat_remediate::SafetyLimits;

use super::*;
use crate::pretend_executor::NoExecutor;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(10_000 + secs)
}

fn incident(name: &str, opened_at: Timestamp, state: IncidentState, updated_at: Timestamp) -> Incident {
    let subject = Subject::deployment("shop", name);
    Incident {
        id: IncidentId::of(&subject, opened_at),
        correlation: CorrelationId::of(&subject, opened_at),
        subject,
        incident_type: IncidentType::OomKilled,
        state,
        opened_at,
        updated_at,
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated::UNKNOWN,
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

/// A cycle that has just started: what its tracker kept, and what the journal has.
fn started(tracked: Vec<Incident>, recorded: Vec<Incident>) -> Cycle {
    let mut tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    tracker.take_up(tracked, |_| false, at(1_000));
    let monitor = Arc::new(Mutex::new(Monitor::new(BTreeMap::new(), tracker)));
    let journal = Arc::new(Journal::in_memory().unwrap());
    for incident in recorded {
        journal.note(&Note::Incident(Box::new(incident)), at(0)).unwrap();
    }
    let driver = Driver::new(Arc::new(NoExecutor::default()), journal, Vec::new(), SafetyLimits::default());
    Cycle::new(monitor, driver, Mode::Observe, ClusterContext::default())
}

/// The names of what is open: in the tracker, and in the journal.
fn open(cycle: &mut Cycle) -> (Vec<String>, Vec<String>) {
    let monitor = cycle.monitor.lock().unwrap();
    let tracked = monitor.open_incidents().map(|incident| incident.subject.name.clone()).collect();
    drop(monitor);
    let recorded = cycle.driver().journal().open_incidents().unwrap();
    let mut recorded: Vec<String> = recorded.iter().filter_map(|kept| Some(kept.incident()?.subject.name)).collect();
    recorded.sort();
    (tracked, recorded)
}

#[test]
fn a_restart_takes_up_what_the_journal_has_open_and_records_what_it_lacks() {
    let tracked = incident("tracked", at(0), IncidentState::Open, at(5));
    let recorded = incident("recorded", at(0), IncidentState::Stale, at(7));
    let mut cycle = started(vec![tracked], vec![recorded]);
    cycle.reconcile(at(60)).unwrap();
    let both = vec!["recorded".to_owned(), "tracked".to_owned()];
    assert_eq!(open(&mut cycle), (both.clone(), both));
    let head = cycle.driver().journal().head();
    cycle.reconcile(at(90)).unwrap();
    assert_eq!(cycle.driver().journal().head(), head, "once is enough");
}

#[test]
fn what_the_journal_says_is_over_is_not_open_after_a_restart() {
    let tracked = incident("cart", at(0), IncidentState::Open, at(5));
    let over = incident("cart", at(0), IncidentState::Resolved, at(7));
    let mut cycle = started(vec![tracked], vec![over]);
    cycle.reconcile(at(60)).unwrap();
    assert_eq!(open(&mut cycle), (vec![], vec![]));
}

#[test]
fn an_incident_whose_end_was_not_recorded_is_not_open_for_ever() {
    let before = incident("cart", at(0), IncidentState::Open, at(5));
    let now_open = incident("cart", at(500), IncidentState::Open, at(505));
    let id = before.id.clone();
    let mut cycle = started(vec![now_open], vec![before]);
    cycle.reconcile(at(600)).unwrap();
    let ended = cycle.driver().journal().incident(&id).unwrap().unwrap();
    assert_eq!((ended.state.as_str(), ended.updated_at), ("resolved", at(500)));
    assert_eq!(open(&mut cycle).1, ["cart"]);
}

mod rules;
