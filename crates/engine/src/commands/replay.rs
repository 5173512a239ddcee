//! `homeostat replay`: an export through detection and policy; what would have happened, and why not.
//!
//! Nothing is executed: the loop runs in mode `recommend` at most, without a cluster, on the export's own time. The same
//! export gives the same bytes.

mod judged;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use homeostat_core::{Mode, Timestamp, Window};
use homeostat_execute::{Driver, DriverEvent};
use homeostat_incidents::{ClusterContext, Monitor, Tracker, TrackerTimes};
use homeostat_ingest::{DecodeLimits, Feed, FeedConfig, read_export};
use homeostat_journal::Journal;
use homeostat_remediate::{Decision, KillSwitch, Policy, RegoRules, SafetyLimits};
use serde_json::json;

use self::judged::Judged;
use crate::calibration::calibration_of;
use crate::config::{self, Config};
use crate::dataset_input::DatasetRows;
use crate::flags::ConfigArgs;
use crate::inputs::{self, Answers, FilesArgs};
use crate::outcome::print;
use crate::pretend_executor::PretendExecutor;
use crate::serve::cycle::{Cycle, Tick};
use crate::source;

/// Rows of a tick's windows: each tick brings one new row.
const WINDOW_ROWS: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// The export: a directory with `QUERY.json[.gz]` per query, each a `query_range` answer.
    #[arg(long, value_name = "DIR", required_unless_present = "files", conflicts_with = "files")]
    pub(crate) input: Option<PathBuf>,
    /// Start of the part that is replayed; what lies before it trains the models. Default: the last quarter.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<homeostat_core::Timestamp>,
    /// Policy files to judge by, in place of the config's; may be given several times. Prints what they would have done about
    /// each incident in mode execute, and why not, each incident judged as if nothing had been done before.
    #[arg(long, value_name = "FILE")]
    pub(crate) policies: Vec<PathBuf>,
    /// Policy files to compare with; may be given several times. Without `--policies` the config's policies are compared.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,
    /// How to print what policies would have done. Default: table.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub(crate) output: Option<ReplayOutput>,
}

/// How to print what policies would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayOutput {
    /// For people.
    Table,
    /// JSON.
    Json,
}

/// An export, and which part of it is replayed.
struct Recorded {
    config: Arc<Config>,
    answers: Answers,
    start: Timestamp,
    from: Timestamp,
    end: Timestamp,
}

/// What is judged by.
struct Rules {
    policies: Vec<Policy>,
    rego: Option<RegoRules>,
}

pub(crate) async fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let config = Arc::new(config::load_or_explain(&args.config.file)?);
    let answers = match &args.input {
        Some(input) => {
            let matrices = read_export(input, &config.queries, &DecodeLimits::default())?;
            let answers = Answers { matrices: matrices.into_iter().map(Some).collect(), scrapes: None };
            inputs::check_subjects(&answers.matrices, &config)?;
            answers
        }
        None => inputs::answers(&args.files, &config, DatasetRows::All)?,
    };
    let (start, end) = source::range(&config, &answers.matrices)?;
    let from = args.from.unwrap_or_else(|| start + end.since(start) / 4 * 3).align_down(config.step);
    if from <= start || from > end {
        bail!("--from {from}: the export goes from {start} to {end}; leave some of it to train on");
    }
    let recorded = Recorded { config, answers, start, from, end };
    let of_config = || Rules { policies: recorded.config.policies.clone(), rego: recorded.config.rego.clone() };
    if args.policies.is_empty() && args.against.is_empty() && args.output.is_none() {
        let mode = recorded.config.mode.min(Mode::Recommend);
        return print_changes(&recorded, of_config(), mode).await;
    }
    // Both are read before anything is trained: a misspelt file is told at once.
    let rules = if args.policies.is_empty() { of_config() } else { read_rules(&recorded.config, &args.policies)? };
    let against = match args.against.as_slice() {
        [] => None,
        files => Some(read_rules(&recorded.config, files)?),
    };
    let judged = judge(&recorded, rules).await?;
    let against = match against {
        Some(rules) => Some(judge(&recorded, rules).await?),
        None => None,
    };
    let compared = against.is_some();
    let rows = judged::rows(judged, against);
    match args.output.unwrap_or(ReplayOutput::Table) {
        ReplayOutput::Table => print(&judged::table(&rows, compared)),
        ReplayOutput::Json => {
            let text = serde_json::to_string_pretty(&json!({ "incidents": rows })).context("the comparison as JSON")?;
            print(&(text + "\n"));
        }
    }
    Ok(())
}

fn read_rules(config: &Config, files: &[PathBuf]) -> anyhow::Result<Rules> {
    let read = config.read_policies_of(files, &config.channels, Mode::Recommend)?;
    for warning in &read.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Rules { policies: read.policies, rego: read.rego })
}

/// What these rules would have done about each incident.
async fn judge(recorded: &Recorded, rules: Rules) -> anyhow::Result<Judged> {
    let policies = rules.policies.clone();
    let mut judged = Judged::default();
    play(recorded, rules, Mode::Recommend, |at, tick| {
        judged.note(at, tick, &policies);
        Ok(())
    })
    .await?;
    Ok(judged)
}

/// Prints each incident change and each decision as it comes.
async fn print_changes(recorded: &Recorded, rules: Rules, mode: Mode) -> anyhow::Result<()> {
    let mut totals = Totals::default();
    let n_ticks = play(recorded, rules, mode, |at, tick| {
        totals.count(tick);
        print(&lines(at, tick)?);
        Ok(())
    })
    .await?;
    tracing::info!(steps = n_ticks, opened = totals.opened, executed = totals.would_execute, "replayed");
    Ok(())
}

/// Plays the export once, from models trained anew: what one set of policies brings about must not show in the next.
async fn play(
    recorded: &Recorded,
    rules: Rules,
    mode: Mode,
    mut each: impl FnMut(Timestamp, &Tick) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let Recorded { config, answers, start, from, end } = recorded;
    let trained = match &config.detection.bundle {
        Some(path) => source::load_bundle(path, config)?,
        None => {
            let windows = source::history_windows(config, answers, *start, *from - config.step)?;
            source::train(&config.detection, Box::new(windows)).await?
        }
    };
    let tracker = Tracker::new(config.detection.options.opening, TrackerTimes::default(), calibration_of(config)?);
    let monitor = Arc::new(Mutex::new(Monitor::new(trained.ensembles, tracker).with_limits(&config.queries.limits())?));
    let journal = Arc::new(Journal::in_memory()?);
    let mut driver = Driver::new(Arc::new(PretendExecutor::new()), journal, rules.policies, SafetyLimits::default());
    driver.set_rego(rules.rego);
    let context =
        ClusterContext { topology: config.topology.clone(), calendar: config.calendar.clone(), rollouts: Vec::new() };
    let mut cycle = Cycle::new(monitor, driver, mode, context);
    let mut feed = feed(config)?;
    let (mut at, mut n_ticks) = (*from, 0_u64);
    while at <= *end {
        feed.push(&answers.matrices, at, at)?;
        if let Some(scrapes) = &answers.scrapes {
            feed.push_scrapes(scrapes, at);
        }
        let windows: Vec<Window> = feed.windows_at(at)?;
        let tick = cycle.tick(at, &windows, &[], &KillSwitch::default()).await;
        each(at, &tick)?;
        at = at + config.step;
        n_ticks += 1;
    }
    Ok(n_ticks)
}

#[derive(Default)]
struct Totals {
    opened: usize,
    would_execute: usize,
}

impl Totals {
    fn count(&mut self, tick: &Tick) {
        self.opened += tick.changes.iter().filter(|change| change.name() == "opened").count();
        self.would_execute += tick
            .events
            .iter()
            .filter(|event| matches!(event, DriverEvent::Decided { decision: Decision::Propose { held_back_by, .. }, .. } if held_back_by.iter().all(|objection| objection.code == "mode")))
            .count();
    }
}

fn feed(config: &Config) -> anyhow::Result<Feed> {
    Ok(Feed::new(FeedConfig {
        queries: config.queries.clone(),
        rule: config.subjects.clone(),
        step: config.step,
        n_steps: WINDOW_ROWS,
        subjects_max: usize::MAX,
    })?)
}

/// One JSON object a line for each incident change and each decision.
fn lines(at: Timestamp, tick: &Tick) -> anyhow::Result<String> {
    let mut text = String::new();
    for change in &tick.changes {
        let line = json!({ "at": at, "change": change.name(), "incident": change.incident() });
        text.push_str(&serde_json::to_string(&line).context("an incident as JSON")?);
        text.push('\n');
    }
    for event in &tick.events {
        let DriverEvent::Decided { incident, decision } = event else { continue };
        let refusals: Vec<_> = decision
            .objections()
            .iter()
            .map(|objection| json!({ "code": objection.code, "why": objection.to_string() }))
            .collect();
        let decided = match decision {
            Decision::Execute(_) => "execute",
            Decision::Approved { .. } => "execute-approved",
            Decision::Propose { .. } => "propose",
            Decision::Refuse { .. } => "refuse",
        };
        let line = json!({
            "at": at, "incident_id": incident, "decision": decided,
            "action": decision.action().map(ToString::to_string), "refusals": refusals,
        });
        text.push_str(&serde_json::to_string(&line).context("a decision as JSON")?);
        text.push('\n');
    }
    Ok(text)
}
