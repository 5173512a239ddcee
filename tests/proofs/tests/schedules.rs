//! A few fault schedules; `schedules` runs a hundred thousand.

use std::time::Duration;

use homeostat_proofs::schedules::{Outcome, drill, failed_once, run};

/// The violations of these seeds, and those that aren't the same twice.
fn failures(seeds: impl IntoIterator<Item = u64>) -> Vec<(u64, Outcome)> {
    let mut failures = Vec::new();
    for seed in seeds {
        let (once, twice) = (run(seed), run(seed));
        if !once.violations.is_empty() || once != twice {
            failures.push((seed, once));
        }
    }
    failures
}

/// I1, I3–I11, I13, I15–I17, I22, I26, I30, I32, I33.
#[test]
fn no_schedule_of_faults_violates_an_invariant_and_each_is_the_same_twice() {
    assert_eq!(failures(0..40), []);
}

#[test]
fn schedules_that_failed_once_hold_now() {
    let seeds = failed_once();
    assert!(!seeds.is_empty(), "tests/proofs/failed_seeds.txt has none");
    assert_eq!(failures(seeds), []);
}

#[test]
fn another_seed_is_another_schedule_and_things_happen_in_them() {
    let outcomes: Vec<Outcome> = (0..20).map(run).collect();
    assert!(outcomes.windows(2).all(|pair| pair[0].digest != pair[1].digest));
    let n_effects: usize = outcomes.iter().map(|outcome| outcome.n_effects).sum();
    assert!(n_effects >= 10, "{n_effects} writes");
}

/// I11, also while the API server hangs; a hundred moments each are in `deciding`.
#[test]
fn no_write_leaves_after_somebody_said_stop_at_any_moment() {
    let drills: Vec<_> = (0..10).flat_map(|seed| [drill(seed, false), drill(seed, true)]).collect();
    assert!(drills.iter().all(|drill| drill.last_after == Duration::ZERO), "{drills:?}");
    assert!(
        drills.iter().any(|drill| drill.n_before > 0),
        "nothing was written before, so nothing was stopped: {drills:?}"
    );
}
