//! Which training rows are clustered: a bounded number, and none of the rare regimes lost.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};

use super::{ROW_CHANNELS, clipped, split};
use crate::enricher::Enriched;
use crate::trail::Channel;

/// Levels closer than this many training deviations count as the same regime: noise alone rarely crosses 1.5.
const REGIME_WIDTH: f64 = 3.0;

/// The columns that at least half of the history has, and every row that is complete in them, cut at ±20,
/// `(n_rows, n_columns)`.
pub(super) fn complete_rows(history: &Enriched) -> (Vec<u32>, Array2<f64>) {
    let n_columns = history.n_features() * ROW_CHANNELS.len();
    let cell = |row: usize, column: u32| {
        let (feature_idx, channel_idx) = split(column);
        history.channel(ROW_CHANNELS[channel_idx])[[row, feature_idx]]
    };
    let n_rows = history.n_rows();
    let columns: Vec<u32> = (0..u32::try_from(n_columns).unwrap_or(u32::MAX))
        .filter(|column| 2 * (0..n_rows).filter(|row| !cell(*row, *column).is_nan()).count() >= n_rows)
        .collect();
    let rows: Vec<usize> =
        (0..n_rows).filter(|row| columns.iter().all(|column| !cell(*row, *column).is_nan())).collect();
    let kept = if columns.is_empty() { Vec::new() } else { rows };
    let cells = Array2::from_shape_fn((kept.len(), columns.len()), |(row, idx)| clipped(cell(kept[row], columns[idx])));
    (columns, cells)
}

/// At most `n_max` of the rows.
///
/// Rows are grouped into regimes by their levels, coarsely. Every regime that was seen in at least `regime_rows_min` rows
/// gets a fair share: small ones are kept whole and only the large ones are thinned out, evenly in time. What is rarer is
/// noise, and competes as one group.
pub(super) fn chosen(rows: ArrayView2<'_, f64>, columns: &[u32], n_max: usize, regime_rows_min: usize) -> Vec<usize> {
    let levels: Vec<usize> =
        (0..columns.len()).filter(|idx| matches!(ROW_CHANNELS[split(columns[*idx]).1], Channel::Level)).collect();
    let mut regimes: BTreeMap<Vec<i8>, Vec<usize>> = BTreeMap::new();
    for (idx, row) in rows.rows().into_iter().enumerate() {
        // Cut at ±20, so the quotient fits.
        let key = levels.iter().map(|level| (row[*level] / REGIME_WIDTH).round() as i8).collect();
        regimes.entry(key).or_default().push(idx);
    }
    let (mut groups, rare): (Vec<Vec<usize>>, Vec<Vec<usize>>) =
        regimes.into_values().partition(|regime| regime.len() >= regime_rows_min);
    if groups.len() * regime_rows_min > n_max {
        // So many regimes say that there are none: time alone decides.
        groups = vec![(0..rows.nrows()).collect()];
    } else if !rare.is_empty() {
        let mut rest = rare.concat();
        rest.sort_unstable();
        groups.push(rest);
    }
    thinned(&groups, n_max)
}

/// A fair share of each group, at most `n_max` together, evenly spaced within the group; in ascending order.
pub(super) fn thinned(groups: &[Vec<usize>], n_max: usize) -> Vec<usize> {
    let mut by_size: Vec<&Vec<usize>> = groups.iter().collect();
    by_size.sort_by_key(|group| group.len());
    let (mut left, mut kept) = (n_max, Vec::new());
    for (idx, group) in by_size.iter().enumerate() {
        // What the smaller ones didn't use goes to the larger ones.
        let n = group.len().min(left / (by_size.len() - idx));
        kept.extend((0..n).map(|i| group[i * group.len() / n]));
        left -= n;
    }
    kept.sort_unstable();
    kept
}
