//! The model of the remediation protocol within bounds that a test can wait for; `model` has the full run.
#![allow(clippy::panic, reason = "a test program")]

use homeostat_proofs::model::{Bounds, Mutation, Protocol};
use stateright::{Checker, HasDiscoveries, Model};

/// Threads of a check: as many as the smallest machine has that runs the tests.
const THREADS: usize = 2;

/// I1, I3–I6, I8, I9, I11, I15, I16, I22, I25, with any one fault within a minute.
#[test]
fn no_invariant_is_violated_in_any_state_of_the_model() {
    let checker = Protocol::new(Bounds::of(1, 1), None).checker().threads(THREADS);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    for property in checker.model().properties() {
        if property.expectation.discovery_is_failure()
            && let Some(path) = checker.discovery(property.name)
        {
            panic!("{}: {:?}", property.name, path.into_actions());
        }
    }
    assert!(checker.unique_state_count() > 20_000, "{} states", checker.unique_state_count());
}

/// The list is `Mutation::ALL`; a guard whose absence nobody notices isn't checked, or isn't needed.
#[test]
fn every_guard_that_is_broken_on_purpose_is_noticed() {
    let mut unnoticed = Vec::new();
    for (broken, invariant) in Mutation::ALL {
        let checker = Protocol::new(Bounds::that_show(broken), Some(broken)).checker().threads(THREADS);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let discoveries = checker.discoveries();
        if !discoveries.keys().any(|name| name.starts_with(&format!("I{invariant}:"))) {
            unnoticed.push((broken, invariant, discoveries.into_keys().collect::<Vec<_>>()));
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}

/// What is checked of every state must not be true because nothing happens.
#[test]
fn in_the_model_actions_recover_are_taken_back_approved_and_tried_again() {
    let bounds = Bounds { approvals: 1, ..Bounds::of(0, 3) };
    let checker = Protocol::new(bounds, None).checker().threads(THREADS).spawn_bfs().join();
    for property in checker.model().properties() {
        if !property.expectation.discovery_is_failure() {
            assert!(checker.discovery(property.name).is_some(), "never happens: {}", property.name);
        }
    }
}
