//! homeostat as a library: train on history, score a window, say why. Needs `homeostat-core`, `homeostat-detect`, `ndarray`.
//!
//!     cargo run --release -p homeostat-detect --example embed

#![allow(clippy::print_stdout, reason = "an example")]

use std::{error::Error, sync::Arc, time::Duration};

use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
use homeostat_detect::{Ensemble, EnsembleSpec};
use ndarray::Array2;

/// Two days of minutes of two features, then one hour; in its last ten minutes requests take twice as long.
fn main() -> Result<(), Box<dyn Error>> {
    let feature = |name: &str, signal, direction| Feature { name: name.into(), signal, direction, deviation_min: 0.0 };
    let features = [("latency_s", Signal::Latency, Direction::Up), ("requests", Signal::Traffic, Direction::Both)];
    let schema = Arc::new(Schema::new(features.map(|(name, what, way)| feature(name, what, way)).into())?);
    let window = |from: usize, to: usize| -> Result<Window, Box<dyn Error>> {
        let grid = Grid::new(Timestamp::from_secs(60 * from as i64), Duration::from_secs(60), to - from)?;
        let values = Array2::from_shape_fn((to - from, 2), |(row, column)| measured(from + row, column));
        Ok(Window::new(Subject::deployment("shop", "cart"), grid, Arc::clone(&schema), values)?)
    };

    let mut ensemble = Ensemble::train(&EnsembleSpec::default(), &window(0, 2_880)?, Seed::new(1))?;
    for (from, to) in [(2_880, 2_930), (2_930, 2_940)] {
        let assessment = ensemble.assess(&window(from, to)?);
        let score = assessment.score().ok_or("too few detectors could say anything")?;
        println!(
            "{}: {:.1}, {}",
            assessment.at,
            score.value(),
            if score.is_alarming() { "unusual" } else { "as usual" }
        );
        for (feature, deviation) in schema.features().iter().zip(&assessment.deviations) {
            println!("  {:<10} {:+.1} deviations from what was expected", feature.name, deviation.unwrap_or(f64::NAN));
        }
    }
    Ok(())
}

/// A made-up service: a daily wave, and noise that is the same each time.
fn measured(minute: usize, column: usize) -> f64 {
    let noise = (0..4).map(|part| {
        Seed::new((4 * minute + part) as u64).fork(&column.to_string()).value() as f64 / u64::MAX as f64 - 0.5
    });
    let noise: f64 = noise.sum();
    let wave = (minute as f64 / 1_440.0 * std::f64::consts::TAU).sin();
    let slow_down = if minute >= 2_930 { 2.0 } else { 1.0 };
    if column == 0 { slow_down * (0.08 + 0.01 * wave + 0.005 * noise) } else { 25.0 + 5.0 * wave + noise }
}
