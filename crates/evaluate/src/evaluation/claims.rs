//! Confidence for a set from the labels of the other sets: what calibration is worth where it was never fitted.
//!
//! Rows: `min(½, σ(a · ln(0.1 + score) + b))`, every set weighing by the reciprocal of its labels' variance: what is judged
//! is the error relative to that, and a set where one row in a hundred is labelled must not pay for one with twenty. The cap
//! is there because a row's score can't say more across sets: base rates differ twentyfold between them. Rows at which an
//! alert is raised claim the alert's own probability instead, the same curve fitted to alerts and without the cap: there
//! are few, and somebody acts on them.

use std::collections::BTreeMap;

use super::judgement::Judged;

/// Leaves the log of the smallest scores finite, as they are all alike.
const SCORE_OFFSET: f64 = 0.1;
/// No row's claim is higher.
const ROW_CLAIM_MAX: f64 = 0.5;
/// Rows are counted in bins of `ln(0.1 + score)` this wide: finer changes no curve of two numbers.
const BIN_WIDTH: f64 = 0.02;
/// Newton's method doubles its digits each round; twenty are plenty, and bound the work where nothing separates.
const ROUNDS_MAX: usize = 20;
/// Weight of the prior that pulls the slope to 0, in rows: with few alerts a steep curve is luck.
const SLOPE_PRIOR: f64 = 2.0;

/// One judged series on its way to claims.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// What was said of it.
    pub judged: &'a Judged,
}

/// Confidence of every row of each of these series, fitted on the series of all other sets; `None` where there is no other
/// set to learn from.
pub fn claims(all: &[Claimant<'_>]) -> Vec<Option<Vec<f64>>> {
    let mut evidence: BTreeMap<&str, SetEvidence> = BTreeMap::new();
    for claimant in all {
        evidence.entry(&claimant.judged.judgement.set).or_default().add(claimant.judged);
    }
    let mut curves: BTreeMap<&str, Option<(Curve, Curve)>> = BTreeMap::new();
    for set in evidence.keys() {
        let others: Vec<&SetEvidence> =
            evidence.iter().filter(|(other, _)| other != &set).map(|(_, evidence)| evidence).collect();
        let rows = Curve::fit(others.iter().map(|set| &set.rows));
        let alerts = Curve::fit(others.iter().map(|set| &set.alerts));
        curves.insert(set, rows.map(|rows| (rows, alerts.unwrap_or(rows))));
    }
    let claimed = all.iter().map(|claimant| {
        let (rows, alerts) = (*curves.get(claimant.judged.judgement.set.as_str())?)?;
        let scores = &claimant.judged.scores;
        let raised = |row: usize| scores.alert.as_ref().is_some_and(|alerts| alerts.get(row) == Some(&true));
        let claim = |(row, score): (usize, &f64)| {
            let at = position(*score);
            if raised(row) { alerts.at(at) } else { rows.at(at).min(ROW_CLAIM_MAX) }
        };
        Some(scores.score.iter().enumerate().map(claim).collect())
    });
    claimed.collect()
}

fn position(score: f64) -> f64 {
    if score.is_nan() { SCORE_OFFSET.ln() } else { (SCORE_OFFSET + score.clamp(0.0, 1e12)).ln() }
}

/// Rows and alerts of one set, counted by score.
#[derive(Default)]
struct SetEvidence {
    rows: Counts,
    alerts: Counts,
}

/// By bin: how many, and how many of them true.
type Counts = BTreeMap<i64, (f64, f64)>;

impl SetEvidence {
    fn add(&mut self, judged: &Judged) {
        let count = |counts: &mut Counts, score: f64, is_true: bool| {
            let bin = counts.entry((position(score) / BIN_WIDTH).round() as i64).or_default();
            bin.0 += 1.0;
            bin.1 += f64::from(u8::from(is_true));
        };
        for (score, label) in judged.scores.score.iter().zip(&judged.labels) {
            count(&mut self.rows, *score, *label);
        }
        for (first, last, is_true) in &judged.episodes {
            let scores = judged.scores.score.get(*first..=*last).unwrap_or_default();
            let highest = scores.iter().copied().fold(0.0, f64::max);
            count(&mut self.alerts, highest, *is_true);
        }
    }
}

/// `σ(slope · x + level)`.
#[derive(Clone, Copy, Debug)]
struct Curve {
    slope: f64,
    level: f64,
}

impl Curve {
    fn at(self, x: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * x + self.level)).exp())
    }

    /// By maximum likelihood with a weak prior on the slope (Newton's method); each set weighs by the reciprocal of its
    /// outcomes' variance, all together as many as there are counts. `None` without a count.
    fn fit<'a>(sets: impl Iterator<Item = &'a Counts> + Clone) -> Option<Self> {
        let size = |counts: &Counts| counts.values().map(|(n, _)| n).sum::<f64>();
        let total: f64 = sets.clone().map(size).sum();
        let weight = |counts: &Counts| {
            let n = size(counts);
            let share = (counts.values().map(|(_, hits)| hits).sum::<f64>() + 1.0) / (n + 2.0);
            if n > 0.0 { 1.0 / (share * (1.0 - share)) } else { 0.0 }
        };
        let weights: f64 = sets.clone().map(weight).sum();
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for counts in sets.filter(|counts| !counts.is_empty()) {
            let weight = total * weight(counts) / weights / size(counts);
            points.extend(counts.iter().map(|(bin, (n, hits))| (*bin as f64 * BIN_WIDTH, weight * n, weight * hits)));
        }
        let hits: f64 = points.iter().map(|(_, _, hits)| hits).sum();
        // One true and one false beside what was seen: no share is 0 or 1 for certain.
        let share = (hits + 1.0) / (total + 2.0);
        let mut curve = Self { slope: 0.0, level: (share / (1.0 - share)).ln() };
        for _ in 0..ROUNDS_MAX {
            let Some(step) = curve.newton_step(&points) else { break };
            curve = Self { slope: curve.slope + step.0, level: curve.level + step.1 };
            if step.0.abs().max(step.1.abs()) < 1e-10 {
                break;
            }
        }
        // A higher score is never less sure.
        let rises = curve.slope >= 0.0 && curve.slope.is_finite() && curve.level.is_finite();
        (total > 0.0).then(|| if rises { curve } else { Self { slope: 0.0, level: (share / (1.0 - share)).ln() } })
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
