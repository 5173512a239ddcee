//! How sure to be of a row: a capped logistic curve with the best mean Brier skill over sets.

use super::{BIN_WIDTH, Counts, logistic, size_and_share};

/// No row's claim is higher.
const CLAIM_MAX: f64 = 0.4;
/// Where the level is the log odds: about the middle of the values, so that slope and level hardly depend on each other.
const CENTRE: f64 = 1.0;
/// Slope and level that the search starts from, and its first steps.
const START: (f64, f64) = (0.8, -2.0);
const FIRST_STEP: f64 = 0.5;
/// The search ends when its steps are this small: a thousandth of a log odd changes no claim.
const LAST_STEP: f64 = 1e-3;
/// And after so many rounds, each of eight looks; some dozens are usual.
const ROUNDS_MAX: usize = 200;
/// Steeper is a step: nothing that is learned from counts.
const SLOPE_MAX: f64 = 20.0;

/// `min(0.4, σ(slope · (x − centre) + level))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RowCurve {
    slope: f64,
    level: f64,
}

impl RowCurve {
    pub(super) fn at(self, x: f64) -> f64 {
        logistic(self.slope * (x - CENTRE) + self.level).min(CLAIM_MAX)
    }

    /// The curve with the lowest mean over sets of `Brier score / variance of the labels`, found by pattern search (Hooke and
    /// Jeeves 1961): two numbers, and the cap leaves no derivative to trust. `None` without a count.
    pub(super) fn fit<'a>(sets: impl Iterator<Item = &'a Counts>) -> Option<Self> {
        let sets: Vec<Weighed> = sets.filter(|counts| !counts.is_empty()).map(Weighed::of).collect();
        if sets.is_empty() {
            return None;
        }
        let loss = |curve: Self| sets.iter().map(|set| set.loss(curve)).sum::<f64>();
        let mut best = Self { slope: START.0, level: START.1 };
        let (mut lowest, mut step) = (loss(best), FIRST_STEP);
        for _ in 0..ROUNDS_MAX {
            let from = best;
            for (along_slope, along_level) in
                [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)]
            {
                // A higher score is never less sure.
                let slope = (from.slope + step * along_slope).clamp(0.0, SLOPE_MAX);
                let tried = Self { slope, level: from.level + step * along_level };
                let found = loss(tried);
                if found < lowest {
                    (best, lowest) = (tried, found);
                }
            }
            if best == from {
                step /= 2.0;
            }
            if step < LAST_STEP {
                break;
            }
        }
        Some(best)
    }
}

/// A set's counts, each as a share of what its Brier score is held against.
struct Weighed {
    /// Value, all and true ones.
    points: Vec<(f64, f64, f64)>,
}

impl Weighed {
    fn of(counts: &Counts) -> Self {
        let (n_all, share) = size_and_share(counts);
        let unit = n_all * share * (1.0 - share);
        let points = counts.iter().map(|(bin, (n, hits))| (*bin as f64 * BIN_WIDTH, n / unit, hits / unit));
        Self { points: points.collect() }
    }

    /// The squared errors, less what no curve can change.
    fn loss(&self, curve: RowCurve) -> f64 {
        self.points.iter().map(|(x, n, hits)| (n * curve.at(*x) - 2.0 * hits) * curve.at(*x)).sum()
    }
}
