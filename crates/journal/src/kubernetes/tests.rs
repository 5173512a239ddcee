//! The store over an API server in memory: whatever is refused, lost, late or done by somebody else, rows are there once and in
//! order.

use homeostat_core::IncidentState;
use homeostat_remediate::JournalEvent;
use serde_json::json;

use super::testing::{FakeApi, Fault};
use super::*;
use crate::block_on::block_on;
use crate::testing::{at, call, decision, intent, noted, plan};
use crate::{Journal, JournalError, Note};

fn always() -> MayWrite {
    Arc::new(|| Ok(()))
}

fn store(api: &FakeApi) -> (tempfile::TempDir, Arc<KubernetesStore>) {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("journal.db");
    (folder, Arc::new(KubernetesStore::new(Arc::new(api.clone()), "ops", archive, always())))
}

fn term(transitions: i64, holder: &str) -> Term {
    Term { lease_uid: "lease".into(), transitions, holder: holder.into() }
}

/// A journal that leads.
fn leading(store: &Arc<KubernetesStore>, term: Option<&Term>) -> Journal {
    let journal = Journal::following(Box::new(Arc::clone(store)), "a test");
    journal.lead(block_on(store.claim(term)).unwrap()).unwrap();
    journal
}

type Step = Box<dyn Fn(&Journal) -> Result<(), JournalError>>;

fn story() -> Vec<Step> {
    let id = plan("cart", at(0)).id;
    let note = |note: Note| -> Step { Box::new(move |journal| journal.note(&note, at(1)).map(|_| ())) };
    let event = |event: JournalEvent| -> Step {
        let id = id.clone();
        Box::new(move |journal| journal.append(&id, &event, at(2)).map(|_| ()))
    };
    vec![
        note(noted("cart", at(0), IncidentState::Open, at(0))),
        note(decision("cart", at(0), "paused", &json!({}))),
        Box::new(|journal| journal.record(&intent("cart", at(0)), at(1)).map(|_| ())),
        event(JournalEvent::ApplyStarted),
        event(JournalEvent::Applied { resource_version: "2".into(), altered: None }),
        event(JournalEvent::Recovered),
        note(call("cart", at(0), "drill")),
    ]
}

#[test]
fn whichever_request_fails_rows_are_there_once_and_in_order() {
    let sound = FakeApi::default();
    let (_folder, sound_store) = store(&sound);
    let journal = leading(&sound_store, None);
    let n_before = sound.n_changes();
    story().iter().for_each(|step| step(&journal).unwrap());
    let expected = journal.history().unwrap();
    let rows = block_on(sound_store.read(0)).unwrap();
    let n_requests = sound.n_changes() - n_before;
    assert_eq!(n_requests, 2 * story().len() - 1, "two requests a row");
    for n in 1..=n_requests {
        for fault in [Fault::Refused, Fault::Lost, Fault::AnswerLost, Fault::ServerError] {
            let api = FakeApi::default();
            let (_folder, store) = store(&api);
            let journal = leading(&store, None);
            api.fail_at(n, fault);
            for step in story() {
                let before = journal.head();
                let Err(error) = step(&journal) else { continue };
                assert!(!matches!(error, JournalError::Fenced { .. }), "{fault:?} at {n}: {error}");
                // Tried again only if it isn't there.
                let _ = journal.in_flight().unwrap();
                if journal.head() == before {
                    step(&journal).unwrap();
                }
            }
            assert_eq!(block_on(store.read(0)).unwrap(), rows, "{fault:?} at {n}");
            assert_eq!(journal.history().unwrap(), expected, "{fault:?} at {n}");
            journal.verify_chain().unwrap();
        }
    }
}

#[test]
fn a_write_that_was_given_up_and_comes_late_is_read_back_and_fences_nobody() {
    let api = FakeApi::default();
    let (_folder, store) = store(&api);
    let journal = leading(&store, None);
    api.hold_back_next();
    let first = noted("cart", at(0), IncidentState::Open, at(0));
    assert!(matches!(journal.note(&first, at(1)), Err(JournalError::NotConfirmed { .. })));
    // Read back, it isn't there; something else is written, and at that moment the first one arrives.
    assert!(journal.open_incidents().unwrap().is_empty());
    api.arrive().unwrap();
    let second = noted("web", at(0), IncidentState::Open, at(0));
    assert!(matches!(journal.note(&second, at(2)), Err(JournalError::NotConfirmed { .. })));
    assert!(journal.note(&second, at(2)).unwrap());
    assert_eq!(journal.open_incidents().unwrap().len(), 2);
    assert_eq!(block_on(store.read(0)).unwrap().len(), 2);
}

#[test]
fn who_was_paused_writes_nothing_once_another_one_leads() {
    let api = FakeApi::default();
    let (_one, first) = store(&api);
    let (_two, second) = store(&api);
    let old = leading(&first, Some(&term(0, "a")));
    old.record(&intent("cart", at(0)), at(0)).unwrap();
    let new = leading(&second, Some(&term(1, "b")));
    assert_eq!(new.in_flight().unwrap().len(), 1, "what the one before began goes on");
    let n_before = api.n_changes();
    // It knows the last row, and nobody has written since: the epoch alone refuses it.
    let started = JournalEvent::ApplyStarted;
    let error = old.append(&plan("cart", at(0)).id, &started, at(1)).unwrap_err();
    assert!(matches!(error, JournalError::Fenced { .. }), "{error}");
    assert!(error.to_string().contains("taken over by b"), "{error}");
    let told = new.append(&plan("cart", at(0)).id, &started, at(1));
    assert!(told.is_ok(), "{told:?}");
    assert_eq!(block_on(second.read(0)).unwrap().len(), 2);
    assert!(api.n_changes() > n_before);
    // Nor does it get the journal back with a term that is over.
    assert!(matches!(block_on(first.claim(Some(&term(0, "a")))), Err(AppendError::Fenced(_))));
    // It follows, and sees what the new one does.
    old.follow("b leads");
    old.refresh().unwrap();
    assert_eq!(old.head(), new.head());
    let next = new.note(&noted("web", at(5), IncidentState::Open, at(5)), at(5));
    assert!(next.unwrap());
    old.refresh().unwrap();
    assert_eq!(old.open_incidents().unwrap().len(), 1);
    assert!(matches!(old.note(&call("web", at(5), "drill"), at(6)), Err(JournalError::NotWritten { .. })));
}

#[test]
fn whoever_may_not_write_sends_nothing() {
    let api = FakeApi::default();
    let folder = tempfile::tempdir().unwrap();
    let may: Arc<Mutex<Result<(), String>>> = Arc::new(Mutex::new(Ok(())));
    let asked = Arc::clone(&may);
    let may_write: MayWrite = Arc::new(move || asked.lock().unwrap().clone());
    let archive = folder.path().join("journal.db");
    let store = Arc::new(KubernetesStore::new(Arc::new(api.clone()), "ops", archive, may_write));
    let journal = leading(&store, None);
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    *may.lock().unwrap() = Err("the lease ran out".into());
    let n_before = api.n_changes();
    let error = journal.append(&plan("cart", at(0)).id, &JournalEvent::ApplyStarted, at(1)).unwrap_err();
    assert!(matches!(&error, JournalError::NotWritten { why, .. } if why == "the lease ran out"), "{error}");
    assert!(block_on(store.claim(None)).is_err());
    assert_eq!(api.n_changes(), n_before);
}

#[test]
fn an_annotation_on_the_head_disturbs_nobody_and_a_deleted_head_fences() {
    let api = FakeApi::default();
    let (_folder, store) = store(&api);
    let journal = leading(&store, None);
    journal.record(&intent("cart", at(0)), at(0)).unwrap();
    api.change("journals", NAME, |journal| journal["metadata"]["annotations"] = json!({"a": "b"}));
    journal.append(&plan("cart", at(0)).id, &JournalEvent::ApplyStarted, at(1)).unwrap();
    api.delete("journals", NAME);
    let error = journal.note(&call("cart", at(0), "drill"), at(2)).unwrap_err();
    assert!(matches!(error, JournalError::Fenced { .. }), "{error}");
    let error = block_on(self::store(&api).1.claim(None)).unwrap_err().to_string();
    assert!(error.contains("rows of it are there"), "{error}");
}

#[test]
fn what_was_changed_in_the_cluster_shows() {
    let tamper = |resource: &'static str, name: &str, change: fn(&mut Value)| {
        let api = FakeApi::default();
        let (_folder, store) = store(&api);
        let journal = leading(&store, None);
        story().iter().for_each(|step| step(&journal).unwrap());
        api.change(resource, name, change);
        block_on(store.read(0)).map(|_| ()).and_then(|()| journal.verify_chain().map(|_| ())).is_err()
    };
    assert!(tamper("journalrows", "homeostat-0000000002", |row| row["spec"]["body"] = json!("{}")));
    assert!(tamper("journalrows", "homeostat-0000000003", |row| row["spec"]["at"] = json!("1970-01-01T00:00:00Z")));
    assert!(tamper("journalrows", "homeostat-0000000003", |row| row["spec"]["seq"] = json!(30)));
    assert!(tamper("journals", NAME, |head| head["spec"]["last"]["body"] = json!("{}")));
}

#[test]
fn archived_rows_are_swept_and_a_long_journal_is_read_in_pages() {
    let api = FakeApi::default();
    let (folder, store) = store(&api);
    let journal = leading(&store, None);
    for n in 0..1_200 {
        let state = if n % 2 == 0 { IncidentState::Open } else { IncidentState::Resolved };
        journal.note(&noted("cart", at(n / 2), state, at(n)), at(n)).unwrap();
    }
    assert_eq!(journal.verify_chain().unwrap(), journal.head());
    let n_archived = journal.archive(at(1_000), at(2_000)).unwrap();
    assert_eq!(n_archived, 1_000);
    assert_eq!(journal.verify_chain().unwrap(), journal.head());
    let n_objects = api.names("journalrows").len();
    let n_first = block_on(store.sweep(300)).unwrap();
    assert_eq!(n_first, 300);
    while block_on(store.sweep(300)).unwrap() > 0 {}
    assert!(api.names("journalrows").len() < n_objects - 900);
    assert_eq!(journal.verify_chain().unwrap(), journal.head(), "what counts is still there");
    let again = leading(&self::store(&api).1, None);
    assert_eq!(again.head(), journal.head());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "one archive");
}

#[test]
fn people_see_incidents_and_remediations_and_a_wrong_one_is_made_right() {
    let api = FakeApi::default();
    let (_folder, store) = store(&api);
    let journal = leading(&store, None);
    story().iter().for_each(|step| step(&journal).unwrap());
    let mut views = Views::new(Arc::new(api.clone()), "ops", always());
    assert_eq!(block_on(views.sync(&journal, 1)).unwrap(), 1, "one is left for the next time");
    assert_eq!(block_on(views.sync(&journal, 20)).unwrap(), 0);
    let incident = api.object("incidents", plan("cart", at(0)).incident.as_str()).unwrap();
    assert_eq!(incident["spec"]["type"], "oom-killed");
    assert_eq!(incident["status"]["conditions"][0]["status"], "True");
    assert_eq!(incident["status"]["reasons"], json!(["paused: because"]));
    let name = plan("cart", at(0)).id.to_string();
    let action = api.object("remediations", &name).unwrap();
    assert_eq!(action["status"]["stage"], "recovered");
    assert_eq!(action["status"]["conditions"][1]["status"], "True");
    let n_before = api.n_changes();
    assert_eq!(block_on(views.sync(&journal, 20)).unwrap(), 0);
    assert_eq!(api.n_changes(), n_before, "what is right isn't written again");
    // Whoever leads next puts right what others changed, and what isn't the journal's goes.
    api.change("remediations", &name, |action| action["status"]["stage"] = json!("stuck"));
    views.forget();
    assert_eq!(block_on(views.sync(&journal, 20)).unwrap(), 0);
    assert_eq!(api.object("remediations", &name).unwrap()["status"]["stage"], "recovered");
}
