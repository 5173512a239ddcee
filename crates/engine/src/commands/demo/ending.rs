//! The demo's last page: the scorecard, and what to do next.

use std::fmt::Write;
use std::path::Path;

use homeostat_core::IncidentId;
use homeostat_evaluate::Scorecard;

use super::paint::{Paint, Tone};

/// What really happened beside what was made of it, then the next steps.
pub(super) fn page(paint: Paint, card: &Scorecard, storage: Option<&Path>, first: Option<&IncidentId>) -> String {
    let mut text = format!("\n{}\n\n", paint.with(Tone::Heading, "What happened, and what homeostat did about it"));
    for line in card.text().lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
    let _ = writeln!(text, "\n{}\n", paint.with(Tone::Heading, "What to do next"));
    for (what, command) in next(storage, first) {
        let _ = writeln!(text, "  {what}\n      {}", paint.with(Tone::Doing, &command));
    }
    text
}

fn next(storage: Option<&Path>, first: Option<&IncidentId>) -> Vec<(&'static str, String)> {
    let look = match storage {
        None => ("Keep the journal and look into it:", "homeostat demo --storage.path demo-data".to_owned()),
        Some(path) => ("List what was recorded:", format!("homeostat incident list --storage.path {}", path.display())),
    };
    let mut next = vec![look];
    if let (Some(path), Some(id)) = (storage, first) {
        next.push((
            "Read the first incident:",
            format!("homeostat incident show {id} --storage.path {}", path.display()),
        ));
    }
    next.push((
        "Run it on your Prometheus; in mode observe it changes nothing:",
        "homeostat serve --config.file deploy/homeostat.example.yaml".to_owned(),
    ));
    next
}
