//! The distance from one row to the nearest of many, on fixed-point numbers, in every width a processor may have.
//!
//! Sums of integers are the same in any order, so every kernel gives the same bits; that is tested. It knows nothing of
//! scales or models: pairs of 16-bit numbers in, a 32-bit sum of squares out.

#![cfg_attr(target_arch = "x86_64", allow(unsafe_code, reason = "vector loads and calls of detected features"))]

/// Two neighbouring dimensions: what one multiply-and-add of the processor takes.
pub(super) type Pair = [i16; 2];

/// The same two dimensions of [`LANES`] cores.
pub(super) type Cell = [Pair; LANES];

/// Cores side by side. 64 keep four 512-bit or eight 256-bit sums going at once: fewer wait for each other's additions
/// (measured: 32 take 15 % longer), more don't fit in the registers.
pub(super) const LANES: usize = 64;

/// A way of computing distances; all give the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// Plain Rust.
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "every x86-64 has SSE2; tests compare with this"))]
    Portable,
    /// 128-bit, on every x86-64.
    #[cfg(target_arch = "x86_64")]
    Sse2,
    /// 256-bit.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The widest one of this machine.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn widest() -> Self {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            Self::Avx512
        } else if is_x86_feature_detected!("avx2") {
            Self::Avx2
        } else {
            Self::Sse2
        }
    }

    /// The widest one of this machine: the compiler vectorises the plain one where 128 bits are all there is.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn widest() -> Self {
        Self::Portable
    }

    /// Every kernel this machine can run.
    #[cfg(test)]
    pub(super) fn all_here() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let mut kernels = vec![Self::Portable, Self::Sse2];
            if is_x86_feature_detected!("avx2") {
                kernels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                kernels.push(Self::Avx512);
            }
            kernels
        }
        #[cfg(not(target_arch = "x86_64"))]
        vec![Self::Portable]
    }

    /// The least sum of squared differences between the row and any core.
    ///
    /// `cells` is `[block][pair][lane]` with `row.len()` cells a block. `present` says which dimensions count: all bits
    /// set or none; `None` is all of them. The caller sees to it that no sum exceeds an `i32`.
    pub(super) fn nearest(self, cells: &[Cell], row: &[Pair], present: Option<&[Pair]>) -> i32 {
        match self {
            Self::Portable => portable(cells, row, present),
            // SAFETY: SSE2 is part of x86-64.
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => unsafe {
                match present {
                    None => x86::sse2::<false>(cells, row, row),
                    Some(present) => x86::sse2::<true>(cells, row, present),
                }
            },
            // SAFETY: `widest` and `all_here`, the only makers of this variant, asked the processor for the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe {
                match present {
                    None => x86::avx2::<false>(cells, row, row),
                    Some(present) => x86::avx2::<true>(cells, row, present),
                }
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe {
                match present {
                    None => x86::avx512::<false>(cells, row, row),
                    Some(present) => x86::avx512::<true>(cells, row, present),
                }
            },
        }
    }
}

fn portable(cells: &[Cell], row: &[Pair], present: Option<&[Pair]>) -> i32 {
    let mut least = [i32::MAX; LANES];
    for block in cells.chunks_exact(row.len()) {
        let mut sums = [0_i32; LANES];
        for (idx, (cell, value)) in block.iter().zip(row).enumerate() {
            let [first, second] = present.map_or([-1, -1], |present| present[idx]);
            for (sum, core) in sums.iter_mut().zip(cell) {
                let a = i32::from(core[0].wrapping_sub(value[0]) & first);
                let b = i32::from(core[1].wrapping_sub(value[1]) & second);
                *sum = sum.wrapping_add(a * a + b * b);
            }
        }
        least.iter_mut().zip(sums).for_each(|(least, sum)| *least = sum.min(*least));
    }
    least.into_iter().fold(i32::MAX, i32::min)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Cell, LANES, Pair};

    /// One kernel: `$at_once` vectors of sums are kept in registers while the dimensions pass.
    macro_rules! kernel {
        ($name:ident, $features:literal, $vector:ty, $at_once:literal, $zero:ident, $splat:ident, $load:ident,
         $store:ident, $sub:ident, $and:ident, $madd:ident, $add:ident) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name<const GAPS: bool>(cells: &[Cell], row: &[Pair], present: &[Pair]) -> i32 {
                const WIDTH: usize = size_of::<$vector>() / size_of::<Pair>();
                let both = |pair: Pair| $splat(i32::from(pair[0] as u16) | i32::from(pair[1]) << 16);
                let mut least = [i32::MAX; LANES];
                for block in cells.chunks_exact(row.len()) {
                    for from in (0..LANES).step_by(WIDTH * $at_once) {
                        let mut sums = [$zero(); $at_once];
                        for ((cell, value), present) in block.iter().zip(row).zip(present) {
                            let (value, present) = (both(*value), both(*present));
                            for (idx, sum) in sums.iter_mut().enumerate() {
                                let lanes = &cell[from + idx * WIDTH..][..WIDTH];
                                // SAFETY: the slice is one vector long, and the load asks for no alignment.
                                let cores = unsafe { $load(lanes.as_ptr().cast()) };
                                let mut difference = $sub(cores, value);
                                if GAPS {
                                    difference = $and(difference, present);
                                }
                                *sum = $add(*sum, $madd(difference, difference));
                            }
                        }
                        for (idx, sum) in sums.into_iter().enumerate() {
                            let mut lanes = [0_i32; WIDTH];
                            // SAFETY: the array is one vector long, and the store asks for no alignment.
                            unsafe { $store(lanes.as_mut_ptr().cast(), sum) };
                            let least = &mut least[from + idx * WIDTH..][..WIDTH];
                            least.iter_mut().zip(lanes).for_each(|(least, sum)| *least = sum.min(*least));
                        }
                    }
                }
                least.into_iter().fold(i32::MAX, i32::min)
            }
        };
    }

    kernel!(
        sse2,
        "sse2",
        __m128i,
        8,
        _mm_setzero_si128,
        _mm_set1_epi32,
        _mm_loadu_si128,
        _mm_storeu_si128,
        _mm_sub_epi16,
        _mm_and_si128,
        _mm_madd_epi16,
        _mm_add_epi32
    );
    kernel!(
        avx2,
        "avx2",
        __m256i,
        8,
        _mm256_setzero_si256,
        _mm256_set1_epi32,
        _mm256_loadu_si256,
        _mm256_storeu_si256,
        _mm256_sub_epi16,
        _mm256_and_si256,
        _mm256_madd_epi16,
        _mm256_add_epi32
    );
    kernel!(
        avx512,
        "avx512f,avx512bw",
        __m512i,
        4,
        _mm512_setzero_si512,
        _mm512_set1_epi32,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        _mm512_sub_epi16,
        _mm512_and_si512,
        _mm512_madd_epi16,
        _mm512_add_epi32
    );
}
