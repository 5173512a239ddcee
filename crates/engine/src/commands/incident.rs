//! `homeostat incident list` and `show`: what the journal holds, also while the service runs.

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use homeostat_core::Incident;
use homeostat_journal::Journal;
use homeostat_remediate::DecisionRecord;
use serde_json::json;

use crate::flags::StorageArgs;
use crate::outcome::print;

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Lists incidents, newest first.
    List(IncidentArgs),
    /// Shows one incident with every decision and action.
    Show(IncidentShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct IncidentArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// How to print.
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentShowArgs {
    /// The incident's id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

/// How to print a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns for people.
    Table,
    /// One JSON array.
    Json,
}

pub(crate) fn list(args: &IncidentArgs) -> anyhow::Result<()> {
    let journal = open(&args.storage)?;
    let mut incidents = journal.incidents()?;
    incidents.reverse();
    let rows: Vec<(Incident, Option<Arc<DecisionRecord>>)> = incidents
        .into_iter()
        .map(|incident| journal.decision(&incident.id).map(|decision| (incident, decision)))
        .collect::<Result<_, _>>()?;
    match args.output {
        OutputFormat::Json => {
            let rows: Vec<_> =
                rows.iter().map(|(incident, decision)| json!({ "incident": incident, "decision": decision })).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&rows)?));
        }
        OutputFormat::Table => print(&table(&rows)),
    }
    Ok(())
}

fn table(rows: &[(Incident, Option<Arc<DecisionRecord>>)]) -> String {
    if rows.is_empty() {
        return "No incidents are recorded.\n".to_owned();
    }
    let mut lines =
        vec![["ID", "OPENED", "STATE", "TYPE", "SUBJECT", "CONFIDENCE", "DECISION"].map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|(incident, decision)| {
        vec![
            incident.id.to_string(),
            incident.opened_at.to_string(),
            format!("{:?}", incident.state).to_lowercase(),
            incident.incident_type.to_string(),
            incident.subject.to_string(),
            format!("{:.2}", incident.confidence.lower.value()),
            decision.as_deref().map_or_else(|| "-".to_owned(), decided),
        ]
    }));
    let n_columns = lines[0].len();
    let widths: Vec<usize> =
        (0..n_columns).map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn decided(record: &DecisionRecord) -> String {
    let codes: Vec<&str> = record.refusals.iter().map(|reason| reason.code.as_str()).collect();
    let outcome = format!("{:?}", record.outcome).to_lowercase();
    if codes.is_empty() { outcome } else { format!("{outcome}: {}", codes.join(", ")) }
}

pub(crate) fn show(args: &IncidentShowArgs) -> anyhow::Result<()> {
    let journal = open(&args.storage)?;
    let Some(incident) = journal.incidents()?.into_iter().find(|incident| incident.id.as_str() == args.id) else {
        bail!("no incident {}; see `homeostat incident list`", args.id);
    };
    let decision = journal.decision(&incident.id)?;
    let record = journal.record_of(&incident.id)?;
    let shown = json!({ "incident": incident, "decision": decision, "record": record });
    print(&format!("{}\n", serde_json::to_string_pretty(&shown)?));
    Ok(())
}

/// Opens the journal for reading, beside a running service.
pub(super) fn open(storage: &StorageArgs) -> anyhow::Result<Journal> {
    Journal::open_to_read(&storage.path.join("journal.db")).context("the journal")
}
