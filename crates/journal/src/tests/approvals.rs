//! A plan that waits for an answer, and the answer, outlive the process; an answer counts once, and for that plan (I25).

use std::time::Duration;

use homeostat_core::{IncidentState, Timestamp};
use homeostat_remediate::{Answer, Approval, JournalEvent, KillSwitch, Plan, ProposedPlan};

use crate::testing::{at, incident_id, intent, noted, plan};
use crate::{Journal, JournalError, Note};

/// The plan for this workload, as proposed: in time for half an hour.
pub(super) fn proposed(name: &str, now: Timestamp) -> Plan {
    Plan { apply_before: now + Duration::from_secs(1800), ..plan(name, now) }
}

pub(super) fn shown(plan: &Plan) -> Note {
    Note::Proposed(Box::new(ProposedPlan { plan: plan.clone(), write: "{}".into() }))
}

pub(super) fn answer(plan: &Plan, answer: Answer, now: Timestamp) -> Note {
    let (incident, digest) = (plan.incident.clone(), plan.digest());
    Note::Approval(Approval { incident, digest, answer, by: "anna".into(), note: String::new(), at: now })
}

fn is_approved(journal: &Journal, plan: &Plan) -> bool {
    let pending = journal.pending(&plan.incident).expect("readable");
    pending.is_some_and(|pending| pending.approval().is_some())
}

fn waits(journal: &Journal, plan: &Plan) -> bool {
    journal.pending(&plan.incident).expect("readable").is_some()
}

#[test]
fn a_proposal_and_its_answer_outlive_the_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal.db");
    let journal = Journal::open(&path).expect("a journal");
    let cart = proposed("cart", at(0));
    assert!(journal.note(&shown(&cart), at(0)).expect("noted"));
    assert!(!journal.note(&shown(&cart), at(30)).expect("noted"), "it waits already");
    assert!(journal.note(&answer(&cart, Answer::Approve, at(60)), at(60)).expect("noted"));
    assert!(!journal.note(&answer(&cart, Answer::Approve, at(61)), at(61)).expect("noted"), "said already");
    drop(journal);
    let journal = Journal::open(&path).expect("the journal again");
    assert!(is_approved(&journal, &cart));
    assert!(journal.note(&answer(&cart, Answer::Reject, at(90)), at(90)).expect("noted"), "the latest answer counts");
    assert!(!is_approved(&journal, &cart));
    let kinds: Vec<String> = journal.record_of(&cart.incident).expect("rows").into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["proposed", "approval", "approval"], "all of them stay in the record");
    journal.verify_chain().expect("whole");
}

#[test]
fn an_answer_is_used_by_the_intent_and_never_counts_again() {
    let journal = Journal::in_memory().expect("a journal");
    let cart = proposed("cart", at(0));
    journal.note(&shown(&cart), at(0)).expect("noted");
    journal.note(&answer(&cart, Answer::Approve, at(60)), at(60)).expect("noted");
    let used = crate::Intent { plan: cart.clone(), ..intent("cart", at(0)) };
    journal.record(&used, at(70)).expect("recorded");
    assert!(!waits(&journal, &cart));
    let again = journal.note(&answer(&cart, Answer::Approve, at(80)), at(80));
    assert!(matches!(again, Err(JournalError::NotWritten { .. })), "{again:?}");
    let quiet = JournalEvent::NotApplied { why: "test".into(), refused: false };
    journal.append(&cart.id, &quiet, at(90)).expect("appended");
    assert!(journal.record(&used, at(100)).is_err(), "nor does the plan");
}

#[test]
fn what_is_replaced_over_or_stopped_has_no_approval_any_more() {
    let ends: [fn(&Plan) -> Note; 3] = [
        |cart| shown(&Plan { decided_at: at(100), ..cart.clone() }),
        |_| noted("cart", at(0), IncidentState::Resolved, at(100)),
        |_| Note::KillSwitch(KillSwitch { engaged: true, why: "drill".into() }),
    ];
    for (idx, end) in ends.into_iter().enumerate() {
        let journal = Journal::in_memory().expect("a journal");
        let cart = proposed("cart", at(0));
        assert_eq!(cart.incident, incident_id("cart", at(0)));
        journal.note(&shown(&cart), at(0)).expect("noted");
        journal.note(&answer(&cart, Answer::Approve, at(60)), at(60)).expect("noted");
        assert!(is_approved(&journal, &cart));
        journal.note(&end(&cart), at(100)).expect("noted");
        assert!(!is_approved(&journal, &cart), "{idx}");
    }
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken() {
    let journal = Journal::in_memory().expect("a journal");
    let cart = proposed("cart", at(0));
    journal.note(&shown(&cart), at(0)).expect("noted");
    let late = cart.apply_before;
    let refused = journal.note(&answer(&cart, Answer::Approve, late), late);
    assert!(matches!(&refused, Err(JournalError::NotWritten { why, .. }) if why.contains("expired")), "{refused:?}");
}
