//! Which training rows are clustered: a bounded number, and none of the rare regimes lost.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};

use super::index::{COLUMNS_MAX, ROW_CLIP};
use super::{ROW_CHANNELS, split};
use crate::feature_extractor::ExtractedFeatures;
use crate::row_buffer::Channel;

/// Levels closer than this many training deviations count as the same regime: noise alone rarely crosses 1.5.
const REGIME_WIDTH: f64 = 3.0;

/// Rows a regime is given at least, in multiples of the fewest that make one, while there are rows left to give.
const REGIME_ROWS: usize = 16;

/// The columns that at least half of all histories' rows have, and every row that is complete in them, cut at ±20,
/// `(n_rows, n_columns)`: one history after the other.
pub(super) fn complete_rows(histories: &[&ExtractedFeatures], n_features: usize) -> (Vec<u32>, Array2<f64>) {
    let n_columns = (n_features * ROW_CHANNELS.len()).min(COLUMNS_MAX);
    let cell = |(history, row): (&ExtractedFeatures, usize), column: u32| {
        let (feature_idx, channel_idx) = split(column);
        history.channel(ROW_CHANNELS[channel_idx])[[row, feature_idx]]
    };
    let all = || histories.iter().flat_map(|history| (0..history.n_rows()).map(move |row| (*history, row)));
    let n_rows = all().count();
    let columns: Vec<u32> = (0..u32::try_from(n_columns).unwrap_or(u32::MAX))
        .filter(|column| 2 * all().filter(|row| !cell(*row, *column).is_nan()).count() >= n_rows)
        .collect();
    let rows = all().filter(|row| columns.iter().all(|column| !cell(*row, *column).is_nan()));
    let kept: Vec<_> = if columns.is_empty() { Vec::new() } else { rows.collect() };
    let cells = Array2::from_shape_fn((kept.len(), columns.len()), |(row, idx)| {
        cell(kept[row], columns[idx]).clamp(-ROW_CLIP, ROW_CLIP)
    });
    (columns, cells)
}

/// At most `n_max` of the rows, in ascending order.
///
/// Half of them are spaced evenly in time. Then every regime that was seen in at least `regime_rows_min` rows gets a fair
/// share of the others, the rarest first, so that small ones are kept whole, as dense as they were beside the thinned main
/// regime; what is rarer is a glitch and gets no more than chance gave it. What is left is spaced evenly again.
pub(super) fn chosen(rows: ArrayView2<'_, f64>, columns: &[u32], n_max: usize, regime_rows_min: usize) -> Vec<usize> {
    let n_rows = rows.nrows();
    if n_rows <= n_max {
        return (0..n_rows).collect();
    }
    let mut taken = vec![false; n_rows];
    for pick in spaced(n_rows, n_max / 2) {
        taken[pick] = true;
    }
    let mut left = n_max - n_max / 2;
    let regimes = regimes(rows, columns, regime_rows_min);
    let n_regimes = regimes.len();
    for (regime_idx, regime) in regimes.into_iter().enumerate() {
        let share = left / (n_regimes - regime_idx);
        let wanted = regime.len().min(share.max(REGIME_ROWS * regime_rows_min));
        let has = regime.iter().filter(|row| taken[**row]).count();
        let others: Vec<usize> = regime.into_iter().filter(|row| !taken[*row]).collect();
        let n = wanted.saturating_sub(has).min(left).min(others.len());
        spaced(others.len(), n).for_each(|pick| taken[others[pick]] = true);
        left -= n;
    }
    let others: Vec<usize> = (0..n_rows).filter(|row| !taken[*row]).collect();
    spaced(others.len(), left.min(others.len())).for_each(|pick| taken[others[pick]] = true);
    (0..n_rows).filter(|row| taken[*row]).collect()
}

/// Rows by regime, the rarest first.
///
/// A regime is a coarse cell of one feature's levels, so that the number of features doesn't matter; or a coarse cell of
/// all levels together, which finds rare combinations where features are few. Rows may be in several.
fn regimes(rows: ArrayView2<'_, f64>, columns: &[u32], rows_min: usize) -> Vec<Vec<usize>> {
    let levels: Vec<usize> =
        (0..columns.len()).filter(|idx| matches!(ROW_CHANNELS[split(columns[*idx]).1], Channel::Level)).collect();
    // Cut at ±20, so the quotient fits.
    let cell = |row: usize, level: usize| (rows[[row, level]] / REGIME_WIDTH).round() as i8;
    let mut of_one: BTreeMap<(usize, i8), Vec<usize>> = BTreeMap::new();
    let mut of_all: BTreeMap<Vec<i8>, Vec<usize>> = BTreeMap::new();
    for row in 0..rows.nrows() {
        for level in &levels {
            of_one.entry((*level, cell(row, *level))).or_default().push(row);
        }
        of_all.entry(levels.iter().map(|level| cell(row, *level)).collect()).or_default().push(row);
    }
    let mut found: Vec<Vec<usize>> =
        of_one.into_values().chain(of_all.into_values()).filter(|regime| regime.len() >= rows_min).collect();
    found.sort_by_key(Vec::len);
    found
}

/// `n` of `n_all` indices, evenly spaced; `n` must not be above `n_all`.
fn spaced(n_all: usize, n: usize) -> impl Iterator<Item = usize> {
    (0..n).map(move |idx| idx * n_all / n)
}

/// A fair share of each group, at most `n_max` together, evenly spaced within the group; in ascending order.
pub(super) fn thinned(groups: &[Vec<usize>], n_max: usize) -> Vec<usize> {
    let mut by_size: Vec<&Vec<usize>> = groups.iter().collect();
    by_size.sort_by_key(|group| group.len());
    let (mut left, mut kept) = (n_max, Vec::new());
    for (idx, group) in by_size.iter().enumerate() {
        // What the smaller ones didn't use goes to the larger ones.
        let n = group.len().min(left / (by_size.len() - idx));
        kept.extend(spaced(group.len(), n).map(|pick| group[pick]));
        left -= n;
    }
    kept.sort_unstable();
    kept
}
