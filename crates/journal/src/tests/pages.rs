//! Incidents a page at a time.

use homeostat_core::{IncidentId, IncidentState};
use serde_json::json;

use crate::testing::{at, call, decision, incident_id, noted};
use crate::{Journal, Note, PageRequest};

fn journal(n_incidents: i64) -> Journal {
    let journal = Journal::in_memory().unwrap();
    for n in 0..n_incidents {
        let state = if n % 2 == 0 { IncidentState::Open } else { IncidentState::Resolved };
        journal.note(&noted(&format!("s{n}"), at(n / 2), state, at(n)), at(n)).unwrap();
    }
    journal
}

fn all(journal: &Journal, request: PageRequest) -> Vec<IncidentId> {
    let mut request = request;
    let mut found = Vec::new();
    loop {
        let page = journal.page(&request);
        assert!(page.items.len() <= request.limit);
        found.extend(page.items.iter().map(|item| item.incident.id.clone()));
        match page.next {
            Some(next) => request.after = Some(next.to_string().parse().unwrap()),
            None => return found,
        }
    }
}

#[test]
fn pages_together_are_all_incidents_newest_first() {
    let journal = journal(25);
    let whole = all(&journal, PageRequest::default());
    assert_eq!(whole.len(), 25);
    for limit in [1, 2, 7, 25, 26] {
        assert_eq!(all(&journal, PageRequest { limit, ..PageRequest::default() }), whole, "{limit}");
    }
    let open = all(&journal, PageRequest { limit: 4, open_only: true, after: None });
    assert_eq!(open.len(), 13);
    assert!(journal.page(&PageRequest { limit: 0, ..PageRequest::default() }).items.len() == 1);
}

#[test]
fn a_page_stays_valid_while_incidents_come_and_go() {
    let journal = journal(10);
    let whole = all(&journal, PageRequest::default());
    let first = journal.page(&PageRequest { limit: 4, ..PageRequest::default() });
    journal.note(&noted("new", at(100), IncidentState::Open, at(100)), at(100)).unwrap();
    let second = journal.page(&PageRequest { limit: 100, after: first.next, open_only: false });
    let second: Vec<IncidentId> = second.items.into_iter().map(|item| item.incident.id.clone()).collect();
    assert_eq!(second, whole[4..]);
}

#[test]
fn an_item_has_the_decision_and_the_head_tells_whether_anything_changed() {
    let journal = journal(1);
    let before = journal.head();
    assert_eq!(journal.page(&PageRequest::default()).items[0].value()["decision"], json!(null));
    journal.note(&decision("s0", at(0), "paused", &json!({})), at(1)).unwrap();
    assert_ne!(journal.head(), before);
    let value = journal.page(&PageRequest::default()).items[0].value();
    assert_eq!(value["decision"]["refusals"][0]["code"], "paused");
    assert_eq!(value["incident"]["type"], "oom-killed");
}

#[test]
fn what_a_call_is_about_is_known_until_somebody_has_taken_it_over() {
    let journal = Journal::in_memory().unwrap();
    journal.note(&noted("cart", at(0), IncidentState::Resolved, at(1)), at(1)).unwrap();
    journal.note(&call("cart", at(0), "unknown"), at(2)).unwrap();
    for n in 0..1500 {
        journal.note(&noted(&format!("s{n}"), at(10 + n), IncidentState::Resolved, at(10 + n)), at(10 + n)).unwrap();
    }
    let id = incident_id("cart", at(0));
    assert_eq!(journal.incident(&id).unwrap().unwrap().subject, "shop/deployment/cart");
    let delivered = Note::EscalationDelivered { incident: id.clone(), reason: "unknown".into() };
    journal.note(&delivered, at(2000)).unwrap();
    journal.note(&noted("last", at(2000), IncidentState::Resolved, at(2000)), at(2000)).unwrap();
    assert!(journal.incident(&id).unwrap().is_none(), "now it may be forgotten");
}
