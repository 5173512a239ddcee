//! What people say of incidents is kept: the latest counts, the rows stay, and nothing that counts is archived away.

use std::time::Duration;

use homeostat_core::{IncidentLabel, IncidentState, Verdict};

use crate::ledger::incidents::INCIDENTS_ENDED_MAX;
use crate::testing::{at, incident_id, noted};
use crate::{Journal, JournalError, Note, PageRequest, audit};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn label(name: &str, verdict: Option<Verdict>, by: &str) -> Note {
    Note::Label(IncidentLabel {
        incident: incident_id(name, at(0)),
        verdict,
        by: by.into(),
        note: "".into(),
        at: at(5),
    })
}

fn resolved(journal: &Journal, name: &str) {
    journal.note(&noted(name, at(0), IncidentState::Resolved, at(60)), at(60)).expect("noted");
}

fn verdict(journal: &Journal, name: &str) -> Option<Verdict> {
    journal.label(&incident_id(name, at(0))).expect("readable").and_then(|label| label.verdict)
}

#[test]
fn the_latest_label_counts_and_all_of_them_stay_in_the_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal.db");
    let journal = Journal::open(&path).expect("a journal");
    resolved(&journal, "cart");
    assert!(!journal.note(&label("cart", None, "anna"), at(70)).expect("noted"), "there is nothing to withdraw");
    assert!(journal.note(&label("cart", Some(Verdict::FalsePositive), "anna"), at(70)).expect("noted"));
    assert!(!journal.note(&label("cart", Some(Verdict::FalsePositive), "anna"), at(80)).expect("noted"), "no news");
    assert!(journal.note(&label("cart", Some(Verdict::TruePositive), "ben"), at(90)).expect("noted"));
    drop(journal);
    let journal = Journal::open(&path).expect("the journal again");
    assert_eq!(verdict(&journal, "cart"), Some(Verdict::TruePositive));
    let kinds: Vec<String> =
        journal.record_of(&incident_id("cart", at(0))).expect("rows").into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, ["incident", "label", "label"]);
    let item = journal.page(&PageRequest::default()).items.remove(0).value();
    assert_eq!((&item["label"]["verdict"], &item["label"]["by"]), (&"true-positive".into(), &"ben".into()));
    assert!(journal.note(&label("cart", None, "ben"), at(95)).expect("noted"));
    assert_eq!(verdict(&journal, "cart"), None);
    assert!(journal.labels().expect("readable").is_empty());
    journal.verify_chain().expect("whole");
}

#[test]
fn of_an_incident_that_nobody_knows_nothing_can_be_said() {
    let journal = Journal::in_memory().expect("a journal");
    let refused = journal.note(&label("cart", Some(Verdict::TruePositive), "anna"), at(70));
    assert!(matches!(refused, Err(JournalError::NotWritten { .. })), "{refused:?}");
    assert_eq!(journal.head().seq, 0);
}

#[test]
fn what_was_judged_stays_with_its_incident_however_old_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("journal.db");
    let journal = Journal::open(&path).expect("a journal");
    for name in ["cart", "web"] {
        resolved(&journal, name);
        journal.note(&label(name, Some(Verdict::ExpectedDaily), "anna"), at(70)).expect("noted");
    }
    journal.note(&label("web", None, "anna"), at(80)).expect("noted");
    // More incidents than are kept in memory.
    for n in 0..INCIDENTS_ENDED_MAX + 5 {
        let (name, opened) = (format!("s{n}"), at(100 + n as i64));
        journal.note(&noted(&name, opened, IncidentState::Resolved, opened), opened).expect("noted");
    }
    journal.note(&noted("db", at(0), IncidentState::Resolved, at(9_000)), at(60)).expect("noted");
    // Judged three months later, just before its incident is archived.
    let late = |note: Note| match note {
        Note::Label(label) => Note::Label(IncidentLabel { at: at(0) + DAY * 89, ..label }),
        other => other,
    };
    journal.note(&late(label("db", Some(Verdict::TruePositive), "ben")), at(0) + DAY * 89).expect("noted");
    let (before, now) = (at(0) + DAY * 60, at(0) + DAY * 150);
    assert!(journal.archive(before, now).expect("archived") > 0);
    drop(journal);
    let journal = Journal::open(&path).expect("the journal again");
    let labels = journal.labels().expect("readable");
    let of: Vec<_> = labels.iter().map(|one| (one.label.verdict, one.incident.subject.as_str())).collect();
    let cart = (Some(Verdict::ExpectedDaily), "shop/deployment/cart");
    let db = (Some(Verdict::TruePositive), "shop/deployment/db");
    assert!(of.len() == 2 && of.contains(&cart) && of.contains(&db), "{of:?}");
    let kept = journal.page(&PageRequest { limit: usize::MAX, ..PageRequest::default() }).items.len();
    assert_eq!(kept, 1, "the others went to the archive");
    drop(journal);
    audit(&path).expect("whole");
}
