//! The evaluation as one HTML page: no script, no font and no picture from elsewhere.

use std::fmt::Write as _;

use super::comparison::Comparison;
use super::judgement::Judged;
use super::markdown::{BESIDE, protocol};
use super::rows::Rows;
use super::table::{causes, changes, detectors, diagnosed, quality, troubles};
use super::{Evaluation, SetMetrics, peers};
use crate::diagnosis::confusion;

mod plot;
mod plots;

use plot::escaped;

const STYLE: &str = include_str!("html/page.css");

/// Series drawn for each set: the worst, the one in the middle and the best.
const DRAWN_PER_SET: usize = 3;

/// The page. `judged` is what the evaluation was made of.
pub fn html(evaluation: &Evaluation, against: Option<&Comparison>, judged: &[Judged]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Detection quality</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\n\
         <h1>Detection quality</h1>\n<p>{}</p>\n",
        escaped(&protocol(&evaluation.protocol))
    );
    if !evaluation.series.is_empty() {
        let sets = tabled(&quality(evaluation)).replacen("<table>", "<table class=\"totals\">", 1);
        section(&mut page, "Sets", &sets);
        let bars = plots::bars(evaluation);
        section(&mut page, "VUS-PR by set, with 95 % intervals over series", &bars);
    }
    if !evaluation.peers.is_empty() {
        let tables = (tabled(&peers::rankings(evaluation)), tabled(&peers::events(evaluation)));
        let told = escaped(BESIDE);
        section(&mut page, "Side by side", &format!("<p>{told}</p>{}<p></p>{}", tables.0, tables.1));
    }
    if let Some(diagnosis) = &evaluation.diagnosis {
        let tables = (tabled(&causes(diagnosis)), tabled(&confusion(diagnosis)));
        let told = escaped(&diagnosed(diagnosis));
        section(
            &mut page,
            "Causes and types",
            &format!("<p>{told}; * is rightly called</p>{}<p></p>{}", tables.0, tables.1),
        );
    }
    let by_detector = detectors(evaluation);
    if by_detector.len() > 1 {
        section(&mut page, "VUS-PR by detector, smoothed alike, and what leaving it out costs", &tabled(&by_detector));
    }
    if let Some(comparison) = against {
        let told = std::iter::once(comparison.verdict()).chain(comparison.otherwise.iter().cloned());
        let told: String = told.map(|line| format!("<p>{}</p>", escaped(&line))).collect();
        section(&mut page, "Against the older evaluation", &format!("{told}{}", tabled(&changes(comparison))));
    }
    if judged.is_empty() {
        page.push_str("</body></html>\n");
        return page;
    }
    let names: Vec<&str> = evaluation.sets.iter().map(|set| set.set.as_str()).collect();
    let curves = plots::precision_recall(&names, judged);
    section(&mut page, "Precision over recall of rows, mean over each set's series", &curves);
    if judged.iter().any(|one| one.scores.confidence.is_some()) {
        section(&mut page, "Confidence: claimed against true, rows and alerts", &plots::reliability(judged));
    }
    if judged.iter().any(|one| one.scores.alert.is_some()) {
        section(&mut page, "Delay: share of all events found within a time", &plots::delays(&names, judged));
    }
    for set in &evaluation.sets {
        section(&mut page, &format!("Series of {}", set.set), &drawn(set, judged));
    }
    let troubles = troubles(evaluation);
    if !troubles.is_empty() {
        let items: String = troubles.iter().map(|trouble| format!("<li>{}</li>\n", escaped(trouble))).collect();
        section(&mut page, "Not as it should be", &format!("<ul>{items}</ul>"));
    }
    page.push_str("</body></html>\n");
    page
}

fn section(page: &mut String, title: &str, body: &str) {
    let _ = write!(page, "<section><h2>{}</h2>\n{body}\n</section>\n", escaped(title));
}

fn tabled(rows: &Rows) -> String {
    let mut text = String::from("<table>");
    for (idx, row) in rows.iter().enumerate() {
        let cell = if idx == 0 { "th" } else { "td" };
        let cells: String = row.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text))).collect();
        let _ = writeln!(text, "<tr>{cells}</tr>");
    }
    text.push_str("</table>");
    text
}

/// The worst, the middle and the best series of a set, by VUS-PR.
fn drawn(set: &SetMetrics, judged: &[Judged]) -> String {
    let first_seed = judged.iter().map(|one| one.judgement.seed).min();
    let mut members: Vec<&Judged> = judged
        .iter()
        .filter(|one| one.judgement.set == set.set && Some(one.judgement.seed) == first_seed)
        .filter(|one| one.judgement.vus_pr.is_some())
        .collect();
    let vus = |one: &Judged| one.judgement.vus_pr.unwrap_or(0.0);
    members.sort_by(|a, b| vus(a).total_cmp(&vus(b)));
    let mut picked: Vec<usize> = vec![0, members.len() / 2, members.len().saturating_sub(1)];
    picked.dedup();
    let picked = picked.into_iter().take(DRAWN_PER_SET).filter_map(|idx| members.get(idx));
    picked
        .map(|one| {
            let title = format!("{}: VUS-PR {:.3}, feature {}", one.judgement.series, vus(one), one.trace.feature);
            format!("<figure><figcaption>{}</figcaption>{}</figure>\n", escaped(&title), plots::trace(&one.trace))
        })
        .collect()
}
