//! The core points, laid out for the nearest one to be found in about a microsecond.
//!
//! It knows nothing of row buffers or clusters: rows of deviations in, a squared distance per dimension out. Exact on its
//! fixed-point numbers, by looking at every core: for rows of 10 to 100 dimensions trees lose (measured: a k-d tree took
//! 4 to 37 µs where this takes 0.2 to 0.6; leaves ordered by bounding boxes visited half to all of them).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::kernel::{Cell, Kernel, LANES, Pair};

/// Deviations are cut here: at 20 training deviations one feature has said all it can, and must not drown the others.
pub(super) const ROW_CLIP: f64 = 20.0;

/// Finest step of the fixed-point numbers, as steps a deviation. 1/512 is far below what any measurement means, and
/// 20 deviations are 10 240 steps, so that a difference of two rows fits in 16 bits.
const STEPS_MAX: f64 = 512.0;

/// Most columns: three for each of 4 096 features. The step is then 1/18 deviation, a tenth of the least ε per dimension
/// when averaged over so many.
pub(super) const COLUMNS_MAX: usize = 3 * 4_096;

/// Core points as multiples of a fixed step.
///
/// A column is a whole number of steps of `1 / steps_per_deviation`, the finest for which the largest possible sum of
/// squares fits in 31 bits: 1/211 at 30 columns, 1/108 at 114. The error in a squared distance is below a twentieth of
/// the least ε² per dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SavedCores", into = "SavedCores")]
pub(super) struct CoreIndex {
    n_cores: usize,
    n_columns: usize,
    steps_per_deviation: f64,
    /// `[block][pair of columns][lane]`; the last block is filled up with its last core, an odd column with zeros.
    cells: Vec<Cell>,
}

/// A row as the index compares it; kept between rows, so that scoring doesn't allocate.
#[derive(Clone, Debug, Default)]
pub(super) struct FixedRow {
    values: Vec<Pair>,
    present: Vec<Pair>,
    n_present: usize,
}

impl FixedRow {
    /// How many columns are there.
    pub(super) fn n_present(&self) -> usize {
        self.n_present
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.values.capacity() + self.present.capacity()) * size_of::<Pair>()
    }
}

/// Bytes of so many cores of so many columns.
pub(super) fn bytes_of(n_cores: usize, n_columns: usize) -> usize {
    n_cores.div_ceil(LANES) * n_columns.div_ceil(2) * size_of::<Cell>()
}

fn steps_per_deviation(n_columns: usize) -> f64 {
    let difference_max = (f64::from(i32::MAX) / n_columns.max(1) as f64).sqrt();
    (difference_max / (2.0 * ROW_CLIP)).floor().min(STEPS_MAX)
}

/// A deviation in steps, to the nearest; not for gaps.
fn fixed(deviation: f64, steps_per_deviation: f64) -> i16 {
    // The sum is positive, so that cutting off is rounding down.
    const OFFSET: i32 = 1 << 15;
    let steps = deviation.clamp(-ROW_CLIP, ROW_CLIP) * steps_per_deviation;
    ((steps + f64::from(OFFSET) + 0.5) as i32 - OFFSET) as i16
}

impl CoreIndex {
    /// Of rows without gaps, `(n_cores, n_columns)`, at least one of each.
    pub(super) fn new(cores: ArrayView2<'_, f64>) -> Self {
        let steps = steps_per_deviation(cores.ncols());
        let saved = SavedCores {
            n_columns: cores.ncols(),
            cores: cores.iter().map(|deviation| fixed(*deviation, steps)).collect(),
        };
        Self::laid_out(&saved)
    }

    fn laid_out(saved: &SavedCores) -> Self {
        let SavedCores { n_columns, ref cores } = *saved;
        let (n_cores, n_pairs) = (cores.len() / n_columns, n_columns.div_ceil(2));
        let mut cells = vec![[[0; 2]; LANES]; n_cores.div_ceil(LANES) * n_pairs];
        for (block_idx, block) in cells.chunks_exact_mut(n_pairs).enumerate() {
            for (pair_idx, cell) in block.iter_mut().enumerate() {
                for (lane, pair) in cell.iter_mut().enumerate() {
                    let core = &cores[(block_idx * LANES + lane).min(n_cores - 1) * n_columns..][..n_columns];
                    *pair = [core[2 * pair_idx], core.get(2 * pair_idx + 1).copied().unwrap_or(0)];
                }
            }
        }
        Self { n_cores, n_columns, steps_per_deviation: steps_per_deviation(n_columns), cells }
    }

    pub(super) fn n_cores(&self) -> usize {
        self.n_cores
    }

    pub(super) fn n_columns(&self) -> usize {
        self.n_columns
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
    }

    /// Fills `row` with deviations, one for each column; NaN is a gap.
    pub(super) fn fill(&self, row: &mut FixedRow, deviations: impl Iterator<Item = f64>) {
        let n_pairs = self.n_columns.div_ceil(2);
        row.values.resize(n_pairs, [0; 2]);
        row.present.resize(n_pairs, [0; 2]);
        row.n_present = 0;
        for (idx, deviation) in deviations.take(self.n_columns).enumerate() {
            let gap = deviation.is_nan();
            row.values[idx / 2][idx % 2] = if gap { 0 } else { fixed(deviation, self.steps_per_deviation) };
            row.present[idx / 2][idx % 2] = if gap { 0 } else { -1 };
            row.n_present += usize::from(!gap);
        }
    }

    /// The squared distance from the row to the nearest core, per dimension that is there, in squared deviations. The row
    /// must have been filled by this index, and have something in it.
    pub(super) fn nearest(&self, row: &FixedRow) -> f64 {
        self.nearest_by(Kernel::widest(), row)
    }

    pub(super) fn nearest_by(&self, kernel: Kernel, row: &FixedRow) -> f64 {
        let gaps = (row.n_present < self.n_columns).then_some(row.present.as_slice());
        let squared_steps = kernel.nearest(&self.cells, &row.values, gaps);
        f64::from(squared_steps) / (self.steps_per_deviation * self.steps_per_deviation * row.n_present as f64)
    }
}

/// The cores as they are saved: no layout in it.
#[derive(Serialize, Deserialize)]
struct SavedCores {
    n_columns: usize,
    /// `[core][column]`
    cores: Vec<i16>,
}

impl From<CoreIndex> for SavedCores {
    fn from(index: CoreIndex) -> Self {
        let n_pairs = index.n_columns.div_ceil(2);
        let mut cores = Vec::with_capacity(index.n_cores * index.n_columns);
        for core_idx in 0..index.n_cores {
            let block = &index.cells[core_idx / LANES * n_pairs..][..n_pairs];
            cores.extend((0..index.n_columns).map(|idx| block[idx / 2][core_idx % LANES][idx % 2]));
        }
        Self { n_columns: index.n_columns, cores }
    }
}

impl TryFrom<SavedCores> for CoreIndex {
    type Error = &'static str;
    fn try_from(saved: SavedCores) -> Result<Self, Self::Error> {
        if !(1..=COLUMNS_MAX).contains(&saved.n_columns) {
            return Err("saved cores have no columns, or more than any model can have");
        }
        if saved.cores.is_empty() || !saved.cores.len().is_multiple_of(saved.n_columns) {
            return Err("saved cores aren't a whole number of rows");
        }
        // Beyond these the sums would overflow.
        let largest = ROW_CLIP * steps_per_deviation(saved.n_columns);
        if saved.cores.iter().any(|value| f64::from(*value).abs() > largest) {
            return Err("saved cores lie farther out than any core can");
        }
        Ok(Self::laid_out(&saved))
    }
}

#[cfg(test)]
mod tests {
    use homeostat_core::Seed;
    use ndarray::Array2;
    use proptest::prelude::*;
    use rand::Rng;

    use super::*;

    fn random(n_rows: usize, n_columns: usize, width: f64, seed: u64) -> Array2<f64> {
        let mut rng = Seed::new(seed).rng();
        Array2::from_shape_fn((n_rows, n_columns), |_| width * (2.0 * rng.random::<f64>() - 1.0))
    }

    /// By the definition, in floating point.
    fn by_definition(cores: &Array2<f64>, row: &[f64]) -> f64 {
        let squared = |core: ndarray::ArrayView1<'_, f64>| {
            let there = core.iter().zip(row).filter(|(_, value)| !value.is_nan());
            let (sum, n) = there.fold((0.0, 0), |(sum, n), (a, b)| (sum + (a - b) * (a - b), n + 1));
            sum / f64::from(n)
        };
        cores.rows().into_iter().map(squared).fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_same_bits_and_nearly_the_exact_distance(
            n_cores in 1_usize..200, n_columns in 1_usize..70, width in 0.5_f64..25.0, seed in 0_u64..1_000, gaps in 0.0_f64..0.6,
        ) {
            let cores = random(n_cores, n_columns, width.min(ROW_CLIP), seed);
            let index = CoreIndex::new(cores.view());
            let mut rng = Seed::new(seed + 1).rng();
            let mut values: Vec<f64> = random(1, n_columns, width.min(ROW_CLIP), seed + 2).into_raw_vec_and_offset().0;
            values.iter_mut().skip(1).for_each(|value| if rng.random::<f64>() < gaps { *value = f64::NAN });
            let mut row = FixedRow::default();
            index.fill(&mut row, values.iter().copied());
            let distances: Vec<u64> =
                Kernel::all_here().into_iter().map(|kernel| index.nearest_by(kernel, &row).to_bits()).collect();
            prop_assert!(distances.windows(2).all(|pair| pair[0] == pair[1]), "{distances:?}");
            let (found, exact) = (f64::from_bits(distances[0]).sqrt(), by_definition(&cores, &values).sqrt());
            // Each coordinate of each row is at most half a step off.
            prop_assert!((found - exact).abs() <= 1.001 / steps_per_deviation(n_columns), "{found} {exact}");
        }
    }

    #[test]
    fn the_largest_possible_distance_does_not_overflow_at_any_number_of_columns() {
        for n_columns in [1, 2, 3, 30, 31, 114, 3_000, COLUMNS_MAX] {
            let index = CoreIndex::new(Array2::from_elem((3, n_columns), 1e300).view());
            let mut row = FixedRow::default();
            index.fill(&mut row, std::iter::repeat_n(-1e300, n_columns));
            for kernel in Kernel::all_here() {
                let per_dimension = index.nearest_by(kernel, &row);
                assert!((per_dimension - 1_600.0).abs() < 1e-9, "{n_columns} columns: {per_dimension}");
            }
        }
    }

    #[test]
    fn what_was_not_saved_by_it_is_refused() {
        let load = |n_columns: usize, cores: Vec<i16>| CoreIndex::try_from(SavedCores { n_columns, cores });
        assert!(load(0, vec![]).is_err());
        assert!(load(usize::MAX, vec![0; 4]).is_err());
        assert!(load(3, vec![]).is_err());
        assert!(load(3, vec![0; 4]).is_err());
        assert!(load(3, vec![i16::MIN; 3]).is_err());
        let index = CoreIndex::new(random(130, 7, 20.0, 1).view());
        let again = load(7, SavedCores::from(index.clone()).cores).expect("its own cores");
        assert_eq!(again, index);
    }
}
