//! `homeostat score`: exported metrics through trained models, row by row, the way of the service: what each detector says,
//! the score, how sure an incident of it would be, and where incidents would have opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use homeostat_core::{Assessment, Schema, Score, Subject, Window};
use homeostat_detect::{Bundle, Ensemble};
use homeostat_incidents::{Calibration, ClusterContext, Monitor, Tracker, TrackerTimes, row_typing};
use homeostat_ingest::UNNAMED;

use crate::calibration::calibration_of;
use crate::config::{self, Config};
use crate::dataset_input::DatasetRows;
use crate::endings;
use crate::inputs::{self, FilesArgs};
use crate::{source, training};

mod output;
mod packed;
#[cfg(feature = "parquet")]
mod parquet;
mod row;
mod whole_file;

use output::Output;
use row::ScoredRow;

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// The config file, whose queries say what the files' series mean. Needed for raw series and for answers.
    #[arg(long = "config.file", alias = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The bundle of models that `homeostat train` saved. Default: the config's `bundle`.
    #[arg(long, value_name = "PATH")]
    pub(crate) bundle: Option<PathBuf>,
    /// Output file; its extension gives the format: .csv, .json (an array) or .jsonl, each also with
    /// .gz or .zst, or .parquet. Default: CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

pub(crate) fn run(args: &ScoreArgs) -> anyhow::Result<()> {
    if args.files.files.is_empty() {
        bail!("name the files to score; see `homeostat score --help`");
    }
    let config = args.config.as_deref().map(config::load_or_explain).transpose()?;
    let bundle = load(args, config.as_ref())?;
    if let Some(config) = &config {
        source::check_step(&bundle, config.step)?;
    }
    let (windows, context) = match &config {
        Some(config) => (
            of_queries(args, config)?,
            ClusterContext {
                topology: config.topology.clone(),
                calendar: config.calendar.clone(),
                rollouts: Vec::new(),
            },
        ),
        None => (of_columns(args, &bundle.ensembles)?, ClusterContext::default()),
    };
    let known = known(windows, &bundle.ensembles)?;
    endings::tell_subjects(&known);
    let calibration = config.as_ref().map_or_else(
        || Calibration::from_json(&bundle.calibration_json).context("the bundle's calibration.json"),
        calibration_of,
    )?;
    let detectors = detectors(&bundle.ensembles);
    let mut output = Output::open(args.output.as_deref(), &detectors)?;
    // Boundaries were fitted to the bundle's rule; a config says so itself.
    let opening = config.as_ref().map_or(bundle.recipe.opening, |config| config.detection.options.opening);
    source::warn_of_other_rule(&bundle, opening);
    let tracker = Tracker::new(opening, TrackerTimes::default(), calibration.clone());
    let mut monitor = Monitor::new(from_the_beginning(bundle.ensembles, &known), tracker);
    let counts = score(&mut monitor, &known, &context, &calibration, &mut output)?;
    output.finish()?;
    let Counts { n_rows, n_scored, n_calls } = counts;
    tracing::info!(rows = n_rows, scored = n_scored, alerts = n_calls, subjects = known.len(), "scored");
    if n_scored == 0 && n_rows > 0 {
        tracing::warn!(
            "no row has a score: a score needs rows with most of the features that the models were trained on"
        );
    }
    Ok(())
}

/// Models that have seen the files' rows start anew, or they would leave those out: asking what was said of last week is as
/// good a question as what is to be said of the next.
fn from_the_beginning(mut ensembles: BTreeMap<Subject, Ensemble>, windows: &[Window]) -> BTreeMap<Subject, Ensemble> {
    for window in windows {
        let Some(ensemble) = ensembles.get_mut(window.subject()) else { continue };
        if let Some(newest) = ensemble.newest_at().filter(|newest| window.grid().start() <= *newest) {
            tracing::warn!(
                subject = %window.subject(),
                seen_until = %newest,
                "the models were trained on some of these rows, which score lower than new rows would"
            );
            *ensemble = ensemble.restarted();
        }
    }
    ensembles
}

fn load(args: &ScoreArgs, config: Option<&Config>) -> anyhow::Result<Bundle> {
    let of_config = config.and_then(|config| config.detection.bundle.as_ref());
    let path = args.bundle.as_ref().or(of_config).context("--bundle: name the models to score with")?;
    let library = config.and_then(|config| config.detection.onnx_library.as_deref());
    let options = training::load_options(library)?;
    Ok(Bundle::load(path, |_| config.map(|config| Schema::clone(config.queries.schema())), &options)?)
}

/// Windows of what the config's queries ask for.
fn of_queries(args: &ScoreArgs, config: &Config) -> anyhow::Result<Vec<Window>> {
    let answers = inputs::answers(&args.files, config, DatasetRows::Judged)?;
    let (start, end) = source::range(config, &answers.matrices)?;
    source::history_windows(config, &answers, start, end)
}

/// Windows of tables whose columns are the models' features.
fn of_columns(args: &ScoreArgs, ensembles: &BTreeMap<Subject, Ensemble>) -> anyhow::Result<Vec<Window>> {
    let (schema, step) = common(ensembles)?;
    let windows = inputs::tables(&args.files, Some((&schema, step)), DatasetRows::Judged)?;
    // Rows that name no subject can only be about the one that the models know.
    let only = ensembles.keys().next().filter(|_| ensembles.len() == 1);
    windows
        .into_iter()
        .map(|window| match only {
            Some(only) if (window.subject().namespace.as_str(), window.subject().name.as_str()) == UNNAMED => {
                let (grid, values) = (*window.grid(), window.values().to_owned());
                Ok(Window::new(only.clone(), grid, Arc::clone(window.schema()), values)?)
            }
            Some(_) | None => Ok(window),
        })
        .collect()
}

/// The features and the step that all models share.
fn common(ensembles: &BTreeMap<Subject, Ensemble>) -> anyhow::Result<(Arc<Schema>, Duration)> {
    let first = ensembles.values().next().context("the bundle holds no model")?;
    if ensembles.values().any(|one| one.schema() != first.schema() || one.step() != first.step()) {
        bail!("the bundle's models have different features or steps; give the config they were trained with");
    }
    Ok((Arc::clone(first.schema()), first.step()))
}

/// The windows of subjects with models; the others are told.
fn known(windows: Vec<Window>, ensembles: &BTreeMap<Subject, Ensemble>) -> anyhow::Result<Vec<Window>> {
    let (known, unknown): (Vec<Window>, Vec<Window>) =
        windows.into_iter().partition(|window| ensembles.contains_key(window.subject()));
    let names = |windows: &[Window]| {
        let mut names: Vec<String> = windows.iter().take(5).map(|window| window.subject().to_string()).collect();
        names.extend((windows.len() > 5).then(|| format!("{} more", windows.len() - 5)));
        names.join(", ")
    };
    if known.is_empty() {
        let models: Vec<String> = ensembles.keys().take(5).map(ToString::to_string).collect();
        bail!("no subject in the files has a model: {}; the bundle has {}, …", names(&unknown), models.join(", "));
    }
    if !unknown.is_empty() {
        tracing::warn!(subjects = names(&unknown), "no model for these subjects; they aren't scored");
    }
    Ok(known)
}

/// All detectors of all models, each once.
fn detectors(ensembles: &BTreeMap<Subject, Ensemble>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for ensemble in ensembles.values() {
        let missing = ensemble.missing().iter().map(|missing| missing.detector.clone());
        for name in ensemble.detectors().map(str::to_owned).chain(missing) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// What there was, for the summary.
struct Counts {
    n_rows: usize,
    n_scored: usize,
    /// Rows at which somebody would have been called.
    n_calls: usize,
}

/// Row by row, all subjects of a moment together, as the service sees them.
fn score(
    monitor: &mut Monitor,
    windows: &[Window],
    context: &ClusterContext,
    calibration: &Calibration,
    output: &mut Output,
) -> anyhow::Result<Counts> {
    let (mut counts, mut told_loss) = (Counts { n_rows: 0, n_scored: 0, n_calls: 0 }, None);
    for (step_idx, is_before_gap) in endings::before_source_gaps(windows).into_iter().enumerate() {
        let rows: Vec<Window> =
            windows.iter().filter_map(|window| window.slice_steps(step_idx, step_idx + 1)).collect();
        let Some(at) = rows.first().map(|row| row.grid().end()) else { break };
        if is_before_gap {
            monitor.expect_source_gap(at);
        }
        let observed = monitor.observe(at, &rows, context);
        if let Some((subject, misfit)) = observed.misfits.first() {
            bail!("{subject}: {misfit}");
        }
        let lost_at = monitor.tracker().source_lost_at();
        if lost_at > told_loss {
            told_loss = lost_at;
            tracing::warn!(
                %at,
                "most subjects lost data at the same moment; what is too small beside that gap is laid to the source, not to them"
            );
        }
        let calling = observed.changes.iter().filter(|change| change.notifies());
        let called: BTreeSet<&Subject> = calling.map(|change| &change.incident().subject).collect();
        let open: BTreeSet<Subject> = monitor.open_incidents().map(|incident| incident.subject.clone()).collect();
        for row in &rows {
            let subject = row.subject();
            // A row of gaps gives the assessment of an earlier row again: it has none of its own.
            let newest = monitor.ensemble(subject).and_then(Ensemble::last).filter(|last| last.assessment.at == at);
            let assessment = newest.map(|last| &last.assessment);
            counts.n_rows += 1;
            counts.n_scored += usize::from(assessment.is_some_and(|assessment| assessment.score().is_some()));
            counts.n_calls += usize::from(called.contains(subject));
            output.write(&ScoredRow {
                subject,
                at,
                score: assessment.and_then(Assessment::score).map(Score::value),
                lasting_score: assessment.and_then(Assessment::lasting_score).map(Score::value),
                smoothed_score: assessment.and_then(Assessment::smoothed_score).map(Score::value),
                typed: newest.and_then(|newest| row_typing(row.schema(), newest, calibration)),
                alert: called.contains(subject),
                open: open.contains(subject),
                votes: assessment.map_or(&[], |assessment| &assessment.votes),
            })?;
        }
    }
    Ok(counts)
}
