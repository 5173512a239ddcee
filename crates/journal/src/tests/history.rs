//! What giving out the history costs.

use std::sync::Arc;
use std::time::Instant;

use homeostat_core::IncidentId;
use homeostat_remediate::PlanId;
use homeostat_remediate::{JournalEvent, LOOK_BACK_MAX};

use crate::testing::{MemoryStore, at, intent, noted};
use crate::{Epoch, Journal};

#[test]
fn history_of_ten_thousand_plans_copies_no_plan() {
    let journal = Journal::over(Box::new(MemoryStore::default()), Epoch(1)).unwrap();
    for n in 0..10_000 {
        let name = format!("s{n}");
        journal.record(&intent(&name, at(0)), at(0)).unwrap();
    }
    let began = Instant::now();
    let history = journal.history().unwrap();
    let took = began.elapsed();
    assert_eq!(history.actions.len(), 10_000);
    let again = journal.history().unwrap();
    assert!(history.actions.iter().zip(again.actions.iter()).all(|(one, other)| Arc::ptr_eq(one, other)));
    eprintln!("history() of 10 000 plans: {took:?}");
}

#[test]
fn attempts_of_an_open_incident_are_known_however_old_they_are() {
    let journal = Journal::in_memory().unwrap();
    let plan = intent("cart", at(0)).plan;
    journal.note(&noted("cart", at(0), homeostat_core::IncidentState::Open, at(0)), at(0)).unwrap();
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    journal.append(&plan.id, &JournalEvent::NotApplied { why: "drill".into(), refused: false }, at(1)).unwrap();
    let later = at(10) + LOOK_BACK_MAX;
    assert_eq!(journal.history().unwrap().next_attempt(&plan.incident), 2);
    journal.note(&noted("cart", at(0), homeostat_core::IncidentState::Resolved, at(5)), at(5)).unwrap();
    assert_eq!(journal.history().unwrap().actions.counting(later).count(), 0);
    assert!(journal.action(&plan.id).unwrap().is_some());
    let unknown = PlanId::of(&IncidentId::of(&plan.target.subject, at(77)), 1);
    assert!(journal.action(&unknown).unwrap().is_none());
}
