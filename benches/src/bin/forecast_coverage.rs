//! How often the forecast's nominal 99 % intervals hold the next row, on the training rows of a labelled dataset.
//!
//! `forecast_coverage --dataset DIR`. Of each series' training rows the first half is fitted on; the second half is forecast one
//! step ahead, online, each row before it is learned from. Labels and test rows aren't read. It prints a line for each set, and
//! `figure forecast.coverage` as the mean over series of the mean over their features.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{ExtractedFeatures, Forecast, ForecastSpec, Scaler};
use ndarray::{Array2, s};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (Some("--dataset"), Some(dataset), None) = (args.next().as_deref(), args.next(), args.next()) else {
        return Err("usage: forecast_coverage --dataset DIR".into());
    };
    let dataset = Path::new(&dataset);
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(dataset.join("manifest.json"))?)?;
    let mut by_set: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in manifest.as_array().ok_or("manifest.json must be a list")? {
        let text = |key: &str| record[key].as_str().ok_or(format!("manifest.json: {key} is missing"));
        let number = |key: &str| record[key].as_u64().ok_or(format!("manifest.json: {key} is missing"));
        let n_train = usize::try_from(number("train_rows")?)?;
        let rows = rows(&dataset.join(text("path")?), n_train)?;
        let held = coverage(&rows, Duration::from_secs(number("interval_s")?))?;
        by_set.entry(text("set")?.to_owned()).or_default().push(held);
    }
    let mut all = Vec::new();
    for (set, mut held) in by_set {
        held.sort_by(f64::total_cmp);
        println!("{set}: {}", summary(&held));
        all.extend(held);
    }
    all.sort_by(f64::total_cmp);
    println!("all: {}", summary(&all));
    println!("figure forecast.coverage {:.3} %", 100.0 * mean(&all));
    Ok(())
}

/// The first `n_rows` rows, `(n_rows, n_features)`, without the timestamp and the label.
fn rows(path: &Path, n_rows: usize) -> Result<Array2<f64>, Failure> {
    let mut lines = BufReader::new(GzDecoder::new(std::fs::File::open(path)?)).lines();
    let n_features = lines.next().ok_or("no header")??.split(',').count() - 2;
    let mut values = Vec::with_capacity(n_rows * n_features);
    for line in lines.take(n_rows) {
        values.extend(line?.split(',').skip(1).take(n_features).map(|cell| cell.parse().unwrap_or(f64::NAN)));
    }
    Ok(Array2::from_shape_vec((values.len() / n_features, n_features), values)?)
}

/// The share of measurements inside their interval over the second half, as the mean over features.
fn coverage(rows: &Array2<f64>, step: Duration) -> Result<f64, Failure> {
    let n_fit = rows.nrows() / 2;
    let feature = |idx: usize| Feature {
        name: format!("feature-{idx}"),
        signal: Signal::Other,
        direction: Direction::Both,
        deviation_min: 0.0,
    };
    let schema = Arc::new(Schema::new((0..rows.ncols()).map(feature).collect())?);
    let grid = Grid::new(Timestamp::from_secs(0), step, n_fit)?;
    let history =
        Window::new(Subject::deployment("dataset", "series"), grid, schema, rows.slice(s![..n_fit, ..]).to_owned())?;
    let extracted = ExtractedFeatures::new(&history, &Scaler::fit(&history));
    let mut forecast = Forecast::train(&ForecastSpec::default(), &extracted, Seed::new(0))?;
    let mut counts = vec![(0_u32, 0_u32); rows.ncols()];
    for (row_idx, row) in rows.rows().into_iter().enumerate().skip(n_fit) {
        forecast.observe(grid.at(row_idx), &row.to_vec(), &[])?;
        for ((n_held, n), (interval, value)) in counts.iter_mut().zip(forecast.intervals().iter().zip(row)) {
            *n += u32::from(!value.is_nan());
            *n_held += u32::from(interval.holds(*value));
        }
    }
    let shares: Vec<f64> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(n_held, n)| f64::from(*n_held) / f64::from(*n)).collect();
    Ok(mean(&shares))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of sorted shares.
fn summary(sorted: &[f64]) -> String {
    let at = |share: f64| 100.0 * sorted[((sorted.len() - 1) as f64 * share) as usize];
    let mean = 100.0 * mean(sorted);
    let (low, middle, high) = (at(0.0), at(0.5), at(1.0));
    format!("{} series, mean {mean:.2} %, lowest {low:.2}, median {middle:.2}, highest {high:.2}", sorted.len())
}
