//! Other programs beside ours: the same series, the same judge, and as far as they let us the same alert policy.

use serde::{Deserialize, Serialize};

use super::comparison::{Change, Comparison};
use super::judgement::{AlertsBy, Judged};
use super::rows::{Rows, dash, number, signed};
use super::{Evaluation, Protocol, QualityMetrics, SetMetrics};
use crate::metrics::EventTotals;

/// What another program's scores are worth on the same series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerMetrics {
    /// What it is called.
    pub name: String,
    /// Where its alerts came from; `None` if it has none on any series. Of several, the first.
    pub alerts_by: Option<AlertsBy>,
    /// The mean over sets.
    #[serde(rename = "macro")]
    pub overall: QualityMetrics,
    /// Each set.
    pub sets: Vec<SetMetrics>,
    /// Events by a fixed threshold, the mean over sets, where the alerts above came from another rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_fixed_threshold: Option<EventTotals>,
    /// Ours less its VUS-PR over the same series, if any is in both.
    pub lead: Option<Change>,
    /// Series that it couldn't be judged on, and why.
    pub failures: Vec<String>,
}

impl Evaluation {
    /// Puts a program beside ours. `judged` are its series as they are to be told; `by_fixed_threshold` the same with
    /// alerts by a fixed threshold, if `judged` have others.
    pub fn add_peer(&mut self, name: String, judged: &[Judged], by_fixed_threshold: Option<&[Judged]>) {
        let protocol = Protocol { scored_by: name.clone(), ..self.protocol.clone() };
        let theirs = Self::of(protocol.clone(), judged);
        let lead =
            Comparison::of(&theirs, self).changes.into_iter().find(|change| change.metric == "eval.vus_pr.macro");
        let failures = theirs.series.iter().filter_map(|one| {
            let why = one.failure.as_ref()?;
            Some(format!("{}/{}: {why}", one.set, one.series))
        });
        self.peers.push(PeerMetrics {
            name,
            alerts_by: judged.iter().filter_map(|one| one.alerts_by).min(),
            failures: failures.collect(),
            overall: theirs.overall,
            sets: theirs.sets,
            by_fixed_threshold: by_fixed_threshold.and_then(|judged| Self::of(protocol, judged).overall.events),
            lead,
        });
    }
}

/// VUS-PR by set, and the means: ours, then each peer.
pub(super) fn rankings(evaluation: &Evaluation) -> Rows {
    let mut header = vec!["VUS-PR".to_owned()];
    header.extend(set_names(evaluation).map(str::to_owned));
    header.extend(["macro", "ours less its", "95 %", "AUC-PR"].map(str::to_owned));
    let mut rows = vec![header];
    for beside in Beside::all(evaluation) {
        let mut row = vec![beside.name.to_owned()];
        row.extend(set_names(evaluation).map(|set| number(beside.set(set).and_then(vus_pr))));
        let difference = beside.lead.map(|lead| lead.difference);
        row.extend([
            number(vus_pr(beside.overall)),
            signed(difference.map(|one| one.value)),
            difference.map_or_else(dash, |one| format!("{:+.2} to {:+.2}", one.low, one.high)),
            number(beside.overall.auc_pr.map(|one| one.value)),
        ]);
        rows.push(row);
    }
    rows
}

/// Event F1 and realised false alarms by set, and the means; where alerts came from.
pub(super) fn events(evaluation: &Evaluation) -> Rows {
    let mut header = vec!["event F1 @ false/day".to_owned()];
    header.extend(set_names(evaluation).map(str::to_owned));
    header.extend(["macro", "alerts", "by a fixed threshold"].map(str::to_owned));
    let mut rows = vec![header];
    for beside in Beside::all(evaluation) {
        let mut row = vec![beside.name.to_owned()];
        row.extend(set_names(evaluation).map(|set| f1_at(beside.set(set).and_then(|one| one.events.as_ref()))));
        row.extend([
            f1_at(beside.overall.events.as_ref()),
            beside.alerts_by.map_or_else(dash, |by| by.name().to_owned()),
            f1_at(beside.by_fixed_threshold),
        ]);
        rows.push(row);
    }
    rows
}

/// What of the peers couldn't be judged.
pub(super) fn troubles(evaluation: &Evaluation) -> Vec<String> {
    let failed = |peer: &PeerMetrics| {
        let first = peer.failures.first()?;
        let n_failed = peer.failures.len();
        Some(format!("{}: {n_failed} series couldn't be judged and are in none of its metrics: {first}", peer.name))
    };
    evaluation.peers.iter().filter_map(failed).collect()
}

/// A row of the tables.
struct Beside<'a> {
    name: &'a str,
    overall: &'a QualityMetrics,
    sets: &'a [SetMetrics],
    alerts_by: Option<AlertsBy>,
    by_fixed_threshold: Option<&'a EventTotals>,
    lead: Option<&'a Change>,
}

impl<'a> Beside<'a> {
    fn all(evaluation: &'a Evaluation) -> impl Iterator<Item = Self> {
        let ours = Self {
            name: &evaluation.protocol.scored_by,
            overall: &evaluation.overall,
            sets: &evaluation.sets,
            alerts_by: evaluation.overall.events.as_ref().map(|_| AlertsBy::Itself),
            by_fixed_threshold: None,
            lead: None,
        };
        let peers = evaluation.peers.iter().map(|peer| Self {
            name: &peer.name,
            overall: &peer.overall,
            sets: &peer.sets,
            alerts_by: peer.alerts_by,
            by_fixed_threshold: peer.by_fixed_threshold.as_ref(),
            lead: peer.lead.as_ref(),
        });
        std::iter::once(ours).chain(peers)
    }

    fn set(&self, name: &str) -> Option<&'a QualityMetrics> {
        self.sets.iter().find(|set| set.set == name).map(|set| &set.metrics)
    }
}

fn set_names(evaluation: &Evaluation) -> impl Iterator<Item = &str> + Clone {
    evaluation.sets.iter().map(|set| set.set.as_str())
}

fn vus_pr(metrics: &QualityMetrics) -> Option<f64> {
    metrics.vus_pr.map(|one| one.value)
}

fn f1_at(events: Option<&EventTotals>) -> String {
    events.map_or_else(dash, |one| format!("{:.2} @ {:.2}", one.f1, one.false_alarms_per_day))
}
