//! Prints the figures of ingest: samples a second, decoded and aligned, on one core, with their spread.
//!
//!     cargo run --release -p homeostat-benches --bin ingest_bench
//!
//! The kinds of numbers alternate, so that a slow moment of the machine hits all of them; each figure is the median of the
//! rounds, and its spread the slowest and fastest round.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::hint::black_box;
use std::time::Instant;

use homeostat_benches::ingest::{Answer, Numbers};

/// The answer of a week of minutes for a hundred workloads: a million samples, 27 MB.
const N_SERIES: usize = 100;
const N_STEPS: usize = 10_080;
/// Odd, so that there is a median; the first round warms up and isn't counted.
const N_ROUNDS: usize = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let answers: Vec<(Numbers, Answer)> = Numbers::ALL
        .into_iter()
        .map(|numbers| Some((numbers, Answer::new(numbers, N_SERIES, N_STEPS)?)))
        .collect::<Option<_>>()
        .ok_or("no grid of these sizes")?;
    let mut rates = vec![(Vec::new(), Vec::new()); answers.len()];
    for round in 0..=N_ROUNDS {
        for ((_, answer), (whole, decode)) in answers.iter().zip(&mut rates) {
            let began = Instant::now();
            let aligned = black_box(answer.decode_and_align()?);
            let whole_s = began.elapsed().as_secs_f64();
            assert_eq!(aligned.windows.len(), N_SERIES, "every workload has its window");
            let began = Instant::now();
            let matrix = black_box(answer.decode()?);
            let decode_s = began.elapsed().as_secs_f64();
            drop(matrix);
            if round > 0 {
                let n_samples = (N_SERIES * N_STEPS) as f64;
                whole.push(n_samples / whole_s);
                decode.push(n_samples / decode_s);
            }
        }
    }
    for ((numbers, answer), (whole, decode)) in answers.iter().zip(rates) {
        let name = numbers.name();
        let megabytes_per_s = answer.n_bytes() as f64 / (N_SERIES * N_STEPS) as f64 * median(&whole) / 1e6;
        if *numbers == Numbers::Nine {
            print("ingest.samples_per_s", &whole);
        }
        print(&format!("ingest.samples_per_s.{name}"), &whole);
        print(&format!("ingest.decode.samples_per_s.{name}"), &decode);
        println!("figure ingest.megabytes_per_s.{name} {megabytes_per_s:.0} MB/s");
    }
    Ok(())
}

fn print(name: &str, rates: &[f64]) {
    let (slowest, fastest) =
        rates.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
    println!("figure {name} {:.2e} samples/s", median(rates));
    println!("spread {name} {slowest:.2e} {fastest:.2e} {N_ROUNDS}");
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
