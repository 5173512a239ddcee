//! ε from the data, the clusters by linfa, and the core points by the definition.

use linfa::traits::Transformer;
use linfa::{Float, ParamGuard};
use linfa_nn::distance::{Distance, L2Dist};
use linfa_nn::{BuildError, NearestNeighbour, NearestNeighbourIndex, NnError};
use ndarray::{Array2, ArrayBase, ArrayView1, ArrayView2, Axis, Data, Ix2};

use super::knee::knee;
use super::{DbscanSpec, Epsilon, NAME, sample};
use crate::detector::TrainError;

/// ε from the data is at least this many training deviations in each dimension: where training only repeats the same few
/// rows, a twentieth of a deviation isn't news.
const EPSILON_PER_DIMENSION_MIN: f64 = 0.05;

/// A distance's square root, squared again, may be a digit less: this much more keeps the row that ε was read from
/// within it.
const ROUNDING: f64 = 1e-9;

/// What clustering found.
pub(super) struct Found {
    /// The core points kept, `(n_cores, n_columns)`.
    pub(super) cores: Array2<f64>,
    pub(super) epsilon: f64,
    pub(super) n_clusters: usize,
}

/// Every row's part in the clustering, as DBSCAN defines it.
pub(crate) struct Clustering {
    /// The cluster of each row, counted from 0 by first core; `None` is noise. A border row that two clusters reach
    /// belongs to the one counted first.
    pub(crate) labels: Vec<Option<usize>>,
    /// Which rows have `min_points` rows within ε, themselves included.
    pub(crate) is_core: Vec<bool>,
}

/// Clusters the rows, `(n_rows, n_columns)`, all finite, and keeps cores.
///
/// If there are more cores than are kept, each cluster gives a fair share.
pub(super) fn find(rows: ArrayView2<'_, f64>, spec: &DbscanSpec) -> Result<Found, TrainError> {
    let min_points = spec.min_points(rows.nrows());
    let distances = distances_to_kth(rows, min_points);
    let epsilon = match spec.epsilon {
        Epsilon::Deviations(distance) => distance,
        Epsilon::Knee => from_data(&distances, knee, rows.ncols()),
        Epsilon::Quantile(quantile) => {
            from_data(&distances, |sorted| (quantile * (sorted.len() - 1) as f64).round() as usize, rows.ncols())
        }
    };
    let Clustering { labels, is_core } = clustered(rows, epsilon, min_points, &distances)?;
    let n_clusters = labels.iter().flatten().max().map_or(0, |last| last + 1);
    let mut clusters = vec![Vec::new(); n_clusters];
    for (idx, label) in labels.iter().enumerate() {
        if let (true, Some(label)) = (is_core[idx], label) {
            clusters[*label].push(idx);
        }
    }
    let kept = sample::thinned(&clusters, spec.core_rows_max);
    if kept.is_empty() {
        return Err(failed("no row of the history has enough others near it".into()));
    }
    Ok(Found { cores: rows.select(Axis(0), &kept), epsilon, n_clusters })
}

fn failed(why: String) -> TrainError {
    TrainError::Failed { detector: NAME, why }
}

fn from_data(distances: &[f64], rank: impl Fn(&[f64]) -> usize, n_columns: usize) -> f64 {
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let floor = EPSILON_PER_DIMENSION_MIN * (n_columns as f64).sqrt();
    sorted[rank(&sorted)].max(floor) * (1.0 + ROUNDING)
}

/// DBSCAN by linfa, on an index of ours: its trees degrade above a dozen dimensions and recurse on rows that are all
/// alike, and its linear search leaves out what lies exactly at ε, which the definition counts.
///
/// `distances` are those to each row's `min_points`-th.
pub(crate) fn clustered(
    rows: ArrayView2<'_, f64>,
    epsilon: f64,
    min_points: usize,
    distances: &[f64],
) -> Result<Clustering, TrainError> {
    let params = linfa_clustering::Dbscan::params_with(min_points, L2Dist, FlatSearch)
        .tolerance(epsilon)
        .check()
        .map_err(|error| failed(error.to_string()))?;
    let labels = params.transform(&rows).to_vec();
    let is_core = distances.iter().map(|distance| rows.nrows() >= min_points && *distance <= epsilon).collect();
    Ok(Clustering { labels, is_core })
}

/// For each row, how far its `k`-th nearest row is, itself being the first.
pub(crate) fn distances_to_kth(rows: ArrayView2<'_, f64>, k: usize) -> Vec<f64> {
    let flat = Flat::new(rows);
    let rank = k.min(rows.nrows()) - 1;
    let mut squares = vec![0.0; rows.nrows()];
    rows.rows()
        .into_iter()
        .map(|row| {
            squares.iter_mut().zip(flat.squares(&row.to_vec())).for_each(|(square, found)| *square = found);
            squares.select_nth_unstable_by(rank, f64::total_cmp).1.sqrt()
        })
        .collect()
}

/// Looks at every row. What linfa-nn calls an algorithm; [`Flat`] is what it calls an index.
#[derive(Debug)]
struct FlatSearch;

/// Rows one after the other in memory.
struct Flat<'a, F> {
    views: ArrayView2<'a, F>,
    values: Vec<F>,
}

impl<'a, F: Float> Flat<'a, F> {
    fn new(views: ArrayView2<'a, F>) -> Self {
        Self { views, values: views.iter().copied().collect() }
    }

    /// Squared distances from the point, in the rows' order.
    fn squares(&self, point: &[F]) -> impl Iterator<Item = F> {
        self.values.chunks_exact(point.len().max(1)).map(move |row| squared_distance(row, point))
    }
}

/// Eight sums side by side, so that the compiler may use vectors; the order of additions is fixed.
fn squared_distance<F: Float>(a: &[F], b: &[F]) -> F {
    let mut sums = [F::zero(); 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| (*a - *b) * (*a - *b));
    let rest = rest.fold(F::zero(), |sum, square| sum + square);
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    sums.into_iter().fold(rest, |sum, lane| sum + lane)
}

impl NearestNeighbour for FlatSearch {
    fn from_batch_with_leaf_size<'a, F: Float, DT: Data<Elem = F>, D: 'a + Distance<F>>(
        &self,
        batch: &'a ArrayBase<DT, Ix2>,
        _leaf_size: usize,
        _dist_fn: D,
    ) -> Result<Box<dyn 'a + Send + Sync + NearestNeighbourIndex<F>>, BuildError> {
        if batch.ncols() == 0 { Err(BuildError::ZeroDimension) } else { Ok(Box::new(Flat::new(batch.view()))) }
    }
}

impl<F: Float> NearestNeighbourIndex<F> for Flat<'_, F> {
    fn k_nearest(&self, point: ArrayView1<'_, F>, k: usize) -> Result<Vec<(ArrayView1<'_, F>, usize)>, NnError> {
        let mut found: Vec<(F, usize)> =
            self.squares(&point.to_vec()).enumerate().map(|(idx, square)| (square, idx)).collect();
        found.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        Ok(found.into_iter().take(k).map(|(_, idx)| (self.views.row(idx), idx)).collect())
    }

    /// The end of the range included.
    fn within_range(&self, point: ArrayView1<'_, F>, range: F) -> Result<Vec<(ArrayView1<'_, F>, usize)>, NnError> {
        let point = point.to_vec();
        // Compared as distances, as the core test does: the square of a root may be a digit off.
        let near = self.squares(&point).enumerate().filter(|(_, square)| square.sqrt() <= range);
        Ok(near.map(|(idx, _)| (self.views.row(idx), idx)).collect())
    }
}
