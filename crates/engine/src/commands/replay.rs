//! `homeostat replay`: an export through detection and policy; what would have happened, and why not.
//!
//! Nothing is executed: the loop runs in mode `recommend` at most, without a cluster, on the export's own time. The same
//! export gives the same bytes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use clap::Args;
use homeostat_core::{Timestamp, Window};
use homeostat_execute::{Driver, DriverEvent};
use homeostat_incidents::{ClusterContext, Monitor, Tracker, TrackerTimes};
use homeostat_ingest::{DecodeLimits, Feed, FeedConfig, read_export};
use homeostat_journal::Journal;
use homeostat_remediate::{Decision, KillSwitch, SafetyLimits};
use serde_json::json;

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
    let trained = match &config.detection.bundle {
        Some(path) => source::load_bundle(path, &config)?,
        None => {
            let windows = source::history_windows(&config, &answers, start, from - config.step)?;
            source::train(&config.detection, Box::new(windows)).await?
        }
    };
    let tracker = Tracker::new(config.detection.options.opening, TrackerTimes::default(), calibration_of(&config)?);
    let monitor = Arc::new(Mutex::new(Monitor::new(trained.ensembles, tracker).with_limits(&config.queries.limits())?));
    let journal = Arc::new(Journal::in_memory()?);
    let mut driver =
        Driver::new(Arc::new(PretendExecutor::new()), journal, config.policies.clone(), SafetyLimits::default());
    driver.set_rego(config.rego.clone());
    let context =
        ClusterContext { topology: config.topology.clone(), calendar: config.calendar.clone(), rollouts: Vec::new() };
    let mode = config.mode.min(homeostat_core::Mode::Recommend);
    let mut cycle = Cycle::new(monitor, driver, mode, context);
    let mut at = from;
    let mut feed = feed(&config)?;
    let mut n_ticks = 0_u64;
    let mut totals = Totals::default();
    while at <= end {
        feed.push(&answers.matrices, at, at)?;
        if let Some(scrapes) = &answers.scrapes {
            feed.push_scrapes(scrapes, at);
        }
        let windows: Vec<Window> = feed.windows_at(at)?;
        let tick = cycle.tick(at, &windows, &[], &KillSwitch::default()).await;
        totals.count(&tick);
        print(&lines(at, &tick)?);
        at = at + config.step;
        n_ticks += 1;
    }
    tracing::info!(steps = n_ticks, opened = totals.opened, executed = totals.would_execute, "replayed");
    Ok(())
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
