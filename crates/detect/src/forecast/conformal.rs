//! How wide a prediction interval must be to hold its coverage: a quantile that is tracked, not assumed.

use serde::{Deserialize, Serialize};

use super::within::within;

/// The share of rows that the interval is to hold.
pub(super) const COVERAGE: f64 = 0.99;

/// Share of rows that may miss on each side: skewed errors (latency) need more room on one side than on the other.
const MISS_SHARE: f64 = (1.0 - COVERAGE) / 2.0;

/// A miss widens its side by about this share. Larger follows faster and swings more: at 0.1 the quantile of Gaussian
/// errors swings by about a tenth, and a noise that doubles is followed after seven misses.
#[cfg(test)]
const GAIN: f64 = 0.1;

/// Widths stay within these, in deviations: an interval of nothing at the low end (errors that are exactly 0), one that
/// holds everything which is still a number of ours at the high end.
const WIDTH_MIN: f64 = 1e-3;
const WIDTH_MAX: f64 = 1e9;

/// Before enough errors were seen, each side is at least this wide: the Gaussian quantile of 0.995.
const WIDTH_START_MIN: f64 = 2.576;

/// The widths of a prediction interval below and above a forecast, in deviations, each tracked online.
///
/// Quantile tracking (Angelopoulos, Candès and Tibshirani 2023, "Conformal PID control for time series prediction",
/// section 2.1; the constant-step relative of ACI, Gibbs and Candès 2021), on the logarithm of the width: a miss adds
/// `GAIN * (1 - a)` to it, a hit takes `GAIN * a` off. Whatever the errors are, over T rows the share of misses differs from
/// `a` by at most `(ln(WIDTH_MAX / WIDTH_MIN) + GAIN) / (GAIN * T)` for as long as the bounds aren't touched, and far less
/// once it has settled. Two numbers of state, constant time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Conformal {
    pub(super) below: f64,
    pub(super) above: f64,
}

impl Conformal {
    /// From the errors of a history, in deviations, in any order: their order statistics that split conformal prediction
    /// takes (Vovk, Gammerman and Shafer 2005), the `ceil((n + 1) * 0.995)`-th of `n`. The errors are of rows that the model
    /// was fitted to, and too small by `unseen`.
    pub(super) fn fit(mut errors: Vec<f64>, unseen: f64) -> Self {
        errors.retain(|error| !error.is_nan());
        errors.sort_by(f64::total_cmp);
        let n = errors.len();
        let rank = (((n + 1) as f64) * (1.0 - MISS_SHARE)).ceil() as usize;
        let (mut below, mut above) = (WIDTH_START_MIN, WIDTH_START_MIN);
        if rank >= 1 && rank <= n {
            (below, above) = (-errors[n - rank], errors[rank - 1]);
        } else if n > 0 {
            (below, above) = (below.max(-errors[0]), above.max(errors[n - 1]));
        }
        let width = |width: f64| (width * unseen).clamp(WIDTH_MIN, WIDTH_MAX);
        Self { below: width(below), above: width(above) }
    }

    /// Takes in an error in deviations, not NaN.
    #[inline]
    pub(super) fn take(&mut self, error: f64) {
        self.below = tracked(self.below, -error);
        self.above = tracked(self.above, error);
    }

    /// Whether it is one of ours; one that was read from a file may not be.
    pub(super) fn is_consistent(&self) -> bool {
        [self.below, self.above].iter().all(|width| (WIDTH_MIN..=WIDTH_MAX).contains(width))
    }
}

/// `exp(GAIN * (1 - a))` and `exp(-GAIN * a)`; a test holds them to their formulas.
const WIDER: f64 = 1.1046184707399531;
const NARROWER: f64 = 0.9995001249791693;

#[inline]
fn tracked(width: f64, error: f64) -> f64 {
    within(width * if error > width { WIDER } else { NARROWER }, WIDTH_MIN, WIDTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::noise;
    use homeostat_core::Seed;

    fn coverage(conformal: &mut Conformal, errors: impl Iterator<Item = f64>) -> f64 {
        let (mut n, mut n_held) = (0.0, 0.0);
        for error in errors {
            n += 1.0;
            n_held += f64::from(u8::from(error >= -conformal.below && error <= conformal.above));
            conformal.take(error);
        }
        n_held / n
    }

    #[test]
    fn the_factors_are_what_they_say() {
        assert!((WIDER - (GAIN * (1.0 - MISS_SHARE)).exp()).abs() < 1e-15);
        assert!((NARROWER - (-GAIN * MISS_SHARE).exp()).abs() < 1e-15);
    }

    #[test]
    fn coverage_holds_through_skew_heavy_tails_and_a_noise_that_grows_tenfold() {
        let normal: Vec<f64> = noise(40_000, 1, Seed::new(4)).iter().copied().collect();
        let start = Conformal::fit(normal[..500].to_vec(), 1.0);
        type Shape = (&'static str, fn(f64) -> f64);
        let shapes: [Shape; 4] =
            [("normal", |x| x), ("skewed", |x| (1.5 * x).exp()), ("heavy", |x| x.powi(5)), ("tenfold", |x| 10.0 * x)];
        for (name, shape) in shapes {
            let held = coverage(&mut start.clone(), normal.iter().map(|x| shape(*x)));
            assert!((0.985..=0.995).contains(&held), "{name}: {held}");
        }
    }

    #[test]
    fn a_short_history_starts_wide_and_none_starts_gaussian() {
        assert_eq!(Conformal::fit(vec![], 1.0), Conformal { below: WIDTH_START_MIN, above: WIDTH_START_MIN });
        let short = Conformal::fit(vec![-1.0, 0.0, 7.0], 2.0);
        assert_eq!(short, Conformal { below: 2.0 * WIDTH_START_MIN, above: 14.0 });
    }

    #[test]
    fn bounds_hold_whatever_comes() {
        let mut conformal = Conformal::fit(vec![0.0; 1_000], 1.0);
        for error in [f64::MAX, f64::MIN, 1e308].into_iter().cycle().take(1_000) {
            conformal.take(error);
        }
        assert!(conformal.is_consistent());
    }
}
