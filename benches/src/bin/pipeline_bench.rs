//! How many measurements a second one core scores: all four detectors, fusion and tracker over many subjects.
//!
//! Each subject has ten series and a window of the last sixty steps, one of them new in every tick, as `serve` hands them
//! over. What is timed is `Monitor::observe` alone; decoding is `ingest_bench`'s.
//!
//! ```text
//! pipeline_bench     prints figure lines, the median of the rounds and their range
//! ```

#![allow(clippy::print_stdout, reason = "printing figures is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat_benches::{SEED, STEP, values};
use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Timestamp, Window};
use homeostat_detect::{Calibration, Ensemble, EnsembleSpec, Hysteresis, Monitor, Surroundings, Tracker, TrackerTimes};
use ndarray::Array2;

/// Series of a subject.
const N_FEATURES: usize = 10;

/// Subjects: enough that their models don't all stay in the second-level cache, as in a real service.
const N_SUBJECTS: usize = 50;

/// Rows trained on: three days.
const N_TRAINED: usize = 3 * 1440;

/// Rows of a window.
const N_WINDOW: usize = 60;

/// Ticks of one round, and rounds.
const N_TICKS: usize = 40;
const N_ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let n_rows = N_TRAINED + N_ROUNDS * N_TICKS;
    let all = values(n_rows * N_SUBJECTS, N_FEATURES);
    let schema = Arc::new(Schema::new((0..N_FEATURES).map(feature).collect())?);
    let rows_of = |subject_idx: usize, from: usize, to: usize| -> Result<Window, Box<dyn Error>> {
        let first = subject_idx * n_rows;
        let rows: Array2<f64> = all.slice(ndarray::s![first + from..first + to, ..]).to_owned();
        let grid = Grid::new(Timestamp::from_secs(60 * from as i64), STEP, to - from)?;
        Ok(Window::new(subject(subject_idx), grid, Arc::clone(&schema), rows)?)
    };
    let began = Instant::now();
    let mut ensembles = BTreeMap::new();
    for idx in 0..N_SUBJECTS {
        let history = rows_of(idx, 0, N_TRAINED)?;
        let trained = Ensemble::train(&EnsembleSpec::default(), &history, SEED.fork(&subject(idx).name))?;
        ensembles.insert(subject(idx), trained);
    }
    println!("figure pipeline.train_s_per_subject {:.3} s", began.elapsed().as_secs_f64() / N_SUBJECTS as f64);
    let held: usize = ensembles.values().flat_map(Ensemble::memory_bytes).map(|(_, bytes)| bytes).sum();
    println!("figure memory.series_kib {:.1} KiB", held as f64 / (N_SUBJECTS * N_FEATURES) as f64 / 1024.0);
    let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
    let mut monitor = Monitor::new(ensembles, tracker);
    let around = Surroundings::default();
    let mut rates = Vec::new();
    for round in 0..N_ROUNDS {
        let mut took = Duration::ZERO;
        for tick in 0..N_TICKS {
            let end = N_TRAINED + round * N_TICKS + tick + 1;
            let windows: Result<Vec<Window>, _> =
                (0..N_SUBJECTS).map(|idx| rows_of(idx, end - N_WINDOW, end)).collect();
            let windows = windows?;
            let began = Instant::now();
            let observed = monitor.observe(windows[0].grid().end(), &windows, &around);
            took += began.elapsed();
            if observed.n_scored != N_SUBJECTS {
                return Err("not every subject was scored".into());
            }
        }
        rates.push((N_TICKS * N_SUBJECTS * N_FEATURES) as f64 / took.as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    println!("figure pipeline.series_points_per_s.embedded {:.0} 1/s", rates[N_ROUNDS / 2]);
    println!("spread pipeline.series_points_per_s.embedded {:.0} {:.0} {N_ROUNDS}", rates[0], rates[N_ROUNDS - 1]);
    Ok(())
}

fn subject(idx: usize) -> Subject {
    Subject::deployment("shop", format!("service-{idx:03}"))
}

fn feature(idx: usize) -> Feature {
    Feature { name: format!("feature-{idx}"), signal: Signal::Other, direction: Direction::Both, deviation_min: 0.0 }
}
