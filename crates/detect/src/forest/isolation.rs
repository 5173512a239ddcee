//! An isolation forest (Liu, Ting and Zhou: Isolation Forest, ICDM 2008) on plain rows.
//!
//! Nodes are eight bytes in one array, walked a fixed number of levels without a branch. No holes are filled in: where a
//! value is absent, the score is the expectation over both branches, weighted by how the tree's own sample split.

use homeostat_core::Seed;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::grow::Grower;
use super::{ForestSpec, NAME};
use crate::detector::{ScoreError, TrainError};

/// Rows or trees walked side by side, so that their loads overlap. Eight indices fit the registers of any 64-bit CPU.
const LANES: usize = 8;

/// One node. A leaf points at itself with a threshold nothing reaches, so walking on from it goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    /// At or above it a row goes right.
    pub(super) threshold: f32,
    pub(super) column: u16,
    /// The left child, counted from the tree's root; the right one is next to it.
    pub(super) left: u16,
}

impl Node {
    pub(super) const fn leaf(own_idx: u16) -> Self {
        Self { threshold: f32::INFINITY, column: 0, left: own_idx }
    }
}

/// A fitted forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct IsolationForest {
    n_columns: usize,
    /// Levels below a root, at most.
    depth_max: usize,
    /// `c(ψ)`: the mean path length that scores are relative to.
    path_mean: f64,
    /// Where each tree begins in `nodes`.
    roots: Vec<u32>,
    nodes: Vec<Node>,
    /// For each node: a leaf's path length `depth + c(rows in it)`; elsewhere the share of its rows that went left.
    values: Vec<f32>,
}

/// A forest as read back, not yet known to be one: walking it must not leave it.
#[derive(Deserialize)]
struct Stored {
    n_columns: usize,
    depth_max: usize,
    path_mean: f64,
    roots: Vec<u32>,
    nodes: Vec<Node>,
    values: Vec<f32>,
}

/// What was read back is no forest.
#[derive(Debug, thiserror::Error)]
#[error("a stored isolation forest is damaged: train again")]
struct Damaged;

impl TryFrom<Stored> for IsolationForest {
    type Error = Damaged;

    fn try_from(stored: Stored) -> Result<Self, Damaged> {
        let Stored { n_columns, depth_max, path_mean, roots, nodes, values } = stored;
        let end = u32::try_from(nodes.len()).map_err(|_| Damaged)?;
        let ends = roots.iter().skip(1).copied().chain([end]);
        let tree_is_sound = |(from, to): (&u32, u32)| {
            let tree = nodes.get(*from as usize..to as usize).unwrap_or_default();
            let sound = |(idx, node): (usize, &Node)| {
                let left = usize::from(node.left);
                // A leaf stays where it is; every other node goes on, to two nodes of the same tree.
                let goes_on = left > idx && left + 1 < tree.len() && usize::from(node.column) < n_columns;
                goes_on || (left == idx && *node == Node::leaf(node.left))
            };
            !tree.is_empty() && tree.iter().enumerate().all(sound)
        };
        let sound = values.len() == nodes.len()
            && !roots.is_empty()
            && n_columns > 0
            && path_mean > 0.0
            && depth_max <= ForestSpec::SAMPLE_ROWS_MAX.ilog2() as usize
            && roots.iter().zip(ends).all(tree_is_sound);
        if sound { Ok(Self { n_columns, depth_max, path_mean, roots, nodes, values }) } else { Err(Damaged) }
    }
}

impl IsolationForest {
    /// Grows a forest on rows, `(n_rows, n_columns)`; NaN is a hole. Each tree sees at most `spec.sample_rows_max()`
    /// rows, drawn without replacement. A column whose values are all equal never splits; if all are, every row scores
    /// the same.
    pub fn fit(rows: ArrayView2<'_, f64>, spec: &ForestSpec, seed: Seed) -> Result<Self, TrainError> {
        let (n_rows, n_columns) = rows.dim();
        if n_rows < 2 {
            return Err(TrainError::TooFewRows { detector: NAME, found: n_rows, needed: 2 });
        }
        let bad = |why: String| TrainError::BadOption { detector: NAME, why };
        if n_columns == 0 {
            return Err(bad("rows need at least one column".into()));
        }
        let column_max =
            u16::try_from(n_columns).map_err(|_| bad(format!("{n_columns} columns, at most 65535 are possible")))?;
        let n_sampled = spec.sample_rows_max().min(n_rows);
        let depth_max = n_sampled.next_power_of_two().ilog2() as usize;
        let mut forest = Self {
            n_columns,
            depth_max,
            path_mean: path_length_mean(n_sampled),
            roots: Vec::with_capacity(spec.n_trees()),
            nodes: Vec::new(),
            values: Vec::new(),
        };
        let mut grower = Grower::new(rows, column_max, depth_max, seed.fork(NAME).rng());
        for _ in 0..spec.n_trees() {
            // At most 1 000 trees of 8 191 nodes: far below u32::MAX.
            forest.roots.push(u32::try_from(forest.nodes.len()).unwrap_or(u32::MAX));
            grower.grow(n_sampled, &mut forest.nodes, &mut forest.values);
        }
        Ok(forest)
    }

    /// The anomaly score of each row, `(n_rows, n_columns)`, in (0, 1): higher is more unusual.
    pub fn score_rows(&self, rows: ArrayView2<'_, f64>) -> Result<Vec<f64>, ScoreError> {
        if rows.ncols() != self.n_columns {
            return Err(ScoreError::Shape { found: rows.ncols(), wanted: self.n_columns });
        }
        let mut scores = Vec::with_capacity(rows.nrows());
        let mut block = vec![0.0_f32; LANES * self.n_columns];
        for from in (0..rows.nrows()).step_by(LANES) {
            let n = LANES.min(rows.nrows() - from);
            for (lane, row) in block.chunks_exact_mut(self.n_columns).take(n).enumerate() {
                row.iter_mut().zip(rows.row(from + lane)).for_each(|(cell, value)| *cell = narrowed(*value));
            }
            let used = &block[..n * self.n_columns];
            if n == LANES && !used.iter().any(|value| value.is_nan()) {
                scores.extend(self.block_path_sums(used).map(|path_sum| self.score_of(path_sum)));
            } else {
                scores.extend(used.chunks_exact(self.n_columns).map(|row| self.score(row)));
            }
        }
        Ok(scores)
    }

    /// The anomaly score of one row of exactly `n_columns` values:
    /// `2^(-E(h) / c(ψ))`, equation 2 of the paper. Allocates nothing.
    pub(super) fn score(&self, row: &[f32]) -> f64 {
        debug_assert_eq!(row.len(), self.n_columns);
        let path_sum = if row.iter().any(|value| value.is_nan()) {
            self.roots.iter().map(|root| self.expected_path(*root as usize, 0, row)).sum()
        } else {
            self.path_sum(row)
        };
        self.score_of(path_sum)
    }

    /// Columns of the rows it was grown from.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.roots.capacity() * size_of::<u32>()
            + self.nodes.capacity() * size_of::<Node>()
            + self.values.capacity() * size_of::<f32>()
    }

    fn score_of(&self, path_sum: f64) -> f64 {
        (-path_sum / self.roots.len() as f64 / self.path_mean).exp2()
    }

    fn next(&self, root: usize, at: usize, row: &[f32]) -> usize {
        let node = self.nodes[at];
        root + usize::from(node.left) + usize::from(row[usize::from(node.column)] >= node.threshold)
    }

    /// Path lengths of one row, summed over the trees, several trees side by side.
    fn path_sum(&self, row: &[f32]) -> f64 {
        let mut sum = 0.0;
        let mut blocks = self.roots.chunks_exact(LANES);
        for roots in &mut blocks {
            let roots: [usize; LANES] = std::array::from_fn(|lane| roots[lane] as usize);
            let mut at = roots;
            for _ in 0..self.depth_max {
                for lane in 0..LANES {
                    at[lane] = self.next(roots[lane], at[lane], row);
                }
            }
            // One after the other: the sum must be the same, bit for bit, as that of `block_path_sums`.
            for leaf in at {
                sum += f64::from(self.values[leaf]);
            }
        }
        for root in blocks.remainder() {
            let root = *root as usize;
            let leaf = (0..self.depth_max).fold(root, |at, _| self.next(root, at, row));
            sum += f64::from(self.values[leaf]);
        }
        sum
    }

    /// The same for [`LANES`] rows at once, tree by tree.
    fn block_path_sums(&self, rows: &[f32]) -> [f64; LANES] {
        let rows: [&[f32]; LANES] =
            std::array::from_fn(|lane| &rows[lane * self.n_columns..(lane + 1) * self.n_columns]);
        let mut sums = [0.0; LANES];
        for root in &self.roots {
            let root = *root as usize;
            let mut at = [root; LANES];
            for _ in 0..self.depth_max {
                for lane in 0..LANES {
                    at[lane] = self.next(root, at[lane], rows[lane]);
                }
            }
            for lane in 0..LANES {
                sums[lane] += f64::from(self.values[at[lane]]);
            }
        }
        sums
    }

    /// The path length with holes: where the value a node asks for is absent, both branches count, each by the share of
    /// the tree's own sample that took it. At most as many visits as the tree has nodes.
    fn expected_path(&self, root: usize, at: usize, row: &[f32]) -> f64 {
        let node = self.nodes[root + at];
        let left = usize::from(node.left);
        let value = f64::from(self.values[root + at]);
        if left == at {
            return value;
        }
        let cell = row[usize::from(node.column)];
        if cell.is_nan() {
            value * self.expected_path(root, left, row) + (1.0 - value) * self.expected_path(root, left + 1, row)
        } else {
            self.expected_path(root, left + usize::from(cell >= node.threshold), row)
        }
    }
}

/// To single precision, as thresholds are, so that what was split in training is split the same in scoring. Beyond its
/// range a value becomes the largest finite one: infinity is the threshold of leaves.
pub(super) fn narrowed(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}

/// `c(n)`: the mean path length of an unsuccessful search in a binary search tree of `n` keys, equation 1 of the paper,
/// `2 H(n-1) - 2 (n-1) / n`, with the harmonic number summed and not approximated.
pub(super) fn path_length_mean(n_rows: usize) -> f64 {
    if n_rows < 2 {
        return 0.0;
    }
    let harmonic: f64 = (1..n_rows).map(|i| 1.0 / i as f64).sum();
    2.0 * harmonic - 2.0 * (n_rows - 1) as f64 / n_rows as f64
}
