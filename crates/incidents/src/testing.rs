//! What tests of several files need.

use homeostat_core::Seed;
use ndarray::Array2;
use rand::Rng;

/// Standard normal noise (twelve even draws less six), a little carried over from row to row, `(n_rows, n_features)`.
pub(crate) fn noise(n_rows: usize, n_features: usize, seed: Seed) -> Array2<f64> {
    let mut rng = seed.fork("noise").rng();
    let mut values: Array2<f64> =
        Array2::from_shape_fn((n_rows, n_features), |_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0);
    for row in 1..n_rows {
        for feature_idx in 0..n_features {
            values[[row, feature_idx]] += 0.5 * values[[row - 1, feature_idx]];
        }
    }
    values
}
