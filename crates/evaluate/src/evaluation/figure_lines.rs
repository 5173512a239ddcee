//! The evaluation as `figure NAME VALUE UNIT` lines, which `benches/RESULTS.md` is made from.

use std::fmt::Write as _;

use super::{Evaluation, Protocol, QualityMetrics};
use crate::diagnosis::{Diagnosis, DiagnosisMetrics};

/// One line a metric; a metric without a value has no line.
pub fn figure_lines(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    if !evaluation.series.is_empty() {
        of(&mut text, "macro", &evaluation.overall);
    }
    for set in &evaluation.sets {
        of(&mut text, &set.set, &set.metrics);
    }
    for set in &evaluation.sets {
        let masked = evaluation.series.iter().filter(|one| one.set == set.set).filter_map(|one| one.n_masked);
        let n_masked = masked.fold(None, |sum: Option<usize>, n| Some(sum.unwrap_or(0) + n));
        line(&mut text, &format!("eval.events_masked.{}", set.set), n_masked.map(|n| n as f64), "events");
    }
    if evaluation.overall.events.is_some() && evaluation.protocol.budget_per_day > 0.0 {
        let n_kept = evaluation.sets.iter().filter(|set| keeps_budget(&set.metrics, &evaluation.protocol)).count();
        line(&mut text, "eval.budget_kept", Some(n_kept as f64), "sets");
    }
    let skills = || evaluation.sets.iter().filter_map(|set| set.metrics.confidence.brier_skill);
    line(&mut text, "eval.brier_skill", evaluation.overall.confidence.brier_skill, "ratio");
    line(&mut text, "eval.brier_skill.worst", skills().reduce(f64::min), "ratio");
    line(&mut text, "eval.alert_ece", evaluation.overall.confidence.alert_ece, "ratio");
    for (name, worth) in &evaluation.overall.detectors {
        line(&mut text, &format!("eval.detector.{name}"), worth.alone, "vus_pr");
        line(&mut text, &format!("eval.ablation.{name}"), worth.cost, "vus_pr");
    }
    for peer in &evaluation.peers {
        let vus_pr = peer.overall.vus_pr.map(|one| one.value);
        line(&mut text, &format!("eval.peer.vus_pr.{}", peer.name), vus_pr, "ratio");
        line(&mut text, &format!("eval.peer.auc_pr.{}", peer.name), peer.overall.auc_pr.map(|one| one.value), "ratio");
        if let Some(events) = &peer.overall.events {
            line(&mut text, &format!("eval.peer.event_f1.{}", peer.name), Some(events.f1), "ratio");
            let per_day = Some(events.false_alarms_per_day);
            line(&mut text, &format!("eval.peer.false_alarms.{}", peer.name), per_day, "per_series_day");
        }
    }
    if let Some(diagnosis) = &evaluation.diagnosis {
        causes(&mut text, diagnosis);
    }
    text
}

fn causes(text: &mut String, diagnosis: &Diagnosis) {
    let moments = [("", DiagnosisMetrics::at_call(diagnosis)), (".last", DiagnosisMetrics::at_last(diagnosis))];
    for (suffix, metrics) in moments {
        let shares = [("rca_top1", metrics.top1), ("rca_top3", metrics.top3), ("typing", metrics.typing)];
        for (name, share) in shares {
            line(text, &format!("eval.{name}{suffix}"), share.share(), "ratio");
        }
        line(text, &format!("eval.typing_f1{suffix}"), metrics.typing_macro_f1, "ratio");
    }
}

/// Realised false alarms at which a budget counts as kept, in budgets. Too few is a promise broken, too: the budget was
/// given to be spent on finding more.
const BUDGET_KEPT: std::ops::RangeInclusive<f64> = 0.5..=1.5;

fn keeps_budget(metrics: &QualityMetrics, protocol: &Protocol) -> bool {
    let realised = metrics.events.as_ref().map(|events| events.false_alarms_per_day / protocol.budget_per_day);
    realised.is_some_and(|share| BUDGET_KEPT.contains(&share))
}

fn of(text: &mut String, name: &str, metrics: &QualityMetrics) {
    line(text, &format!("eval.vus_pr.{name}"), metrics.vus_pr.map(|one| one.value), "ratio");
    line(text, &format!("eval.auc_pr.{name}"), metrics.auc_pr.map(|one| one.value), "ratio");
    if let Some(events) = &metrics.events {
        line(text, &format!("eval.event_f1.{name}"), Some(events.f1), "ratio");
        line(text, &format!("eval.event_recall.{name}"), Some(events.recall), "ratio");
        line(text, &format!("eval.event_precision.{name}"), Some(events.precision), "ratio");
        line(text, &format!("eval.false_alarms.{name}"), Some(events.false_alarms_per_day), "per_series_day");
        line(text, &format!("eval.delay.{name}"), events.delay_s_median, "s");
    }
    line(text, &format!("eval.brier_skill.{name}"), metrics.confidence.brier_skill, "ratio");
}

fn line(text: &mut String, name: &str, value: Option<f64>, unit: &str) {
    if let Some(value) = value {
        // Writing to a String can't fail.
        let _ = writeln!(text, "figure {name} {value:.4} {unit}");
    }
}
