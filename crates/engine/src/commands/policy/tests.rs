use homeostat_core::IncidentLabel;
use homeostat_journal::Note;
use homeostat_remediate::{DecisionOutcome, DecisionRecord};

use super::*;
use crate::training::testing::incident;

const CONFIG: &str = "
mode: execute
datasources: [{url: http://127.0.0.1:1}]
queries: {memory: {expr: x}}
policies: [policies.yaml]
kubernetes: {}
";

const POLICIES: &str = "
remediation_policies:
  - {incident_type: oom-killed, auto_execute: false, confidence_threshold: 0.9, scope: {namespaces: [shop]}}
  - {incident_type: latency, auto_execute: true, action: rollout-restart, confidence_threshold: 0.9, scope: {namespaces: [shop]}}
";

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// An incident that a policy was asked about and a person has judged.
fn judged_incident(journal: &Journal, nth: i64, policy: &str, verdict: Verdict) {
    let incident = incident(&format!("cart-{nth}"), 1_800_000_000 + nth, 60);
    let (id, correlation, subject) = (incident.id.clone(), incident.correlation.clone(), incident.subject.clone());
    let decision = DecisionRecord {
        incident: id.clone(),
        correlation,
        subject,
        policy: Some(policy.to_owned()),
        outcome: DecisionOutcome::Propose,
        action: Some("rollout-restart".to_owned()),
        plan: None,
        approved_by: None,
        refusals: vec![],
    };
    let label = IncidentLabel {
        incident: id,
        verdict: Some(verdict),
        by: "alice".to_owned(),
        note: String::new(),
        at: at(nth + 1),
    };
    for note in [Note::Incident(Box::new(incident)), Note::Decision(decision), Note::Label(label)] {
        journal.note(&note, at(nth + 1)).expect("noted");
    }
}

#[test]
fn what_people_judged_counts_for_the_policy_that_was_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("homeostat.yaml");
    std::fs::write(&config, CONFIG).expect("written");
    std::fs::write(directory.path().join("policies.yaml"), POLICIES).expect("written");
    let loaded = config::load(&config).expect("a good config");
    let storage = directory.path().join("data");
    std::fs::create_dir(&storage).expect("made");
    let journal = Journal::open(&storage.join("journal.db")).expect("opened");
    for nth in 0..9 {
        judged_incident(&journal, nth, "oom-killed", Verdict::TruePositive);
    }
    judged_incident(&journal, 9, "oom-killed", Verdict::ExpectedDaily);
    judged_incident(&journal, 10, "latency", Verdict::FalsePositive);

    let rows = rows(&loaded.config, &storage, at(100)).expect("read beside a running service");
    let said: Vec<_> = rows.iter().map(|row| (row.policy.as_str(), row.level, row.record.judged)).collect();
    let expected = [
        ("oom-killed", Level::Recommend, Proportion { n: 9, of: 10 }),
        ("latency", Level::Execute, Proportion { n: 0, of: 1 }),
    ];
    assert_eq!(said, expected);
    let text = table(&rows);
    assert!(
        text.contains("9 of 10 (at least 0.60)") && text.contains("to execute it takes a lower bound of 0.80"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 200), "{text}");
    assert_eq!(rows[0].json()["earned"], "recommend");
}
