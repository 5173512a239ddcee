//! The deviation of a feature's errors, which follows lasting changes slowly.

use serde::{Deserialize, Serialize};

use super::within::within;

/// Distances enter cut at this many deviations: however wild an incident is, the variance doubles no faster than in a third
/// of its half-life, and a fault doesn't make its own measure loose.
const CUT: f64 = 2.0;

/// What the cut takes off the mean square is put back by a factor measured in training, of at most this: with rare but
/// huge errors in training it would otherwise make every larger error count a hundredfold.
const BALANCE_MAX: f64 = 3.0;

/// A deviation stays within these multiples of the one in training: a quiet night mustn't make the morning a fault, and a
/// number must stay a number.
const SHRINK_MIN: f64 = 0.7;
const GROWTH_MAX: f64 = 64.0;

/// A deviation, tracked as the root of an exponentially weighted mean square of the errors, cut at [`CUT`] deviations:
/// `s² += r (b min(d, CUT)² - 1) s²`, where `d` is the error in deviations. `b` makes the training errors stationary.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    value: f64,
    trained: f64,
    balance: f64,
}

impl Spread {
    /// A deviation above 0 that training errors of these sizes in deviations have.
    pub(super) fn new(value: f64, distances: impl Iterator<Item = f64>) -> Self {
        let (sum, n) = distances.fold((0.0, 0_usize), |(sum, n), distance| (sum + cut_square(distance), n + 1));
        let balance = if sum > 0.0 { n as f64 / sum } else { 1.0 };
        Self { value, trained: value, balance: balance.clamp(1.0, BALANCE_MAX) }
    }

    #[inline]
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Takes in an error in deviations. Half of `rate`, as it is the root that is kept: `sqrt(1 + x)` is `1 + x / 2` for
    /// changes as small as these.
    #[inline]
    pub(super) fn take(&mut self, distance: f64, rate: f64) {
        let grown = self.value * (1.0 + 0.5 * rate * (self.balance * cut_square(distance) - 1.0));
        self.value = within(grown, SHRINK_MIN * self.trained, GROWTH_MAX * self.trained);
    }

    /// Whether it is one of ours; one that was read from a file may not be.
    pub(super) fn is_consistent(&self) -> bool {
        let bounds = SHRINK_MIN * self.trained..=GROWTH_MAX * self.trained;
        self.trained > 0.0
            && self.trained.is_finite()
            && bounds.contains(&self.value)
            && (1.0..=BALANCE_MAX).contains(&self.balance)
    }
}

#[inline]
fn cut_square(distance: f64) -> f64 {
    within(distance * distance, 0.0, CUT * CUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::noise;
    use homeostat_core::Seed;

    #[test]
    fn the_errors_of_training_leave_it_where_it_is_and_others_are_followed_within_bounds() {
        let errors: Vec<f64> = noise(20_000, 1, Seed::new(3)).iter().copied().collect();
        let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt();
        let trained = Spread::new(deviation, errors.iter().map(|error| error / deviation));
        let after = |factor: f64| {
            let mut spread = trained;
            for error in &errors {
                let distance = factor * error / spread.value();
                spread.take(distance, 1e-3);
            }
            spread.value() / deviation
        };
        assert!((after(1.0) - 1.0).abs() < 0.1, "{}", after(1.0));
        assert!((after(10.0) / 10.0 - 1.0).abs() < 0.1, "{}", after(10.0));
        assert_eq!(after(0.0), SHRINK_MIN);
        assert_eq!(after(1e12), GROWTH_MAX);
    }

    #[test]
    fn an_incident_of_a_day_loosens_it_by_little() {
        let mut spread = Spread::new(1.0, [1.0, -1.0].into_iter());
        let rate = 1.0 - 0.5_f64.powf(1.0 / (3.0 * 1_440.0));
        for _ in 0..1_440 {
            let distance = 1e9 / spread.value();
            spread.take(distance, rate);
        }
        assert!(spread.value() < 1.5, "{}", spread.value());
    }
}
