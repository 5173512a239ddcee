//! Labels that come over HTTP.

use homeostat_core::{Incident, IncidentType, Verdict};
use homeostat_journal::Note;

use super::*;

fn ended(incident_type: IncidentType, hours: i64) -> Incident {
    Incident { incident_type, ..crate::training::testing::incident(incident_type.name(), 60, 3_600 * hours) }
}

async fn label(api: &Api, incident: &Incident, body: &str) -> (u16, String) {
    let head = format!(
        "POST /api/v1/incidents/{}/label HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n",
        incident.id
    );
    ask(api_router(api.clone()), &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
}

#[tokio::test]
async fn a_label_is_in_the_journal_and_shown_when_it_is_answered() {
    let journal = Arc::new(Journal::in_memory().expect("a journal"));
    let slow = ended(IncidentType::Latency, 1);
    journal.note(&Note::Incident(Box::new(slow.clone())), slow.updated_at).expect("noted");
    let (api, _, _) = api_of(Arc::clone(&journal));
    let said = r#"{"verdict": "expected-daily", "by": "anna", "note": "the backup"}"#;
    let (status, text) = label(&api, &slow, said).await;
    assert_eq!(status, 200, "{text}");
    let known = journal.label(&slow.id).expect("readable").expect("a label");
    assert_eq!((known.verdict, known.by.as_str()), (Some(Verdict::ExpectedDaily), "anna"));
    let (_, text) = get(api.clone(), "/api/v1/incidents").await;
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["data"][0]["label"]["verdict"], "expected-daily", "{text}");
    let (status, _) = label(&api, &slow, r#"{"verdict": null, "by": "anna"}"#).await;
    assert_eq!((status, journal.label(&slow.id).expect("readable")), (200, None));
}

#[tokio::test]
async fn a_label_that_cannot_be_taken_is_told_why_and_leaves_nothing() {
    let journal = Arc::new(Journal::in_memory().expect("a journal"));
    let (slow, long, gone) =
        (ended(IncidentType::Latency, 1), ended(IncidentType::MemoryLeak, 50), ended(IncidentType::WorkloadGone, 1));
    for incident in [&slow, &long, &gone] {
        journal.note(&Note::Incident(Box::new(incident.clone())), incident.updated_at).expect("noted");
    }
    let n_rows = journal.head().seq;
    let (api, _, _) = api_of(Arc::clone(&journal));
    let daily = r#"{"verdict": "expected-daily", "by": "anna"}"#;
    let long_note = format!(r#"{{"verdict": "true-positive", "by": "anna", "note": "{}"}}"#, "x".repeat(2_000));
    let unknown = ended(IncidentType::OomKilled, 1);
    for (incident, body, status, part) in [
        (&unknown, daily, 404, "incident list"),
        (&long, daily, 422, "lasts at most 12h"),
        (&gone, daily, 422, "calendar"),
        (&slow, r#"{"verdict": "true-positive", "by": " "}"#, 422, "who says so"),
        (&slow, &long_note, 422, "more than 1000 characters"),
        (&slow, r#"{"verdict": "maybe", "by": "anna"}"#, 422, "unknown variant"),
        (&slow, r#"{"verdict": "true-positive"}"#, 422, "missing field `by`"),
    ] {
        let (found, text) = label(&api, incident, body).await;
        assert!(found == status && text.contains(part), "{body}: {found} {text}");
    }
    assert_eq!(journal.head().seq, n_rows);
}
