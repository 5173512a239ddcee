//! Noise: how measurements scatter. Not the faults, and no choice of what happens.
//!
//! Only additions, multiplications and square roots, which IEEE 754 fixes to the last bit: the same seed gives
//! the same shop on every machine. `ln` and `exp` differ between maths libraries, so they aren't used.

use homeostat_core::Seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Noise(ChaCha8Rng);

/// Cap of [`Noise::heavy`]: the tail is there, but one draw in ten thousand never swamps the shop.
const HEAVY_MAX: f64 = 10.0;

impl Noise {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(seed.rng())
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Uniform in [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// One of `n` places; 0 when there is none.
    pub(crate) fn index(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }

    /// Nearly standard normal: twelve uniforms less six (Irwin–Hall), mean 0, variance 1, within ±6.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Heavy-tailed, mean near 0: a Pareto variable with exponent 2, `1/√u`, less its mean of 2, capped.
    pub(crate) fn heavy(&mut self) -> f64 {
        let u = 1.0 - self.unit();
        (1.0 / u.sqrt() - 2.0).min(HEAVY_MAX)
    }
}

/// Noise with a memory: an autoregressive process of order 1 with standard deviation `sd` and time constant `tau_s`.
#[derive(Clone, Debug)]
pub(crate) struct Drift {
    value: f64,
    sd: f64,
    tau_s: f64,
}

impl Drift {
    pub(crate) fn new(sd: f64, tau_s: f64) -> Self {
        Self { value: 0.0, sd, tau_s }
    }

    /// The value `step_s` later. The innovation keeps the variance at `sd²` whatever the step is.
    pub(crate) fn next(&mut self, step_s: f64, noise: &mut Noise) -> f64 {
        let phi = (1.0 - step_s / self.tau_s).max(0.0);
        self.value = phi * self.value + self.sd * (1.0 - phi * phi).sqrt() * noise.normal();
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n)
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut noise = Noise::new(Seed::new(1));
        let (mean, variance) = moments(&(0..20_000).map(|_| noise.normal()).collect::<Vec<_>>());
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn heavy_has_a_tail_that_a_normal_has_not() {
        let mut noise = Noise::new(Seed::new(1));
        let far = (0..20_000).filter(|_| noise.heavy() > 6.0).count();
        // P(1/√u > 8) = 1/64.
        assert!((200..450).contains(&far), "{far}");
    }

    #[test]
    fn drift_keeps_its_spread_at_any_step() {
        for step_s in [15.0, 60.0] {
            let (mut drift, mut noise) = (Drift::new(0.1, 600.0), Noise::new(Seed::new(3)));
            let (_, variance) = moments(&(0..50_000).map(|_| drift.next(step_s, &mut noise)).collect::<Vec<_>>());
            assert!((variance.sqrt() - 0.1).abs() < 0.015, "{step_s}: {variance}");
        }
    }
}
