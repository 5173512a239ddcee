//! How many measurements a second one core scores: all detectors, fusion and tracker over many subjects.
//!
//! Each subject has ten series and a window of the last sixty steps, one of them new in every tick, as `serve` hands them
//! over. What is timed is `Monitor::observe` alone; decoding is `ingest_bench`'s.
//!
//! ```text
//! pipeline_bench     prints figure lines, the median of the rounds and their range
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing figures is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat_benches::{SEED, STEP, values};
use homeostat_core::{Direction, Feature, Grid, Schema, Signal, Subject, Timestamp, Window};
use homeostat_detect::{Ensemble, EnsembleSpec, Hysteresis, LoadOptions, OnnxRuntime, Restorer, Saver, SharedModels};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes};
use ndarray::Array2;

/// Series of a subject.
const N_FEATURES: usize = 10;

/// Subjects: enough that their models don't all stay in the second-level cache, as in a real service.
const N_SUBJECTS: usize = 50;

/// Rows trained on: five weeks at one minute. Models are fitted on two thirds of them, which shows a weekly season three
/// times.
const N_TRAINED: usize = 35 * 1440;

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
        let mut rows: Array2<f64> = all.slice(ndarray::s![first + from..first + to, ..]).to_owned();
        for (row, mut cells) in (from..to).zip(rows.rows_mut()) {
            cells += 2.0 * (row as f64 / 10_080.0 * std::f64::consts::TAU).sin();
        }
        let grid = Grid::new(Timestamp::from_secs(60 * from as i64), STEP, to - from)?;
        Ok(Window::new(subject(subject_idx), grid, Arc::clone(&schema), rows)?)
    };
    let began = Instant::now();
    // As `serve` has them unless told otherwise.
    let spec = EnsembleSpec::default();
    let histories: Result<Vec<Window>, _> = (0..N_SUBJECTS).map(|idx| rows_of(idx, 0, N_TRAINED)).collect();
    let histories = histories?;
    // As `serve` trains them: subjects of a kind share models.
    let shared = SharedModels::train(&spec, &histories.iter().collect::<Vec<_>>(), SEED)?;
    let mut ensembles = BTreeMap::new();
    for (idx, history) in histories.iter().enumerate() {
        let trained = Ensemble::train_with(&shared, &spec, history, SEED.fork(&subject(idx).name))?;
        ensembles.insert(subject(idx), trained);
    }
    println!("figure pipeline.train_s_per_subject {:.3} s", began.elapsed().as_secs_f64() / N_SUBJECTS as f64);
    let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
    for (part, bytes) in ensembles.values().flat_map(Ensemble::own_bytes) {
        *parts.entry(part).or_default() += bytes;
    }
    for (part, bytes) in parts {
        println!("figure memory.own_series_bytes.{part} {} B", bytes / (N_SUBJECTS * N_FEATURES));
    }
    let monitor = |ensembles| {
        let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
        Monitor::new(ensembles, tracker)
    };
    let held = monitor(ensembles.clone()).memory_bytes();
    println!("figure memory.series_kib {:.2} KiB", held as f64 / (N_SUBJECTS * N_FEATURES) as f64 / 1024.0);
    if let Some(library) = std::env::var_os("ORT_DYLIB_PATH") {
        let options = LoadOptions { onnx: OnnxRuntime::native(Path::new(&library))? };
        let (mut saver, mut restorer) = (Saver::default(), Restorer::new(&options));
        let moved: Result<BTreeMap<_, _>, Box<dyn Error>> = ensembles
            .iter()
            .map(|(subject, ensemble)| Ok((subject.clone(), restorer.restore(&saver.save(ensemble)?)?)))
            .collect();
        measure("native", monitor(moved?), &rows_of)?;
    } else {
        eprintln!("pipeline_bench: ORT_DYLIB_PATH isn't set, the native backend is left out");
    }
    measure("embedded", monitor(ensembles), &rows_of)
}

/// Times the ticks after training.
fn measure(
    backend: &str,
    mut monitor: Monitor,
    rows_of: &dyn Fn(usize, usize, usize) -> Result<Window, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let around = ClusterContext::default();
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
    println!("figure pipeline.series_points_per_s.{backend} {:.0} 1/s", rates[N_ROUNDS / 2]);
    println!("spread pipeline.series_points_per_s.{backend} {:.0} {:.0} {N_ROUNDS}", rates[0], rates[N_ROUNDS - 1]);
    Ok(())
}

fn subject(idx: usize) -> Subject {
    Subject::deployment("shop", format!("service-{idx:03}"))
}

fn feature(idx: usize) -> Feature {
    Feature { name: format!("feature-{idx}"), signal: Signal::Other, direction: Direction::Both, deviation_min: 0.0 }
}
