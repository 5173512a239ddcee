//! Which columns made a row's score: explanations of an anomaly.

use super::isolation::IsolationForest;
use super::score::{ForestScratch, Place, Step, Tree};
use super::tree::PATH_PARTS;
use crate::detector::ScoreError;

impl IsolationForest {
    /// What each column contributes to the score of a row, `[n_columns]`, into `contributions`, which are replaced.
    ///
    /// In doublings of the score: they sum to `log2(score of the row / score of a row of gaps)`, the latter being what a row
    /// scores of which nothing is known. A positive part makes the row more unusual, a negative one less; a gap contributes
    /// nothing. On its way down a tree, a row's expected path length changes at every split; the change is that split's
    /// column's. This is Saabas' decomposition of a tree's prediction along its path (Palczewska et al.: Interpreting
    /// random forest classification models, 2013), here of the path length.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of values.
    pub fn attribute(
        &self,
        row: &[f64],
        scratch: &mut ForestScratch,
        contributions: &mut Vec<f64>,
    ) -> Result<(), ScoreError> {
        if row.len() != self.n_columns() {
            return Err(ScoreError::Shape { found: row.len(), wanted: self.n_columns() });
        }
        contributions.clear();
        contributions.resize(row.len(), 0.0);
        scratch.fill_keys(&self.keying, row);
        for tree_idx in 0..self.n_trees() {
            let tree = self.tree(tree_idx);
            tree.fill_expectations(&mut scratch.expectations);
            descend(&tree, scratch.keys(), &scratch.expectations, contributions, Place::ROOT, 1.0);
        }
        let scale = 1.0 / (self.n_trees() as f64 * PATH_PARTS);
        contributions.iter_mut().for_each(|part| *part *= scale);
        Ok(())
    }

    /// The same in a vector of its own.
    ///
    /// # Errors
    /// [`ScoreError::Shape`] for another number of values.
    pub fn attribution(&self, row: &[f64]) -> Result<Vec<f64>, ScoreError> {
        let mut contributions = Vec::new();
        self.attribute(row, &mut ForestScratch::default(), &mut contributions)?;
        Ok(contributions)
    }
}

/// Adds the contributions of the splits from a place on, to which the row comes with this weight.
fn descend(tree: &Tree<'_>, keys: &[u32], expectations: &[f64], contributions: &mut [f64], place: Place, weight: f64) {
    match tree.step(keys, place) {
        Step::Leaf(_) => {}
        Step::On(column, next) => {
            contributions[column] += weight * (expectations[place.at] - expectations[next.at]);
            descend(tree, keys, expectations, contributions, next, weight);
        }
        // The expectation over both ways is that of the place: nothing to add here.
        Step::Both(share, left, right) => {
            descend(tree, keys, expectations, contributions, left, weight * share);
            descend(tree, keys, expectations, contributions, right, weight * (1.0 - share));
        }
    }
}
