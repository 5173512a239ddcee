//! Keys of a block of rows in the order that the AVX-512 kernel loads them, converted and transposed in registers.
//!
//! [`Keying::fill`] is the same, a row at a time, in safe code.

#![allow(
    unsafe_code,
    reason = "vector instructions; `Keying::fill` is the same in safe code, and a test compares them"
)]

use std::arch::x86_64::*;

use ndarray::ArrayView2;

use super::BLOCK_ROWS;
use crate::forest::kernel::{LANES, Line};
use crate::forest::keys::{GAP, Keying};

/// Columns converted at once: as many `f64` as a vector holds.
const COLUMNS: usize = 8;

/// Writes the keys of up to [`BLOCK_ROWS`] rows, `[group of LANES rows][column][lane]`, into `keys`, and says which rows have
/// gaps. Lanes without a row get keys of no meaning.
///
/// # Safety
/// The processor must have AVX-512 F.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn fill(keying: &Keying, rows: ArrayView2<'_, f64>, keys: &mut [Line]) -> u128 {
    let n_columns = keying.n_columns();
    assert!(rows.ncols() == n_columns && rows.nrows() <= BLOCK_ROWS && keys.len() * LANES == BLOCK_ROWS * n_columns);
    let mut gaps = 0;
    let groups = keys.chunks_exact_mut(n_columns).take(rows.nrows().div_ceil(LANES));
    for (group, keys) in groups.enumerate() {
        // Lanes without a row repeat the last. Rows that don't lie side by side don't come here; they'd be scored one by one.
        let mut lanes: [&[f64]; LANES] = [&[]; LANES];
        for (lane, values) in lanes.iter_mut().enumerate() {
            let row = rows.row((group * LANES + lane).min(rows.nrows() - 1));
            let Some(row) = row.to_slice() else { return u128::MAX };
            *values = row;
        }
        let mut group_gaps = 0;
        for from in (0..n_columns).step_by(COLUMNS) {
            let n = (n_columns - from).min(COLUMNS);
            let places = &mut keys[from..from + n];
            let (centers, factors) = keying.of_columns(from, n);
            let mut part = lanes;
            part.iter_mut().for_each(|row| *row = &row[from..from + n]);
            // Safety: the processor has the instructions, and all are of the same length.
            group_gaps |= unsafe { fill_columns(&part, centers, factors, places) };
        }
        gaps |= u128::from(group_gaps) << (group * LANES);
    }
    gaps
}

/// Writes the keys of up to eight columns, `[column][lane]`; bit `i` of the result: lane `i` has gaps.
///
/// # Safety
/// AVX-512 F; `lanes`, `centers`, `factors` and `places` are of the same length, 1 to 8.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn fill_columns(lanes: &[&[f64]; LANES], centers: &[f64], factors: &[f64], places: &mut [Line]) -> u16 {
    let n = places.len();
    debug_assert!((1..=COLUMNS).contains(&n) && centers.len() == n && lanes.iter().all(|lane| lane.len() == n));
    let there = (0xff_u32 >> (COLUMNS - n)) as __mmask8;
    // Safety: `there` has a bit for each value only. What isn't there is 0, and no gap.
    let load = |values: &[f64]| unsafe { _mm512_maskz_loadu_pd(there, values.as_ptr()) };
    let (centers, factors) = (load(centers), load(factors));
    let narrowed = |row: &[f64]| _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_sub_pd(load(row), centers), factors));
    let mut gaps = 0;
    // Row `i` below row `i + 8`, eight columns each.
    let mut rows = [_mm512_setzero_si512(); COLUMNS];
    for (i, row) in rows.iter_mut().enumerate() {
        let low = _mm512_castps_pd(_mm512_castps256_ps512(narrowed(lanes[i])));
        let both = _mm512_insertf64x4::<1>(low, _mm256_castps_pd(narrowed(lanes[i + COLUMNS])));
        let are_gaps;
        (*row, are_gaps) = keys_of(_mm512_castpd_ps(both));
        gaps |= u16::from(are_gaps & 0xff != 0) << i | u16::from(are_gaps >> 8 != 0) << (i + COLUMNS);
    }
    for (place, column) in places.iter_mut().zip(transposed(rows)) {
        // Safety: a place has sixteen `u32`, and begins where a vector may.
        unsafe { _mm512_store_si512(place.0.as_mut_ptr().cast(), column) };
    }
    gaps
}

/// The keys of values in single precision, as `key_of` gives them, and which are gaps.
#[target_feature(enable = "avx512f")]
#[inline]
fn keys_of(values: __m512) -> (__m512i, __mmask16) {
    let bits = _mm512_castps_si512(_mm512_add_ps(values, _mm512_setzero_ps()));
    // `bits ^ (sign | top)`.
    let (sign, top) = (_mm512_srai_epi32::<31>(bits), _mm512_set1_epi32(i32::MIN));
    let flipped = _mm512_ternarylogic_epi32::<0x1e>(bits, sign, top);
    let gaps = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
    (_mm512_mask_mov_epi32(_mm512_srli_epi32::<1>(flipped), gaps, _mm512_set1_epi32(GAP as i32)), gaps)
}

/// From rows `i` and `i + 8` of eight columns each to columns of sixteen rows.
#[target_feature(enable = "avx512f")]
#[inline]
fn transposed(rows: [__m512i; COLUMNS]) -> [__m512i; COLUMNS] {
    let [a, b, c, d, e, f, g, h] = rows;
    // Within quarters of a vector: four rows by four columns.
    let quarter = |a, b, c, d| {
        let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        [
            _mm512_unpacklo_epi64(ab_low, cd_low),
            _mm512_unpackhi_epi64(ab_low, cd_low),
            _mm512_unpacklo_epi64(ab_high, cd_high),
            _mm512_unpackhi_epi64(ab_high, cd_high),
        ]
    };
    // Quarters 0 and 2 hold columns 0 to 3 (rows 0 to 3 or 4 to 7, and 8 more), quarters 1 and 3 columns 4 to 7.
    let (upper, lower) = (quarter(a, b, c, d), quarter(e, f, g, h));
    let first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    let last = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    let mut columns = [_mm512_setzero_si512(); COLUMNS];
    for (column, keys) in columns.iter_mut().enumerate() {
        let order = if column < 4 { first } else { last };
        *keys = _mm512_permutex2var_epi64(upper[column % 4], order, lower[column % 4]);
    }
    columns
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::forest::kernel::Kernel;

    proptest::proptest! {
        #[test]
        fn every_lane_has_the_keys_that_its_row_has_alone(
            n_rows in 1_usize..=BLOCK_ROWS,
            n_columns in 1_usize..40,
            values in proptest::collection::vec(proptest::num::f64::ANY, 64),
        ) {
            // A processor without the instructions has nothing to compare.
            if Kernel::available().contains(&Kernel::Avx512) {
                let rows = Array2::from_shape_fn((n_rows, n_columns), |(row, column)| values[(7 * row + column) % 64]);
                let keying = Keying::fit(rows.view());
                let mut keys = vec![Line::default(); BLOCK_ROWS / LANES * n_columns];
                // Safety: the processor has the instructions.
                let gaps = unsafe { fill(&keying, rows.view(), &mut keys) };
                let mut wanted = vec![0; n_columns];
                for (row_idx, row) in rows.rows().into_iter().enumerate() {
                    let has_gaps = keying.fill(row.to_slice().expect("a row in order"), &mut wanted);
                    proptest::prop_assert_eq!(gaps >> row_idx & 1 == 1, has_gaps);
                    let group = &keys[row_idx / LANES * n_columns..][..n_columns];
                    let found: Vec<u32> = group.iter().map(|line| line.0[row_idx % LANES]).collect();
                    proptest::prop_assert_eq!(&found, &wanted, "row {}", row_idx);
                }
            }
        }
    }
}
