//! Medians of a few cells, for several columns at once: sorting one column at a time took a third of all scoring.

/// Columns whose medians are taken together: two or four registers of a vector unit.
pub(super) const LANES: usize = 8;

/// Cells of a column; a sorting network wants a power of two.
const CELLS_MAX: usize = 16;

/// The median of each column of cells, the newest row first; NaN where the newest cell or half of all is missing (NaN). At most sixteen
/// rows are looked at.
pub(super) fn medians(rows: impl Iterator<Item = [f64; LANES]>) -> [f64; LANES] {
    // What is missing sorts to the end.
    let mut sorted = [[f64::INFINITY; LANES]; CELLS_MAX];
    let mut n_present = [0_usize; LANES];
    let mut has_newest = [false; LANES];
    let mut n_rows = 0;
    for (row, cells) in rows.zip(&mut sorted) {
        for lane in 0..LANES {
            let is_present = !row[lane].is_nan();
            cells[lane] = if is_present { row[lane] } else { f64::INFINITY };
            n_present[lane] += usize::from(is_present);
            has_newest[lane] |= is_present && n_rows == 0;
        }
        n_rows += 1;
    }
    sort(&mut sorted);
    std::array::from_fn(|lane| {
        let is_there = has_newest[lane] && 2 * n_present[lane] >= n_rows;
        if is_there { sorted[n_present[lane] / 2][lane] } else { f64::NAN }
    })
}

/// The same on every processor; with four columns in a register where it has such.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the call of code for this processor")]
fn sort(cells: &mut [[f64; LANES]; CELLS_MAX]) {
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        unsafe { sort_avx2(cells) }
    } else {
        sort_any(cells);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn sort(cells: &mut [[f64; LANES]; CELLS_MAX]) {
    sort_any(cells);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sort_avx2(cells: &mut [[f64; LANES]; CELLS_MAX]) {
    sort_any(cells);
}

/// Sorts each column by the odd-even merge network (Batcher 1968; Knuth, TAOCP 3, 5.2.2, algorithm M): the same comparisons
/// whatever the cells are, so that the columns go side by side. No cell is NaN.
#[inline(always)]
fn sort_any(cells: &mut [[f64; LANES]; CELLS_MAX]) {
    for (low, high) in EXCHANGES {
        let (a, b) = (cells[low as usize], cells[high as usize]);
        for lane in 0..LANES {
            // Not `f64::min`, whose care for NaN costs half of the speed.
            cells[low as usize][lane] = if a[lane] < b[lane] { a[lane] } else { b[lane] };
            cells[high as usize][lane] = if a[lane] < b[lane] { b[lane] } else { a[lane] };
        }
    }
}

/// Comparisons of the network.
const N_EXCHANGES: usize = 63;

const EXCHANGES: [(u8, u8); N_EXCHANGES] = {
    let mut exchanges = [(0, 0); N_EXCHANGES];
    let mut n = 0;
    let mut p = 1;
    while p < CELLS_MAX {
        let mut k = p;
        while k >= 1 {
            let mut from = k % p;
            while from + k < CELLS_MAX {
                let mut low = from;
                while low < from + k && low + k < CELLS_MAX {
                    if low / (2 * p) == (low + k) / (2 * p) {
                        exchanges[n] = (low as u8, (low + k) as u8);
                        n += 1;
                    }
                    low += 1;
                }
                from += 2 * k;
            }
            k /= 2;
        }
        p *= 2;
    }
    assert!(n == N_EXCHANGES);
    exchanges
};

#[cfg(test)]
mod tests {
    use super::*;

    fn one(cells: &[f64]) -> f64 {
        medians(cells.iter().map(|cell| [*cell; LANES]))[LANES - 1]
    }

    #[test]
    fn gaps_are_left_out_and_the_newest_and_half_of_all_must_be_there() {
        let gap = f64::NAN;
        assert_eq!(one(&[5.0, 1.0, gap]), 5.0);
        assert_eq!(one(&[5.0, gap, 1.0, 2.0]), 2.0);
        assert!(one(&[gap, 1.0, 2.0]).is_nan() && one(&[1.0, gap, gap]).is_nan() && one(&[]).is_nan());
        assert_eq!(one(&[f64::INFINITY, f64::INFINITY, 1.0]), f64::INFINITY);
    }

    proptest::proptest! {
        #[test]
        fn each_column_gives_what_sorting_it_gives(
            rows in proptest::collection::vec(proptest::array::uniform8(-1e9_f64..1e9), 1..=CELLS_MAX),
        ) {
            let found = medians(rows.iter().copied());
            for lane in 0..LANES {
                let mut column: Vec<f64> = rows.iter().map(|row| row[lane]).collect();
                column.sort_by(f64::total_cmp);
                proptest::prop_assert_eq!(found[lane], column[column.len() / 2]);
            }
        }
    }
}
