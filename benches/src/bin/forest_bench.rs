//! The isolation forest for comparisons with peers: one scoring pass for each line on standard input, so that a driver can
//! alternate programs run by run.
//!
//! `forest_bench --rows FILE [--f64] --features N [--kernel portable|avx2|avx512] [--one] [--trees 100] [--sample 256]
//! [--seed 1] [--scores FILE]`
//! reads a little-endian matrix of f32 (or f64), row by row; fits once; prints `ready KERNEL ROWS FIT_NS`; then answers each
//! line with `score NANOSECONDS CHECKSUM`, the sum of the scores. `--one` scores row by row. The answer to a line `fit` is
//! `fit NANOSECONDS CHECKSUM`, to `exit` nothing. `--scores` writes the scores of the first pass, one a line.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use homeostat_core::Seed;
use homeostat_detect::{ForestScratch, ForestSpec, IsolationForest, Kernel};
use ndarray::{Array2, ArrayView2};

type Failure = Box<dyn std::error::Error>;

/// What was asked for.
struct Options {
    rows: Array2<f64>,
    spec: ForestSpec,
    seed: Seed,
    kernel: Kernel,
    one_by_one: bool,
    scores: Option<String>,
}

fn main() -> Result<(), Failure> {
    let options = options(std::env::args().skip(1))?;
    let rows = options.rows.view();
    let fit = || IsolationForest::fit(rows, &options.spec, options.seed);
    let started = Instant::now();
    let forest = fit()?;
    let fit_ns = started.elapsed().as_nanos();
    let mut scratch =
        ForestScratch::with_kernel(options.kernel).ok_or("this machine can't run that kernel: choose another")?;
    let mut scores = Vec::new();
    if let Some(path) = &options.scores {
        score(&forest, rows, options.one_by_one, &mut scratch, &mut scores)?;
        std::fs::write(path, scores.iter().map(|score| format!("{score}\n")).collect::<String>())?;
    }
    say(&format!("ready {} {} {fit_ns}", options.kernel.name(), rows.nrows()))?;
    for line in std::io::stdin().lock().lines() {
        let started = Instant::now();
        match line?.trim() {
            "exit" => break,
            "fit" => {
                let forest = black_box(fit()?);
                let ns = started.elapsed().as_nanos();
                say(&format!("fit {ns} {}", forest.score_rows(rows.slice(ndarray::s![..1, ..]))?[0]))?;
            }
            _ => {
                score(&forest, black_box(rows), options.one_by_one, &mut scratch, &mut scores)?;
                let ns = started.elapsed().as_nanos();
                say(&format!("score {ns} {}", scores.iter().sum::<f64>()))?;
            }
        }
    }
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn score(
    forest: &IsolationForest,
    rows: ArrayView2<'_, f64>,
    one_by_one: bool,
    scratch: &mut ForestScratch,
    scores: &mut Vec<f64>,
) -> Result<(), Failure> {
    if !one_by_one {
        return Ok(forest.score_rows_into(rows, scratch, scores)?);
    }
    scores.clear();
    for row in rows.rows() {
        scores.push(forest.score_row(row.to_slice().ok_or("rows lie side by side")?, scratch)?);
    }
    Ok(())
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let (mut path, mut n_features, mut wide, mut one_by_one, mut scores) = (None, 0, false, false, None);
    let (mut n_trees, mut n_sampled, mut seed, mut kernel) = (100, 256, 1, Kernel::fastest());
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--rows" => path = Some(value()?),
            "--features" => n_features = value()?.parse()?,
            "--f64" => wide = true,
            "--one" => one_by_one = true,
            "--trees" => n_trees = value()?.parse()?,
            "--sample" => n_sampled = value()?.parse()?,
            "--seed" => seed = value()?.parse()?,
            "--scores" => scores = Some(value()?),
            "--kernel" => {
                let name = value()?;
                let named = [Kernel::Portable, Kernel::Avx2, Kernel::Avx512].into_iter().find(|k| k.name() == name);
                kernel = named.ok_or(format!("no kernel is called {name}: portable, avx2 or avx512"))?;
            }
            _ => {
                return Err(format!("no option is called {arg}: see the top of benches/src/bin/forest_bench.rs").into());
            }
        }
    }
    let bytes = std::fs::read(path.ok_or("--rows FILE is needed")?)?;
    let values: Vec<f64> = if wide {
        bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    } else {
        bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    };
    let n_rows = values.len().checked_div(n_features).ok_or("--features N is needed")?;
    let rows = Array2::from_shape_vec((n_rows, n_features), values)?;
    let spec = ForestSpec::new(n_trees, n_sampled)?;
    Ok(Options { rows, spec, seed: Seed::new(seed), kernel, one_by_one, scores })
}
