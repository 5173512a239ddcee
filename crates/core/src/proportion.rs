//! Counts out of counts, with how little a small count says.

use serde::Serialize;

/// `n` out of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Proportion {
    /// How many.
    pub n: usize,
    /// Out of how many.
    pub of: usize,
}

/// An interval within [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The 97.5 % quantile of the standard normal distribution: what a two-sided 95 % interval needs.
const Z_95: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a proportion of `n` out of `of`; all of [0, 1] when nothing was counted. `n` above `of` counts
/// as `of`.
///
/// Wilson's score interval: `(p + z²/2N ± z·√(p(1−p)/N + z²/4N²)) / (1 + z²/N)` (E. B. Wilson, Probable inference, the law
/// of succession, and statistical inference, J. Am. Stat. Assoc. 22, 1927, p. 209–212). Unlike `p ± z·√(p(1−p)/N)` it
/// keeps its level for few counts and for shares near 0 and 1: three out of three isn't "100 % ± 0".
pub fn wilson_interval(n: usize, of: usize) -> Interval {
    if of == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let total = of as f64;
    let share = n.min(of) as f64 / total;
    let z2 = Z_95 * Z_95;
    let middle = share + z2 / (2.0 * total);
    let half = Z_95 * (share * (1.0 - share) / total + z2 / (4.0 * total * total)).sqrt();
    let scale = 1.0 + z2 / total;
    Interval { low: ((middle - half) / scale).clamp(0.0, 1.0), high: ((middle + half) / scale).clamp(0.0, 1.0) }
}

impl Proportion {
    /// Counts what holds among all.
    pub fn count(all: impl IntoIterator<Item = bool>) -> Self {
        all.into_iter().fold(Self::default(), |sum, holds| Self { n: sum.n + usize::from(holds), of: sum.of + 1 })
    }

    /// The share; `None` out of nothing.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.n as f64 / self.of as f64)
    }

    /// Its 95 % interval, see [`wilson_interval`].
    pub fn interval(self) -> Interval {
        wilson_interval(self.n, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn agrees_with_values_computed_elsewhere() {
        // By a separate program, from the formula as published.
        for (n, of, low, high) in [
            (3, 3, 0.438_503, 1.0),
            (8, 10, 0.490_162, 0.943_318),
            (0, 10, 0.0, 0.277_533),
            (95, 100, 0.888_250, 0.978_457),
        ] {
            let interval = wilson_interval(n, of);
            assert!((interval.low - low).abs() < 1e-5 && (interval.high - high).abs() < 1e-5, "{n}/{of}: {interval:?}");
        }
    }

    #[test]
    fn nothing_counted_says_nothing() {
        assert_eq!(wilson_interval(0, 0), Interval { low: 0.0, high: 1.0 });
        assert_eq!(Proportion::default().share(), None);
    }

    proptest! {
        #[test]
        fn holds_the_share_and_narrows_with_more_counts(n in 0_usize..500, more in 1_usize..500) {
            let of = n + more;
            let (few, many) = (wilson_interval(n, of), wilson_interval(10 * n, 10 * of));
            let share = n as f64 / of as f64;
            prop_assert!(few.low <= share + 1e-12 && share <= few.high + 1e-12);
            prop_assert!(many.high - many.low < few.high - few.low);
        }
    }
}
