//! How trees lie in memory, and how a row goes through one.
//!
//! A tree is a complete binary tree in heap order: node 1 is the root, below `at` are `2 at` and `2 at + 1`. A node is one
//! `u32`: the key of its threshold, with the column in its low bits. The column's bits are part of the threshold that rows
//! are compared with, and were when the tree was grown, so splits are exact. A row goes right if its key is greater. Where
//! a branch ends above the bottom, the nodes below let everything pass to the left.

use super::keys::GAP;

/// Levels of a tree at least. Trees of up to 256 rows have exactly as many, so that one unrolled kernel serves nearly all.
pub(super) const LEVELS_MIN: usize = 8;

/// Leaves hold path lengths in this many parts of `c(ψ)`. No path is longer than 2.4 of it, so 16 bits are enough; the
/// rounding is a third of a ten-thousandth part, before averaging over the trees. Sums of integers don't depend on their order:
/// that is why all kernels agree to the last bit.
pub(super) const PATH_PARTS: f64 = 16_384.0;

/// How many low bits of a node are the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnBits {
    /// Up to 64 columns: thresholds keep 17 of 23 bits of fraction, one part in 130 000.
    Six,
    /// Up to 1 024 columns: 13 bits, one part in 8 000.
    Ten,
    /// Up to 65 535 columns: 7 bits, one part in 128.
    Sixteen,
}

impl ColumnBits {
    /// The fewest that can name each of the columns; `None` beyond 65 535.
    pub(super) fn of(n_columns: usize) -> Option<Self> {
        match n_columns {
            0..=64 => Some(Self::Six),
            65..=1_024 => Some(Self::Ten),
            1_025..=65_535 => Some(Self::Sixteen),
            _ => None,
        }
    }

    /// The bits that are the column.
    pub(super) fn mask(self) -> u32 {
        match self {
            Self::Six => 0x3f,
            Self::Ten => 0x3ff,
            Self::Sixteen => 0xffff,
        }
    }

    /// The node that lets everything pass to the left: column 0, and a threshold above every key.
    pub(super) fn pass(self) -> u32 {
        (GAP >> 1) & !self.mask()
    }
}

/// The trees of a forest, as kernels see them. All trees are of the same size.
#[derive(Clone, Copy)]
pub(super) struct Trees<'a> {
    pub(super) column_mask: u32,
    pub(super) n_levels: usize,
    /// `[tree][2^n_levels]`; node 0 of each is not used.
    pub(super) nodes: &'a [u32],
    /// `[tree][2^n_levels]`, path lengths in [`PATH_PARTS`], and at least one more at the end.
    pub(super) leaves: &'a [u16],
}

impl<'a> Trees<'a> {
    /// Nodes, or leaves, of one tree.
    pub(super) fn stride(&self) -> usize {
        1 << self.n_levels
    }

    /// Each tree's nodes and leaves.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u32], &'a [u16])> {
        self.nodes.chunks_exact(self.stride()).zip(self.leaves.chunks_exact(self.stride()))
    }
}
