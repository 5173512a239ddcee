//! Scoring rows: in blocks through a kernel, one by one, and with gaps.

use ndarray::{ArrayView2, s};

use super::isolation::IsolationForest;
use super::kernel::{Kernel, Workbench};
use super::keys::{GAP, Keying};
use super::tree::PATH_PARTS;
use crate::detector::ScoreError;

/// Fewer rows than this are scored one by one: a kernel of vectors takes as long for one row as for a block, which is as long as
/// for some thirty rows one by one.
const BLOCK_ROWS_MIN: usize = 32;

/// What scoring works with, kept from call to call so that it allocates nothing once it has seen the widest rows. It belongs
/// to no forest.
#[derive(Clone, Debug)]
pub struct ForestScratch {
    workbench: Workbench,
    /// A row whose values don't lie side by side in memory.
    row: Vec<f64>,
    /// A row's keys, of which some are gaps.
    keys: Vec<u32>,
    /// Expected path lengths below each node of a tree, for attribution.
    pub(super) expectations: Vec<f64>,
}

impl Default for ForestScratch {
    /// With the fastest kernel of this machine.
    fn default() -> Self {
        Self::from(Workbench::fastest())
    }
}

impl From<Workbench> for ForestScratch {
    fn from(workbench: Workbench) -> Self {
        Self { workbench, row: Vec::new(), keys: Vec::new(), expectations: Vec::new() }
    }
}

impl ForestScratch {
    /// With a certain kernel, for tests and comparisons; `None` if this machine can't run it.
    pub fn with_kernel(kernel: Kernel) -> Option<Self> {
        Workbench::new(kernel).map(Self::from)
    }

    /// The kernel that blocks of rows are scored with.
    pub fn kernel(&self) -> Kernel {
        self.workbench.kernel()
    }

    /// Takes over the keys of a row.
    pub(super) fn fill_keys(&mut self, keying: &Keying, row: &[f64]) {
        self.keys.resize(row.len(), 0);
        keying.fill(row, &mut self.keys);
    }

    /// The keys taken over last.
    pub(super) fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.workbench.memory_bytes()
            + (self.row.capacity() + self.expectations.capacity()) * size_of::<f64>()
            + self.keys.capacity() * size_of::<u32>()
    }
}

impl IsolationForest {
    /// The anomaly score of each row, `(n_rows, n_columns)`, in (0, 1): higher is more unusual. NaN is a gap.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of columns.
    pub fn score_rows(&self, rows: ArrayView2<'_, f64>) -> Result<Vec<f64>, ScoreError> {
        let mut scores = Vec::new();
        self.score_rows_into(rows, &mut ForestScratch::default(), &mut scores)?;
        Ok(scores)
    }

    /// The same into `scores`, which are replaced. Allocates nothing once `scratch` and `scores` have seen as many rows and
    /// columns.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of columns.
    pub fn score_rows_into(
        &self,
        rows: ArrayView2<'_, f64>,
        scratch: &mut ForestScratch,
        scores: &mut Vec<f64>,
    ) -> Result<(), ScoreError> {
        if rows.ncols() != self.n_columns() {
            return Err(ScoreError::Shape { found: rows.ncols(), wanted: self.n_columns() });
        }
        scores.clear();
        scores.reserve(rows.nrows());
        // Kernels read rows whose values lie side by side.
        let contiguous = rows.rows().into_iter().next().is_none_or(|row| row.to_slice().is_some());
        let block_rows = scratch.workbench.block_rows();
        for from in (0..rows.nrows()).step_by(block_rows) {
            let to = rows.nrows().min(from + block_rows);
            let next = rows.slice_move(s![to..rows.nrows().min(to + block_rows), ..]).to_slice().unwrap_or_default();
            let rows = rows.slice(s![from..to, ..]);
            if contiguous && rows.nrows() >= BLOCK_ROWS_MIN {
                self.score_block(rows, next, scratch, scores);
            } else {
                let mut row = std::mem::take(&mut scratch.row);
                for values in rows.rows() {
                    row.clear();
                    row.extend(values);
                    scores.push(self.score_one(&row, scratch));
                }
                scratch.row = row;
            }
        }
        Ok(())
    }

    /// The anomaly score of one row: `2^(-E(h) / c(ψ))`, equation 2 of the paper, `E(h)` the mean path length over the
    /// trees and `c(ψ)` that of an unsuccessful search among as many rows as a tree was grown from. The same bits as of
    /// [`Self::score_rows`].
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of values.
    pub fn score_row(&self, row: &[f64], scratch: &mut ForestScratch) -> Result<f64, ScoreError> {
        if row.len() != self.n_columns() {
            return Err(ScoreError::Shape { found: row.len(), wanted: self.n_columns() });
        }
        Ok(self.score_one(row, scratch))
    }

    fn score_block(&self, rows: ArrayView2<'_, f64>, next: &[f64], scratch: &mut ForestScratch, scores: &mut Vec<f64>) {
        let sums = scratch.workbench.block(&self.trees(), &self.keying, rows, next);
        for (row_idx, (row, path_sum)) in rows.rows().into_iter().zip(sums.path_sums).enumerate() {
            let has_gaps = sums.gaps >> row_idx & 1 == 1;
            scores.push(match row.to_slice() {
                Some(row) if has_gaps => self.score_with_gaps(row, scratch),
                _ => self.score_of(f64::from(path_sum)),
            });
        }
    }

    fn score_one(&self, row: &[f64], scratch: &mut ForestScratch) -> f64 {
        match scratch.workbench.row(&self.trees(), &self.keying, row) {
            Some(path_sum) => self.score_of(f64::from(path_sum)),
            None => self.score_with_gaps(row, scratch),
        }
    }

    fn score_with_gaps(&self, row: &[f64], scratch: &mut ForestScratch) -> f64 {
        scratch.fill_keys(&self.keying, row);
        let keys = scratch.keys();
        self.score_of((0..self.n_trees()).map(|tree| self.tree(tree).expected_path(keys, Place::ROOT)).sum())
    }

    /// The score of a path length, summed over the trees, in [`PATH_PARTS`].
    fn score_of(&self, path_sum: f64) -> f64 {
        (-path_sum / (self.n_trees() as f64 * PATH_PARTS)).exp2()
    }

    /// One tree, with the shares of its branches.
    pub(super) fn tree(&self, tree: usize) -> Tree<'_> {
        let places = tree << self.n_levels..(tree + 1) << self.n_levels;
        Tree {
            nodes: &self.nodes[places.clone()],
            before: &self.before[places.clone()],
            leaves: &self.leaves[places],
            n_levels: self.n_levels,
            n_sampled: self.n_sampled,
            mask: self.column_bits.mask(),
            pass: self.column_bits.pass(),
        }
    }
}

/// One tree.
#[derive(Clone, Copy)]
pub(super) struct Tree<'a> {
    nodes: &'a [u32],
    before: &'a [u16],
    leaves: &'a [u16],
    n_levels: usize,
    n_sampled: usize,
    mask: u32,
    pass: u32,
}

/// A place in a tree.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) at: usize,
    level: usize,
}

impl Place {
    pub(super) const ROOT: Self = Self { at: 1, level: 0 };

    fn below(self, right: bool) -> Self {
        Self { at: 2 * self.at + usize::from(right), level: self.level + 1 }
    }
}

/// What is at a place, for a certain row.
pub(super) enum Step {
    /// A leaf, with its path length in [`PATH_PARTS`].
    Leaf(f64),
    /// The row goes on to this place, by its value of this column.
    On(usize, Place),
    /// The row hasn't the value: both ways, the left one with this share.
    Both(f64, Place, Place),
}

impl Tree<'_> {
    /// Where a row with these keys goes from a place.
    pub(super) fn step(&self, keys: &[u32], place: Place) -> Step {
        let stride = self.nodes.len();
        // Above the bottom, `at` is a node; where a branch ends early, everything passes to its first leaf.
        let node = if place.level < self.n_levels { self.nodes[place.at] } else { self.pass };
        if node == self.pass {
            let leaf = (place.at << (self.n_levels - place.level)) - stride;
            return Step::Leaf(f64::from(self.leaves[leaf]));
        }
        let column = (node & self.mask) as usize;
        match keys[column] {
            GAP => Step::Both(self.share_left(place), place.below(false), place.below(true)),
            key => Step::On(column, place.below(key > node)),
        }
    }

    /// The path length with gaps, in [`PATH_PARTS`]: where the value a node asks for is absent, both branches count, each by
    /// the share of the tree's own sample that took it. At most as many visits as the tree has nodes.
    pub(super) fn expected_path(&self, keys: &[u32], place: Place) -> f64 {
        match self.step(keys, place) {
            Step::Leaf(path) => path,
            Step::On(_, next) => self.expected_path(keys, next),
            Step::Both(share, left, right) => {
                share * self.expected_path(keys, left) + (1.0 - share) * self.expected_path(keys, right)
            }
        }
    }

    /// Of the rows of the sample that came here, the share that went left.
    fn share_left(&self, place: Place) -> f64 {
        let stride = self.nodes.len();
        let first = (place.at << (self.n_levels - place.level)) - stride;
        let n_leaves = stride >> place.level;
        let before = |leaf: usize| self.before.get(leaf).map_or(self.n_sampled, |before| usize::from(*before)) as f64;
        let n_here = before(first + n_leaves) - before(first);
        // Of a sound tree every node has rows on both sides; of a damaged one any share in 0 to 1 will do.
        if n_here > 0.0 { (before(first + n_leaves / 2) - before(first)) / n_here } else { 0.5 }
    }

    /// The expected path length below each node, in [`PATH_PARTS`], over the rows of the tree's own sample: `[at]`.
    pub(super) fn fill_expectations(&self, expectations: &mut Vec<f64>) {
        expectations.clear();
        expectations.resize(2 * self.nodes.len(), 0.0);
        for level in (0..=self.n_levels).rev() {
            for at in 1 << level..2 << level {
                let place = Place { at, level };
                let node = if level < self.n_levels { self.nodes[at] } else { self.pass };
                expectations[at] = if node == self.pass {
                    f64::from(self.leaves[(at << (self.n_levels - level)) - self.nodes.len()])
                } else {
                    let share = self.share_left(place);
                    share * expectations[2 * at] + (1.0 - share) * expectations[2 * at + 1]
                };
            }
        }
    }
}
