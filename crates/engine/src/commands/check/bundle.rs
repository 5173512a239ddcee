//! What a bundle says of itself, for a person.

use std::path::Path;
use std::time::Duration;

use homeostat_core::{Exclusion, Subject, format_duration};
use homeostat_detect::{BundleManifest, SubjectEntry};

use super::bytes_text;
use crate::training::held;

/// Subjects shown; the manifest has all of them.
const SUBJECTS_SHOWN: usize = 20;

/// Times left out shown; the manifest has all of them.
const LEFT_OUT_SHOWN: usize = 20;

/// A bundle that was read to its end and is whole.
pub(super) fn text(path: &Path, manifest: &BundleManifest) -> String {
    let (provenance, recipe) = (&manifest.provenance, &manifest.recipe);
    let n_bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    let n_models = manifest.files.keys().filter(|name| name.starts_with("models/")).count();
    let detectors: Vec<&str> =
        recipe.detectors.iter().filter_map(|options| options.get("detector")?.as_str()).collect();
    let opening = recipe.opening;
    let mut lines = vec![
        format!(
            "{}: OK: {} subjects, {} files, {} unpacked, every digest is right",
            path.display(),
            manifest.subjects.len(),
            manifest.files.len() + 1,
            bytes_text(usize::try_from(n_bytes).unwrap_or(usize::MAX))
        ),
        format!(
            "made        by homeostat {}, format {}, at {}",
            manifest.homeostat, manifest.format, provenance.trained_at
        ),
        format!("history     {} to {}, of {}", provenance.history_start, provenance.history_end, provenance.source),
        format!(
            "detectors   {}; seed {}, {n_models} models{}",
            detectors.join(", "),
            recipe.seed,
            if recipe.share_models { ", shared by subjects of a kind" } else { "" }
        ),
        format!(
            "opening     {} of {} rows at the threshold, or one at {} times it; budget {}",
            opening.open_rows, opening.of_rows, opening.at_once, recipe.false_alarm_budget
        ),
    ];
    for query in &recipe.queries {
        let of = |key: &str| query.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        // A preset's expressions have lines; one is enough to know them by.
        let expr: String = of("expr").split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("query       {} = {expr}", of("name")));
    }
    if let Some(timezone) = &recipe.timezone {
        lines.push(format!("time zone   {timezone}"));
    }
    if !recipe.holidays.is_empty() {
        lines.push(format!("holidays    {}", recipe.holidays.join(", ")));
    }
    lines.extend(recipe.left_out.iter().take(LEFT_OUT_SHOWN).map(left_out));
    if recipe.left_out.len() > LEFT_OUT_SHOWN {
        lines.push(format!("            … and {} more", recipe.left_out.len() - LEFT_OUT_SHOWN));
    }
    lines.push(String::new());
    let is_whole = recipe.left_out.is_empty();
    lines.push(format!(
        "rows    held out    gaps  {}above threshold  openings  subject",
        if is_whole { "" } else { "left out  " }
    ));
    let subjects = manifest.subjects.iter().take(SUBJECTS_SHOWN);
    lines.extend(subjects.map(|entry| {
        let left_out =
            if is_whole { String::new() } else { format!("{:>8}  ", time_left_out(manifest, &entry.subject)) };
        subject(entry, &left_out)
    }));
    if manifest.subjects.len() > SUBJECTS_SHOWN {
        lines.push(format!("… and {} more", manifest.subjects.len() - SUBJECTS_SHOWN));
    }
    lines.join("\n") + "\n"
}

/// A time that wasn't learned.
fn left_out(exclusion: &Exclusion) -> String {
    format!("left out    {} to {}, {}: {}", exclusion.from, exclusion.to, exclusion.scope(), exclusion.reason)
}

/// How much of a subject's history wasn't learned.
fn time_left_out(manifest: &BundleManifest, subject: &Subject) -> String {
    let mut of_subject: Vec<Exclusion> =
        manifest.recipe.left_out.iter().filter(|exclusion| exclusion.is_about(subject)).cloned().collect();
    of_subject.sort_by_key(|exclusion| exclusion.from);
    let held = held(&of_subject, manifest.provenance.history_start, manifest.provenance.history_end);
    format_duration(Duration::from_secs(held.as_secs()))
}

fn subject(entry: &SubjectEntry, left_out: &str) -> String {
    let fit = &entry.fit;
    let missing: Vec<String> = entry.missing.iter().map(|(name, why)| format!("; without {name}: {why}")).collect();
    format!(
        "{:<7} {:<9} {:>4.1} %  {left_out}{:>13.2} %  {:>8}  {}{}",
        fit.n_fit_rows,
        fit.n_held_out_rows,
        100.0 * fit.gap_share,
        100.0 * fit.alarm_share,
        fit.n_openings,
        entry.subject,
        missing.concat()
    )
}
