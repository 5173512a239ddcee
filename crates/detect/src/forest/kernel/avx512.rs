//! The kernel for AVX-512: sixteen rows in the lanes of a vector, eight vectors side by side.
//!
//! Nodes of the upper eight levels are looked up in registers, by permutation. In the upper four levels so few columns can
//! be asked for that all are loaded and the right ones selected; below, values are gathered. Keys and nodes are below 2^31, so
//! the sign of their difference says which way a row goes, and a shift across two vectors (VBMI2) takes it into the place.

#![allow(unsafe_code, reason = "vector instructions; `portable` is the same in safe code, and a test compares them")]

mod lanes;

use std::arch::x86_64::*;

use ndarray::ArrayView2;

use super::super::keys::Keying;
use super::super::tree::{LEVELS_MIN, Trees};
use super::{BLOCK_ROWS_MAX, BlockSums, LANES, Line, TREES_A_TURN, look_ahead};

/// Vectors side by side: what is done once a tree (columns, tables) is shared by all, and each hides the others' latency.
/// Measured: with four a row takes 14 % longer, with sixteen 24 %.
const GROUPS: usize = 8;
pub(super) const BLOCK_ROWS: usize = GROUPS * LANES;

/// Nodes whose columns are loaded, not gathered: the upper four levels.
const LOADED: usize = 16;

/// Path sums of up to [`BLOCK_ROWS`] rows. `next` is what will be scored after them.
///
/// # Safety
/// The processor must have AVX-512 F, BW and VBMI2.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
pub(super) unsafe fn block(
    trees: &Trees<'_>,
    keying: &Keying,
    rows: ArrayView2<'_, f64>,
    next: &[f64],
    keys: &mut Vec<Line>,
) -> BlockSums {
    // Lanes without a row keep what was there before: any keys do.
    keys.resize(GROUPS * keying.n_columns(), Line::default());
    // Safety: the processor has the instructions.
    let gaps = unsafe { lanes::fill(keying, rows, keys) };
    let mut sums = [_mm512_setzero_si512(); GROUPS];
    let group_keys = LANES * keying.n_columns();
    assert!(keys.len() * LANES == GROUPS * group_keys && trees.n_levels >= LEVELS_MIN);
    let place_mask = _mm512_slli_epi32::<4>(_mm512_set1_epi32(trees.column_mask as i32));
    let walk = Walk { keys: keys.as_ptr().cast(), group_keys, place_mask };
    // Safety: what `keys` holds and how deep the trees are is asserted above; a tree's nodes name existing columns only, and
    // the last leaf is followed by another `u16`.
    unsafe {
        if trees.n_levels == LEVELS_MIN {
            let (nodes, leaves) = (trees.nodes.as_chunks().0, trees.leaves.as_chunks().0);
            let n_turns = nodes.len().div_ceil(TREES_A_TURN);
            for (turn, nodes) in nodes.chunks(TREES_A_TURN).enumerate() {
                look_ahead(next, turn, n_turns);
                let leaves = &leaves[turn * TREES_A_TURN..];
                walk.usual_trees(nodes, leaves, trees.column_mask, &mut sums);
            }
        } else {
            walk.large_trees(trees, &mut sums);
        }
    }
    let mut path_sums = [0; BLOCK_ROWS_MAX];
    for (lanes, sum) in path_sums.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
        // Safety: an array of sixteen `u32` is as large as a vector.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), sum) };
    }
    BlockSums { path_sums, gaps }
}

/// What all steps of a walk need.
struct Walk {
    /// `[group][column][lane]`.
    keys: *const u32,
    /// Keys of a group.
    group_keys: usize,
    /// Of a node shifted left by four: the column, times [`LANES`].
    place_mask: __m512i,
}

impl Walk {
    /// Adds the path lengths in trees of eight levels.
    ///
    /// # Safety
    /// As of `upper_levels`, for each tree.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    #[inline(never)]
    unsafe fn usual_trees(
        &self,
        nodes: &[[u32; 256]],
        leaves: &[[u16; 256]],
        column_mask: u32,
        sums: &mut [__m512i; GROUPS],
    ) {
        // In registers from tree to tree.
        let mut so_far = *sums;
        for (nodes, leaves) in nodes.iter().zip(leaves) {
            // Safety: the caller's.
            let at = unsafe { self.upper_levels(nodes, column_mask) };
            for (at, sum) in at.iter().zip(&mut so_far) {
                *sum = _mm512_add_epi32(*sum, leaf_of_256(leaves, *at));
            }
        }
        *sums = so_far;
    }

    /// Adds the path lengths in trees of more levels, all nodes gathered: rare, so plain. It doesn't use `upper_levels`, which
    /// is inlined only where it has one caller; not inlined, scoring takes twice as long.
    ///
    /// # Safety
    /// As of `upper_levels`, for each tree; the last leaf is followed by another `u16`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    unsafe fn large_trees(&self, trees: &Trees<'_>, sums: &mut [__m512i; GROUPS]) {
        for (nodes, leaves) in trees.iter() {
            let mut at = [_mm512_set1_epi32(1); GROUPS];
            for _ in 0..trees.n_levels {
                for (group, at) in at.iter_mut().enumerate() {
                    // Safety: the caller's; `at` is less than `2^n_levels` until the last level is passed.
                    *at = unsafe {
                        let node = _mm512_i32gather_epi32::<4>(*at, nodes.as_ptr().cast());
                        self.step(group, *at, node)
                    };
                }
            }
            for (at, sum) in at.iter().zip(&mut *sums) {
                // Safety: the caller's.
                *sum = unsafe { _mm512_add_epi32(*sum, leaf_of_any(leaves, *at)) };
            }
        }
    }

    /// Where each row is after eight levels: 256 to 511.
    ///
    /// # Safety
    /// AVX-512 F, BW and VBMI2; `self.keys` has `GROUPS` groups; each of `nodes` has a column of the groups.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    #[inline]
    unsafe fn upper_levels(&self, nodes: &[u32; 256], column_mask: u32) -> [__m512i; GROUPS] {
        let mut columns = [0_usize; LOADED];
        columns.iter_mut().zip(nodes).for_each(|(column, node)| *column = (node & column_mask) as usize * LANES);
        // Safety: `nodes` has 256; every group has `LANES` keys at each of `columns`.
        unsafe {
            let table = |from: usize| _mm512_loadu_si512(nodes.as_ptr().add(from).cast());
            let (level_0_to_3, level_4, level_5) = (table(0), table(16), [table(32), table(48)]);
            let mut at = [_mm512_set1_epi32(1); GROUPS];
            for (group, at) in at.iter_mut().enumerate() {
                *at = self.loaded_levels(group, &columns, level_0_to_3);
            }
            let (bit_5, bit_6) = (_mm512_set1_epi32(32), _mm512_set1_epi32(64));
            let of_32 = |at, from: usize| _mm512_permutex2var_epi32(table(from), at, table(from + 16));
            // All groups' nodes first, then all their values. Loops, as no closure given to the library gets these instructions.
            let mut nodes = at;
            for (at, node) in at.iter().zip(&mut nodes) {
                *node = _mm512_permutexvar_epi32(*at, level_4);
            }
            self.steps(&mut at, &nodes);
            for (at, node) in at.iter().zip(&mut nodes) {
                *node = _mm512_permutex2var_epi32(level_5[0], *at, level_5[1]);
            }
            self.steps(&mut at, &nodes);
            for (at, node) in at.iter().zip(&mut nodes) {
                let high = _mm512_test_epi32_mask(*at, bit_5);
                *node = _mm512_mask_blend_epi32(high, of_32(*at, 64), of_32(*at, 96));
            }
            self.steps(&mut at, &nodes);
            for (at, node) in at.iter().zip(&mut nodes) {
                let (high, higher) = (_mm512_test_epi32_mask(*at, bit_5), _mm512_test_epi32_mask(*at, bit_6));
                let low = _mm512_mask_blend_epi32(high, of_32(*at, 128), of_32(*at, 160));
                let top = _mm512_mask_blend_epi32(high, of_32(*at, 192), of_32(*at, 224));
                *node = _mm512_mask_blend_epi32(higher, low, top);
            }
            self.steps(&mut at, &nodes);
            at
        }
    }

    /// The first four levels of a group: where each row is then, 16 to 31.
    ///
    /// # Safety
    /// As of `upper_levels`; `columns[i]` is where a group's keys of node `i`'s column begin.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    unsafe fn loaded_levels(&self, group: usize, columns: &[usize; LOADED], nodes: __m512i) -> __m512i {
        // Safety: `LANES` keys begin at each of `columns`.
        unsafe {
            let keys = self.keys.add(group * self.group_keys);
            let at = |node: usize| keys.add(columns[node]).cast::<i32>();
            let load = |node: usize| _mm512_loadu_si512(at(node).cast());
            let either = |right, node: usize| _mm512_mask_loadu_epi32(load(node), right, at(node + 1));
            let root = _mm512_set1_epi32(1);
            let right_0 = _mm512_cmplt_epu32_mask(_mm512_permutexvar_epi32(root, nodes), load(1));
            let at_1 = down(root, right_0);
            let right_1 = _mm512_cmplt_epu32_mask(_mm512_permutexvar_epi32(at_1, nodes), either(right_0, 2));
            let at_2 = down(at_1, right_1);
            let key = _mm512_mask_blend_epi32(right_0, either(right_1, 4), either(right_1, 6));
            let right_2 = _mm512_cmplt_epu32_mask(_mm512_permutexvar_epi32(at_2, nodes), key);
            let at_3 = down(at_2, right_2);
            let left = _mm512_mask_blend_epi32(right_1, either(right_2, 8), either(right_2, 10));
            let right = _mm512_mask_blend_epi32(right_1, either(right_2, 12), either(right_2, 14));
            let key = _mm512_mask_blend_epi32(right_0, left, right);
            down_by(at_3, _mm512_permutexvar_epi32(at_3, nodes), key)
        }
    }

    /// One level down, all groups.
    ///
    /// # Safety
    /// As of `upper_levels`.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    unsafe fn steps(&self, at: &mut [__m512i; GROUPS], nodes: &[__m512i; GROUPS]) {
        for (group, (at, node)) in at.iter_mut().zip(nodes).enumerate() {
            // Safety: the caller's.
            *at = unsafe { self.step(group, *at, *node) };
        }
    }

    /// One level down, each row's own value gathered.
    ///
    /// # Safety
    /// As of `upper_levels`.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    unsafe fn step(&self, group: usize, at: __m512i, node: __m512i) -> __m512i {
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        // `a & b | c`.
        let place = _mm512_ternarylogic_epi32::<0xea>(_mm512_slli_epi32::<4>(node), self.place_mask, lanes);
        // Safety: the node's column exists, so the place is within the group.
        let key = unsafe { _mm512_i32gather_epi32::<4>(place, self.keys.add(group * self.group_keys).cast()) };
        down_by(at, node, key)
    }
}

/// `2 at`, or `2 at + 1` where a row goes right.
#[target_feature(enable = "avx512f")]
#[inline]
fn down(at: __m512i, right: __mmask16) -> __m512i {
    let left = _mm512_add_epi32(at, at);
    _mm512_mask_add_epi32(left, right, left, _mm512_set1_epi32(1))
}

/// The same where a row goes right if its key is greater than the node, both below 2^31: then their difference is negative, and
/// its sign is shifted in.
#[target_feature(enable = "avx512f,avx512vbmi2")]
#[inline]
fn down_by(at: __m512i, node: __m512i, key: __m512i) -> __m512i {
    _mm512_shldi_epi32::<1>(at, _mm512_sub_epi32(node, key))
}

/// Leaves of a tree of 256 at `256 + leaf`, looked up in registers.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn leaf_of_256(leaves: &[u16; 256], at: __m512i) -> __m512i {
    // Only even lanes mean something; odd ones look up leaf 0 and are cut off.
    // Safety: `leaves` has 256, in eight vectors of 32.
    let of_64 = |from: usize| unsafe {
        let table = |from: usize| _mm512_loadu_si512(leaves.as_ptr().add(from).cast());
        _mm512_permutex2var_epi16(table(from), at, table(from + 32))
    };
    let high = _mm512_test_epi32_mask(at, _mm512_set1_epi32(64));
    let higher = _mm512_test_epi32_mask(at, _mm512_set1_epi32(128));
    let low = _mm512_mask_blend_epi32(high, of_64(0), of_64(64));
    let top = _mm512_mask_blend_epi32(high, of_64(128), of_64(192));
    _mm512_and_si512(_mm512_mask_blend_epi32(higher, low, top), _mm512_set1_epi32(0xffff))
}

/// Leaves of a larger tree at `2^n_levels + leaf`, gathered.
///
/// # Safety
/// `leaves` has a power of two of them, and is followed by at least one more `u16`.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn leaf_of_any(leaves: &[u16], at: __m512i) -> __m512i {
    let leaf = _mm512_and_si512(at, _mm512_set1_epi32(leaves.len() as i32 - 1));
    // Safety: each lane reads its leaf and the `u16` after it, of which the last tree has one too.
    let two = unsafe { _mm512_i32gather_epi32::<2>(leaf, leaves.as_ptr().cast()) };
    _mm512_and_si512(two, _mm512_set1_epi32(0xffff))
}
