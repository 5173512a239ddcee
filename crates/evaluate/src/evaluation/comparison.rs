//! Two evaluations side by side: what changed, and whether it is more than noise.

use std::collections::BTreeMap;

use homeostat_core::Seed;
use serde::Serialize;

use super::bootstrap::{Estimate, bootstrapped, mean};
use super::{Evaluation, RESAMPLES, SeriesJudgement};

/// A difference below this means nothing even where the interval excludes 0: seeds alone move a set by a tenth of it, and
/// choices nobody would call better by more.
const DIFFERENCE_MIN: f64 = 0.01;

/// What to make of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better, beyond noise.
    Better,
    /// Worse, beyond noise.
    Worse,
    /// The interval of the difference has 0 in it, or the difference is too small to mean anything.
    Noise,
}

/// How one figure changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Which figure, as in the figure lines.
    pub figure: String,
    /// In the older evaluation.
    pub before: f64,
    /// In this one.
    pub after: f64,
    /// The mean difference of the same series, with its 95 % interval over series.
    pub difference: Estimate,
    /// What to make of it.
    pub verdict: Verdict,
}

/// Everything that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// By figure: the mean over sets, then each set.
    pub changes: Vec<Change>,
    /// Series that are in one of them only; they are left out.
    pub n_unmatched: usize,
}

impl Comparison {
    /// Compares two evaluations series by series: the same series are drawn for both, so that how hard a series is cancels.
    pub fn of(before: &Evaluation, after: &Evaluation) -> Self {
        let (old, new) = (by_series(before), by_series(after));
        let n_common = new.keys().filter(|key| old.contains_key(*key)).count();
        let mut comparison = Self { changes: Vec::new(), n_unmatched: old.len() + new.len() - 2 * n_common };
        comparison.add("vus_pr", &old, &new, |one| one.vus_pr);
        comparison.add("auc_pr", &old, &new, |one| one.auc_pr);
        comparison
    }

    fn add(&mut self, measure: &str, old: &BySeries<'_>, new: &BySeries<'_>, of: fn(&SeriesJudgement) -> Option<f64>) {
        let mut pairs: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for (key, seeds) in new {
            let figure = |seeds: &[&SeriesJudgement]| mean(seeds.iter().filter_map(|one| of(one)));
            let before = old.get(key).and_then(|seeds| figure(seeds));
            if let (Some(before), Some(after)) = (before, figure(seeds)) {
                pairs.entry(key.0).or_default().push((before, after));
            }
        }
        let seed = Seed::new(1).fork("comparison").fork(measure);
        let mut rounds: Vec<Vec<f64>> = Vec::new();
        let mut sets: Vec<Change> = Vec::new();
        for (set, pairs) in &pairs {
            let differences: Vec<f64> = pairs.iter().map(|(before, after)| after - before).collect();
            let resampled = bootstrapped(&differences, RESAMPLES, seed.fork(set));
            let of = |which: fn(&(f64, f64)) -> f64| mean(pairs.iter().map(which)).unwrap_or(0.0);
            sets.extend(change(format!("eval.{measure}.{set}"), of(|pair| pair.0), of(|pair| pair.1), &resampled));
            rounds.push(resampled);
        }
        let over = |which: fn(&Change) -> f64| mean(sets.iter().map(which));
        if let (Some(before), Some(after)) = (over(|set| set.before), over(|set| set.after)) {
            let resampled: Vec<f64> =
                (0..RESAMPLES).filter_map(|round| mean(rounds.iter().map(|set| set[round]))).collect();
            self.changes.extend(change(format!("eval.{measure}.macro"), before, after, &resampled));
        }
        self.changes.append(&mut sets);
    }
}

type BySeries<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a SeriesJudgement>>;

fn by_series(evaluation: &Evaluation) -> BySeries<'_> {
    let mut all: BySeries<'_> = BTreeMap::new();
    for one in &evaluation.series {
        all.entry((&one.set, &one.series)).or_default().push(one);
    }
    all
}

fn change(figure: String, before: f64, after: f64, resampled: &[f64]) -> Option<Change> {
    let difference = Estimate::of(Some(after - before), resampled)?;
    let verdict = if difference.value.abs() < DIFFERENCE_MIN {
        Verdict::Noise
    } else if difference.low > 0.0 {
        Verdict::Better
    } else if difference.high < 0.0 {
        Verdict::Worse
    } else {
        Verdict::Noise
    };
    Some(Change { figure, before, after, difference, verdict })
}
