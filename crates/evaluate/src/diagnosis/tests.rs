use homeostat_core::{Annotation, Score};

use super::*;
use crate::fixture::{incident, service, truth};
use homeostat_core::Proportion;

fn opened(incidents: &[Incident]) -> Vec<IncidentChange> {
    incidents.iter().cloned().map(IncidentChange::Opened).collect()
}

fn diagnosed(truths: &[FaultTruth], changes: &[IncidentChange]) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    diagnosis.add(truths, changes);
    diagnosis
}

#[test]
fn what_follows_from_another_incident_is_suspected_after_it_however_early_it_opened() {
    let truths = [truth(FaultKind::Latency, "ledger", &["cart", "web"], 10, Some(60))];
    let mut caller = incident("cart", IncidentType::Latency, 11);
    let cause = incident("ledger", IncidentType::Latency, 12);
    caller.annotations =
        vec![Annotation::DependencyAffected { dependency: service("ledger"), incident: cause.id.clone() }];
    let found = diagnosed(&truths, &opened(&[caller.clone(), cause]));
    assert_eq!(found.cases[0].at_call, Said { rank: Some(0), incident_type: Some(IncidentType::Latency) });
    caller.annotations.clear();
    let found = diagnosed(&truths, &opened(&[caller, incident("ledger", IncidentType::Latency, 12)]));
    assert_eq!(found.cases[0].at_call.rank, Some(1), "two that follow from nothing: the earlier is first");
}

#[test]
fn of_what_opened_together_the_higher_score_is_suspected_first() {
    let truths = [truth(FaultKind::Latency, "ledger", &["cart"], 10, Some(60))];
    let mut cause = incident("ledger", IncidentType::Latency, 12);
    cause.score_peak = Score::new(9.0).expect("a score");
    let found = diagnosed(&truths, &opened(&[incident("cart", IncidentType::Latency, 12), cause]));
    assert_eq!(found.cases[0].at_call.rank, Some(0));
}

#[test]
fn what_is_told_later_than_the_call_counts_at_the_end_only() {
    let truths = [truth(FaultKind::MemoryLeak, "cart", &["web"], 10, Some(60))];
    let mut sharpened = incident("cart", IncidentType::MemoryLeak, 12);
    sharpened.updated_at = crate::fixture::at(18);
    let mut changes = opened(&[incident("cart", IncidentType::Latency, 12)]);
    changes.push(IncidentChange::Updated(sharpened));
    let found = diagnosed(&truths, &changes);
    assert_eq!(found.cases[0].at_call.incident_type, Some(IncidentType::Latency));
    assert_eq!(found.cases[0].at_last.incident_type, Some(IncidentType::MemoryLeak));
    let (call, last) = (DiagnosisMetrics::at_call(&found), DiagnosisMetrics::at_last(&found));
    assert_eq!((call.typing, last.typing), (Proportion { n: 0, of: 1 }, Proportion { n: 1, of: 1 }));
    assert_eq!((call.typing_macro_f1, last.typing_macro_f1), (Some(0.0), Some(1.0)));
}

#[test]
fn a_missed_fault_counts_as_a_wrong_cause_and_a_harmless_event_not_at_all() {
    let truths = [
        truth(FaultKind::Latency, "cart", &[], 10, Some(60)),
        truth(FaultKind::Campaign, "web", &[], 10, Some(60)),
        truth(FaultKind::CpuSpike, "ledger", &["orders"], 10, Some(60)),
    ];
    let found = diagnosed(
        &truths,
        &opened(&[incident("orders", IncidentType::Latency, 12), incident("x", IncidentType::Latency, 12)]),
    );
    let metrics = DiagnosisMetrics::at_call(&found);
    assert_eq!((metrics.detected, metrics.top1), (Proportion { n: 1, of: 2 }, Proportion { n: 0, of: 2 }));
    assert_eq!((found.n_incidents, found.n_false_incidents), (2, 1));
    let rows = confusion(&found);
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["fault", "cpu-spike", "latency"]);
    assert_eq!(rows[1][2..], ["1", "·", "·"].map(str::to_owned), "found elsewhere: {rows:?}");
    assert_eq!(rows[2][2..], ["·", "1", "·"].map(str::to_owned), "missed: {rows:?}");
}

#[test]
fn one_that_only_suffers_is_still_a_suspect_but_the_last() {
    let truths = [truth(FaultKind::Latency, "ledger", &["cart"], 10, Some(60))];
    let mut caller = incident("cart", IncidentType::Latency, 12);
    caller.affected = vec![service("web"), service("ledger")];
    let found = diagnosed(&truths, &opened(&[caller]));
    assert_eq!(found.cases[0].at_call, Said { rank: Some(2), incident_type: None });
}
