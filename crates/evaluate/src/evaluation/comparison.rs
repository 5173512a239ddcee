//! Two evaluations side by side: what changed, and whether it is more than noise.

use std::collections::BTreeMap;

use homeostat_core::Seed;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Estimate, bootstrapped, mean};
use super::{Evaluation, Protocol, RESAMPLES, SeriesJudgement};

/// A difference below this means nothing even where the interval excludes 0: seeds alone move a set by a tenth of it, and
/// choices nobody would call better by more.
pub(crate) const DIFFERENCE_MIN: f64 = 0.01;

/// What to make of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better, beyond noise.
    Better,
    /// Worse, beyond noise.
    Worse,
    /// The interval of the difference has 0 in it, or the difference is too small to mean anything.
    Noise,
}

/// How one metric changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which metric, as in the figure lines.
    pub metric: String,
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
    /// By metric: the mean over sets, then each set.
    pub changes: Vec<Change>,
    /// Series that are in one of them only; they are left out.
    pub n_unmatched: usize,
    /// What else differs between the two: whoever compares should know.
    pub otherwise: Vec<String>,
}

impl Comparison {
    /// Compares two evaluations series by series: the same series are drawn for both, so that how hard a series is cancels.
    pub fn of(before: &Evaluation, after: &Evaluation) -> Self {
        let (old, new) = (by_series(before), by_series(after));
        let n_common = new.keys().filter(|key| old.contains_key(*key)).count();
        let mut comparison = Self {
            changes: Vec::new(),
            n_unmatched: old.len() + new.len() - 2 * n_common,
            otherwise: otherwise(&before.protocol, &after.protocol),
        };
        comparison.add("vus_pr", &old, &new, |one| one.vus_pr);
        comparison.add("auc_pr", &old, &new, |one| one.auc_pr);
        let counts = Counts::pairs(&old, &new);
        comparison.add_counted("event_f1", HIGHER, &counts, Counts::f1);
        comparison.add_counted("false_alarms", LOWER, &counts, Counts::false_alarms_per_day);
        comparison
    }

    /// In a sentence: what got worse beyond noise.
    pub fn verdict(&self) -> String {
        let worse: Vec<String> = self
            .changes
            .iter()
            .filter(|change| change.verdict == Verdict::Worse)
            .map(|change| format!("{} by {:.3}", change.metric, change.difference.value.abs()))
            .collect();
        if self.changes.is_empty() {
            "no series is in both: nothing can be compared".to_owned()
        } else if worse.is_empty() {
            "nothing got worse by more than noise".to_owned()
        } else {
            format!("worse by more than noise: {}", worse.join(", "))
        }
    }

    /// A measure of counts, which series share: each round draws series and adds up what these have.
    fn add_counted(&mut self, measure: &str, good: Good, sets: &PairsBySet<'_>, of: fn(Counts) -> f64) {
        let seed = Seed::new(1).fork("comparison").fork(measure);
        let (mut rounds, mut found): (Vec<Vec<f64>>, Vec<Change>) = (Vec::new(), Vec::new());
        for (set, pairs) in sets.iter().filter(|(_, pairs)| !pairs.is_empty()) {
            let total = |drawn: &[usize]| {
                let sum = |which: fn(&(Counts, Counts)) -> Counts| {
                    drawn.iter().filter_map(|idx| pairs.get(*idx)).map(which).fold(Counts::default(), Counts::and)
                };
                (of(sum(|pair| pair.0)), of(sum(|pair| pair.1)))
            };
            let all: Vec<usize> = (0..pairs.len()).collect();
            let mut rng = seed.fork(set).rng();
            let resampled: Vec<f64> = (0..RESAMPLES)
                .map(|_| all.iter().map(|_| rng.random_range(0..pairs.len())).collect::<Vec<usize>>())
                .map(|drawn| total(&drawn))
                .map(|(before, after)| after - before)
                .collect();
            let (before, after) = total(&all);
            found.extend(change(format!("eval.{measure}.{set}"), before, after, &resampled, good));
            rounds.push(resampled);
        }
        self.add_sets(measure, found, &rounds, good);
    }

    /// The mean over sets, then the sets.
    fn add_sets(&mut self, measure: &str, mut sets: Vec<Change>, rounds: &[Vec<f64>], good: Good) {
        let over = |which: fn(&Change) -> f64| mean(sets.iter().map(which));
        if let (Some(before), Some(after)) = (over(|set| set.before), over(|set| set.after)) {
            let resampled: Vec<f64> =
                (0..RESAMPLES).filter_map(|round| mean(rounds.iter().map(|set| set[round]))).collect();
            self.changes.extend(change(format!("eval.{measure}.macro"), before, after, &resampled, good));
        }
        self.changes.append(&mut sets);
    }

    fn add(&mut self, measure: &str, old: &BySeries<'_>, new: &BySeries<'_>, of: fn(&SeriesJudgement) -> Option<f64>) {
        let mut pairs: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for (key, seeds) in new {
            let metric = |seeds: &[&SeriesJudgement]| mean(seeds.iter().filter_map(|one| of(one)));
            let before = old.get(key).and_then(|seeds| metric(seeds));
            if let (Some(before), Some(after)) = (before, metric(seeds)) {
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
            sets.extend(change(
                format!("eval.{measure}.{set}"),
                of(|pair| pair.0),
                of(|pair| pair.1),
                &resampled,
                HIGHER,
            ));
            rounds.push(resampled);
        }
        self.add_sets(measure, sets, &rounds, HIGHER);
    }
}

/// Which way is better, and from what on a difference means anything.
#[derive(Clone, Copy)]
struct Good {
    sign: f64,
    difference_min: f64,
}

const HIGHER: Good = Good { sign: 1.0, difference_min: DIFFERENCE_MIN };
/// Of false alarms for each series and day: one in twenty days.
const LOWER: Good = Good { sign: -1.0, difference_min: 0.05 };

/// What alerts found, over all seeds of some series.
#[derive(Clone, Copy, Default)]
struct Counts {
    n_events: usize,
    n_found: usize,
    n_episodes: usize,
    n_true: usize,
    days: f64,
}

type PairsBySet<'a> = BTreeMap<&'a str, Vec<(Counts, Counts)>>;

impl Counts {
    /// By set, the counts of the series that are in both.
    fn pairs<'a>(old: &BySeries<'_>, new: &BySeries<'a>) -> PairsBySet<'a> {
        let mut pairs: PairsBySet<'a> = BTreeMap::new();
        for (key, seeds) in new {
            let before = old.get(key).and_then(|seeds| Self::of(seeds));
            if let (Some(before), Some(after)) = (before, Self::of(seeds)) {
                pairs.entry(key.0).or_default().push((before, after));
            }
        }
        pairs
    }

    /// `None` where nothing alerts.
    fn of(seeds: &[&SeriesJudgement]) -> Option<Self> {
        let counts = seeds.iter().filter_map(|one| {
            let events = one.events.as_ref()?;
            let (n_events, n_found) = (events.n_events, events.n_found);
            Some(Self { n_events, n_found, n_episodes: events.n_episodes, n_true: events.n_true, days: one.days })
        });
        counts.reduce(Self::and)
    }

    fn and(self, other: Self) -> Self {
        Self {
            n_events: self.n_events + other.n_events,
            n_found: self.n_found + other.n_found,
            n_episodes: self.n_episodes + other.n_episodes,
            n_true: self.n_true + other.n_true,
            days: self.days + other.days,
        }
    }

    fn f1(self) -> f64 {
        let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let (recall, precision) = (share(self.n_found, self.n_events), share(self.n_true, self.n_episodes));
        if recall + precision > 0.0 { 2.0 * recall * precision / (recall + precision) } else { 0.0 }
    }

    fn false_alarms_per_day(self) -> f64 {
        if self.days > 0.0 { self.n_episodes.saturating_sub(self.n_true) as f64 / self.days } else { 0.0 }
    }
}

/// What was asked of the two that isn't the same.
fn otherwise(before: &Protocol, after: &Protocol) -> Vec<String> {
    let pairs = [
        ("scored by", before.scored_by.clone(), after.scored_by.clone()),
        ("budget", before.budget.clone(), after.budget.clone()),
        ("detectors", before.detectors.join(", "), after.detectors.join(", ")),
        ("seeds", format!("{:?}", before.seeds), format!("{:?}", after.seeds)),
    ];
    let differs = pairs.into_iter().filter(|(_, before, after)| before != after);
    differs.map(|(what, before, after)| format!("{what}: {before} before, {after} now")).collect()
}

type BySeries<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a SeriesJudgement>>;

fn by_series(evaluation: &Evaluation) -> BySeries<'_> {
    let mut all: BySeries<'_> = BTreeMap::new();
    for one in &evaluation.series {
        all.entry((&one.set, &one.series)).or_default().push(one);
    }
    all
}

fn change(metric: String, before: f64, after: f64, resampled: &[f64], good: Good) -> Option<Change> {
    let difference = Estimate::of(Some(after - before), resampled)?;
    let excludes_0 = difference.low > 0.0 || difference.high < 0.0;
    let verdict = if difference.value.abs() < good.difference_min || !excludes_0 {
        Verdict::Noise
    } else if difference.value * good.sign > 0.0 {
        Verdict::Better
    } else {
        Verdict::Worse
    };
    Some(Change { metric, before, after, difference, verdict })
}
