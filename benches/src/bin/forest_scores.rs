//! Fits the forest on one file of rows and writes the scores of another's, for comparisons of accuracy with peers.
//!
//!     forest_scores TRAIN.f64 ROWS.f64 N_FEATURES SEED OUT.f64
//!
//! All files are little-endian `f64`, row by row. `benches/peers/auc.py` runs it.

use std::error::Error;

use homeostat_core::Seed;
use homeostat_detect::{ForestSpec, IsolationForest};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [train, rows, n_features, seed, out] = args.as_slice() else {
        return Err("wanted: TRAIN.f64 ROWS.f64 N_FEATURES SEED OUT.f64".into());
    };
    let n_features = n_features.parse()?;
    let forest =
        IsolationForest::fit(read(train, n_features)?.view(), &ForestSpec::default(), Seed::new(seed.parse()?))?;
    let scores = forest.score_rows(read(rows, n_features)?.view())?;
    Ok(std::fs::write(out, scores.iter().flat_map(|score| score.to_le_bytes()).collect::<Vec<u8>>())?)
}

/// A matrix of little-endian `f64`, `(n_rows, n_features)`.
fn read(path: &str, n_features: usize) -> Result<Array2<f64>, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let (cells, rest) = bytes.as_chunks::<8>();
    if n_features == 0 || cells.len() % n_features != 0 || !rest.is_empty() {
        return Err(format!("{path}: {} bytes are no rows of {n_features} f64", bytes.len()).into());
    }
    let cells: Vec<f64> = cells.iter().map(|cell| f64::from_le_bytes(*cell)).collect();
    Ok(Array2::from_shape_vec((cells.len() / n_features, n_features), cells)?)
}
