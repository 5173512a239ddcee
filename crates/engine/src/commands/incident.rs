//! `homeostat incident list`, `show`, `label`, `approve` and `reject`: recorded incidents, in a storage directory or a running server.

mod answer;
mod label;
mod list;
mod next;
mod page;
mod place;
mod recorded;
#[cfg(test)]
mod tests;
mod yaml;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use homeostat_core::IncidentId;

use self::answer::IncidentAnswerArgs;
use self::label::IncidentLabelArgs;
use self::list::Filter;
use self::place::PlaceArgs;
use self::recorded::Recorded;
use crate::clock;
use crate::outcome::print;
use crate::words::printable;

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Lists incidents, newest first.
    List(IncidentArgs),
    /// Shows one incident: type, start, confidence, evidence, decision, actions and what to do next.
    Show(IncidentShowArgs),
    /// Labels an incident with what it was: right to call, false, or expected at that time. The latest label counts.
    ///
    /// With --storage.path it is written to the journal. While a service runs, which has the journal to itself, a file is left in that
    /// directory instead, and the service records it within a step. With --url it goes through the service's HTTP API.
    Label(IncidentLabelArgs),
    /// Approves a proposed plan: the service does exactly what `show` prints, once, and not after the time it names.
    ///
    /// Nothing happens if the plan has changed by then, if its incident is over, or if something speaks against it that nobody can
    /// overrule. `homeostat stop` voids approvals.
    Approve(IncidentAnswerArgs),
    /// Rejects a proposed plan: the same action isn't proposed again for this incident.
    Reject(IncidentAnswerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct IncidentArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    filter: Filter,
    /// Output format.
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    output: OutputFormat,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentShowArgs {
    /// The incident's id or a unique prefix of it.
    id: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Output format.
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    output: OutputFormat,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[value(alias = "text")]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

pub(crate) async fn list(args: &IncidentArgs) -> anyhow::Result<()> {
    let mut rows = args.place.incidents().await?;
    let n_all = rows.len();
    let now = clock::now();
    rows.retain(|row| args.filter.holds(&row.incident, now));
    match args.output {
        OutputFormat::Json | OutputFormat::Yaml => {
            let rows: Vec<_> = rows.iter().map(Recorded::summary_json).collect();
            print_data(args.output, &serde_json::Value::Array(rows))?;
        }
        OutputFormat::Table if rows.is_empty() && n_all > 0 => {
            print(&format!("None of the {n_all} recorded incidents matches.\n"));
        }
        OutputFormat::Table => print(&list::table(&rows)),
    }
    Ok(())
}

pub(crate) use answer::run as answer;
pub(crate) use label::run as label;

pub(crate) async fn show(args: &IncidentShowArgs) -> anyhow::Result<()> {
    let mut recorded = unique(args.place.incidents().await?, &args.id)?;
    args.place.complete(&mut recorded)?;
    match args.output {
        OutputFormat::Json | OutputFormat::Yaml => print_data(args.output, &recorded.whole_json())?,
        OutputFormat::Table => print(&page::of(&recorded, clock::now())),
    }
    Ok(())
}

/// The one incident with this id or prefix.
fn unique(mut rows: Vec<Recorded>, wanted: &str) -> anyhow::Result<Recorded> {
    let id = unique_id(rows.iter().map(|row| row.incident.id.clone()).collect(), wanted)?;
    let at = rows.iter().position(|row| row.incident.id == id);
    at.map(|at| rows.swap_remove(at)).context("an incident that is gone again")
}

/// The one of these ids that is this one or begins with it.
fn unique_id(mut ids: Vec<IncidentId>, wanted: &str) -> anyhow::Result<IncidentId> {
    let wanted = wanted.trim().trim_end_matches('…');
    ids.retain(|id| matches(id.as_str(), wanted));
    match (ids.pop(), ids.as_slice()) {
        (None, _) => bail!("no incident {}; see `homeostat incident list`", printable(wanted)),
        (Some(one), []) => Ok(one),
        (Some(one), others) => {
            let ids = others.iter().chain([&one]).map(IncidentId::as_str).collect::<Vec<_>>();
            bail!("{} is the beginning of {} incidents: {}", printable(wanted), ids.len(), ids.join(", "));
        }
    }
}

/// Whether `wanted` is this id or the beginning of it; `inc-` may be left out.
fn matches(id: &str, wanted: &str) -> bool {
    !wanted.is_empty()
        && (id.starts_with(wanted) || id.strip_prefix("inc-").is_some_and(|rest| rest.starts_with(wanted)))
}

fn print_data(format: OutputFormat, data: &serde_json::Value) -> anyhow::Result<()> {
    let text = match format {
        OutputFormat::Yaml => yaml::of(data),
        OutputFormat::Json | OutputFormat::Table => serde_json::to_string_pretty(data)? + "\n",
    };
    print(&text);
    Ok(())
}
