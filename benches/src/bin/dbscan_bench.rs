//! How long DBSCAN's novelty detector takes for a row: 2 000 cores, 10 features (30 dimensions), one thread.
//!
//! Prints `figure dbscan.novelty_us VALUE us`, the median over passes of the mean time of a row. Normal rows and rows far
//! away take turns; the time to push a row into its row buffer isn't counted. `dbscan.novelty_us.1000_cores` is the default model.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use homeostat_benches::{SEED, STEP, setup};
use homeostat_core::Timestamp;
use homeostat_detect::{Dbscan, DbscanSpec, Detector, Epsilon, FeatureExtractor};

type Failure = Box<dyn std::error::Error>;

/// Passes over the rows; the median of them counts.
const N_PASSES: usize = 9;

/// Trails scored in each pass, so that the clock's own time doesn't show.
const N_TRAILS: usize = 200;

/// Scores of each row buffer in a row, under one reading of the clock.
const N_REPEATS: u32 = 20;

fn main() -> Result<(), Failure> {
    for (name, n_cores) in [("dbscan.novelty_us", 2_000), ("dbscan.novelty_us.1000_cores", 1_000)] {
        let setup = setup(2_880, 10).ok_or("no history could be made")?;
        // So wide an ε that every row is a core.
        let spec = DbscanSpec::default().with_epsilon(Epsilon::Deviations(1e3))?.with_rows_max(n_cores, n_cores)?;
        let mut dbscan = Dbscan::train(&spec, &setup.extracted, SEED)?;
        if dbscan.n_cores() != n_cores {
            return Err(format!("{} cores instead of {n_cores}", dbscan.n_cores()).into());
        }
        let row_buffers = row_buffers(&setup.extractor, &setup.next);
        let mut passes: Vec<f64> = (0..N_PASSES).map(|_| pass(&mut dbscan, &row_buffers)).collect();
        passes.sort_by(f64::total_cmp);
        println!("figure {name} {:.3} us", passes[N_PASSES / 2]);
    }
    Ok(())
}

/// Every second one ends in a row that is far away in two features.
fn row_buffers(extractor: &FeatureExtractor, next: &ndarray::Array2<f64>) -> Vec<FeatureExtractor> {
    let mut extractor = extractor.clone();
    let mut row_buffers = Vec::with_capacity(N_TRAILS);
    for (idx, row) in next.rows().into_iter().take(N_TRAILS).enumerate() {
        let at = extractor.row_buffer().newest_at().map_or(Timestamp::from_secs(0), |newest| newest + STEP);
        let mut far = extractor.clone();
        extractor.push(at, row.iter().copied());
        if idx % 2 == 0 {
            row_buffers.push(extractor.clone());
        } else {
            let mut values = row.to_vec();
            values[1] += 20.0;
            values[4] -= 20.0;
            far.push(at, values.into_iter());
            row_buffers.push(far);
        }
    }
    row_buffers
}

/// Mean microseconds of a row.
fn pass(dbscan: &mut Dbscan, row_buffers: &[FeatureExtractor]) -> f64 {
    let mut spent = Duration::ZERO;
    for extractor in row_buffers {
        let began = Instant::now();
        for _ in 0..N_REPEATS {
            let _ = black_box(dbscan.score(black_box(extractor.row_buffer())));
        }
        spent += began.elapsed();
    }
    spent.as_secs_f64() * 1e6 / (row_buffers.len() as f64 * f64::from(N_REPEATS))
}
