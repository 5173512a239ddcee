//! Values as integers: what nodes hold and kernels compare.
//!
//! A forest doesn't care how a column is scaled, only how its values are ordered and, for drawing thresholds, how far they
//! lie apart. So each value is taken relative to the middle of its column, narrowed to single precision, and its bits are
//! made an integer of the same order, below 2^31. Integers have no NaN, no -0 and no denormals to differ in, and below 2^31
//! they compare the same signed and unsigned, on every processor.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// The key of a value that isn't there. Beyond every key that is.
pub(super) const GAP: u32 = u32::MAX;

/// Rows looked at to find a column's middle and width: any middle among the data serves, so few are enough.
const SURVEYED_ROWS_MAX: usize = 256;

/// Largest binary exponent of a factor: within it neither the factor nor its inverse overflows.
const EXPONENT_MAX: i32 = 1022;

/// How the values of each column become keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Keying {
    /// Subtracted first: bytes of memory at 8e9 ± 1e3 must not be cut to the seven digits of single precision.
    centers: Vec<f64>,
    /// Multiplied with then: a power of two, so that neither 1e300 nor 1e-300 leaves single precision's range.
    factors: Vec<f64>,
}

impl Keying {
    /// From the rows of training, `(n_rows, n_columns)`.
    pub(super) fn fit(rows: ArrayView2<'_, f64>) -> Self {
        let stride = rows.nrows().div_ceil(SURVEYED_ROWS_MAX).max(1);
        // Row by row, as they lie in memory: a large matrix is then read once.
        let n_surveyed = rows.nrows().div_ceil(stride);
        let mut surveyed = vec![Vec::with_capacity(n_surveyed); rows.ncols()];
        for row in rows.rows().into_iter().step_by(stride) {
            surveyed.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
        }
        let (centers, factors) = surveyed.into_iter().map(middle_and_factor).unzip();
        Self { centers, factors }
    }

    pub(super) fn n_columns(&self) -> usize {
        self.centers.len()
    }

    /// What was read back can be worked with.
    pub(super) fn is_sound(&self) -> bool {
        self.centers.len() == self.factors.len()
            && self.centers.iter().all(|center| center.is_finite())
            && self.factors.iter().all(|factor| factor.is_normal() && *factor > 0.0)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        (self.centers.capacity() + self.factors.capacity()) * size_of::<f64>()
    }

    /// The centers and factors of `n` columns from one on.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn of_columns(&self, from: usize, n: usize) -> (&[f64], &[f64]) {
        (&self.centers[from..from + n], &self.factors[from..from + n])
    }

    /// Writes the keys of a row; says whether there are gaps. Inlined into each kernel, to be compiled for its processor.
    #[inline(always)]
    pub(super) fn fill(&self, row: &[f64], keys: &mut [u32]) -> bool {
        let mut gaps = 0;
        for (((key, value), center), factor) in keys.iter_mut().zip(row).zip(&self.centers).zip(&self.factors) {
            *key = key_of(((value - center) * factor) as f32);
            gaps |= u32::from(*key == GAP);
        }
        gaps != 0
    }
}

/// The key of a value in single precision.
#[inline(always)]
fn key_of(value: f32) -> u32 {
    // Adding zero makes -0 a 0: they are the same value and must be the same key.
    let bits = (value + 0.0).to_bits();
    // Of negative numbers all bits are flipped, of others the sign only: now integers are ordered as the values were. Shifting
    // drops the last of 23 bits of fraction.
    let flipped = bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000);
    if value.is_nan() { GAP } else { flipped >> 1 }
}

/// The value a key stands for, finite.
pub(super) fn value_of(key: u32) -> f64 {
    let flipped = key << 1;
    let bits = if flipped & 0x8000_0000 == 0 { !flipped } else { flipped & 0x7fff_ffff };
    f64::from(f32::from_bits(bits).clamp(f32::MIN, f32::MAX))
}

/// The key of a finite value of double precision; rounds to the nearest single.
pub(super) fn nearest_key(value: f64) -> u32 {
    key_of(value as f32)
}

/// A column's median, and the power of two that brings its usual distance from it to about one.
fn middle_and_factor(mut column: Vec<f64>) -> (f64, f64) {
    column.retain(|value| value.is_finite());
    let Some(center) = median(&mut column) else { return (0.0, 1.0) };
    column.iter_mut().for_each(|value| *value = (*value - center).abs());
    column.retain(|distance| *distance > 0.0 && distance.is_finite());
    let Some(width) = median(&mut column) else { return (center, 1.0) };
    let exponent = (-width.log2().floor()).clamp(f64::from(-EXPONENT_MAX), f64::from(EXPONENT_MAX));
    (center, exponent.exp2())
}

/// The upper median; `None` of nothing.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    proptest::proptest! {
        #[test]
        fn keys_are_ordered_as_values_are(a: f32, b: f32) {
            proptest::prop_assume!(!a.is_nan() && !b.is_nan());
            if a <= b {
                proptest::prop_assert!(key_of(a) <= key_of(b));
            }
            proptest::prop_assert!(key_of(a) < 1 << 31);
        }

        #[test]
        fn a_key_stands_for_the_value_it_came_from(value in proptest::num::f32::NORMAL) {
            let back = value_of(key_of(value)) as f32;
            proptest::prop_assert!(((back - value) / value).abs() <= f32::EPSILON, "{value} {back}");
            proptest::prop_assert_eq!(nearest_key(value_of(key_of(value))), key_of(value));
        }
    }

    #[test]
    fn zeros_are_one_key_and_nan_is_a_gap() {
        assert_eq!(key_of(0.0), key_of(-0.0));
        assert_eq!(key_of(f32::NAN), GAP);
        assert_eq!(key_of(-f32::NAN), GAP);
        assert!(key_of(f32::INFINITY) > key_of(f32::MAX) && key_of(f32::NEG_INFINITY) < key_of(f32::MIN));
    }

    #[test]
    fn columns_far_from_zero_huge_or_tiny_keep_their_differences() {
        let spread = [(8e9, 1.0), (0.0, 1e-315), (-1e300, 1e290), (1e-300, 1e-305), (0.0, 1e307)];
        for (center, width) in spread {
            let rows = Array2::from_shape_fn((100, 1), |(row, _)| center + width * (row as f64 / 10.0));
            let keying = Keying::fit(rows.view());
            assert!(keying.is_sound());
            let mut keys: Vec<u32> = rows
                .iter()
                .map(|value| {
                    let mut key = [0];
                    assert!(!keying.fill(&[*value], &mut key));
                    key[0]
                })
                .collect();
            keys.dedup();
            assert_eq!(keys.len(), 100, "{center} ± {width}");
        }
    }
}
