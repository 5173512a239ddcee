//! One contract for every store, and one for a journal over any of them.

use homeostat_core::IncidentState;
use homeostat_remediate::{JournalEvent, KillSwitch, Level, Stage};
use serde_json::json;

use crate::block_on::block_on;
use crate::row::{About, Epoch, Head, Row};
use crate::sqlite::SqliteStore;
use crate::store::{AppendError, Cut, Store};
use crate::testing::{MemoryStore, at, call, decision, incident_id, intent, noted, plan};
use crate::{Journal, JournalError, Note};

fn row(seq: i64, incident: &str, after: &Head, epoch: Epoch) -> Row {
    let mut row = Row {
        seq,
        at: at(seq),
        epoch,
        format: 2,
        kind: "kind".into(),
        must_understand: seq % 2 == 0,
        about: About { incident: incident.into(), plan: format!("plan {seq}"), ..About::default() },
        body: format!("{{\"n\":{seq}}}"),
        prev_hash: after.hash.clone(),
        hash: String::new(),
    };
    row.hash = row.own_hash();
    row
}

/// What every store must do. `fill` rows are written first, so that reading takes several answers.
async fn store_keeps_the_contract(store: &dyn Store, epoch: Epoch) {
    assert_eq!(store.base().await.unwrap(), None);
    assert!(store.read(0).await.unwrap().is_empty());
    let mut head = Head::empty();
    let mut written = Vec::new();
    for seq in 1..=6 {
        let row = row(seq, if seq < 4 { "old" } else { "new" }, &head, epoch);
        store.append(&row, &head, epoch).await.unwrap();
        head = row.head();
        written.push(row);
    }
    assert_eq!(store.read(0).await.unwrap(), written);
    assert_eq!(store.read(4).await.unwrap(), written[4..]);
    assert!(store.read(6).await.unwrap().is_empty());
    assert_eq!(store.rows_of("old").await.unwrap(), written[..3]);

    // A writer that doesn't know the last row isn't the only one: it must never write again.
    let behind = written[4].head();
    let error = store.append(&row(6, "new", &behind, epoch), &behind, epoch).await.unwrap_err();
    assert!(matches!(error, AppendError::Fenced(_)), "{error:?}");

    // The first five go, of which one stays; their rows are still found.
    let cut = Cut { through: written[4].head(), carried: vec![2] };
    let archived = row(7, "", &head, epoch);
    store.archive(&cut, &archived, &head, epoch).await.unwrap();
    head = archived.head();
    assert_eq!(store.base().await.unwrap(), Some(cut.through));
    let kept: Vec<i64> = store.read(0).await.unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(kept, [2, 6, 7]);
    assert_eq!(store.rows_of("old").await.unwrap(), written[..3]);
    assert_eq!(store.rows_of("new").await.unwrap(), written[3..]);

    // A later writer takes over; the one before is fenced, though it knows the last row.
    let later = Epoch(epoch.0 + 1);
    let taken = row(8, "new", &head, later);
    store.append(&taken, &head, later).await.unwrap();
    let error = store.append(&row(9, "new", &taken.head(), epoch), &taken.head(), epoch).await.unwrap_err();
    assert!(matches!(error, AppendError::Fenced(_)), "{error:?}");
    assert_eq!(store.read(7).await.unwrap(), [taken]);
}

#[test]
fn every_store_keeps_the_contract() {
    block_on(store_keeps_the_contract(&MemoryStore::default(), Epoch(1)));
    let folder = tempfile::tempdir().unwrap();
    let (store, epoch) = SqliteStore::open(&folder.path().join("journal.db")).unwrap();
    block_on(store_keeps_the_contract(&store, epoch));
    let folder = tempfile::tempdir().unwrap();
    let store = crate::kubernetes::testing::store(folder.path());
    let epoch = block_on(store.claim(None)).unwrap();
    block_on(store_keeps_the_contract(&store, epoch));
}

/// What a journal must do over any store.
fn keeps_the_contract(journal: &Journal) {
    let cart = plan("cart", at(0));
    let journaled = journal.record(&intent("cart", at(0)), at(0)).unwrap();
    assert_eq!(journaled.plan(), &cart);
    assert_eq!(journal.in_flight().unwrap(), [journaled]);

    // The same id again, or a second plan for the same subject, isn't taken.
    assert!(matches!(journal.record(&intent("cart", at(0)), at(1)), Err(JournalError::NotWritten { .. })));
    assert!(matches!(journal.record(&intent("cart", at(5)), at(5)), Err(JournalError::NotWritten { .. })));

    // Only what the stage machine allows is taken.
    let applied = JournalEvent::Applied { resource_version: "2".into(), altered: None };
    assert!(matches!(journal.append(&cart.id, &applied, at(1)), Err(JournalError::NotWritten { .. })));
    assert_eq!(journal.append(&cart.id, &JournalEvent::ApplyStarted, at(1)).unwrap(), Stage::Applying);
    assert_eq!(journal.append(&cart.id, &applied, at(2)).unwrap(), Stage::Verifying);
    let history = journal.history().unwrap();
    assert_eq!(history.actions.first().unwrap().applied_at, Some(at(2)));
    assert_eq!(history.actions.first().unwrap().traffic_before, Some(10.0));
    assert_eq!(
        history.actions.first().unwrap().levels_before,
        [("errors".to_owned(), Level { deviation: 7.5, value: 0.1 })].into()
    );
    assert_eq!(journal.append(&cart.id, &JournalEvent::Recovered, at(4)).unwrap(), Stage::Recovered);
    assert!(journal.in_flight().unwrap().is_empty());
    assert!(journal.append(&cart.id, &JournalEvent::ApplyStarted, at(5)).is_err());
    assert!(journal.append(&plan("nobody", at(0)).id, &JournalEvent::ApplyStarted, at(5)).is_err());
    assert_eq!(history.actions.first().unwrap().stage, Stage::Verifying, "who holds the history keeps it as it was");

    // The same refusal again makes no row; its values may differ, its reasons not.
    let cooldown =
        |remaining_s: u64| decision("cart", at(0), "cooldown-active", &json!({ "remaining_s": remaining_s }));
    assert!(journal.note(&cooldown(600), at(6)).unwrap());
    assert!(!journal.note(&cooldown(570), at(7)).unwrap());
    assert!(journal.note(&decision("cart", at(0), "paused", &json!({})), at(8)).unwrap());

    // A call is made once, and known until somebody took it over.
    assert!(journal.note(&call("cart", at(0), "paused"), at(9)).unwrap());
    assert!(!journal.note(&call("cart", at(0), "paused"), at(10)).unwrap());
    let [waiting] = journal.escalations_undelivered().unwrap().try_into().unwrap();
    assert!(journal.is_escalated(&waiting.incident, "paused").unwrap());
    let delivered = Note::EscalationDelivered { incident: waiting.incident, reason: "paused".into() };
    assert!(journal.note(&delivered, at(11)).unwrap());
    assert!(journal.escalations_undelivered().unwrap().is_empty());

    // Incidents, oldest first while they last.
    assert!(journal.note(&noted("cart", at(0), IncidentState::Open, at(0)), at(12)).unwrap());
    assert!(!journal.note(&noted("cart", at(0), IncidentState::Open, at(0)), at(12)).unwrap());
    assert_eq!(journal.open_incidents().unwrap().len(), 1);
    assert!(journal.note(&noted("cart", at(0), IncidentState::Resolved, at(12)), at(12)).unwrap());
    assert!(journal.open_incidents().unwrap().is_empty());
    assert_eq!(journal.incident(&incident_id("cart", at(0))).unwrap().unwrap().state, "resolved");

    // Switches.
    assert!(!journal.kill_switch().unwrap().engaged);
    let stop = KillSwitch { engaged: true, why: "drill".into() };
    assert!(journal.note(&Note::KillSwitch(stop.clone()), at(12)).unwrap());
    assert_eq!(journal.kill_switch().unwrap(), stop);
    let frozen = Note::PolicyFrozen { policy: "restart".into(), why: "worse".into() };
    assert!(journal.note(&frozen, at(13)).unwrap());
    assert_eq!(journal.history().unwrap().frozen["restart"], "worse");
}

#[test]
fn a_journal_keeps_the_contract_over_every_store() {
    keeps_the_contract(&Journal::in_memory().unwrap());
    keeps_the_contract(&Journal::over(Box::new(MemoryStore::default()), Epoch(1)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let store = crate::kubernetes::testing::store(folder.path());
    let epoch = block_on(store.claim(None)).unwrap();
    keeps_the_contract(&Journal::over(Box::new(store), epoch).unwrap());
    let path = folder.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    keeps_the_contract(&journal);
    let said = |journal: &Journal| {
        (journal.history().unwrap(), journal.kill_switch().unwrap(), journal.verify_chain().unwrap())
    };
    let before = said(&journal);
    drop(journal);
    assert_eq!(said(&Journal::open(&path).unwrap()), before, "opened again it says the same");
}
