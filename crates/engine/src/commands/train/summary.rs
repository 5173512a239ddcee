//! What `--dry-run` prints.

use std::path::Path;

use homeostat_core::format_duration;

use crate::commands::check::bytes_text;
use crate::progress::seconds_text;
use crate::training::{Estimate, Work};

/// Lines for a person.
pub(super) fn dry_run(output: &Path, source: &str, work: &Work<'_>, estimate: &Estimate) -> String {
    let mut lines = vec![format!("would train on {source}"), history(work), groups(work)];
    lines.push(format!(
        "time: {} for fitting, at the rate of just now ({} subjects in {}); reading has taken its time already",
        seconds_text(estimate.all_takes.as_secs_f64()),
        estimate.n_sample,
        seconds_text(estimate.sample_took.as_secs_f64()),
    ));
    lines.push(memory(estimate));
    let is_there =
        if output.to_string_lossy().ends_with(".tar.zst") { "before it is packed" } else { "as a directory" };
    lines.push(format!("bundle: about {}, {is_there}", bytes_text(estimate.bundle_bytes)));
    if let Some(error) = &estimate.failure {
        lines.push(format!("some subjects can't be trained: {error}"));
    }
    lines.push("nothing was written\n".to_owned());
    lines.join("\n")
}

fn history(work: &Work<'_>) -> String {
    let Some(grid) = work.histories.grid() else { return "no subject".to_owned() };
    format!(
        "{} subjects, {} rows of {} features each, from {} to {}, one every {}",
        work.histories.len(),
        grid.n_steps(),
        work.histories.n_features(),
        grid.start(),
        grid.end(),
        format_duration(grid.step())
    )
}

fn groups(work: &Work<'_>) -> String {
    let n_sharing: usize = work.groups.iter().map(Vec::len).sum();
    let sizes: Vec<String> = work.groups.iter().take(5).map(|group| group.len().to_string()).collect();
    let more = if work.groups.len() > 5 { ", …" } else { "" };
    let n_alone = work.histories.len() - n_sharing;
    match work.groups.len() {
        0 => format!("no models are shared; {n_alone} subjects have their own"),
        1 => format!("{n_sharing} subjects of a kind share models; {n_alone} have their own"),
        n => {
            format!("{n} groups share models ({}{more} subjects); {n_alone} subjects have their own", sizes.join(", "))
        }
    }
}

/// The most so far is reading's; models and, at the end, their files come on top of what is held now.
fn memory(estimate: &Estimate) -> String {
    let models = estimate.models_bytes + 2 * estimate.bundle_bytes;
    match crate::training::resident_bytes() {
        Some((now, most)) => format!(
            "memory: about {} at most (reading took {}; models and the bundle under way, {})",
            bytes_text(most.max(now + models)),
            bytes_text(most),
            bytes_text(models)
        ),
        None => format!("memory: {} for models and the bundle, beside the history itself", bytes_text(models)),
    }
}
