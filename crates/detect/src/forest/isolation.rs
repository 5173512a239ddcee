//! An isolation forest (Liu, Ting and Zhou: Isolation Forest, ICDM 2008) on plain rows: fitting, its bounds.
//!
//! No gaps are filled in: where a value is absent, the score is the expectation over both branches, weighted by how the
//! tree's own sample split. Scoring is in `score`, the memory layout in `tree`, values as integers in `keys`.

mod stored;

use homeostat_core::Seed;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use self::stored::Stored;
use super::chance::Chance;
use super::grow::{Grower, Place, Shape};
use super::kernel::Workbench;
use super::keys::Keying;
use super::tree::{ColumnBits, LEVELS_MIN, PATH_PARTS, Trees};
use super::{ForestSpec, NAME};
use crate::detector::TrainError;

/// A fitted forest.
///
/// 2 KiB a tree of 256 rows: 1 KiB of nodes, the rest path lengths and how many rows of the sample are in each leaf.
///
/// ```
/// use homeostat_core::Seed;
/// use homeostat_detect::{ForestScratch, ForestSpec, IsolationForest, Kernel};
/// use ndarray::Array2;
///
/// let noise = |idx: usize| Seed::new(idx as u64).fork("noise").value() as f64 / u64::MAX as f64;
/// let rows = Array2::from_shape_fn((1_000, 3), |(row, column)| noise(3 * row + column));
/// let forest = IsolationForest::fit(rows.view(), &ForestSpec::default(), Seed::new(1))?;
/// let scores = forest.score_rows(rows.view())?;
/// let far = forest.score_row(&[5.0, 5.0, 5.0], &mut ForestScratch::default())?;
/// let n_below = scores.iter().filter(|usual| **usual < far).count();
/// assert!(n_below > 990, "in (0, 1), higher is more unusual");
///
/// // Every kernel of this machine gives the same bits.
/// for kernel in Kernel::available() {
///     let mut scratch = ForestScratch::with_kernel(kernel).ok_or("it runs here")?;
///     assert_eq!(forest.score_row(&[5.0, 5.0, 5.0], &mut scratch)?, far);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct IsolationForest {
    pub(super) keying: Keying,
    pub(super) column_bits: ColumnBits,
    /// Rows each tree was grown from.
    pub(super) n_sampled: usize,
    pub(super) n_levels: usize,
    /// Where fitting stopped: a part of the stored form.
    pub(super) chance: Chance,
    /// `[tree][2^n_levels]`.
    pub(super) nodes: Vec<u32>,
    /// `[tree][2^n_levels]`, how many rows of the sample are in the leaves to the left of this one, in the same tree.
    pub(super) before: Vec<u16>,
    /// `[tree][2^n_levels]`, follows from the two above; one more at the end, as kernels read leaves in pairs.
    pub(super) leaves: Vec<u16>,
}

impl IsolationForest {
    /// Grows a forest on rows, `(n_rows, n_columns)`; NaN is a gap. Each tree sees at most `spec.sample_rows_max()`
    /// rows, drawn without replacement. A column whose values are all equal never splits; if all are, every row scores
    /// the same.
    ///
    /// # Errors
    /// Fewer than two rows; no column, or more than 65 535.
    pub fn fit(rows: ArrayView2<'_, f64>, spec: &ForestSpec, seed: Seed) -> Result<Self, TrainError> {
        let (n_rows, n_columns) = rows.dim();
        if n_rows < 2 {
            return Err(TrainError::TooFewRows { detector: NAME, found: n_rows, needed: 2 });
        }
        let bad = |why: String| TrainError::BadOption { detector: NAME, why };
        if n_columns == 0 {
            return Err(bad("rows need at least one column".into()));
        }
        let column_bits =
            ColumnBits::of(n_columns).ok_or_else(|| bad(format!("{n_columns} columns, at most 65535 are possible")))?;
        let n_sampled = spec.sample_rows_max().min(n_rows);
        let mut forest = Self::empty(Keying::fit(rows), column_bits, n_sampled, spec.n_trees(), seed);
        let mut grower = Grower::new(forest.shape(), n_rows, forest.chance);
        let workbench = Workbench::fastest();
        let mut copied = vec![0.0; n_columns];
        let keying = forest.keying.clone();
        let mut fill = |row: usize, keys: &mut [u32]| {
            let row = rows.row(row);
            let row = row.as_slice().unwrap_or_else(|| {
                copied.iter_mut().zip(&row).for_each(|(cell, value)| *cell = *value);
                &copied
            });
            workbench.fill(&keying, row, keys);
        };
        let path_means = path_lengths_mean(n_sampled);
        if n_rows <= spec.n_trees() * n_sampled {
            // Each row is asked for more than once: its keys are made once, in the order in which rows lie in memory.
            let mut keyed = vec![0; n_rows * n_columns];
            keyed.chunks_exact_mut(n_columns).enumerate().for_each(|(row, keys)| fill(row, keys));
            let mut copy = |row: usize, keys: &mut [u32]| keys.copy_from_slice(&keyed[row * n_columns..][..n_columns]);
            (0..spec.n_trees()).for_each(|tree| forest.grow(tree, &path_means, &mut grower, &mut copy));
        } else {
            (0..spec.n_trees()).for_each(|tree| forest.grow(tree, &path_means, &mut grower, &mut fill));
        }
        forest.chance = grower.chance();
        Ok(forest)
    }

    /// Columns of the rows it was grown from.
    pub fn n_columns(&self) -> usize {
        self.keying.n_columns()
    }

    /// Number of trees.
    pub fn n_trees(&self) -> usize {
        self.nodes.len() >> self.n_levels
    }

    /// Rows each tree was grown from.
    pub fn n_sampled(&self) -> usize {
        self.n_sampled
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.keying.memory_bytes()
            + self.nodes.capacity() * size_of::<u32>()
            + (self.before.capacity() + self.leaves.capacity()) * size_of::<u16>()
    }

    pub(super) fn trees(&self) -> Trees<'_> {
        Trees {
            column_mask: self.column_bits.mask(),
            n_levels: self.n_levels,
            nodes: &self.nodes,
            leaves: &self.leaves,
        }
    }

    fn empty(keying: Keying, column_bits: ColumnBits, n_sampled: usize, n_trees: usize, seed: Seed) -> Self {
        let n_levels = levels_of(n_sampled);
        let n_places = n_trees << n_levels;
        Self {
            keying,
            column_bits,
            n_sampled,
            n_levels,
            chance: Chance::new(seed.fork(NAME)),
            nodes: vec![0; n_places],
            before: vec![0; n_places],
            leaves: vec![0; n_places + 1],
        }
    }

    fn shape(&self) -> Shape {
        let Self { column_bits, n_sampled, n_levels, .. } = *self;
        Shape { n_columns: self.n_columns(), column_bits, n_sampled, n_levels }
    }

    /// Grows a tree in the place of another.
    fn grow(&mut self, tree: usize, path_means: &[f64], grower: &mut Grower, fill: &mut impl FnMut(usize, &mut [u32])) {
        let places = tree << self.n_levels..(tree + 1) << self.n_levels;
        let nodes = &mut self.nodes[places.clone()];
        let before = &mut self.before[places.clone()];
        nodes.fill(self.column_bits.pass());
        before.fill(0);
        grower.grow(&mut Place { nodes, counts: before }, fill);
        let mut sum = 0;
        for count in before {
            sum += std::mem::replace(count, sum);
        }
        self.fill_leaves(tree, path_means);
    }

    /// Path lengths of a tree's leaves from its nodes and counts; `path_means[n]` is `c(n)`.
    pub(super) fn fill_leaves(&mut self, tree: usize, path_means: &[f64]) {
        let stride = 1_usize << self.n_levels;
        let from = tree << self.n_levels;
        let (nodes, before) = (&self.nodes[from..from + stride], &self.before[from..from + stride]);
        let pass = self.column_bits.pass();
        let scale = PATH_PARTS / path_means[self.n_sampled];
        for (leaf, path) in self.leaves[from..from + stride].iter_mut().enumerate() {
            let after = before.get(leaf + 1).map_or(self.n_sampled, |next| usize::from(*next));
            let count = after.saturating_sub(usize::from(before[leaf]));
            // No row gets to a leaf that none of the sample is in.
            *path = 0;
            if count > 0 {
                let n_splits = (1..=self.n_levels).filter(|up| nodes[(leaf + stride) >> up] != pass).count();
                *path = ((n_splits as f64 + path_means[count.min(self.n_sampled)]) * scale).round() as u16;
            }
        }
    }
}

/// Levels of the heap for trees of so many rows: as many as the paper's limit, `⌈log2 ψ⌉`, or more that let pass.
pub(super) fn levels_of(n_sampled: usize) -> usize {
    (n_sampled.next_power_of_two().ilog2() as usize).max(LEVELS_MIN)
}

/// `c(n)` for every `n` up to `n_max`: the mean path length of an unsuccessful search in a binary search tree of `n` keys,
/// equation 1 of the paper, `2 H(n-1) - 2 (n-1) / n`, with the harmonic number summed and not approximated.
pub(super) fn path_lengths_mean(n_max: usize) -> Vec<f64> {
    let mut harmonic = 0.0;
    let mean = |n_rows: usize| {
        if n_rows < 2 {
            return 0.0;
        }
        let before = (n_rows - 1) as f64;
        harmonic += 1.0 / before;
        2.0 * harmonic - 2.0 * before / n_rows as f64
    };
    (0..=n_max).map(mean).collect()
}
