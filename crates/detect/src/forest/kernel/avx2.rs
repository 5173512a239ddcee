//! The kernel for AVX2: eight rows in the lanes of a vector, eight vectors side by side.
//!
//! Nodes of the upper six levels are looked up in registers, by permutation. In the upper three levels so few columns can
//! be asked for that all are loaded and the right ones selected; below, values are gathered.

#![allow(unsafe_code, reason = "vector instructions; `portable` is the same in safe code, and a test compares them")]

use std::arch::x86_64::*;

use ndarray::ArrayView2;

use super::super::keys::Keying;
use super::super::tree::{LEVELS_MIN, Trees};
use super::{BLOCK_ROWS, BLOCK_ROWS_MAX, BlockSums, TREES_A_TURN, fill_in_lanes, look_ahead};

const LANES: usize = 8;
/// Vectors side by side, though sixteen registers don't hold them: four are 5 % slower.
const GROUPS: usize = BLOCK_ROWS / LANES;
/// Nodes whose columns are loaded, not gathered: the upper three levels.
const LOADED: usize = 8;

/// Path sums of up to 64 rows. `next` is what will be scored after them.
///
/// # Safety
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn block(
    trees: &Trees<'_>,
    keying: &Keying,
    rows: ArrayView2<'_, f64>,
    next: &[f64],
    row_keys: &mut Vec<u32>,
    keys: &mut Vec<u32>,
) -> BlockSums {
    let gaps = fill_in_lanes::<LANES>(keying, rows, row_keys, keys);
    let group_keys = LANES * keying.n_columns();
    assert!(keys.len() == GROUPS * group_keys && trees.n_levels >= LEVELS_MIN);
    let walk = Walk { keys: keys.as_ptr(), group_keys, column_mask: _mm256_set1_epi32(trees.column_mask as i32) };
    let mut path_sums = [0; BLOCK_ROWS_MAX];
    let n_turns = trees.iter().count().div_ceil(TREES_A_TURN);
    for (tree, (nodes, leaves)) in trees.iter().enumerate() {
        if tree % TREES_A_TURN == 0 {
            look_ahead(next, tree / TREES_A_TURN, n_turns);
        }
        // Safety: `keys` has as many groups, and the trees are as deep as asserted above; a tree's nodes name existing columns
        // only, and its leaves are followed by another `u16`.
        unsafe {
            let mut at = walk.upper_levels(nodes, trees.column_mask);
            walk.lower_levels(nodes, trees.n_levels, &mut at);
            for (sums, at) in path_sums.as_chunks_mut::<LANES>().0.iter_mut().zip(at) {
                let place = sums.as_mut_ptr().cast::<__m256i>();
                _mm256_storeu_si256(place, _mm256_add_epi32(_mm256_loadu_si256(place), leaf_of_any(leaves, at)));
            }
        }
    }
    BlockSums { path_sums, gaps }
}

/// [`Keying::fill`], four values at a time.
///
/// # Safety
/// The processor must have AVX2.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn fill(keying: &Keying, row: &[f64], keys: &mut [u32]) -> bool {
    keying.fill(row, keys)
}

/// What all steps of a walk need.
struct Walk {
    /// `[group][column][lane]`.
    keys: *const u32,
    /// Keys of a group.
    group_keys: usize,
    column_mask: __m256i,
}

impl Walk {
    /// Where each row is after six levels: 64 to 127.
    ///
    /// # Safety
    /// AVX2; `self.keys` has `GROUPS` groups; `nodes` has at least 64, each with a column of the groups.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn upper_levels(&self, nodes: &[u32], column_mask: u32) -> [__m256i; GROUPS] {
        debug_assert!(nodes.len() >= 64);
        let mut columns = [0_usize; LOADED];
        columns.iter_mut().zip(nodes).for_each(|(column, node)| *column = (node & column_mask) as usize * LANES);
        // Safety: `nodes` has 64; every group has `LANES` keys at each of `columns`.
        unsafe {
            let table = |from: usize| _mm256_loadu_si256(nodes.as_ptr().add(from).cast());
            let of_8 = |at, from: usize| _mm256_permutevar8x32_epi32(table(from), at);
            let of_16 = |at, from| select::<3>(at, of_8(at, from), of_8(at, from + 8));
            let mut at = [_mm256_set1_epi32(1); GROUPS];
            for (group, at) in at.iter_mut().enumerate() {
                *at = self.loaded_levels(group, &columns, table(0));
            }
            // All groups' nodes first, then all their values: the compiler then interleaves what hides latency.
            let mut nodes = at;
            for (at, node) in at.iter().zip(&mut nodes) {
                *node = of_8(*at, 8);
            }
            self.steps(&mut at, &nodes);
            for (at, node) in at.iter().zip(&mut nodes) {
                *node = of_16(*at, 16);
            }
            self.steps(&mut at, &nodes);
            for (at, node) in at.iter().zip(&mut nodes) {
                *node = select::<4>(*at, of_16(*at, 32), of_16(*at, 48));
            }
            self.steps(&mut at, &nodes);
            at
        }
    }

    /// The first three levels of a group: where each row is then, 8 to 15.
    ///
    /// # Safety
    /// As of `upper_levels`; `columns[i]` is where a group's keys of node `i`'s column begin.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn loaded_levels(&self, group: usize, columns: &[usize; LOADED], nodes: __m256i) -> __m256i {
        // Safety: `LANES` keys begin at each of `columns`.
        unsafe {
            let keys = self.keys.add(group * self.group_keys);
            let load = |node: usize| _mm256_loadu_si256(keys.add(columns[node]).cast());
            let either = |right, node: usize| blend(right, load(node), load(node + 1));
            let root = _mm256_set1_epi32(1);
            let right_0 = _mm256_cmpgt_epi32(load(1), _mm256_permutevar8x32_epi32(nodes, root));
            let at_1 = down(root, right_0);
            let right_1 = _mm256_cmpgt_epi32(either(right_0, 2), _mm256_permutevar8x32_epi32(nodes, at_1));
            let at_2 = down(at_1, right_1);
            let key = blend(right_0, either(right_1, 4), either(right_1, 6));
            down(at_2, _mm256_cmpgt_epi32(key, _mm256_permutevar8x32_epi32(nodes, at_2)))
        }
    }

    /// Levels six and below, their nodes gathered.
    ///
    /// # Safety
    /// As of `upper_levels`; `nodes` has `2^n_levels`, and `at` is 64 to 127.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn lower_levels(&self, nodes: &[u32], n_levels: usize, at: &mut [__m256i; GROUPS]) {
        debug_assert!(nodes.len() == 1 << n_levels);
        for _ in 6..n_levels {
            for (group, at) in at.iter_mut().enumerate() {
                // Safety: `at` is less than `2^n_levels` until the last level is passed.
                *at = unsafe {
                    let node = _mm256_i32gather_epi32::<4>(nodes.as_ptr().cast(), *at);
                    self.step(group, *at, node)
                };
            }
        }
    }

    /// One level down, all groups.
    ///
    /// # Safety
    /// As of `upper_levels`.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn steps(&self, at: &mut [__m256i; GROUPS], nodes: &[__m256i; GROUPS]) {
        for (group, (at, node)) in at.iter_mut().zip(nodes).enumerate() {
            // Safety: the caller's.
            *at = unsafe { self.step(group, *at, *node) };
        }
    }

    /// One level down, each row's own value gathered.
    ///
    /// # Safety
    /// As of `upper_levels`.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn step(&self, group: usize, at: __m256i, node: __m256i) -> __m256i {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        let column = _mm256_and_si256(node, self.column_mask);
        let place = _mm256_or_si256(_mm256_slli_epi32::<3>(column), lanes);
        // Safety: the node's column exists, so the place is within the group.
        let key = unsafe { _mm256_i32gather_epi32::<4>(self.keys.add(group * self.group_keys).cast(), place) };
        down(at, _mm256_cmpgt_epi32(key, node))
    }
}

/// `2 at`, or `2 at + 1` where `right` is all ones.
#[target_feature(enable = "avx2")]
#[inline]
fn down(at: __m256i, right: __m256i) -> __m256i {
    _mm256_sub_epi32(_mm256_add_epi32(at, at), right)
}

/// `b` where the highest bit of `mask` is set, else `a`.
#[target_feature(enable = "avx2")]
#[inline]
fn blend(mask: __m256i, a: __m256i, b: __m256i) -> __m256i {
    let (mask, a, b) = (_mm256_castsi256_ps(mask), _mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    _mm256_castps_si256(_mm256_blendv_ps(a, b, mask))
}

/// `b` where bit `BIT` of `at` is set, else `a`.
#[target_feature(enable = "avx2")]
#[inline]
fn select<const BIT: u32>(at: __m256i, a: __m256i, b: __m256i) -> __m256i {
    let shift = _mm_cvtsi32_si128(31 - BIT as i32);
    blend(_mm256_sll_epi32(at, shift), a, b)
}

/// Leaves at `2^n_levels + leaf`, gathered.
///
/// # Safety
/// `leaves` has a power of two of them, and is followed by at least one more `u16`.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn leaf_of_any(leaves: &[u16], at: __m256i) -> __m256i {
    let leaf = _mm256_and_si256(at, _mm256_set1_epi32(leaves.len() as i32 - 1));
    // Safety: each lane reads its leaf and the `u16` after it, of which the last tree has one too.
    let two = unsafe { _mm256_i32gather_epi32::<2>(leaves.as_ptr().cast(), leaf) };
    _mm256_and_si256(two, _mm256_set1_epi32(0xffff))
}
