//! One series judged: what was said of its rows against what was labelled.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_detect::{FalseAlarmBudget, Hysteresis};
use homeostat_incidents::AlertPolicy;
use serde::{Deserialize, Serialize};

use super::trace::Trace;
use crate::dataset::{LabelledSeries, SeriesEntry};
use crate::metrics::{
    ALERT_BINS, EventCounts, EventRule, ROW_BINS, Run, auc_pr, brier, expected_calibration_error, period_rows, ranked,
    threshold_for_budget, vus_pr,
};
use crate::ranking::ranking_scores;
use crate::scores::Scores;
use crate::series_run::SeriesRun;

/// The metrics of one series under one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesJudgement {
    /// Its set.
    pub set: String,
    /// Its name.
    pub series: String,
    /// The seed of training.
    pub seed: u64,
    /// Seconds between rows.
    pub interval_s: u64,
    /// Days that were judged.
    pub days: f64,
    /// Why there are no metrics, if there are none.
    pub failure: Option<String>,
    /// Detectors that couldn't be trained, and why.
    pub missing: Vec<(String, String)>,
    /// Stamps that were not one interval after the one before.
    pub n_odd_stamps: usize,
    /// The largest buffer of VUS-PR.
    pub period_rows: Option<usize>,
    /// VUS-PR; `None` without a labelled row.
    pub vus_pr: Option<f64>,
    /// AUC-PR; `None` without a labelled row.
    pub auc_pr: Option<f64>,
    /// Share of labelled rows; `None` without one.
    pub base_rate: Option<f64>,
    /// What its alerts found; `None` if there were no alerts to judge.
    pub events: Option<EventCounts>,
    /// Events that were missed because an incident was open already when they began; `None` for another program's scores.
    pub n_masked: Option<usize>,
    /// What each detector is worth.
    pub detectors: BTreeMap<String, DetectorWorth>,
}

/// VUS-PR of one detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectorWorth {
    /// Its own, smoothed like the ensemble's.
    pub alone: Option<f64>,
    /// What leaving it out costs the ensemble; negative where the ensemble is better without. `None` without ablation.
    pub cost: Option<f64>,
}

/// How good claimed probabilities are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceMetrics {
    /// Mean squared error of rows.
    pub brier: Option<f64>,
    /// The same of claiming the base rate always.
    pub brier_base: Option<f64>,
    /// `1 − brier / brier_base`.
    pub brier_skill: Option<f64>,
    /// Calibration error of rows.
    pub ece: Option<f64>,
    /// Calibration error of alerts.
    pub alert_ece: Option<f64>,
}

/// A judgement with the rows it rests on.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The metrics.
    pub judgement: SeriesJudgement,
    /// The judged rows' labels.
    pub labels: Vec<bool>,
    /// What was said of them.
    pub scores: Scores,
    /// Nats in one unit of score; 1 for another program's scores, whose unit is its own.
    pub score_nats: f64,
    /// Where the alerts came from; `None` if there are none.
    pub alerts_by: Option<AlertsBy>,
    /// Training rows.
    pub history_rows: f64,
    /// The episodes of alerts: first row, last row, and whether something was there.
    pub episodes: Vec<(usize, usize, bool)>,
    /// The rows, small enough to draw.
    pub trace: Trace,
}

/// What is told beside scores.
#[derive(Clone, Copy, Debug)]
pub struct JudgeOptions {
    /// Judge with each detector left out.
    pub ablation: bool,
    /// The false-alarm budget, for alerts of a program that raises none of its own.
    pub budget: FalseAlarmBudget,
    /// How those alerts are made.
    pub alerts: AlertRule,
}

/// How alerts are made of the scores of a program that raises none of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AlertRule {
    /// One threshold for the whole series: that at which its training rows' scores have as many episodes as the budget allows.
    /// The rule of the dataset's independent judge.
    FixedThreshold,
    /// homeostat's own policy on the program's surprisals, with incidents opening by this rule; a fixed threshold where there
    /// are no surprisals.
    Policy(Hysteresis),
}

/// Where a program's alerts came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertsBy {
    /// It raised them itself.
    Itself,
    /// homeostat's policy on its surprisals.
    Policy,
    /// One threshold, from its training rows.
    FixedThreshold,
}

impl AlertsBy {
    /// For a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Itself => "its own",
            Self::Policy => "homeostat's policy",
            Self::FixedThreshold => "fixed threshold",
        }
    }
}

impl SeriesJudgement {
    fn blank(entry: &SeriesEntry, seed: u64) -> Self {
        let judged_s = (entry.rows - entry.train_rows) as f64 * entry.interval_s as f64;
        Self {
            set: entry.set.clone(),
            series: entry.series.clone(),
            seed,
            interval_s: entry.interval_s,
            days: judged_s / 86_400.0,
            failure: None,
            missing: Vec::new(),
            n_odd_stamps: 0,
            period_rows: None,
            vus_pr: None,
            auc_pr: None,
            base_rate: None,
            events: None,
            n_masked: None,
            detectors: BTreeMap::new(),
        }
    }

    /// What series and seed it is about.
    pub fn key(&self) -> (&str, &str, u64) {
        (&self.set, &self.series, self.seed)
    }

    /// The time between rows.
    pub fn step(&self) -> Duration {
        Duration::from_secs(self.interval_s)
    }
}

fn history_days(entry: &SeriesEntry) -> f64 {
    entry.train_rows as f64 * entry.interval_s as f64 / 86_400.0
}

/// Alerts for the judged rows of a program that raises none, and where they came from.
fn alerts(
    entry: &SeriesEntry,
    series: &LabelledSeries,
    train: &Scores,
    judged: &Scores,
    options: JudgeOptions,
) -> Option<(Vec<bool>, AlertsBy)> {
    if let AlertRule::Policy(hysteresis) = options.alerts
        && let Some(alert) = alerts_by_policy(series, train, judged, &options.budget, hysteresis)
    {
        return Some((alert, AlertsBy::Policy));
    }
    let train = ranked(&train.score);
    // A program's first scores, while it warms up, say nothing.
    let warm = train.get(60.min(train.len() / 10)..).unwrap_or_default();
    let n_allowed = options.budget.incidents_per_day() * history_days(entry);
    let threshold = threshold_for_budget(warm, n_allowed, &EventRule::of_step(entry.step()))?;
    Some((ranked(&judged.score).iter().map(|score| *score > threshold).collect(), AlertsBy::FixedThreshold))
}

/// homeostat's policy, its threshold from the last third of the training rows, as an ensemble's.
fn alerts_by_policy(
    series: &LabelledSeries,
    train: &Scores,
    judged: &Scores,
    budget: &FalseAlarmBudget,
    hysteresis: Hysteresis,
) -> Option<Vec<bool>> {
    let (history, nats) = (train.surprisal_nats.as_ref()?, judged.surprisal_nats.as_ref()?);
    let said = |nats: &f64| (!nats.is_nan()).then_some(*nats);
    let held_out: Vec<Option<f64>> = history.iter().skip(history.len() * 2 / 3).map(said).collect();
    let mut policy = AlertPolicy::fit(&series.window, &held_out, budget, hysteresis);
    let grid = series.window.grid();
    let rows = nats.iter().enumerate();
    Some(rows.map(|(row, nats)| policy.push(grid.at(series.train_rows + row), said(nats))).collect())
}

impl Judged {
    /// A series without metrics.
    pub fn failed(entry: &SeriesEntry, seed: u64, why: String) -> Self {
        let judgement = SeriesJudgement { failure: Some(why), ..SeriesJudgement::blank(entry, seed) };
        Self {
            judgement,
            labels: Vec::new(),
            scores: Scores::default(),
            score_nats: 1.0,
            alerts_by: None,
            history_rows: entry.train_rows as f64,
            episodes: Vec::new(),
            trace: Trace::default(),
        }
    }

    /// Judges a run of our own.
    pub fn of_run(
        entry: &SeriesEntry,
        series: &LabelledSeries,
        seed: u64,
        run: SeriesRun,
        options: JudgeOptions,
    ) -> Self {
        let scores = Scores { score: run.score, alert: Some(run.alert), ..Scores::default() };
        let mut judged = Self::of_scores(entry, series, seed, None, scores, options);
        judged.score_nats = run.threshold_nats;
        judged.judgement.missing = run.missing;
        judged.judgement.n_masked = Some(judged.n_masked(&run.open));
        let Some(period) = judged.judgement.period_rows else { return judged };
        let columns: Vec<&[f64]> = run.surprisal_nats.iter().map(Vec::as_slice).collect();
        let vus = |columns: &[&[f64]]| vus_pr(&judged.labels, &ranking_scores(columns), period);
        let together = if options.ablation { vus(&columns) } else { None };
        let worth = run.detectors.iter().enumerate().map(|(idx, name)| {
            let mut others = columns.clone();
            let own = others.remove(idx);
            let cost = together.filter(|_| !others.is_empty()).and_then(|all| Some(all - vus(&others)?));
            (name.clone(), DetectorWorth { alone: vus(&[own]), cost })
        });
        judged.judgement.detectors = worth.collect();
        judged
    }

    /// Judges scores of any program for the judged rows; `train` are those of the train rows, from which alerts come where it
    /// raises none.
    pub fn of_scores(
        entry: &SeriesEntry,
        series: &LabelledSeries,
        seed: u64,
        train: Option<&Scores>,
        mut scores: Scores,
        options: JudgeOptions,
    ) -> Self {
        let labels = series.judged_labels().to_vec();
        let mut judgement = SeriesJudgement::blank(entry, seed);
        judgement.n_odd_stamps = series.stamps.n_back + series.stamps.n_irregular;
        let score = ranked(&scores.score);
        let n_labelled = labels.iter().filter(|label| **label).count();
        if n_labelled > 0 {
            let period = period_rows(&series.judged_first_feature());
            judgement.period_rows = Some(period);
            judgement.vus_pr = vus_pr(&labels, &score, period);
            judgement.auc_pr = Some(auc_pr(&labels, &score));
            judgement.base_rate = Some(n_labelled as f64 / labels.len() as f64);
        }
        let rule = EventRule::of_step(entry.step());
        let mut alerts_by = scores.alert.as_ref().map(|_| AlertsBy::Itself);
        if scores.alert.is_none()
            && let Some(train) = train
            && let Some((alert, by)) = alerts(entry, series, train, &scores, options)
        {
            (scores.alert, alerts_by) = (Some(alert), Some(by));
        }
        let mut episodes = Vec::new();
        if let Some(alerts) = &scores.alert {
            let (counts, judged) = EventCounts::count(alerts, &labels, &rule);
            judgement.events = Some(counts);
            episodes = judged.into_iter().map(|(run, is_true)| (run.first, run.last, is_true)).collect();
        }
        let trace = Trace::of(series, &scores);
        Self {
            judgement,
            labels,
            scores,
            score_nats: 1.0,
            alerts_by,
            history_rows: entry.train_rows as f64,
            episodes,
            trace,
        }
    }

    fn n_masked(&self, open: &[bool]) -> usize {
        let alert = self.scores.alert.as_deref().unwrap_or_default();
        let is_masked = |event: &Run| {
            let found = alert.get(event.first..=event.last).is_some_and(|rows| rows.contains(&true));
            !found && open.get(event.first) == Some(&true)
        };
        Run::all(&self.labels).iter().filter(|event| is_masked(event)).count()
    }

    /// The highest confidence of each episode, and whether it was true.
    pub(super) fn alert_claims(&self) -> impl Iterator<Item = (f64, bool)> + '_ {
        let confidence = self.scores.confidence.as_deref().unwrap_or_default();
        self.episodes.iter().filter_map(move |(first, last, is_true)| {
            let highest = confidence.get(*first..=*last)?.iter().copied().fold(0.0, f64::max);
            Some((highest, *is_true))
        })
    }

    pub(super) fn row_claims(&self) -> impl Iterator<Item = (f64, bool)> + '_ {
        let confidence = self.scores.confidence.as_deref().unwrap_or_default();
        confidence.iter().copied().zip(self.labels.iter().copied())
    }
}

impl ConfidenceMetrics {
    /// Of all rows and alerts of these series together; empty where none claims a confidence.
    pub(super) fn of<'a>(members: impl Iterator<Item = &'a Judged> + Clone) -> Self {
        let rows = || members.clone().flat_map(Judged::row_claims);
        let (n_rows, n_labelled) = rows().fold((0, 0), |(n, labelled), row| (n + 1, labelled + usize::from(row.1)));
        let base_rate = n_labelled as f64 / f64::from(n_rows.max(1));
        let brier_base = (n_rows > 0).then_some(base_rate * (1.0 - base_rate));
        let brier = brier(rows());
        let skill = brier.zip(brier_base).filter(|(_, base)| *base > 0.0).map(|(brier, base)| 1.0 - brier / base);
        Self {
            brier,
            brier_base,
            brier_skill: skill,
            ece: expected_calibration_error(rows(), ROW_BINS),
            alert_ece: expected_calibration_error(members.clone().flat_map(Judged::alert_claims), ALERT_BINS),
        }
    }
}
