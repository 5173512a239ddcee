//! What the last weeks' rows looked like: how surprising all but one in twenty of them were at most.

use serde::{Deserialize, Serialize};

use crate::look_ahead::look_ahead;

/// Bins of the histogram, evenly spaced in ln(1 + nats): to 1 300 nats, where the threshold can't follow any more anyway.
const BINS: usize = 72;

/// Bins a factor of e: a tenth, within which the quantile is interpolated.
const BINS_PER_E: f64 = 10.0;

/// Weights grow instead of the old ones being shrunk row by row; at this one they are all put back.
const WEIGHT_MAX: f64 = 1e9;

/// A histogram of fused surprisals in which older rows count less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recent {
    /// In single precision, since every subject keeps it: a row is at least a hundred-thousandth of its bin, and rounded by less than a hundredth of itself.
    weights: Vec<f32>,
    total: f64,
    /// What the next row counts, and by what factor a row counts more than the one before.
    weight: f64,
    growth: f64,
    /// With fewer rows than this, the missing ones are taken to be unsurprising.
    rows_min: f64,
}

impl Recent {
    /// Nothing seen yet; after `half_life_rows` rows a row counts half. Shares are of `rows_min` rows at least.
    pub(super) fn new(half_life_rows: f64, rows_min: f64) -> Self {
        let growth = (1.0 / half_life_rows.max(1.0)).exp2();
        Self { weights: vec![0.0; BINS], total: 0.0, weight: 1.0, growth, rows_min }
    }

    pub(super) fn push(&mut self, nats: f64) {
        let bin = (BINS_PER_E * nats.max(0.0).ln_1p()) as usize;
        if let Some(weight) = self.weights.get_mut(bin.min(BINS - 1)) {
            *weight += self.weight as f32;
        }
        self.total += self.weight;
        self.skip();
        if self.weight > WEIGHT_MAX {
            self.weights.iter_mut().for_each(|weight| *weight /= WEIGHT_MAX as f32);
            self.total /= WEIGHT_MAX;
            self.weight /= WEIGHT_MAX;
        }
    }

    /// Time goes on without a row.
    pub(super) fn skip(&mut self) {
        self.weight *= self.growth;
    }

    /// The surprisal, in nats, below which this share of the rows lies; 0 before the first.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut above = (1.0 - share) * self.total.max(self.rows_min * self.weight);
        // From above: there are fewer rows, and the answer is near them.
        for (bin, weight) in self.weights.iter().map(|weight| f64::from(*weight)).enumerate().rev() {
            if weight > 0.0 && weight >= above {
                let within = 1.0 - above / weight;
                return ((bin as f64 + within) / BINS_PER_E).exp_m1();
            }
            above -= weight;
        }
        0.0
    }

    /// Asks for all bins.
    pub(super) fn look_ahead(&self) {
        look_ahead(&self.weights);
    }

    /// Whether it is one that could have been saved.
    pub(super) fn is_consistent(&self) -> bool {
        let finite = |value: f64| value.is_finite() && value >= 0.0;
        self.weights.len() == BINS
            && self.weights.iter().all(|weight| finite(f64::from(*weight)))
            && finite(self.total)
            && finite(self.rows_min)
            && self.growth >= 1.0
    }

    /// Bytes held beside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.weights.capacity() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_is_that_of_the_rows_within_a_bin() {
        let mut recent = Recent::new(1e9, 0.0);
        assert_eq!(recent.quantile(0.95), 0.0);
        (0..1000).for_each(|row| recent.push(f64::from(row) / 100.0));
        for (share, wanted) in [(0.5, 5.0), (0.9, 9.0), (0.95, 9.5)] {
            let found = recent.quantile(share);
            assert!((found / wanted - 1.0).abs() < 0.02, "{share}: {found}");
        }
    }

    #[test]
    fn after_a_half_life_a_row_counts_half() {
        let mut recent = Recent::new(100.0, 0.0);
        (0..100).for_each(|_| recent.push(50.0));
        (0..100).for_each(|_| recent.push(1.0));
        // A third of the weight is at 50.
        assert!(recent.quantile(0.66) < 2.0 && recent.quantile(0.68) > 40.0);
    }

    #[test]
    fn weights_that_are_put_back_change_nothing() {
        let (mut recent, mut fresh) = (Recent::new(5.0, 0.0), Recent::new(5.0, 0.0));
        (0..10_000).for_each(|row| recent.push(f64::from(row % 40)));
        (0..200).for_each(|row| fresh.push(f64::from((9_800 + row) % 40)));
        assert!((recent.quantile(0.95) - fresh.quantile(0.95)).abs() < 1e-4);
        assert!(recent.is_consistent());
    }

    proptest::proptest! {
        #[test]
        fn a_higher_share_is_never_lower(rows in proptest::collection::vec(0.0..1e6_f64, 1..300), low in 0.0..1.0_f64, more in 0.0..1.0_f64) {
            let mut recent = Recent::new(50.0, 0.0);
            rows.iter().for_each(|nats| recent.push(*nats));
            proptest::prop_assert!(recent.quantile((low + more).min(1.0)) >= recent.quantile(low));
        }
    }
}
