//! The forest's side of a comparison: one scoring pass for each line on standard input. `benches/peers/compare` drives it.
//!
//!     forest_bench --rows FILE --features N [--kernel portable|avx2|avx512|auto]
//!
//! The file is a matrix of little-endian `f64`, row by row. Each pass prints `nanoseconds checksum`.

#![allow(clippy::print_stdout, reason = "printing is its protocol")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use homeostat_benches::{SEED, driver};
use homeostat_detect::{ForestSpec, IsolationForest};

fn main() -> Result<(), Box<dyn Error>> {
    let args = driver::Args::read(&["rows", "features", "kernel"])?;
    let rows = driver::matrix(args.wanted("rows")?, args.number("features")?)?;
    let kernel = args.get("kernel").unwrap_or("auto");
    if !["auto", "portable"].contains(&kernel) {
        return Err(format!("no kernel {kernel} here: portable and auto are there").into());
    }
    let forest = IsolationForest::fit(rows.view(), &ForestSpec::default(), SEED)?;
    driver::passes(|| {
        let began = Instant::now();
        let scores = forest.score_rows(black_box(rows.view()))?;
        let took = began.elapsed();
        Ok((took, scores.iter().sum()))
    })
}
