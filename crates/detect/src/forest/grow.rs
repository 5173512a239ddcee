//! Growing isolation trees: sampling rows, choosing splits.

use ndarray::ArrayView2;
use rand::Rng;

use super::isolation::{Node, narrowed, path_length_mean};

/// Grows one tree after the other on the same rows.
pub(super) struct Grower<R> {
    /// `[row][column]`.
    cells: Vec<f32>,
    n_columns: u16,
    depth_max: usize,
    rng: R,
    /// All rows, in an order that drawing samples shuffles.
    rows: Vec<usize>,
}

/// What one tree's growth carries along.
struct Tree<'a> {
    root: usize,
    nodes: &'a mut Vec<Node>,
    values: &'a mut Vec<f32>,
    /// Every column; those that may still split are in front.
    columns: Vec<u16>,
}

impl<R: Rng> Grower<R> {
    /// For rows `(n_rows, n_columns)`, to trees of at most `depth_max` levels.
    pub(super) fn new(rows: ArrayView2<'_, f64>, n_columns: u16, depth_max: usize, rng: R) -> Self {
        let cells = rows.iter().copied().map(narrowed).collect();
        Self { cells, n_columns, depth_max, rng, rows: (0..rows.nrows()).collect() }
    }

    /// Appends a tree grown from `n_sampled` rows drawn without replacement.
    pub(super) fn grow(&mut self, n_sampled: usize, nodes: &mut Vec<Node>, values: &mut Vec<f32>) {
        // The front of a Fisher-Yates shuffle; starting from the last one's result is as good as from any order.
        for i in 0..n_sampled {
            let other = self.rng.random_range(i..self.rows.len());
            self.rows.swap(i, other);
        }
        let mut sample = self.rows[..n_sampled].to_vec();
        let mut tree = Tree { root: nodes.len(), nodes, values, columns: (0..self.n_columns).collect() };
        tree.nodes.push(Node::leaf(0));
        tree.values.push(0.0);
        self.split(&mut tree, 0, &mut sample, usize::from(self.n_columns), 0);
    }

    /// Turns the leaf `at` into a subtree of `rows`, of which the first `n_columns` columns may split.
    fn split(&mut self, tree: &mut Tree<'_>, at: u16, rows: &mut [usize], n_columns: usize, depth: usize) {
        let own = tree.root + usize::from(at);
        let choice = if depth < self.depth_max && rows.len() > 1 {
            self.choose(&mut tree.columns, n_columns, rows)
        } else {
            None
        };
        let Some(Split { column, threshold, n_columns }) = choice else {
            tree.values[own] = (depth as f64 + path_length_mean(rows.len())) as f32;
            return;
        };
        let n_left = self.partition(rows, column, threshold);
        // A tree has at most 2 × 4 096 - 1 nodes.
        let left = u16::try_from(tree.nodes.len() - tree.root).unwrap_or(u16::MAX);
        tree.nodes[own] = Node { threshold, column, left };
        tree.values[own] = (n_left as f64 / rows.len() as f64) as f32;
        tree.nodes.extend([Node::leaf(left), Node::leaf(left + 1)]);
        tree.values.extend([0.0, 0.0]);
        let (rows_left, rows_right) = rows.split_at_mut(n_left);
        self.split(tree, left, rows_left, n_columns, depth + 1);
        self.split(tree, left + 1, rows_right, n_columns, depth + 1);
    }

    /// A column drawn evenly from those whose values differ, and a threshold drawn evenly between them.
    fn choose(&mut self, columns: &mut [u16], mut n_columns: usize, rows: &[usize]) -> Option<Split> {
        while n_columns > 0 {
            let drawn = self.rng.random_range(0..n_columns);
            let column = columns[drawn];
            let (min, max) = self.range(rows, column);
            if min < max {
                let width = f64::from(max) - f64::from(min);
                let even = (f64::from(min) + self.rng.random::<f64>() * width) as f32;
                // Above the least value, so that neither side is empty.
                let threshold = if even > min { even.min(max) } else { min.next_up() };
                return Some(Split { column, threshold, n_columns });
            }
            // What is constant here is constant in the whole subtree: out of the front part, for it and all below.
            n_columns -= 1;
            columns.swap(drawn, n_columns);
        }
        None
    }

    fn cell(&self, row: usize, column: u16) -> f32 {
        self.cells[row * usize::from(self.n_columns) + usize::from(column)]
    }

    /// Least and greatest value that are there; `min > max` if none is.
    fn range(&self, rows: &[usize], column: u16) -> (f32, f32) {
        rows.iter()
            .map(|row| self.cell(*row, column))
            .filter(|value| !value.is_nan())
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)))
    }

    /// Rows below the threshold to the front; returns how many. A row without the value goes with either side by chance,
    /// as likely as the rows that have it.
    fn partition(&mut self, rows: &mut [usize], column: u16, threshold: f32) -> usize {
        let present = rows.iter().map(|row| self.cell(*row, column)).filter(|value| !value.is_nan());
        let (n_below, n_present) =
            present.fold((0_usize, 0_usize), |(below, n), value| (below + usize::from(value < threshold), n + 1));
        let share = n_below as f64 / n_present.max(1) as f64;
        let mut n_left = 0;
        for i in 0..rows.len() {
            let value = self.cell(rows[i], column);
            let goes_left = if value.is_nan() { self.rng.random::<f64>() < share } else { value < threshold };
            if goes_left {
                rows.swap(i, n_left);
                n_left += 1;
            }
        }
        n_left
    }
}

/// A chosen split, and how many columns may split below it.
struct Split {
    column: u16,
    threshold: f32,
    n_columns: usize,
}
