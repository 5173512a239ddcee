//! The scorecard as text: at most 80 columns, no colours, the same for the same scorecard.

use std::fmt::Write as _;
use std::time::Duration;

use homeostat_core::format_duration;
use homeostat_simulate::EndedBy;

use crate::scorecard::{FaultLine, Scorecard};
use homeostat_core::Proportion;

/// Widths of the table's columns but the last; with two spaces between, the last one has 16 left.
const WIDTHS: [usize; 4] = [18, 12, 6, 20];

/// Width of the labels below the table.
const LABEL_WIDTH: usize = 34;

pub(super) fn render(card: &Scorecard) -> String {
    let mut text = String::new();
    row(&mut text, ["fault", "service", "delay", "incident type", "ended"]);
    for line in &card.faults {
        let found = line.delay().map_or_else(|| "-".to_owned(), short);
        let called = line.typed.map_or_else(|| "-".to_owned(), |typed| typed.to_string());
        let mark = if is_misnamed(line) { "!" } else { "" };
        row(
            &mut text,
            [line.truth.kind.name(), &line.truth.subject.name, &found, &format!("{called}{mark}"), &ended(line)],
        );
    }
    if card.faults.iter().any(is_misnamed) {
        text.push_str("! wrong incident type\n");
    }
    text.push('\n');
    detection(&mut text, card);
    actions(&mut text, card);
    text
}

fn is_misnamed(line: &FaultLine) -> bool {
    line.typed.is_some() && !line.is_typed_right()
}

fn detection(text: &mut String, card: &Scorecard) {
    let delays = card.delays.map_or_else(
        || "-".to_owned(),
        |delays| format!("median {}, at most {}", seconds(delays.median_s), seconds(delays.max_s)),
    );
    let rate = card
        .false_incidents_per_subject_week
        .map_or_else(String::new, |rate| format!(" ({rate:.2} per service and week)"));
    entry(text, "faults detected", &share(card.detected));
    entry(text, "detection delay", &delays);
    entry(text, "located at the cause", &share(card.located));
    entry(text, "incident type correct", &share(card.typed_right));
    entry(text, "false incidents", &format!("{} of {}{rate}", card.n_false_incidents, card.n_incidents));
    entry(text, "incidents open at the end", &card.n_open_at_end.to_string());
    entry(text, "dependents not acted on", &share(card.dependants_left_alone));
    entry(text, "incidents of dependents only", &card.n_incidents_of_dependants.to_string());
    entry(text, "harmless events acted on", &must_be_0(card.n_harmless_acted_on, &format!("of {}", card.n_harmless)));
    entry(text, "  incidents annotated as planned", &share(card.harmless_annotated));
}

fn actions(text: &mut String, card: &Scorecard) {
    let pending =
        if card.n_actions_pending > 0 { format!(" ({} pending)", card.n_actions_pending) } else { String::new() };
    let mean = |seconds: Option<f64>| {
        seconds.map_or_else(|| "-".to_owned(), |seconds| short(Duration::from_secs_f64(seconds)))
    };
    entry(text, "actions executed", &format!("{}{pending}", card.n_actions));
    entry(text, "verification passed", &share(card.verification_pass));
    entry(text, "  with the fault still present", &must_be_0(card.n_wrongly_verified, ""));
    entry(text, "made worse", &card.n_made_worse.to_string());
    entry(text, "recovered by an action", &share(card.automated_recovery));
    entry(
        text,
        "mean time to repair",
        &format!("{} (without actions {})", mean(card.mttr_s), mean(card.mttr_unaided_s)),
    );
}

fn row(text: &mut String, cells: [&str; 5]) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let cell: String = cell.chars().take(width).collect();
        // Writing to a String can't fail.
        let _ = write!(line, "{cell:<width$}  ");
    }
    line.push_str(cells[4]);
    text.push_str(line.trim_end());
    text.push('\n');
}

fn entry(text: &mut String, label: &str, value: &str) {
    let _ = writeln!(text, "{label:<LABEL_WIDTH$}  {value}");
}

/// `3 of 4 (75 %, 95 % interval 30–95 %)`.
fn share(proportion: Proportion) -> String {
    let Proportion { n, of } = proportion;
    match proportion.share() {
        None => "n/a".to_owned(),
        Some(share) => {
            let interval = proportion.interval();
            let percent = |share: f64| (100.0 * share).round();
            let (low, high) = (percent(interval.low), percent(interval.high));
            format!("{n} of {of} ({} %, 95 % interval {low}–{high} %)", percent(share))
        }
    }
}

fn must_be_0(n: usize, suffix: &str) -> String {
    let warning = if n > 0 { "  <- must be 0" } else { "" };
    format!("{n} {suffix}").trim_end().to_owned() + warning
}

fn ended(line: &FaultLine) -> String {
    if line.truth.harmless {
        return if line.n_actions > 0 { "acted on" } else { "harmless" }.to_owned();
    }
    let Some(end) = &line.truth.end else { return "ongoing".to_owned() };
    let after = short(end.at.since(line.truth.start));
    // "Unverified": an action remediated it, and verification didn't find so.
    match &end.by {
        EndedBy::Itself => format!("by itself {after}"),
        EndedBy::Rollout { marker: None } => format!("by others {after}"),
        EndedBy::Rollout { marker: Some(_) } if line.recovered => format!("remediated {after}"),
        EndedBy::Rollout { marker: Some(_) } => format!("unverified {after}"),
    }
}

fn seconds(seconds: u64) -> String {
    short(Duration::from_secs(seconds))
}

/// Whole seconds below an hour, whole minutes above: `4m30s`, `1h12m`.
fn short(duration: Duration) -> String {
    let unit_s = if duration.as_secs() < 3600 { 1 } else { 60 };
    format_duration(Duration::from_secs(duration.as_secs() / unit_s * unit_s))
}
