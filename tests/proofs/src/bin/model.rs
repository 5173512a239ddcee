//! Checks the remediation protocol and prints what was looked at: `model [--faults N] [--horizon TICKS] [--seconds N] [--threads N]`.
//!
//! The nearest states come first; after `--seconds` it stops and says so. Every guard that is broken on purpose is checked as well: one that nobody
//! notices fails the run.
#![allow(clippy::print_stdout, reason = "a program that prints its figures")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use homeostat_proofs::model::{Bounds, Fault, Mutation, Protocol, Step};
use stateright::{Checker, HasDiscoveries, Model};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut faults, mut horizon, mut threads, mut seconds, mut one) = (2u8, 3u8, 2usize, 1800u64, None);
    while let Some(name) = args.next() {
        let value = args.next().unwrap_or_default();
        let read = match name.as_str() {
            "--faults" => value.parse().map(|n| faults = n).is_ok(),
            "--horizon" => value.parse().map(|n| horizon = n).is_ok(),
            "--threads" => value.parse().map(|n| threads = n).is_ok(),
            "--seconds" => value.parse().map(|n| seconds = n).is_ok(),
            "--mutation" => {
                one = Some(value.clone());
                true
            }
            _ => false,
        };
        if !read {
            println!(
                "usage: model [--faults N] [--horizon TICKS] [--seconds N] [--threads N] [--mutation NAME]; can't read {name} {value}"
            );
            return ExitCode::from(2);
        }
    }
    let n_unnoticed = unnoticed(threads, one.as_deref());
    if one.is_some() {
        return if n_unnoticed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let n_violations = check(Bounds::of(faults, horizon), threads, Duration::from_secs(seconds));
    if n_unnoticed + n_violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Breaks each guard in turn, and counts those that nobody notices.
fn unnoticed(threads: usize, one: Option<&str>) -> usize {
    let mut n_unnoticed = 0;
    for (broken, invariant) in Mutation::ALL {
        if one.is_some_and(|one| one != format!("{broken:?}")) {
            continue;
        }
        let name = format!("I{invariant}:");
        let began = Instant::now();
        let checker = Protocol::new(Bounds::that_show(broken), Some(broken)).checker();
        let checker = checker.threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discoveries().into_iter().find(|(found, _)| found.starts_with(&name));
        let n_states = checker.unique_state_count();
        match found {
            Some((_, path)) => {
                let n_steps = path.into_actions().len();
                println!(
                    "# without {broken:?}: I{invariant} is violated after {n_steps} steps, {n_states} states, {:.1?}",
                    began.elapsed()
                );
            }
            None => {
                n_unnoticed += 1;
                println!("# without {broken:?}: nobody notices in {n_states} states");
                for (other, path) in checker.discoveries().into_iter().filter(|(other, _)| other.starts_with('I')) {
                    println!("# but {other}: {:?}", path.into_actions());
                }
            }
        }
    }
    let n_all = Mutation::ALL.len();
    println!("figure model.guards_noticed {} of-{n_all}", n_all - n_unnoticed);
    n_unnoticed
}

/// Looks at every state within the bounds, and tells every invariant that is violated with the shortest way there.
fn check(bounds: Bounds, threads: usize, within: Duration) -> usize {
    println!(
        "# up to {} of {} kinds of faults within {} ticks of a minute",
        bounds.faults,
        Fault::ALL.len(),
        bounds.horizon
    );
    let began = Instant::now();
    let checker = Protocol::new(bounds, None).checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).timeout(within).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let properties = checker.model().properties();
    let mut n_violations = 0;
    for property in &properties {
        let is_failure = property.expectation.discovery_is_failure();
        match discoveries.get(property.name) {
            Some(path) if is_failure => {
                n_violations += 1;
                let steps: Vec<Step> = path.clone().into_actions();
                println!("# violated: {}\n# {steps:?}\n# {:?}", property.name, path.last_state());
            }
            None if !is_failure => println!("# never happens: {}", property.name),
            Some(_) | None => {}
        }
    }
    let is_whole = checker.is_done() && began.elapsed() < within;
    println!(
        "# {}",
        if is_whole { "every state within these bounds" } else { "the nearest states; more are within these bounds" }
    );
    println!("# {} states generated, depth {}, {:.0?}", checker.state_count(), checker.max_depth(), began.elapsed());
    println!("figure model.states {} states", checker.unique_state_count());
    println!("figure model.violations {n_violations} violations");
    n_violations
}
