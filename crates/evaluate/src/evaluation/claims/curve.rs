//! A logistic curve by maximum likelihood.

use super::{BIN_WIDTH, Counts, log_odds, logistic, size_and_share};

/// Newton's method doubles its digits each round; twenty are plenty, and bound the work where nothing separates.
const ROUNDS_MAX: usize = 20;
/// Weight of the prior that pulls the slope to 0, in counts: with few alerts a steep curve is luck.
const SLOPE_PRIOR: f64 = 2.0;

/// `σ(slope · x + level)`, the slope not below 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    slope: f64,
    level: f64,
}

impl Curve {
    pub(super) fn at(self, x: f64) -> f64 {
        logistic(self.slope * x + self.level)
    }

    /// By maximum likelihood with a weak prior on the slope (Newton's method); every set weighs the same, all together as much
    /// as there are counts. `None` without a count.
    pub(super) fn fit<'a>(sets: impl Iterator<Item = &'a Counts> + Clone) -> Option<Self> {
        let sets = sets.filter(|counts| !counts.is_empty());
        let total: f64 = sets.clone().map(|counts| size_and_share(counts).0).sum();
        let n_sets = sets.clone().count() as f64;
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for counts in sets {
            let weight = total / n_sets / size_and_share(counts).0;
            points.extend(counts.iter().map(|(bin, (n, hits))| (*bin as f64 * BIN_WIDTH, weight * n, weight * hits)));
        }
        let hits: f64 = points.iter().map(|(_, _, hits)| hits).sum();
        let flat = Self { slope: 0.0, level: log_odds((hits + 1.0) / (total + 2.0)) };
        let mut curve = flat;
        for _ in 0..ROUNDS_MAX {
            let Some(step) = curve.newton_step(&points) else { break };
            curve = Self { slope: curve.slope + step.0, level: curve.level + step.1 };
            if step.0.abs().max(step.1.abs()) < 1e-10 {
                break;
            }
        }
        let rises = curve.slope >= 0.0 && curve.slope.is_finite() && curve.level.is_finite();
        (total > 0.0).then_some(if rises { curve } else { flat })
    }

    fn newton_step(self, points: &[(f64, f64, f64)]) -> Option<(f64, f64)> {
        let (mut to_slope, mut to_level) = (-SLOPE_PRIOR * self.slope, 0.0);
        let (mut slope_slope, mut slope_level, mut level_level) = (SLOPE_PRIOR, 0.0, 1e-9);
        for (x, n, hits) in points {
            let p = self.at(*x);
            let (missed, spread) = (hits - n * p, n * p * (1.0 - p));
            to_slope += missed * x;
            to_level += missed;
            slope_slope += spread * x * x;
            slope_level += spread * x;
            level_level += spread;
        }
        let determinant = slope_slope * level_level - slope_level * slope_level;
        let step = (
            (level_level * to_slope - slope_level * to_level) / determinant,
            (slope_slope * to_level - slope_level * to_slope) / determinant,
        );
        (step.0.is_finite() && step.1.is_finite()).then_some((step.0.clamp(-5.0, 5.0), step.1.clamp(-5.0, 5.0)))
    }
}
