//! ε from the data, the clusters by linfa, and the core points by the definition.

use linfa::ParamGuard;
use linfa::traits::Transformer;
use linfa_nn::CommonNearestNeighbour;
use linfa_nn::distance::L2Dist;
use ndarray::{Array2, ArrayView2, Axis};

use super::{DbscanSpec, NAME, sample};
use crate::detector::TrainError;

/// ε is at least this many training deviations in each dimension: where training only repeats the same few rows, a
/// twentieth of a deviation isn't news.
const EPSILON_PER_DIMENSION_MIN: f64 = 0.05;

/// linfa takes what is strictly nearer than ε, and sums the squares in another order: this much more keeps the row that ε
/// was read from within it.
const ROUNDING: f64 = 1e-9;

/// What clustering found.
pub(super) struct Found {
    /// The core points kept, `(n_cores, n_columns)`.
    pub(super) cores: Array2<f64>,
    pub(super) epsilon: f64,
    pub(super) n_clusters: usize,
}

/// Clusters the rows, `(n_rows, n_columns)`, all finite.
///
/// ε is a quantile of the distances from each row to its `min_points`-th (Ester, Kriegel, Sander and Xu 1996, section 4.2,
/// choose it from the same sorted distances by eye). A row with `min_points` rows within ε, itself included, is a core.
/// If there are more cores than are kept, each cluster gives a fair share.
pub(super) fn find(rows: Array2<f64>, spec: &DbscanSpec) -> Result<Found, TrainError> {
    let failed = |why: String| TrainError::Failed { detector: NAME, why };
    let distances = distances_to_kth(rows.view(), spec.min_points);
    let mut sorted = distances.clone();
    sorted.sort_by(f64::total_cmp);
    let rank = (spec.epsilon_quantile * (sorted.len() - 1) as f64).round() as usize;
    let floor = EPSILON_PER_DIMENSION_MIN * (rows.ncols() as f64).sqrt();
    let epsilon = sorted[rank].max(floor) * (1.0 + ROUNDING);

    // Linear search: trees degrade above a dozen dimensions, and recurse on rows that are all alike.
    let params = linfa_clustering::Dbscan::params_with(spec.min_points, L2Dist, CommonNearestNeighbour::LinearSearch)
        .tolerance(epsilon)
        .check()
        .map_err(|error| failed(error.to_string()))?;
    let labels = params.transform(&rows);
    let n_clusters = labels.iter().flatten().max().map_or(0, |last| last + 1);
    let mut clusters = vec![Vec::new(); n_clusters];
    for (idx, distance) in distances.iter().enumerate() {
        if let (true, Some(label)) = (*distance <= epsilon, labels[idx]) {
            clusters[label].push(idx);
        }
    }
    let kept = sample::thinned(&clusters, spec.core_rows_max);
    if kept.is_empty() {
        return Err(failed("no row of the history has enough others near it".into()));
    }
    Ok(Found { cores: rows.select(Axis(0), &kept), epsilon, n_clusters })
}

/// For each row, how far its `k`-th nearest row is, itself being the first.
fn distances_to_kth(rows: ArrayView2<'_, f64>, k: usize) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = rows.rows().into_iter().map(|row| row.to_vec()).collect();
    let mut squares = vec![0.0; rows.len()];
    let rank = k.min(rows.len()) - 1;
    rows.iter()
        .map(|row| {
            for (square, other) in squares.iter_mut().zip(&rows) {
                *square = row.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            }
            squares.select_nth_unstable_by(rank, f64::total_cmp).1.sqrt()
        })
        .collect()
}
