//! The evaluation for a terminal: aligned columns, no colours, the same for the same evaluation.

use std::fmt::Write as _;

use super::comparison::{Comparison, Verdict};
use super::rows::{Rows, aligned, dash, number, signed};
use super::{Evaluation, QualityMetrics, peers};
use crate::diagnosis::{Diagnosis, DiagnosisMetrics, confusion};
use homeostat_core::Proportion;

/// The tables, and what failed.
pub fn table(evaluation: &Evaluation, against: Option<&Comparison>) -> String {
    let mut text = if evaluation.series.is_empty() { String::new() } else { aligned(&quality(evaluation)) };
    if !evaluation.peers.is_empty() {
        let _ = write!(text, "\nside by side\n{}", aligned(&peers::rankings(evaluation)));
        let _ = write!(text, "\n{}", aligned(&peers::events(evaluation)));
    }
    let detectors = detectors(evaluation);
    if detectors.len() > 1 {
        let _ = write!(
            text,
            "\nVUS-PR by detector (smoothed alike) and what leaving it out costs\n{}",
            aligned(&detectors)
        );
    }
    if let Some(diagnosis) = &evaluation.diagnosis {
        let _ = write!(text, "\n{}\n{}", diagnosed(diagnosis), aligned(&causes(diagnosis)));
        let _ = write!(text, "\nfaults by what they were called (* rightly)\n{}", aligned(&confusion(diagnosis)));
    }
    if let Some(comparison) = against {
        let _ = write!(text, "\nagainst the older evaluation, same series\n{}", aligned(&changes(comparison)));
        let _ = writeln!(text, "{}", comparison.verdict());
        for difference in &comparison.otherwise {
            let _ = writeln!(text, "not the same in both: {difference}");
        }
        if comparison.n_unmatched > 0 {
            let _ = writeln!(text, "{} series are in one of the two only and left out", comparison.n_unmatched);
        }
    }
    for trouble in troubles(evaluation) {
        let _ = writeln!(text, "{trouble}");
    }
    text
}

/// Sets and their mean.
pub(super) fn quality(evaluation: &Evaluation) -> Rows {
    let header = [
        "set",
        "series",
        "VUS-PR",
        "95 %",
        "AUC-PR",
        "events",
        "recall",
        "prec.",
        "F1",
        "false/day",
        "delay",
        "skill",
        "ECE",
        "alert ECE",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for set in &evaluation.sets {
        let n_series = match set.n_failed {
            0 => set.n_series.to_string(),
            n_failed => format!("{} ({n_failed} failed)", set.n_series),
        };
        rows.push(quality_row(&set.set, &n_series, &set.metrics));
    }
    let n_series: usize = evaluation.sets.iter().map(|set| set.n_series).sum();
    rows.push(quality_row("macro", &n_series.to_string(), &evaluation.overall));
    rows
}

fn quality_row(name: &str, n_series: &str, metrics: &QualityMetrics) -> Vec<String> {
    let events = metrics.events.as_ref();
    let confidence = &metrics.confidence;
    let interval = metrics.vus_pr.map_or_else(dash, |one| format!("{:.2}–{:.2}", one.low, one.high));
    vec![
        name.to_owned(),
        n_series.to_owned(),
        number(metrics.vus_pr.map(|one| one.value)),
        interval,
        number(metrics.auc_pr.map(|one| one.value)),
        events.map_or_else(dash, |one| one.n_events.to_string()),
        number(events.map(|one| one.recall)),
        number(events.map(|one| one.precision)),
        number(events.map(|one| one.f1)),
        number(events.map(|one| one.false_alarms_per_day)),
        events.and_then(|one| one.delay_s_median).map_or_else(dash, |seconds| format!("{seconds:.0}s")),
        signed(confidence.brier_skill),
        number(confidence.ece),
        number(confidence.alert_ece),
    ]
}

/// Each detector alone, by set, and its cost.
pub(super) fn detectors(evaluation: &Evaluation) -> Rows {
    let mut header = vec!["detector".to_owned()];
    header.extend(evaluation.sets.iter().map(|set| set.set.clone()));
    header.extend(["macro", "left out costs"].map(str::to_owned));
    let mut rows = vec![header];
    for (name, worth) in &evaluation.overall.detectors {
        let mut row = vec![name.clone()];
        let alone = |metrics: &QualityMetrics| metrics.detectors.get(name).and_then(|one| one.alone);
        row.extend(evaluation.sets.iter().map(|set| number(alone(&set.metrics))));
        row.extend([number(worth.alone), signed(worth.cost)]);
        rows.push(row);
    }
    rows
}

/// What was played.
pub(super) fn diagnosed(diagnosis: &Diagnosis) -> String {
    format!(
        "causes and types of simulated faults: {} scenarios, {} harmful faults, {} incidents, {} of them due to nothing",
        diagnosis.n_scenarios,
        diagnosis.cases.len(),
        diagnosis.n_incidents,
        diagnosis.n_false_incidents
    )
}

/// Shares with their intervals, when somebody was called and in the end.
pub(super) fn causes(diagnosis: &Diagnosis) -> Rows {
    let (call, last) = (DiagnosisMetrics::at_call(diagnosis), DiagnosisMetrics::at_last(diagnosis));
    let header = ["", "five minutes after the first incident", "when it was over"];
    let share = |one: Proportion| {
        let interval = one.interval();
        let share = one.share().map_or_else(dash, |share| format!("{share:.2}"));
        format!("{share} ({} of {}, {:.2}–{:.2})", one.n, one.of, interval.low, interval.high)
    };
    let row =
        |name: &str, of: fn(&DiagnosisMetrics) -> Proportion| vec![name.to_owned(), share(of(&call)), share(of(&last))];
    vec![
        header.map(str::to_owned).to_vec(),
        row("faults detected", |one| one.detected),
        row("cause is the first suspect", |one| one.top1),
        row("cause is among the first three", |one| one.top3),
        row("rightly called, where found", |one| one.typing),
        vec!["macro-F1 of the types".to_owned(), number(call.typing_macro_f1), number(last.typing_macro_f1)],
    ]
}

/// What changed.
pub(super) fn changes(comparison: &Comparison) -> Rows {
    let header = ["metric", "before", "after", "difference", "95 %", "verdict"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for change in &comparison.changes {
        let verdict = match change.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Noise => "noise",
        };
        rows.push(vec![
            change.metric.clone(),
            number(Some(change.before)),
            number(Some(change.after)),
            signed(Some(change.difference.value)),
            format!("{:+.3} to {:+.3}", change.difference.low, change.difference.high),
            verdict.to_owned(),
        ]);
    }
    rows
}

/// Series without metrics, detectors without models, and odd stamps: nothing is left out in silence.
pub(super) fn troubles(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = Vec::new();
    let name = |one: &super::SeriesJudgement| format!("{}/{} (seed {})", one.set, one.series, one.seed);
    for one in &evaluation.series {
        if let Some(why) = &one.failure {
            lines.push(format!("failed: {}: {why}", name(one)));
        }
        for (detector, why) in &one.missing {
            lines.push(format!("without {detector}: {}: {why}", name(one)));
        }
    }
    for set in &evaluation.sets {
        let members = || evaluation.series.iter().filter(|one| one.set == set.set);
        let n_masked: usize = members().filter_map(|one| one.n_masked).sum();
        let counts = members().filter_map(|one| one.events.as_ref());
        let n_missed: usize = counts.map(|events| events.n_events - events.n_found).sum();
        if n_masked > 0 {
            let set = &set.set;
            lines.push(format!(
                "{set}: {n_masked} of {n_missed} missed events began while an incident was open already"
            ));
        }
    }
    lines.extend(peers::troubles(evaluation));
    let n_odd = evaluation.series.iter().filter(|one| one.n_odd_stamps > 0).count();
    if n_odd > 0 {
        lines.push(format!(
            "{n_odd} runs have stamps that aren't one interval apart; their rows were taken as one interval apart"
        ));
    }
    lines
}
