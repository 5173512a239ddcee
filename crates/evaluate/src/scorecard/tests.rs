use homeostat_core::{Annotation, Incident, IncidentType, Seed};
use homeostat_simulate::{EndedBy, Fault, FaultEnd, FaultKind, Severity, Shop, ShopSpec};

use super::*;
use crate::fixture::{at, incident, restart, truth};

fn observed() -> Observed {
    Observed { from: at(0), until: at(7 * 24 * 60), n_subjects: 2 }
}

fn card(truths: &[FaultTruth], incidents: &[Incident], actions: &[ActionOutcome]) -> Scorecard {
    let changes: Vec<IncidentChange> = incidents.iter().cloned().map(IncidentChange::Opened).collect();
    Scorecard::of(observed(), truths, &changes, actions)
}

fn proportion(n: usize, of: usize) -> Proportion {
    Proportion { n, of }
}

/// The truth, cured at this minute by this action.
fn cured(truth: FaultTruth, by: &ActionOutcome, minute: i64) -> FaultTruth {
    let marker = Some(by.plan.as_str().to_owned());
    FaultTruth { end: Some(FaultEnd { at: at(minute), by: EndedBy::Rollout { marker } }), ..truth }
}

#[test]
fn a_fault_found_named_cured_and_verified_counts_in_every_row() {
    let leak = incident("cart", IncidentType::MemoryLeak, 20);
    let action = restart(&leak, Verification::Recovered);
    let truths = [cured(truth(FaultKind::MemoryLeak, "cart", &["frontend"], 10, None), &action, 30)];
    let card = card(&truths, &[leak], &[action]);
    for rate in [card.detected, card.located, card.typed_right, card.verification_pass, card.automated_recovery] {
        assert_eq!(rate, proportion(1, 1));
    }
    assert_eq!(card.delays, Some(Delays { median_s: 600, max_s: 600 }));
    assert_eq!((card.mttr_s, card.mttr_unaided_s), (Some(1200.0), Some(6.0 * 3600.0)));
    assert_eq!((card.n_false_incidents, card.n_made_worse, card.n_wrongly_verified), (0, 0, 0));
    assert_eq!(card.dependants_left_alone, proportion(1, 1));
}

#[test]
fn missed_and_false_are_counted() {
    let truths = [truth(FaultKind::Latency, "cart", &[], 10, Some(60))];
    let card = card(&truths, &[incident("orders", IncidentType::Latency, 20)], &[]);
    assert_eq!(card.detected, proportion(0, 1));
    assert_eq!((card.n_false_incidents, card.false_incidents_per_subject_week), (1, Some(0.5)));
    assert_eq!((card.delays, card.mttr_s), (None, None));
}

#[test]
fn an_incident_at_a_dependant_detects_but_does_not_locate() {
    let truths = [truth(FaultKind::DependencyFailure, "ledger", &["cart"], 10, Some(60))];
    let at_caller = incident("cart", IncidentType::ErrorBurst, 12);
    let action = restart(&at_caller, Verification::MadeWorse);
    let card = card(&truths, &[at_caller], &[action]);
    assert_eq!((card.detected, card.located, card.typed_right), (proportion(1, 1), proportion(0, 1), proportion(0, 0)));
    assert_eq!((card.n_incidents_of_dependants, card.n_made_worse), (1, 1));
    assert_eq!(card.dependants_left_alone, proportion(0, 1));
}

#[test]
fn acting_on_a_dependant_with_a_fault_of_its_own_is_no_mistake() {
    let own = incident("cart", IncidentType::MemoryLeak, 20);
    let action = restart(&own, Verification::Recovered);
    let truths = [
        truth(FaultKind::DependencyFailure, "ledger", &["cart"], 10, Some(60)),
        cured(truth(FaultKind::MemoryLeak, "cart", &[], 15, None), &action, 30),
    ];
    assert_eq!(card(&truths, &[own], &[action]).dependants_left_alone, proportion(1, 1));
}

#[test]
fn the_wrong_name_is_not_right_and_the_last_name_counts() {
    let truths = [truth(FaultKind::OomKill, "cart", &[], 10, Some(60))];
    let named = |incident_type| incident("cart", incident_type, 20);
    assert_eq!(card(&truths, &[named(IncidentType::CpuSpike)], &[]).typed_right, proportion(0, 1));
    let changes = [
        IncidentChange::Opened(named(IncidentType::CpuSpike)),
        IncidentChange::Updated(named(IncidentType::OomKilled)),
    ];
    let card = Scorecard::of(observed(), &truths, &changes, &[]);
    assert_eq!((card.typed_right, card.n_incidents, card.n_open_at_end), (proportion(1, 1), 1, 1));
    let resolved = [changes[0].clone(), IncidentChange::Resolved(named(IncidentType::OomKilled))];
    assert_eq!(Scorecard::of(observed(), &truths, &resolved, &[]).n_open_at_end, 0);
}

#[test]
fn a_campaign_left_alone_is_no_fault_and_acting_on_it_shows() {
    let truths = [truth(FaultKind::Campaign, "frontend", &["cart"], 10, Some(60))];
    let mut planned = incident("cart", IncidentType::TrafficSurge, 20);
    planned.annotations.push(Annotation::PlannedEvent { name: "sale".into() });
    let left_alone = card(&truths, &[planned.clone()], &[]);
    assert_eq!((left_alone.detected, left_alone.n_false_incidents), (proportion(0, 0), 0));
    assert_eq!((left_alone.n_harmless, left_alone.n_harmless_acted_on), (1, 0));
    assert_eq!(left_alone.harmless_annotated, proportion(1, 1));
    let action = restart(&planned, Verification::Recovered);
    let acted = card(&truths, &[planned], &[action]);
    assert_eq!(acted.n_harmless_acted_on, 1);
    assert!(acted.text().contains("must be 0"), "{}", acted.text());
}

#[test]
fn verified_while_the_fault_goes_on_is_wrong() {
    let burst = incident("cart", IncidentType::ErrorBurst, 20);
    let action = restart(&burst, Verification::Recovered);
    let truths = [truth(FaultKind::ErrorBurst, "cart", &[], 10, Some(60))];
    let card = card(&truths, &[burst], &[action]);
    assert_eq!((card.n_wrongly_verified, card.automated_recovery), (1, proportion(0, 1)));
}

#[test]
fn what_is_pending_neither_passes_nor_fails() {
    let burst = incident("cart", IncidentType::ErrorBurst, 20);
    let pending = ActionOutcome { verified_at: None, ..restart(&burst, Verification::Pending) };
    let unknown = restart(&burst, Verification::Unknown);
    let card = card(&[], &[burst], &[pending, unknown]);
    assert_eq!((card.n_actions, card.n_actions_pending), (2, 1));
    assert_eq!(card.verification_pass, proportion(0, 1));
}

#[test]
fn the_median_of_an_even_number_is_the_greater_of_the_two() {
    let truths = ["a", "b"].map(|name| truth(FaultKind::Latency, name, &[], 10, Some(60)));
    let incidents = [incident("a", IncidentType::Latency, 12), incident("b", IncidentType::Latency, 20)];
    assert_eq!(card(&truths, &incidents, &[]).delays, Some(Delays { median_s: 600, max_s: 600 }));
}

#[test]
fn the_text_fits_80_columns_and_says_the_counts() {
    let leak = incident("payment-api-of-a-very-long-name", IncidentType::ResourceStarvation, 20);
    let action = restart(&leak, Verification::Recovered);
    let truths = [
        cured(truth(FaultKind::DependencyFailure, "payment-api-of-a-very-long-name", &["a"], 10, None), &action, 30),
        truth(FaultKind::Campaign, "frontend", &[], 100, None),
        truth(FaultKind::BadDeployment, "cart", &[], 200, None),
        truth(FaultKind::Latency, "orders", &[], 300, Some(400)),
    ];
    let text = card(&truths, &[leak], &[action]).text();
    assert!(text.lines().all(|line| line.chars().count() <= 80 && !line.ends_with(' ')), "{text}");
    for expected in ["resource-starvation!", "remediated 20m", "ongoing", "by itself 1h40m", "1 of 3 (33 %"] {
        assert!(text.contains(expected), "{expected} isn't in\n{text}");
    }
}

#[test]
fn it_serialises_with_its_counts() {
    let card = card(&[truth(FaultKind::Latency, "cart", &[], 10, Some(60))], &[], &[]);
    let json = serde_json::to_value(&card).expect("plain data");
    assert_eq!((&json["detected"]["n"], &json["detected"]["of"]), (&0.into(), &1.into()));
    assert_eq!(json["faults"][0]["truth"]["kind"], "latency");
}

#[test]
fn nothing_at_all_is_a_scorecard_too() {
    let card = Scorecard::of(Observed { from: at(5), until: at(5), n_subjects: 0 }, &[], &[], &[]);
    assert_eq!(card.false_incidents_per_subject_week, None);
    assert!(card.text().contains("n/a"));
}

/// A real shop, and an operator who knows the answer: the marker of the action is what ties it to the cure.
#[test]
fn an_operator_who_restarts_a_leaking_service_in_time_gets_full_marks() {
    let mut shop = Shop::new(ShopSpec::default(), Seed::new(5), at(0)).expect("a shop");
    let leak = incident("cart", IncidentType::MemoryLeak, 20);
    let action = restart(&leak, Verification::Recovered);
    let fault = Fault::new(FaultKind::MemoryLeak, leak.subject.clone(), at(10), Severity::FULL);
    shop.schedule(fault).expect("scheduled");
    shop.advance_to(action.executed_at);
    let seen = shop.inspect(&leak.subject).expect("an object");
    shop.restart(&leak.subject, &seen.uid, &seen.resource_version, action.plan.as_str()).expect("accepted");
    shop.advance_to(at(60));
    let card = card(shop.truths(), &[leak], &[action]);
    assert_eq!((card.automated_recovery, card.typed_right), (proportion(1, 1), proportion(1, 1)));
    assert!(card.n_wrongly_verified == 0 && card.mttr_s < card.mttr_unaided_s);
}
