//! `homeostat incident label`: says what an incident was, to the journal, to a running service, or to its HTTP API.

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use homeostat_core::{IncidentLabel, Verdict};
use homeostat_journal::{Journal, OpenError};
use serde_json::json;

use super::place::{self, PlaceArgs};
use super::{recorded::Recorded, unique};
use crate::clock;
use crate::inbox::Inbox;
use crate::labels::{check, record};
use crate::outcome::print;
use crate::words::printable;

#[derive(Debug, Args)]
pub(crate) struct IncidentLabelArgs {
    /// The incident's id or a unique prefix of it.
    id: String,
    /// What it was.
    #[arg(value_enum)]
    verdict: VerdictArg,
    /// Why, in your words.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    note: String,
    /// Who says so.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "unknown", value_name = "NAME")]
    by: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What an incident was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum VerdictArg {
    /// Something was wrong, and it was right to call somebody. Confidence in incidents of this type rises, and models never learn it.
    #[value(alias = "real")]
    TruePositive,
    /// Nothing was wrong. Confidence in incidents of this type falls, and models learn it as usual.
    #[value(alias = "false")]
    FalsePositive,
    /// It is meant to happen at this time of every day: the same at the same time opens no incident from now on.
    #[value(alias = "expected")]
    ExpectedDaily,
    /// It is meant to happen at this time of every week: the same at the same time opens no incident from now on.
    ExpectedWeekly,
    /// Withdraws the label.
    None,
}

impl VerdictArg {
    fn verdict(self) -> Option<Verdict> {
        match self {
            Self::TruePositive => Some(Verdict::TruePositive),
            Self::FalsePositive => Some(Verdict::FalsePositive),
            Self::ExpectedDaily => Some(Verdict::ExpectedDaily),
            Self::ExpectedWeekly => Some(Verdict::ExpectedWeekly),
            Self::None => None,
        }
    }
}

pub(crate) async fn run(args: &IncidentLabelArgs) -> anyhow::Result<()> {
    let known = unique(args.place.incidents().await?, &args.id)?;
    let label = IncidentLabel {
        incident: known.incident.id.clone(),
        verdict: args.verdict.verdict(),
        by: args.by.clone(),
        note: args.note.clone(),
        at: clock::now(),
    };
    if let Err(why) = check(&label, &known.incident) {
        bail!("{why}");
    }
    let how = match (&args.place.storage, &args.place.url) {
        (Some(storage), _) => to_journal(storage, &label)?,
        (None, Some(url)) => {
            let path = format!("/api/v1/incidents/{}/label", label.incident);
            let body = json!({ "verdict": label.verdict, "by": label.by, "note": label.note });
            place::post(url, &path, &body).await?;
            "recorded by the service"
        }
        (None, None) => bail!("name a place: --storage.path DIR or --url URL"),
    };
    print(&said(&label, &known, how));
    Ok(())
}

/// Into the journal itself, or, where a service has it, into its inbox.
fn to_journal(storage: &std::path::Path, label: &IncidentLabel) -> anyhow::Result<&'static str> {
    match Journal::open(&storage.join("journal.db")) {
        Ok(journal) => {
            let is_new = record(&journal, label, clock::now())?;
            Ok(if is_new { "recorded in the journal" } else { "the journal says so already" })
        }
        Err(OpenError::InUse { .. }) => {
            let put = Inbox::new(storage).put(label);
            put.with_context(|| {
                format!("{} can't be written; use --url to label through the HTTP API", storage.display())
            })?;
            Ok("the running service records it within a step")
        }
        Err(error) => Err(error).context("the journal"),
    }
}

fn said(label: &IncidentLabel, known: &Recorded, how: &str) -> String {
    let incident = &known.incident;
    let what = format!("{} ({} of {})", incident.id, incident.incident_type, incident.subject);
    let what = printable(&what);
    let Some(verdict) = label.verdict else { return format!("The label of {what} is withdrawn: {how}.\n") };
    let waits = match verdict {
        Verdict::ExpectedDaily | Verdict::ExpectedWeekly if !incident.state.is_over() => {
            " It takes effect when the incident is over: until then nobody knows how long it lasts."
        }
        Verdict::ExpectedDaily | Verdict::ExpectedWeekly | Verdict::TruePositive | Verdict::FalsePositive => "",
    };
    format!("{what} is labelled {verdict}: {how}.{waits}\n")
}
