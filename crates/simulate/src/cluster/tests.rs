use homeostat_core::Signal;

use super::*;
use crate::fault::{FaultKind, Severity};
use crate::fixture::{after, ledger, mean, restart, service, shop, undo, with};

#[test]
fn restarting_a_caller_while_its_dependency_fails_makes_it_worse() {
    let left_alone = after(with(FaultKind::DependencyFailure, ledger(), Severity::MODERATE), 10);
    let mut restarted = left_alone.clone();
    restart(&mut restarted, &service("orders"), "m");
    let errors = |shop: Shop| mean(&after(shop, 4), &service("orders"), Signal::ErrorRatio, 3);
    let (alone, worse) = (errors(left_alone), errors(restarted));
    assert!(worse > alone + 0.02, "{alone} to {worse}");
}

#[test]
fn a_restart_gives_a_small_spike_and_takes_no_replica_away() {
    let shop = after(shop(2), 60);
    let latency_before = mean(&shop, &service("cart"), Signal::Latency, 20);
    let mut shop = shop;
    restart(&mut shop, &service("cart"), "m");
    let shop = after(shop, 3);
    let latency = mean(&shop, &service("cart"), Signal::Latency, 3);
    assert!(latency > 1.05 * latency_before && latency < 2.0 * latency_before, "{latency_before} to {latency}");
    assert_eq!(mean(&shop, &service("cart"), Signal::ReplicasUnavailable, 3), 0.0);
    assert!(mean(&shop, &service("cart"), Signal::Restarts, 3) == 0.0, "a new pod's container was never restarted");
}

#[test]
fn a_restart_finds_no_node_for_lost_replicas_either() {
    let mut shop = after(with(FaultKind::ReplicaLoss, service("frontend"), Severity::FULL), 5);
    assert_eq!(shop.inspect(&service("frontend")).expect("an object").replicas_available, 1);
    restart(&mut shop, &service("frontend"), "m");
    let shop = after(shop, 15);
    let seen = shop.inspect(&service("frontend")).expect("an object");
    assert!(seen.replicas_available == 1 && seen.rollout_in_progress);
    assert_eq!(shop.progress(&service("frontend"), &seen.uid, "m"), ShopProgress::Stalled);
    assert_eq!(shop.truths()[0].end, None);
}

#[test]
fn a_good_deployment_changes_nothing_that_lasts() {
    let mut shop = after(shop(2), 60);
    shop.deploy(&service("cart")).expect("deployed");
    let shop = after(shop, 30);
    assert!(mean(&shop, &service("cart"), Signal::ErrorRatio, 10) < 0.01 && shop.truths().is_empty());
    assert_eq!(shop.rollouts().map(|rollout| rollout.by_us).collect::<Vec<_>>(), [false]);
    assert!(!shop.inspect(&service("cart")).expect("an object").rollout_in_progress);
}

#[test]
fn the_same_marker_restarts_once() {
    let mut shop = after(shop(2), 5);
    let cart = service("cart");
    let seen = shop.inspect(&cart).expect("an object");
    let first = shop.restart(&cart, &seen.uid, &seen.resource_version, "act-1").expect("accepted");
    let again = shop.restart(&cart, &seen.uid, &seen.resource_version, "act-1").expect("accepted");
    assert!(!first.already && again.already);
    assert_eq!(shop.rollouts().count(), 1);
    assert_eq!(shop.inspect(&cart).expect("an object").marker.as_deref(), Some("act-1"));
    let shop = after(shop, 15);
    assert_eq!(shop.progress(&cart, &seen.uid, "act-1"), ShopProgress::Complete { wanted: 3 });
    assert_eq!(shop.progress(&cart, &seen.uid, "act-2"), ShopProgress::Gone);
}

#[test]
fn a_write_for_another_version_or_object_changes_nothing() {
    let mut shop = after(shop(2), 5);
    let cart = service("cart");
    let seen = shop.inspect(&cart).expect("an object");
    shop.deploy(&cart).expect("deployed");
    let stale = shop.restart(&cart, &seen.uid, &seen.resource_version, "m");
    assert!(matches!(stale, Err(WriteError::Stale { what: "resourceVersion", .. })), "{stale:?}");
    let other = shop.restart(&cart, "another-uid", &seen.resource_version, "m");
    assert!(matches!(other, Err(WriteError::Stale { what: "uid", .. })), "{other:?}");
    assert!(matches!(shop.restart(&ledger(), "u", "1", "m"), Err(WriteError::NotFound(_))));
    assert!(matches!(shop.restart(&service("nowhere"), "u", "1", "m"), Err(WriteError::NotFound(_))));
    let now = shop.inspect(&cart).expect("an object");
    let current = shop.undo_to(&cart, &now.uid, &now.resource_version, &now.revision, "m");
    assert!(matches!(current, Err(WriteError::NoSuchRevision { .. })), "{current:?}");
    assert!(shop.rollouts().all(|rollout| !rollout.by_us));
    assert_eq!(shop.inspect(&cart), Some(now));
}

#[test]
fn a_trace_tells_written_not_written_and_overwritten_apart() {
    let mut shop = after(shop(2), 5);
    let cart = service("cart");
    let seen = shop.inspect(&cart).expect("an object");
    let trace = |shop: &Shop, marker| shop.trace(&cart, &seen.uid, &seen.resource_version, marker);
    assert_eq!(trace(&shop, "act-1"), ShopTrace::NotWritten);
    restart(&mut shop, &cart, "act-1");
    assert_eq!(trace(&shop, "act-1"), ShopTrace::Written);
    assert_eq!(trace(&shop, "act-2"), ShopTrace::ChangedByOther);
    shop.deploy(&cart).expect("deployed");
    assert_eq!(trace(&shop, "act-1"), ShopTrace::Written);
    assert_eq!(shop.progress(&cart, &seen.uid, "act-1"), ShopProgress::Overridden);
    assert_eq!(shop.trace(&cart, "another-uid", "1", "act-1"), ShopTrace::Gone);
}

#[test]
fn undoing_an_undo_brings_the_bad_revision_back() {
    let mut shop = after(with(FaultKind::BadDeployment, service("cart"), Severity::FULL), 10);
    undo(&mut shop, &service("cart"), "act-1");
    let mut shop = after(shop, 12);
    assert!(mean(&shop, &service("cart"), Signal::ErrorRatio, 3) < 0.01);
    assert!(shop.truths()[0].end.is_some());
    undo(&mut shop, &service("cart"), "act-1/undo");
    let shop = after(shop, 12);
    assert_eq!(shop.inspect(&service("cart")).map(|seen| seen.revision), Some("4".to_owned()));
}
