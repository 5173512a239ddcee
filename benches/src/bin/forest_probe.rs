//! The forest beyond batch scoring, for comparison with peers: fitting, one row at a time, and scores to a file.
//!
//!     forest_probe --pass fit|row --rows FILE --features N
//!     forest_probe --train FILE --rows FILE --features N --seed S --out FILE
//!
//! Matrices are little-endian `f64`, row by row. The first form does one pass for each line on standard input and prints
//! `nanoseconds checksum`: one fit, or [`SINGLE_ROWS`] rows scored one by one. The second fits on the training rows and
//! writes the score of each row, also as little-endian `f64`.

#![allow(clippy::print_stdout, reason = "printing is its protocol")]

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use homeostat_benches::{SEED, driver};
use homeostat_core::Seed;
use homeostat_detect::{ForestSpec, IsolationForest};
use ndarray::{Array2, s};

/// Rows in a pass of single rows: about a millisecond, well above the clock's grain.
const SINGLE_ROWS: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let args = driver::Args::read(&["pass", "train", "rows", "features", "seed", "out"])?;
    let n_features = args.number("features")?;
    let rows = driver::matrix(args.wanted("rows")?, n_features)?;
    match args.get("pass") {
        Some("fit") => fit_passes(&rows),
        Some("row") => row_passes(&rows),
        Some(other) => Err(format!("no pass {other}: fit and row are there").into()),
        None => {
            let train = driver::matrix(args.wanted("train")?, n_features)?;
            let seed = Seed::new(args.number("seed")?);
            let forest = IsolationForest::fit(train.view(), &ForestSpec::default(), seed)?;
            let scores = forest.score_rows(rows.view())?;
            let bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            Ok(std::fs::write(args.wanted("out")?, bytes)?)
        }
    }
}

fn fit_passes(rows: &Array2<f64>) -> Result<(), Box<dyn Error>> {
    driver::passes(|| {
        let began = Instant::now();
        let forest = IsolationForest::fit(black_box(rows.view()), &ForestSpec::default(), SEED)?;
        let took = began.elapsed();
        // One score stands for the forest: another forest gives another one.
        Ok((took, forest.score_rows(rows.slice(s![..1, ..]))?.iter().sum()))
    })
}

fn row_passes(rows: &Array2<f64>) -> Result<(), Box<dyn Error>> {
    let forest = IsolationForest::fit(rows.view(), &ForestSpec::default(), SEED)?;
    let n_rows = SINGLE_ROWS.min(rows.nrows());
    driver::passes(|| {
        let mut sum = 0.0;
        let began = Instant::now();
        for row in 0..n_rows {
            sum += forest.score_rows(black_box(rows.slice(s![row..=row, ..])))?.iter().sum::<f64>();
        }
        // The time of one row, so that no reader needs to know how many there were.
        Ok((began.elapsed() / u32::try_from(n_rows)?, sum))
    })
}
