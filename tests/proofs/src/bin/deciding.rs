//! Prints how long deciding takes with a history of 10 000 incidents, what 10 000 incidents at once come to, and how soon after the
//! kill switch the last write leaves.
#![allow(clippy::print_stdout, reason = "a program that prints its figures")]

use std::error::Error;
use std::fs;
use std::time::Duration;

use homeostat_proofs::deciding::{decide_often, rules, storm};
use homeostat_proofs::schedules::drill;

const INCIDENTS: u32 = 10_000;

/// Moments at which somebody says stop, with a hung API server and without.
const DRILLS: u64 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    for (name, rego) in [("decide", None), ("decide.rego", Some(rules()))] {
        let decided = decide_often(INCIDENTS, INCIDENTS, rego)?;
        let at = |share: f64| {
            let idx = (decided.took.len() as f64 * share) as usize;
            decided.took.get(idx).or(decided.took.last()).copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        println!(
            "# {} actions of the history count; {} of {INCIDENTS} decisions were to act",
            decided.n_actions, decided.n_executed
        );
        println!("figure {name}.p50_ms {:.3} ms", at(0.5));
        println!("figure {name}.p99_ms {:.3} ms", at(0.99));
    }

    let before_kib = memory_kib()?;
    let storm = storm(INCIDENTS, 10)?;
    println!(
        "# the longest of ten ticks of the storm took {:.2?}; the journal has {} rows",
        storm.longest, storm.n_rows
    );
    println!("figure storm.alerts {INCIDENTS} alerts");
    println!("figure storm.calls {} calls", storm.n_calls);
    println!("figure storm.requests {} requests", storm.n_requests);
    println!("figure storm.memory_mib {} MiB", (memory_kib()?.saturating_sub(before_kib)) / 1024);

    for (name, hangs) in [("killswitch.last_write_s", false), ("killswitch.last_write_s.hung", true)] {
        let drills: Vec<_> = (0..DRILLS).map(|seed| drill(seed, hangs)).collect();
        let last = drills.iter().map(|drill| drill.last_after).max().unwrap_or(Duration::ZERO);
        let n_before: usize = drills.iter().map(|drill| drill.n_before).sum();
        println!("# {DRILLS} drills; {n_before} writes before somebody said stop");
        println!("figure {name} {:.2} s", last.as_secs_f64());
    }
    Ok(())
}

/// The most memory that this process has had so far.
fn memory_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
