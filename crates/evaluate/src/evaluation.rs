//! An evaluation: every series judged, sets and their mean, what each detector is worth.

use std::collections::BTreeMap;

use homeostat_core::Seed;
use serde::{Deserialize, Serialize};

use crate::diagnosis::Diagnosis;
use crate::metrics::EventTotals;

mod bootstrap;
mod claims;
mod comparison;
mod figure_lines;
mod html;
mod judgement;
mod markdown;
mod peers;
mod rows;
mod table;
mod trace;

pub use bootstrap::Estimate;
pub use claims::{Claimant, claims};
pub use comparison::{Change, Comparison, Verdict};
pub use figure_lines::figure_lines;
pub use html::html;
pub use judgement::{AlertRule, AlertsBy, ConfidenceMetrics, DetectorWorth, JudgeOptions, Judged, SeriesJudgement};
pub use markdown::markdown;
pub use peers::PeerMetrics;
pub use table::table;
pub use trace::{TRACE_COLUMNS, Trace, TraceColumn};

pub(crate) use bootstrap::{bootstrapped, mean};
pub(crate) use comparison::DIFFERENCE_MIN;
pub(crate) use rows::{aligned, dash, number, signed};

/// What was judged, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Who made the scores: `homeostat`, or the directory of another program's.
    pub scored_by: String,
    /// The false-alarm budget that alerts had to keep to.
    pub budget: String,
    /// The same as false alarms for each series and day.
    #[serde(default)]
    pub budget_per_day: f64,
    /// The detectors that were asked for.
    pub detectors: Vec<String>,
    /// The seeds of training; every metric is a mean over them.
    pub seeds: Vec<u64>,
    /// Where confidence came from.
    pub confidence: String,
}

/// Everything an evaluation found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How it was made.
    pub protocol: Protocol,
    /// The mean over sets.
    #[serde(rename = "macro")]
    pub overall: QualityMetrics,
    /// Each set, by name.
    pub sets: Vec<SetMetrics>,
    /// Each series, and each seed of it.
    pub series: Vec<SeriesJudgement>,
    /// Other programs on the same series, in the order they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerMetrics>,
    /// Causes and types of simulated faults, if any were played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
}

/// One set's metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetMetrics {
    /// Its name.
    pub set: String,
    /// Its series.
    pub n_series: usize,
    /// Series and seeds that couldn't be run or judged; they are in no metric.
    pub n_failed: usize,
    /// The metrics.
    #[serde(flatten)]
    #[serde(alias = "figures")]
    pub metrics: QualityMetrics,
}

/// Metrics of a set, or their mean over sets. `None` is "nothing to judge by".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityMetrics {
    /// VUS-PR, with its 95 % interval over series.
    pub vus_pr: Option<Estimate>,
    /// AUC-PR, likewise.
    pub auc_pr: Option<Estimate>,
    /// Share of labelled rows: what a coin reaches in AUC-PR.
    pub base_rate: Option<f64>,
    /// Events.
    pub events: Option<EventTotals>,
    /// Confidence of rows and alerts.
    pub confidence: ConfidenceMetrics,
    /// VUS-PR by detector.
    pub detectors: BTreeMap<String, DetectorWorth>,
}

/// Resamples of a bootstrap: the ends of a 95 % interval are then the 50th of 2 000 from either side.
pub(crate) const RESAMPLES: usize = 2000;

impl Evaluation {
    /// Puts judgements together. `judged` in any order; the result doesn't depend on it.
    pub fn of(protocol: Protocol, judged: &[Judged]) -> Self {
        let mut by_set: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
        for one in judged {
            by_set.entry(&one.judgement.set).or_default().push(one);
        }
        let mut sets = Vec::new();
        let mut resampled = Vec::new();
        for (set, members) in &mut by_set {
            members.sort_by(|a, b| a.judgement.key().cmp(&b.judgement.key()));
            let (metrics, samples) = set_metrics(set, members);
            let n_failed = members.iter().filter(|one| one.judgement.failure.is_some()).count();
            let mut names: Vec<&str> = members.iter().map(|one| one.judgement.series.as_str()).collect();
            names.dedup();
            sets.push(SetMetrics { set: (*set).to_owned(), n_series: names.len(), n_failed, metrics });
            resampled.push(samples);
        }
        let overall = overall(&sets, &resampled);
        let series = by_set.values().flatten().map(|one| one.judgement.clone()).collect();
        Self { protocol, overall, sets, series, peers: Vec::new(), diagnosis: None }
    }
}

/// The resampled means of one set, by measure.
struct Resampled {
    vus_pr: Vec<f64>,
    auc_pr: Vec<f64>,
}

fn set_metrics(set: &str, members: &[&Judged]) -> (QualityMetrics, Resampled) {
    let metric = |of: &dyn Fn(&SeriesJudgement) -> Option<f64>| by_series(members, of);
    let seed = Seed::new(1).fork(set);
    let vus = metric(&|one| one.vus_pr);
    let auc = metric(&|one| one.auc_pr);
    let resampled = Resampled {
        vus_pr: bootstrapped(&vus, RESAMPLES, seed.fork("vus_pr")),
        auc_pr: bootstrapped(&auc, RESAMPLES, seed.fork("auc_pr")),
    };
    let events: Vec<_> = members
        .iter()
        .filter_map(|one| Some((one.judgement.events.as_ref()?, one.judgement.days, one.judgement.step())))
        .collect();
    let mut names: Vec<&String> = members.iter().flat_map(|one| one.judgement.detectors.keys()).collect();
    names.sort();
    names.dedup();
    let detectors = names.into_iter().map(|name| {
        let worth = |of: &dyn Fn(&DetectorWorth) -> Option<f64>| {
            mean(metric(&|one| one.detectors.get(name).and_then(of)).into_iter())
        };
        (name.clone(), DetectorWorth { alone: worth(&|one| one.alone), cost: worth(&|one| one.cost) })
    });
    let metrics = QualityMetrics {
        vus_pr: Estimate::of(mean(vus.iter().copied()), &resampled.vus_pr),
        auc_pr: Estimate::of(mean(auc.iter().copied()), &resampled.auc_pr),
        base_rate: mean(metric(&|one| one.base_rate).into_iter()),
        events: (!events.is_empty()).then(|| EventTotals::of(events)),
        confidence: ConfidenceMetrics::of(members.iter().copied()),
        detectors: detectors.collect(),
    };
    (metrics, resampled)
}

/// A metric of each series that has it, the mean over its seeds. `members` are in order of series.
fn by_series(members: &[&Judged], of: &dyn Fn(&SeriesJudgement) -> Option<f64>) -> Vec<f64> {
    let same_series = members.chunk_by(|a, b| a.judgement.series == b.judgement.series);
    same_series.filter_map(|seeds| mean(seeds.iter().filter_map(|one| of(&one.judgement)))).collect()
}

fn overall(sets: &[SetMetrics], resampled: &[Resampled]) -> QualityMetrics {
    let over = |of: &dyn Fn(&QualityMetrics) -> Option<f64>| mean(sets.iter().filter_map(|set| of(&set.metrics)));
    let estimate = |value: Option<f64>, of: &dyn Fn(&Resampled) -> &[f64]| {
        // Sets are given, series are drawn: the mean over sets of each round's set means.
        let columns: Vec<&[f64]> = resampled.iter().map(of).filter(|column| !column.is_empty()).collect();
        let rounds =
            (0..RESAMPLES).filter_map(|round| mean(columns.iter().filter_map(|column| column.get(round)).copied()));
        Estimate::of(value, &rounds.collect::<Vec<_>>())
    };
    let events = |of: &dyn Fn(&EventTotals) -> f64| over(&|set| set.events.as_ref().map(of));
    let claims = |of: &dyn Fn(&ConfidenceMetrics) -> Option<f64>| over(&|set| of(&set.confidence));
    let mut names: Vec<&String> = sets.iter().flat_map(|set| set.metrics.detectors.keys()).collect();
    names.sort();
    names.dedup();
    let detectors = names.into_iter().map(|name| {
        let worth = |of: &dyn Fn(&DetectorWorth) -> Option<f64>| over(&|set| set.detectors.get(name).and_then(of));
        (name.clone(), DetectorWorth { alone: worth(&|one| one.alone), cost: worth(&|one| one.cost) })
    });
    QualityMetrics {
        vus_pr: estimate(over(&|set| set.vus_pr.map(|one| one.value)), &|set| &set.vus_pr),
        auc_pr: estimate(over(&|set| set.auc_pr.map(|one| one.value)), &|set| &set.auc_pr),
        base_rate: over(&|set| set.base_rate),
        events: events(&|one| one.recall).map(|recall| EventTotals {
            n_events: sets.iter().filter_map(|set| set.metrics.events.as_ref()).map(|one| one.n_events).sum(),
            recall,
            precision: events(&|one| one.precision).unwrap_or(0.0),
            f1: events(&|one| one.f1).unwrap_or(0.0),
            false_alarms_per_day: events(&|one| one.false_alarms_per_day).unwrap_or(0.0),
            delay_s_median: over(&|set| set.events.as_ref().and_then(|one| one.delay_s_median)),
        }),
        confidence: ConfidenceMetrics {
            brier: claims(&|one| one.brier),
            brier_base: claims(&|one| one.brier_base),
            brier_skill: claims(&|one| one.brier_skill),
            ece: claims(&|one| one.ece),
            alert_ece: claims(&|one| one.alert_ece),
        },
        detectors: detectors.collect(),
    }
}

#[cfg(test)]
mod tests;
