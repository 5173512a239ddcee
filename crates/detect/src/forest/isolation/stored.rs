//! A forest as it is stored. What is read back is not trusted: walking it must not leave it.

use serde::{Deserialize, Serialize};

use super::{IsolationForest, levels_of, path_lengths_mean};
use crate::forest::ForestSpec;
use crate::forest::chance::Chance;
use crate::forest::keys::Keying;
use crate::forest::tree::ColumnBits;

/// Everything that doesn't follow from the rest.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    keying: Keying,
    n_sampled: usize,
    chance: Chance,
    /// Always 0: what a forest that replaces its trees would replace first. A part of the format.
    oldest: usize,
    nodes: Vec<u32>,
    before: Vec<u16>,
}

/// What was read back is no forest.
#[derive(Debug, thiserror::Error)]
#[error("a stored isolation forest is damaged: train again")]
pub(super) struct Damaged;

impl From<IsolationForest> for Stored {
    fn from(forest: IsolationForest) -> Self {
        let IsolationForest { keying, n_sampled, chance, nodes, before, .. } = forest;
        Self { keying, n_sampled, chance, oldest: 0, nodes, before }
    }
}

impl TryFrom<Stored> for IsolationForest {
    type Error = Damaged;

    fn try_from(stored: Stored) -> Result<Self, Damaged> {
        let Stored { keying, n_sampled, chance, oldest, nodes, before } = stored;
        let n_columns = keying.n_columns();
        let column_bits = ColumnBits::of(n_columns).ok_or(Damaged)?;
        if !keying.is_sound() || n_columns == 0 || !(2..=ForestSpec::SAMPLE_ROWS_MAX).contains(&n_sampled) {
            return Err(Damaged);
        }
        let n_levels = levels_of(n_sampled);
        let n_trees = nodes.len() >> n_levels;
        let (mask, pass) = (column_bits.mask(), column_bits.pass());
        let sound = (1..=ForestSpec::N_TREES_MAX).contains(&n_trees)
            && nodes.len() == n_trees << n_levels
            && before.len() == nodes.len()
            && oldest < n_trees
            // In range of the columns, and no greater than what everything passes.
            && nodes.iter().all(|node| ((node & mask) as usize) < n_columns && *node <= pass | mask)
            // Every tree's counts begin at nothing, don't fall, and don't exceed the sample.
            && before.chunks_exact(1 << n_levels).all(|tree| {
                tree.first() == Some(&0)
                    && tree.windows(2).all(|pair| pair[0] <= pair[1])
                    && tree.last().is_some_and(|last| usize::from(*last) <= n_sampled)
            });
        if !sound {
            return Err(Damaged);
        }
        let leaves = vec![0; nodes.len() + 1];
        let mut forest = Self { keying, column_bits, n_sampled, n_levels, chance, nodes, before, leaves };
        let path_means = path_lengths_mean(n_sampled);
        (0..n_trees).for_each(|tree| forest.fill_leaves(tree, &path_means));
        Ok(forest)
    }
}
