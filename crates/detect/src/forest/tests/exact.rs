//! What integers cost: forests of quantised thresholds against forests of exact ones, grown by the same chance.

use homeostat_core::Seed;
use ndarray::{Array2, ArrayView2, s};

use super::super::chance::Chance;
use super::super::*;
use super::path_lengths_mean;

/// A tree as in the paper, on double precision: no keys, no heap, no integers.
enum Exact {
    Leaf { path: f64 },
    Split { column: usize, threshold: f64, left: Box<Exact>, right: Box<Exact> },
}

impl Exact {
    fn path(&self, row: &[f64]) -> f64 {
        match self {
            Self::Leaf { path } => *path,
            Self::Split { column, threshold, left, right } => {
                if row[*column] <= *threshold {
                    left.path(row)
                } else {
                    right.path(row)
                }
            }
        }
    }
}

/// Grows one such tree, drawing as `Grower` draws: the sample, then at each node columns until one differs, and a threshold.
struct Gardener<'a> {
    rows: ArrayView2<'a, f64>,
    chance: Chance,
    columns: Vec<usize>,
    n_levels: usize,
    path_means: Vec<f64>,
}

impl Gardener<'_> {
    fn tree(&mut self, n_sampled: usize) -> Exact {
        let mut order: Vec<usize> = (0..self.rows.nrows()).collect();
        for i in 0..n_sampled {
            let other = i + self.chance.below(order.len() - i);
            order.swap(i, other);
        }
        self.branch(&order[..n_sampled], 0, self.columns.len())
    }

    fn branch(&mut self, members: &[usize], level: usize, mut n_columns: usize) -> Exact {
        while level < self.n_levels && members.len() > 1 && n_columns > 0 {
            let drawn = self.chance.below(n_columns);
            let column = self.columns[drawn];
            let values = || members.iter().map(|row| self.rows[[*row, column]]);
            let (min, max) = values().fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(value), max.max(value)));
            if min < max {
                let threshold = min + self.chance.unit() * (max - min);
                let goes_left = |row: &&usize| self.rows[[**row, column]] <= threshold;
                let (left, right): (Vec<&usize>, Vec<&usize>) = members.iter().partition(goes_left);
                let owned = |members: Vec<&usize>| members.into_iter().copied().collect::<Vec<_>>();
                let left = Box::new(self.branch(&owned(left), level + 1, n_columns));
                let right = Box::new(self.branch(&owned(right), level + 1, n_columns));
                return Exact::Split { column, threshold, left, right };
            }
            n_columns -= 1;
            self.columns.swap(drawn, n_columns);
        }
        Exact::Leaf { path: level as f64 + self.path_means[members.len()] }
    }
}

/// Columns as telemetry has them: far from zero with little noise, few distinct values, heavy tails, two regimes, constant.
/// The last twentieth of the rows are strays, a little beyond the usual in two columns.
fn telemetry(n_rows: usize) -> Array2<f64> {
    let mut chance = Chance::new(Seed::new(11));
    Array2::from_shape_fn((n_rows, 6), |(row, column)| {
        let noise = chance.unit() + chance.unit() + chance.unit() - 1.5;
        let stray = if row >= n_rows - n_rows / 20 { 1.0 } else { 0.0 };
        match column {
            0 => 8e9 + 1e3 * (noise + 0.9 * stray),
            1 => (2.0 * noise).round() / 7.0,
            2 => noise.powi(5) + stray,
            3 => (if row % 3 == 0 { 1_000.0 } else { 0.0 }) + noise,
            4 => 1e-12 * noise,
            _ => 42.0,
        }
    })
}

/// The chance that a stray scores above another row; ties count half.
fn auc(scores: &[f64]) -> f64 {
    let (usual, strays) = scores.split_at(scores.len() - scores.len() / 20);
    let wins = |stray: &f64| {
        let win = |score: &f64| {
            if score < stray {
                1.0
            } else if score == stray {
                0.5
            } else {
                0.0
            }
        };
        usual.iter().map(win).sum::<f64>()
    };
    strays.iter().map(wins).sum::<f64>() / (usual.len() * strays.len()) as f64
}

#[test]
fn quantised_thresholds_rank_as_exact_ones_do() {
    const N_TREES: u64 = 300;
    let rows = telemetry(2_000);
    let train = rows.slice(s![..1_000, ..]);
    let spec = ForestSpec::new(1, 256).expect("options");
    let path_means = path_lengths_mean(256);
    let (mut ours, mut exact) = (vec![0.0; 2_000], vec![0.0; 2_000]);
    // Tree by tree with a seed each: where one row falls on the other side, chance goes another way from there on.
    for seed in 0..N_TREES {
        let seed = Seed::new(seed);
        let forest = IsolationForest::fit(train, &spec, seed).expect("a forest");
        let chance = Chance::new(seed.fork(NAME));
        let columns = (0..6).collect();
        let mut gardener = Gardener { rows: train, chance, columns, n_levels: 8, path_means: path_means.clone() };
        let tree = gardener.tree(256);
        let scores = forest.score_rows(rows.view()).expect("scores");
        for (idx, row) in rows.rows().into_iter().enumerate() {
            ours[idx] -= -scores[idx].log2() / N_TREES as f64;
            exact[idx] -= tree.path(&row.to_vec()) / path_means[256] / N_TREES as f64;
        }
    }
    let differences = || ours.iter().zip(&exact).map(|(ours, exact)| ours - exact);
    let mean = differences().sum::<f64>() / 2_000.0;
    let largest = differences().map(f64::abs).fold(0.0, f64::max);
    assert!(mean.abs() < 1e-3 && largest < 0.02, "mean {mean}, largest {largest}");
    assert!((auc(&ours) - auc(&exact)).abs() < 1e-3, "{} and {}", auc(&ours), auc(&exact));
    assert!((0.6..0.99).contains(&auc(&exact)), "neither trivial nor chance: {}", auc(&exact));
}
