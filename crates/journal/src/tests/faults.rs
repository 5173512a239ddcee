//! A store that fails at each point in turn: nothing that was confirmed is lost, nothing is there twice.

use homeostat_core::IncidentState;
use homeostat_remediate::JournalEvent;

use crate::row::Epoch;
use crate::testing::{Fault, MemoryStore, at, call, intent, noted, plan};
use crate::{Journal, JournalError, Note};

type Step = Box<dyn Fn(&Journal) -> Result<(), JournalError>>;

/// A small story, step by step; each step may be tried again.
fn story() -> Vec<Step> {
    let id = plan("cart", at(0)).id;
    let event = |event: JournalEvent| -> Step {
        let id = id.clone();
        Box::new(move |journal| journal.append(&id, &event, at(2)).map(|_| ()))
    };
    let note = |note: Note| -> Step { Box::new(move |journal| journal.note(&note, at(1)).map(|_| ())) };
    vec![
        note(noted("cart", at(0), IncidentState::Open, at(0))),
        Box::new(|journal| journal.record(&intent("cart", at(0)), at(1)).map(|_| ())),
        event(JournalEvent::ApplyStarted),
        event(JournalEvent::Applied { resource_version: "2".into(), altered: None }),
        event(JournalEvent::Recovered),
        note(call("cart", at(0), "drill")),
        note(noted("cart", at(0), IncidentState::Resolved, at(9))),
    ]
}

fn kinds(store: &MemoryStore) -> Vec<String> {
    store.rows().into_iter().map(|row| row.kind).collect()
}

#[test]
fn whichever_write_fails_the_journal_goes_on_and_nothing_is_there_twice() {
    let sound = MemoryStore::default();
    let journal = Journal::over(Box::new(sound.clone()), Epoch(1)).unwrap();
    story().iter().for_each(|step| step(&journal).unwrap());
    let (expected, n_steps) = (journal.history().unwrap(), story().len());
    for n in 1..=n_steps {
        for fault in [Fault::NotWritten, Fault::LostWithItsAnswer, Fault::AnswerLost] {
            let store = MemoryStore::default();
            let journal = Journal::over(Box::new(store.clone()), Epoch(1)).unwrap();
            store.fail_at(n, fault);
            for (idx, step) in story().iter().enumerate() {
                let before = store.rows().len();
                let result = step(&journal);
                assert_eq!(result.is_err(), idx + 1 == n, "{fault:?} at {n}, step {idx}: {result:?}");
                match result {
                    Ok(()) => assert_eq!(store.rows().len(), before + 1),
                    Err(JournalError::NotWritten { .. }) => assert_eq!(store.rows().len(), before),
                    Err(JournalError::NotConfirmed { .. }) => {}
                    Err(error @ JournalError::Fenced { .. }) => panic!("{error}"),
                }
                // Tried again: written now, or refused because it is there. An event that may be repeated is.
                if idx + 1 == n && store.rows().len() == before {
                    step(&journal).unwrap();
                }
            }
            assert_eq!(journal.history().unwrap(), expected, "{fault:?} at {n}");
            assert_eq!(kinds(&store), kinds(&sound), "{fault:?} at {n}");
            let again = Journal::over(Box::new(store), Epoch(2)).unwrap();
            assert_eq!(again.history().unwrap(), expected);
        }
    }
}

#[test]
fn a_lost_answer_is_read_back_before_anything_is_said() {
    let store = MemoryStore::default();
    let journal = Journal::over(Box::new(store.clone()), Epoch(1)).unwrap();
    store.fail_at(1, Fault::AnswerLost);
    let error = journal.record(&intent("cart", at(0)), at(0)).unwrap_err();
    assert!(matches!(error, JournalError::NotConfirmed { .. }), "{error}");
    store.set_unreadable(true);
    assert!(journal.in_flight().is_err() && journal.history().is_err() && journal.kill_switch().is_err());
    assert!(matches!(journal.record(&intent("web", at(0)), at(1)), Err(JournalError::NotWritten { .. })));
    store.set_unreadable(false);
    assert_eq!(journal.in_flight().unwrap().len(), 1, "it was written");
    assert!(journal.record(&intent("cart", at(0)), at(1)).is_err(), "and isn't written again");
}

#[test]
fn who_is_fenced_never_writes_again_and_says_so_when_asked() {
    let store = MemoryStore::default();
    let journal = Journal::over(Box::new(store.clone()), Epoch(1)).unwrap();
    store.fail_at(1, Fault::Fenced);
    let error = journal.record(&intent("cart", at(0)), at(0)).unwrap_err();
    assert!(matches!(error, JournalError::Fenced { .. }), "{error}");
    // The store would take it now.
    let error = journal.record(&intent("cart", at(0)), at(0)).unwrap_err();
    assert!(matches!(error, JournalError::Fenced { .. }), "{error}");
    assert!(journal.history().is_err() && store.rows().is_empty());
    let told = journal.in_flight().unwrap_err().to_string();
    assert!(told.contains("somebody else has it"), "{told}");
}

#[test]
fn of_two_writers_the_earlier_one_is_fenced() {
    let store = MemoryStore::default();
    let earlier = Journal::over(Box::new(store.clone()), Epoch(1)).unwrap();
    let later = Journal::over(Box::new(store.clone()), Epoch(2)).unwrap();
    later.record(&intent("cart", at(0)), at(0)).unwrap();
    let error = earlier.record(&intent("cart", at(0)), at(0)).unwrap_err();
    assert!(matches!(error, JournalError::Fenced { .. }), "{error}");
    assert_eq!(store.rows().len(), 1);
}
