//! How far apart replicas usually are, feature by feature.

use homeostat_core::{Direction, Feature, Schema};

use super::LEARNED_MAX;

/// Share of the usual squared spread that is learned in a step: a half-life of 60.
const SPREAD_RATE: f64 = 0.011_5;

/// Steps of which the median's spread is taken as it is, before there is a usual one to cut differences by.
const FIRST_STEPS: u64 = 5;

/// A median absolute deviation times this estimates a normal distribution's deviation.
const MAD_TO_DEVIATION: f64 = 1.482_6;

/// The least spread, as a share of the feature's size: replicas within a per cent of each other are alike, and a feature
/// that is the same everywhere doesn't alarm at its first digit.
const SPREAD_RELATIVE_MIN: f64 = 0.01;

/// The least spread where the feature is zero everywhere and the schema has no dead zone.
const SPREAD_MIN: f64 = 1e-9;

/// Differences are cut here, in spreads: more says nothing more.
const DEVIATION_MAX: f64 = 200.0;

/// The usual spread between replicas.
#[derive(Clone, Debug)]
pub(super) struct ReplicaScale {
    features: Vec<Feature>,
    /// Mean squared difference from the median, of those within three spreads, by feature.
    squares: Vec<f64>,
    n_learned: u64,
}

impl ReplicaScale {
    pub(super) fn new(schema: &Schema) -> Self {
        Self { features: schema.features().to_vec(), squares: vec![0.0; schema.n_features()], n_learned: 0 }
    }

    pub(super) fn n_features(&self) -> usize {
        self.features.len()
    }

    pub(super) fn feature(&self, feature_idx: usize) -> &Feature {
        &self.features[feature_idx]
    }

    /// Steps learned from.
    pub(super) fn n_learned(&self) -> u64 {
        self.n_learned
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.features.capacity() * size_of::<Feature>() + self.squares.capacity() * size_of::<f64>()
    }

    /// What one deviation is at this step: the usual spread, or half of this step's if that is larger (median absolute
    /// deviation, which one sick replica of three doesn't move; of few replicas it's twice the usual one by mere chance), and
    /// never less than what is worth telling apart. Above 0.
    pub(super) fn spread(&self, feature_idx: usize, middle: f64, differences: &[f64]) -> f64 {
        let floor = (SPREAD_RELATIVE_MIN * middle.abs()).max(SPREAD_MIN);
        self.squares[feature_idx].sqrt().max(today(differences) / 2.0).max(floor)
    }

    /// Takes one step's differences of one feature.
    pub(super) fn learn(&mut self, feature_idx: usize, differences: &[f64]) {
        if differences.is_empty() {
            return;
        }
        let usual = &mut self.squares[feature_idx];
        let found = if self.n_learned < FIRST_STEPS {
            today(differences).powi(2)
        } else {
            // Left out, not cut: a sick replica must not widen what is usual, however long it stays.
            let limit = LEARNED_MAX * usual.sqrt().max(today(differences));
            let (sum, n) = differences
                .iter()
                .filter(|difference| difference.abs() <= limit)
                .fold((0.0, 0.0), |(sum, n), difference| (sum + difference * difference, n + 1.0));
            // One degree of freedom went to the median.
            sum / f64::max(n - 1.0, 1.0)
        };
        let rate = SPREAD_RATE.max(1.0 / (self.n_learned + 1) as f64);
        *usual = (*usual + rate * (found - *usual)).clamp(0.0, f64::MAX / 16.0);
    }

    /// One step is learned.
    pub(super) fn stepped(&mut self) {
        self.n_learned += 1;
    }
}

/// The spread of this step alone.
fn today(differences: &[f64]) -> f64 {
    MAD_TO_DEVIATION * median(differences.iter().map(|difference| difference.abs())).unwrap_or(0.0)
}

/// The middle value, the mean of the two middle ones of an even number; `None` of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    // Halved first: the sum of two huge values isn't finite.
    Some(lower / 2.0 + upper / 2.0)
}

/// A difference in spreads, signed: what lies in the direction that doesn't matter, or within the dead zone, is 0.
pub(super) fn directed(feature: &Feature, difference: f64, spread: f64) -> f64 {
    let matters = match feature.direction {
        Direction::Up => difference.max(0.0),
        Direction::Down => difference.min(0.0),
        Direction::Both => difference,
    };
    let beyond = (matters.abs() - feature.deviation_min).max(0.0).copysign(matters);
    (beyond / spread).clamp(-DEVIATION_MAX, DEVIATION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_and_huge_values_stay_finite() {
        assert_eq!(median([3.0, 1.0].into_iter()), Some(2.0));
        assert_eq!(median([3.0, 1.0, 7.0].into_iter()), Some(3.0));
        assert_eq!(median([f64::MAX, f64::MAX].into_iter()), Some(f64::MAX));
        assert_eq!(median(std::iter::empty()), None);
    }
}
