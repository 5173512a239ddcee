//! The list: which incidents, and a line for each.

use clap::Args;
use homeostat_core::{Incident, IncidentState, IncidentType, Timestamp, parse_duration};

use super::recorded::Recorded;
use crate::words::{self, printable};

/// Which incidents to list.
#[derive(Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only those that aren't over: open, or without data.
    #[arg(long)]
    pub(super) open: bool,
    /// Only this type, such as oom-killed.
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) incident_type: Option<IncidentType>,
    /// Only this namespace.
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// Only those that opened or changed since a time such as 2026-01-31T12:00:00Z, or within a duration such as 2h.
    #[arg(long, value_name = "DURATION|TIME", value_parser = parse_since)]
    pub(super) since: Option<Since>,
}

/// A moment, or a while ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    At(Timestamp),
    Ago(std::time::Duration),
}

fn parse_since(text: &str) -> Result<Since, String> {
    let at = text.parse().map(Since::At);
    at.or_else(|_| parse_duration(text).map(Since::Ago))
        .map_err(|_| "write it like 30m, 24h, 7d or 2026-01-31T12:00:00Z".to_owned())
}

impl Filter {
    /// Whether this incident is wanted.
    pub(super) fn holds(&self, incident: &Incident, now: Timestamp) -> bool {
        let since = self.since.is_none_or(|since| match since {
            Since::At(at) => incident.updated_at >= at,
            Since::Ago(ago) => now.since(incident.updated_at) <= ago,
        });
        since
            && (!self.open || !incident.state.is_over())
            && self.incident_type.is_none_or(|wanted| wanted == incident.incident_type)
            && self.namespace.as_ref().is_none_or(|wanted| *wanted == incident.subject.namespace)
    }
}

/// What an incident's state is called.
pub(super) fn state(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "open",
        IncidentState::Stale => "stale",
        IncidentState::Resolved => "resolved",
        IncidentState::Rebaselined => "rebaselined",
        IncidentState::Expired => "expired",
    }
}

/// What was done about an incident, or else decided.
fn outcome(row: &Recorded) -> String {
    if let Some(last) = row.actions.last() {
        return format!("{}: {}", last.action, last.stage);
    }
    let Some(decision) = &row.decision else { return "-".to_owned() };
    let codes: Vec<&str> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
    if codes.is_empty() { decision.outcome.clone() } else { format!("{}: {}", decision.outcome, codes.join(", ")) }
}

pub(super) fn table(rows: &[Recorded]) -> String {
    if rows.is_empty() {
        return "No incidents are recorded.\n".to_owned();
    }
    let heading = ["ID", "OPENED", "STATE", "TYPE", "SUBJECT", "CONFIDENCE", "LABEL", "ACTION OR DECISION"];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let incident = &row.incident;
        vec![
            incident.id.to_string(),
            incident.opened_at.to_string(),
            state(incident.state).to_owned(),
            incident.incident_type.to_string(),
            printable(&incident.subject.to_string()).into_owned(),
            incident.established_by().map_or_else(|| words::confidence(&incident.confidence), |_| "certain".to_owned()),
            row.label.as_ref().map_or_else(|| "-".to_owned(), |label| printable(&label.verdict).into_owned()),
            printable(&outcome(row)).into_owned(),
        ]
    }));
    words::table(&lines)
}
