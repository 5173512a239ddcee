//! The kernel for every processor: eight rows, or eight trees, are walked side by side, so that their loads overlap.

use std::array;

use ndarray::ArrayView2;

use super::super::keys::Keying;
use super::super::tree::Trees;
use super::{BLOCK_ROWS, BLOCK_ROWS_MAX, BlockSums};

/// Walks side by side. Eight positions and their bases fit the registers of any 64-bit processor.
const WALKS: usize = 8;

/// Levels, nodes of a tree and columns of a row in the usual case: of these sizes the compiler knows every index to be in
/// range.
const LEVELS: usize = 8;
const NODES: usize = 1 << LEVELS;
const COLUMNS: usize = 64;

pub(super) fn block(trees: &Trees<'_>, keying: &Keying, rows: ArrayView2<'_, f64>, keys: &mut Vec<u32>) -> BlockSums {
    let width = padded(keying.n_columns());
    keys.resize(BLOCK_ROWS * width, 0);
    let mut gaps = 0;
    for (row_idx, (row, keys)) in rows.rows().into_iter().zip(keys.chunks_exact_mut(width)).enumerate() {
        let Some(row) = row.to_slice() else { continue };
        gaps |= u128::from(keying.fill(row, keys)) << row_idx;
    }
    let n_groups = rows.nrows().div_ceil(WALKS);
    let mut path_sums = [0; BLOCK_ROWS_MAX];
    let sums = &mut path_sums[..n_groups * WALKS];
    if trees.n_levels == LEVELS && width == COLUMNS {
        usual_block(trees, keys.as_chunks().0, sums);
    } else {
        any_block(trees, width, keys, sums);
    }
    BlockSums { path_sums, gaps }
}

/// The path sum of one row, of which these are the keys, [`padded`] and none a gap.
pub(super) fn row(trees: &Trees<'_>, keys: &[u32]) -> u32 {
    match <&[u32; COLUMNS]>::try_from(keys) {
        Ok(keys) if trees.n_levels == LEVELS => usual_row(trees, keys),
        _ => any_row(trees, keys),
    }
}

/// Columns with padding: up to 64 become 64.
pub(super) fn padded(n_columns: usize) -> usize {
    n_columns.max(COLUMNS)
}

/// Takes each of the rows' keys down each of the trees, and returns which leaves they come to.
#[inline(always)]
fn walk<const N: usize>(n_levels: usize, mask: u32, nodes: [&[u32]; N], keys: [&[u32]; N]) -> [usize; N] {
    let stride = 1 << n_levels;
    let mut at = [1_usize; N];
    for _ in 0..n_levels {
        for i in 0..N {
            let node = nodes[i][at[i] & (stride - 1)];
            let goes_right = node < keys[i][(node & mask) as usize];
            at[i] = at[i] + at[i] + usize::from(goes_right);
        }
    }
    at.map(|at| at & (stride - 1))
}

fn usual_block(trees: &Trees<'_>, keys: &[[u32; COLUMNS]], sums: &mut [u32]) {
    let (nodes, leaves) = (trees.nodes.as_chunks::<NODES>().0, trees.leaves.as_chunks::<NODES>().0);
    for (nodes, leaves) in nodes.iter().zip(leaves) {
        for (keys, sums) in keys.as_chunks::<WALKS>().0.iter().zip(sums.as_chunks_mut::<WALKS>().0) {
            let at = walk(
                LEVELS,
                COLUMNS as u32 - 1,
                [nodes.as_slice(); WALKS],
                keys.each_ref().map(|keys| keys.as_slice()),
            );
            sums.iter_mut().zip(at).for_each(|(sum, leaf)| *sum += u32::from(leaves[leaf]));
        }
    }
}

fn any_block(trees: &Trees<'_>, width: usize, keys: &[u32], sums: &mut [u32]) {
    for (nodes, leaves) in trees.iter() {
        for (keys, sums) in keys.chunks_exact(WALKS * width).zip(sums.as_chunks_mut::<WALKS>().0) {
            let keys = array::from_fn(|i| &keys[i * width..(i + 1) * width]);
            let at = walk(trees.n_levels, trees.column_mask, [nodes; WALKS], keys);
            sums.iter_mut().zip(at).for_each(|(sum, leaf)| *sum += u32::from(leaves[leaf]));
        }
    }
}

fn usual_row(trees: &Trees<'_>, keys: &[u32; COLUMNS]) -> u32 {
    let (nodes, leaves) = (trees.nodes.as_chunks::<NODES>().0, trees.leaves.as_chunks::<NODES>().0);
    let (groups, last) = nodes.as_chunks::<WALKS>();
    let (leaf_groups, last_leaves) = leaves.as_chunks::<WALKS>();
    let mask = COLUMNS as u32 - 1;
    let mut sum = 0;
    for (nodes, leaves) in groups.iter().zip(leaf_groups) {
        let at = walk(LEVELS, mask, nodes.each_ref().map(|nodes| nodes.as_slice()), [keys.as_slice(); WALKS]);
        sum += at.iter().zip(leaves).map(|(leaf, leaves)| u32::from(leaves[*leaf])).sum::<u32>();
    }
    for (nodes, leaves) in last.iter().zip(last_leaves) {
        let [leaf] = walk(LEVELS, mask, [nodes.as_slice()], [keys.as_slice()]);
        sum += u32::from(leaves[leaf]);
    }
    sum
}

fn any_row(trees: &Trees<'_>, keys: &[u32]) -> u32 {
    let stride = trees.stride();
    let mut sum = 0;
    let mut groups = trees.nodes.chunks_exact(WALKS * stride);
    let mut leaf_groups = trees.leaves.chunks_exact(stride);
    for nodes in &mut groups {
        let nodes = array::from_fn(|i| &nodes[i * stride..(i + 1) * stride]);
        let at = walk(trees.n_levels, trees.column_mask, nodes, [keys; WALKS]);
        sum += at.iter().zip(&mut leaf_groups).map(|(leaf, leaves)| u32::from(leaves[*leaf])).sum::<u32>();
    }
    for (nodes, leaves) in groups.remainder().chunks_exact(stride).zip(leaf_groups) {
        let [leaf] = walk(trees.n_levels, trees.column_mask, [nodes], [keys]);
        sum += u32::from(leaves[leaf]);
    }
    sum
}
