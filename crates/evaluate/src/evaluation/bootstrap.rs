//! How far a mean over few series can be trusted.

use homeostat_core::Seed;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// A mean and its 95 % interval by bootstrap over series (Efron 1979, percentiles).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Estimate {
    /// A value with the interval that resampled values give; `None` without a value.
    pub(crate) fn of(value: Option<f64>, resampled: &[f64]) -> Option<Self> {
        let value = value?;
        let mut sorted = resampled.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let idx = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
            sorted.get(idx).copied().unwrap_or(value)
        };
        Some(Self { value, low: at(0.025), high: at(0.975) })
    }
}

/// The mean; `None` of nothing.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}

/// Means of as many values drawn with replacement; empty without a value.
pub(crate) fn bootstrapped(values: &[f64], n_rounds: usize, seed: Seed) -> Vec<f64> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut rng = seed.rng();
    let mut round = || mean((0..values.len()).map(|_| values[rng.random_range(0..values.len())]));
    (0..n_rounds).filter_map(|_| round()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_mean() {
        // 100 values with deviation 1: the mean's is 0.1, its 95 % interval ±0.196.
        let values: Vec<f64> = (0..100).map(|idx| if idx % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let resampled = bootstrapped(&values, 2000, Seed::new(1));
        let found = Estimate::of(mean(values.into_iter()), &resampled).expect("values");
        assert!((found.high - 0.196).abs() < 0.03 && (found.low + 0.196).abs() < 0.03, "{found:?}");
        assert_eq!(Estimate::of(None, &[]), None);
        assert!(bootstrapped(&[], 10, Seed::new(1)).is_empty());
    }
}
