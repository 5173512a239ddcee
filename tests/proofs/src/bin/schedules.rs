//! Runs seeded schedules of faults, each twice, and prints how many held: `schedules [--seeds N] [--from SEED] [--threads N]`; `schedules --story SEED` tells what
//! happens in one.
//!
//! Seeds that failed once come first. One that fails now is told, and belongs into tests/proofs/failed_seeds.txt.
#![allow(clippy::print_stdout, reason = "a program that prints its figures")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use homeostat_proofs::schedules::{failed_once, run, story};

/// What all of them came to.
#[derive(Default)]
struct Sum {
    n: u64,
    n_effects: usize,
    stages: BTreeMap<&'static str, usize>,
    failed: Vec<String>,
    n_failed: u64,
}

/// Failures that are told in full.
const FAILURES_TOLD: usize = 20;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut n_seeds, mut from, mut threads) = (100_000u64, 0u64, 2usize);
    while let Some(name) = args.next() {
        let value = args.next().unwrap_or_default();
        let read = match name.as_str() {
            "--seeds" => value.parse().map(|n| n_seeds = n).is_ok(),
            "--from" => value.parse().map(|n| from = n).is_ok(),
            "--story" => {
                println!("{}", story(value.parse().unwrap_or_default()));
                return ExitCode::SUCCESS;
            }
            "--threads" => value.parse().map(|n| threads = n).is_ok(),
            _ => false,
        };
        if !read {
            println!(
                "usage: schedules [--seeds N] [--from SEED] [--threads N] [--story SEED]; can't read {name} {value}"
            );
            return ExitCode::from(2);
        }
    }
    let began = Instant::now();
    let first = failed_once();
    let n_all = first.len() as u64 + n_seeds;
    let (next, sum) = (AtomicU64::new(0), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let idx = next.fetch_add(1, Ordering::SeqCst);
                    if idx >= n_all {
                        return;
                    }
                    let known = usize::try_from(idx).ok().and_then(|idx| first.get(idx).copied());
                    let seed = known.unwrap_or_else(|| from + idx - first.len() as u64);
                    add(&sum, seed);
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    for line in &sum.failed {
        println!("# {line}");
    }
    let stages: Vec<String> = sum.stages.iter().map(|(stage, n)| format!("{n} {stage}")).collect();
    println!("# {} writes had an effect; actions ended: {}; {:.0?}", sum.n_effects, stages.join(", "), began.elapsed());
    println!("figure faults.schedules {} schedules", sum.n - sum.n_failed);
    println!("figure faults.schedules.violations {} violations", sum.n_failed);
    if sum.n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn add(sum: &Mutex<Sum>, seed: u64) {
    let (once, twice) = (run(seed), run(seed));
    let mut broken: Vec<String> = once.violations.iter().map(|(number, how)| format!("I{number}: {how}")).collect();
    if once.digest != twice.digest {
        broken.push(format!("it isn't the same twice: {} and {}", once.digest, twice.digest));
    }
    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    sum.n += 1;
    sum.n_effects += once.n_effects;
    for stage in once.stages {
        *sum.stages.entry(stage).or_default() += 1;
    }
    if !broken.is_empty() {
        sum.n_failed += 1;
        if sum.failed.len() < FAILURES_TOLD {
            sum.failed.push(format!("seed {seed}: {}", broken.join("; ")));
        }
    }
}
