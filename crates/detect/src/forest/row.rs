//! The rows the forest sees, made the same way from a training history and from a row buffer.

use ndarray::Array2;

use crate::feature_extractor::ExtractedFeatures;
use crate::row_buffer::Channel;

/// Magnitudes a feature contributes to a row.
pub(super) const N_MAGNITUDES: usize = 3;

/// Rows the root mean square looks at, the newest included.
const ENERGY_ROWS: usize = 10;

/// Below this many rows in the row buffer, gaps are no wonder: the distance from the mean of 20 rows needs 10 before it.
pub(super) const ROWS_NEEDED: usize = 11;

/// Added before the logarithm: a twentieth of a training deviation is as good as nothing.
const QUIET: f64 = 0.05;

/// Fills `row`, `[feature][magnitude]`, with NaN for what isn't there, and returns how many values are there. `cells`
/// gives one channel of the row so many rows back.
pub(super) fn fill<'a>(
    row: &mut [f64],
    n_features: usize,
    cells: impl Fn(usize, Channel) -> Option<&'a [f64]>,
) -> usize {
    let residual3: [Option<&[f64]>; ENERGY_ROWS] = std::array::from_fn(|back| cells(back, Channel::Residual3));
    let residual20 = cells(0, Channel::Residual20);
    let mut n_present = 0;
    for (feature_idx, magnitudes) in row.chunks_exact_mut(N_MAGNITUDES).take(n_features).enumerate() {
        let (mut squares, mut n) = (0.0, 0_usize);
        for value in residual3.iter().flatten().map(|past| past[feature_idx]).filter(|value| !value.is_nan()) {
            squares += value * value;
            n += 1;
        }
        let energy = if 2 * n >= ENERGY_ROWS { (squares / n as f64).sqrt() } else { f64::NAN };
        let newest = |cells: Option<&[f64]>| cells.map_or(f64::NAN, |cells| cells[feature_idx].abs());
        // Without the newest measurement the past alone says nothing of this row.
        let energy = if newest(residual3[0]).is_nan() { f64::NAN } else { energy };
        for (cell, value) in magnitudes.iter_mut().zip([newest(residual3[0]), newest(residual20), energy]) {
            *cell = (QUIET + value).ln();
            n_present += usize::from(!cell.is_nan());
        }
    }
    n_present
}

/// Every training row of which at least half is there, `(n_rows, 3 n_features)`.
pub(super) fn training_rows(history: &ExtractedFeatures) -> Array2<f64> {
    let width = N_MAGNITUDES * history.n_features();
    let mut row = vec![f64::NAN; width];
    let (mut kept, mut n_kept) = (Vec::new(), 0);
    for step_idx in 0..history.n_rows() {
        let cells = |back: usize, channel| {
            let from = step_idx.checked_sub(back)? * history.n_features();
            history.channel(channel).as_slice()?.get(from..from + history.n_features())
        };
        if 2 * fill(&mut row, history.n_features(), cells) >= width {
            kept.extend(&row);
            n_kept += 1;
        }
    }
    // The length is n_kept × width by construction; an empty array says the same as a failure would.
    Array2::from_shape_vec((n_kept, width), kept).unwrap_or_default()
}
