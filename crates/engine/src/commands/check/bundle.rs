//! What a bundle says of itself, for a person.

use std::path::Path;

use homeostat_detect::{BundleManifest, SubjectEntry};

use super::bytes_text;

/// Subjects shown; the manifest has all of them.
const SUBJECTS_SHOWN: usize = 20;

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
    lines.push(String::new());
    lines.push("rows    held out    gaps  above threshold  openings  subject".to_owned());
    lines.extend(manifest.subjects.iter().take(SUBJECTS_SHOWN).map(subject));
    if manifest.subjects.len() > SUBJECTS_SHOWN {
        lines.push(format!("… and {} more", manifest.subjects.len() - SUBJECTS_SHOWN));
    }
    lines.join("\n") + "\n"
}

fn subject(entry: &SubjectEntry) -> String {
    let fit = &entry.fit;
    let missing: Vec<String> = entry.missing.iter().map(|(name, why)| format!("; without {name}: {why}")).collect();
    format!(
        "{:<7} {:<9} {:>4.1} %  {:>13.2} %  {:>8}  {}{}",
        fit.n_fit_rows,
        fit.n_held_out_rows,
        100.0 * fit.gap_share,
        100.0 * fit.alarm_share,
        fit.n_openings,
        entry.subject,
        missing.concat()
    )
}
