//! Confidence for a set from the labels of the other sets: what calibration is worth where it was never fitted.
//!
//! Rows: `min(0.4, σ(a·x + b))` with `x = ln(0.1 + s) − ½·ln(0.1 + s̄)`, s being the score in nats and s̄ the subject's own mean of it
//! over some weeks: how often a score of this height means an incident differs from subject to subject, and its own past
//! is what is known of it. The cap is there because base rates differ twentyfold between sets. a and b are those with the best mean
//! Brier skill on the other sets, each set counting the same.
//!
//! Rows at which an alert is raised claim the alert's own probability instead: `σ(a·ln(rows of history) + b)`: what a threshold
//! was fitted to says most about what it lets through. An alert's score isn't in it: within a set a higher one is more often true,
//! but from one set to another it misleads (see decisions 24 and 29).

use std::collections::BTreeMap;

use super::judgement::Judged;

mod curve;
mod sure_of_rows;

use curve::Curve;
use sure_of_rows::RowCurve;

/// Leaves the log of the smallest scores finite, as they are all alike.
const SCORE_OFFSET: f64 = 0.1;
/// No row says more than this, in nats: one wild hour mustn't be a subject's mean for weeks.
const SCORE_NATS_MAX: f64 = 1e4;
/// How much of its own mean a subject's score is held against. 0.3 to 0.7 did as well on labelled data; 1 would make every
/// subject's base rate the same.
const OWN_MEAN_SHARE: f64 = 0.5;
/// Half-life of a subject's own mean: two weeks; 3 to 60 days differed little.
const OWN_MEAN_HALF_LIFE_S: f64 = 14.0 * 86_400.0;
/// Where that mean starts, in nats: little, so that the first claims err on the sure side for a few days rather than
/// never claim anything.
const OWN_MEAN_START_NATS: f64 = 1.0;
/// Values are counted in bins this wide: finer changes no curve of two numbers.
const BIN_WIDTH: f64 = 0.02;

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
    let mut curves: BTreeMap<&str, Option<(RowCurve, Option<Curve>)>> = BTreeMap::new();
    for set in evidence.keys() {
        let others: Vec<&SetEvidence> =
            evidence.iter().filter(|(other, _)| other != &set).map(|(_, evidence)| evidence).collect();
        let rows = RowCurve::fit(others.iter().map(|set| &set.rows));
        curves.insert(set, rows.map(|rows| (rows, Curve::fit(others.iter().map(|set| &set.alerts)))));
    }
    let claimed = all.iter().map(|claimant| {
        let (rows, alerts) = (*curves.get(claimant.judged.judgement.set.as_str())?)?;
        let of_alerts = alerts.map(|alerts| alerts.at(history(claimant.judged)));
        let raised = claimant.judged.scores.alert.as_deref().unwrap_or_default();
        let claim = |(row, position): (usize, f64)| match of_alerts {
            Some(of_alert) if raised.get(row) == Some(&true) => of_alert,
            Some(_) | None => rows.at(position),
        };
        Some(positions(claimant.judged).enumerate().map(claim).collect())
    });
    claimed.collect()
}

/// For each row how high its score stands, the subject's own past considered.
fn positions(judged: &Judged) -> impl Iterator<Item = f64> + '_ {
    let half_life_rows = OWN_MEAN_HALF_LIFE_S / judged.judgement.interval_s.max(1) as f64;
    let share = 1.0 - (-1.0 / half_life_rows.max(1.0)).exp2();
    let mut mean = OWN_MEAN_START_NATS;
    judged.scores.score.iter().map(move |score| {
        let nats = score * judged.score_nats;
        // NaN is nothing said.
        let nats = if nats.is_nan() { 0.0 } else { nats.clamp(0.0, SCORE_NATS_MAX) };
        mean += share * (nats - mean);
        (SCORE_OFFSET + nats).ln() - OWN_MEAN_SHARE * (SCORE_OFFSET + mean).ln()
    })
}

fn history(judged: &Judged) -> f64 {
    judged.history_rows.max(1.0).ln()
}

/// By bin: how many, and how many of them true.
type Counts = BTreeMap<i64, (f64, f64)>;

/// Rows and alerts of one set, counted.
#[derive(Default)]
struct SetEvidence {
    rows: Counts,
    alerts: Counts,
}

impl SetEvidence {
    fn add(&mut self, judged: &Judged) {
        let count = |counts: &mut Counts, position: f64, is_true: bool| {
            let bin = counts.entry((position / BIN_WIDTH).round() as i64).or_default();
            bin.0 += 1.0;
            bin.1 += f64::from(u8::from(is_true));
        };
        for (position, label) in positions(judged).zip(&judged.labels) {
            count(&mut self.rows, position, *label);
        }
        for (_, _, is_true) in &judged.episodes {
            count(&mut self.alerts, history(judged), *is_true);
        }
    }
}

/// How many, and the share of true ones; one true and one false beside what was seen, so that no share is 0 or 1 for certain.
fn size_and_share(counts: &Counts) -> (f64, f64) {
    let (n, hits) = counts.values().fold((0.0, 0.0), |(n, hits), bin| (n + bin.0, hits + bin.1));
    (n, (hits + 1.0) / (n + 2.0))
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn log_odds(share: f64) -> f64 {
    (share / (1.0 - share)).ln()
}
