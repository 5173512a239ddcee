//! The evaluation as Markdown, for a results table or a review.

use std::fmt::Write as _;

use super::comparison::Comparison;
use super::rows::Rows;
use super::table::{causes, changes, detectors, diagnosed, quality, troubles};
use super::{Evaluation, Protocol, peers};
use crate::diagnosis::confusion;

/// The same tables as in the terminal, with the protocol above them.
pub fn markdown(evaluation: &Evaluation, against: Option<&Comparison>) -> String {
    let mut text = "# Detection quality\n".to_owned();
    if !evaluation.series.is_empty() {
        let _ = write!(text, "\n{}\n{}", protocol(&evaluation.protocol), piped(&quality(evaluation)));
    }
    if !evaluation.peers.is_empty() {
        let tables = (piped(&peers::rankings(evaluation)), piped(&peers::events(evaluation)));
        let _ = write!(text, "\n## Side by side\n\n{BESIDE}\n\n{}\n{}", tables.0, tables.1);
    }
    let detectors = detectors(evaluation);
    if detectors.len() > 1 {
        let _ = write!(
            text,
            "\n## By detector\n\nVUS-PR of each alone, smoothed like the ensemble, and what leaving it out costs.\n\n{}",
            piped(&detectors)
        );
    }
    if let Some(diagnosis) = &evaluation.diagnosis {
        let tables = (piped(&causes(diagnosis)), piped(&confusion(diagnosis)));
        let _ = write!(text, "\n## Causes and types\n\n{}.\n\n{}\n{}", diagnosed(diagnosis), tables.0, tables.1);
    }
    if let Some(comparison) = against {
        let _ = write!(
            text,
            "\n## Against the older evaluation\n\n{}\n{}.\n",
            piped(&changes(comparison)),
            comparison.verdict()
        );
        for difference in &comparison.otherwise {
            let _ = writeln!(text, "Not the same in both: {difference}.");
        }
    }
    let troubles = troubles(evaluation);
    if !troubles.is_empty() {
        text.push_str("\n## Not as it should be\n\n");
        for trouble in troubles {
            let _ = writeln!(text, "- {trouble}");
        }
    }
    text
}

/// What the tables of peers rest on.
pub(super) const BESIDE: &str = "The same series and the same judge for all. A program that raises no alerts gets homeostat's \
    alert policy on its surprisals, its threshold from the last third of its training rows, or, where it gives no surprisals, \
    one threshold from its training rows' scores at the same budget.";

/// What a metric is worth nothing without.
pub(super) fn protocol(protocol: &Protocol) -> String {
    let seeds: Vec<String> = protocol.seeds.iter().map(u64::to_string).collect();
    format!(
        "Scores by {}; trained on each series' first rows, judged on the rest, causally and without point adjustment. \
         An alert is an incident that opens or alarms anew. False-alarm budget {}; detectors {}; seeds {}; confidence {}.\n",
        protocol.scored_by,
        protocol.budget,
        if protocol.detectors.is_empty() { "unknown".to_owned() } else { protocol.detectors.join(", ") },
        if seeds.is_empty() { "unknown".to_owned() } else { seeds.join(", ") },
        protocol.confidence,
    )
}

fn piped(rows: &Rows) -> String {
    let mut text = String::new();
    for (idx, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if idx == 0 {
            let rule: Vec<&str> =
                row.iter().enumerate().map(|(idx, _)| if idx == 0 { "---" } else { "---:" }).collect();
            let _ = writeln!(text, "| {} |", rule.join(" | "));
        }
    }
    text
}
