//! `homeostat train`: models from Prometheus or from an export, saved as a bundle. Stopped, the same command goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use homeostat_core::{Exclusion, Seed, Timestamp, sha256_hex};
use homeostat_detect::{Bundle, LoadOptions, Provenance, Recipe};
use homeostat_ingest::{DecodeLimits, PrometheusSource, read_export};

use crate::calibration::{calibration, calibration_of};
use crate::clock;
use crate::config::{self, Config, Detection, Interval};
use crate::dataset_input::DatasetRows;
use crate::endings;
use crate::inputs::{self, Answers, FilesArgs};
use crate::outcome::{Outcome, print};
use crate::progress::{Progress, Unit, seconds_text};
use crate::signals::terminated;
use crate::source;
use crate::training::{
    Checkpoint, Estimate, Histories, InFile, Run, TrainHooks, Trained, Work, backend, ensemble_spec, excluding,
    load_options, recipe, train_with_hooks,
};

mod summary;

/// What a stopped training of a live server's history is gone on with: what is older isn't the history that the config asks
/// for any more.
const GO_ON_WITHIN: Duration = Duration::from_secs(86_400);

/// Endings of a name that promise a form which isn't written.
const OTHER_ENDINGS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".zst", ".zip", ".tzst"];

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The config file. Optional when training on tables: every column is a feature then.
    #[arg(long = "config.file", alias = "config", value_name = "FILE", required_unless_present = "files")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// An export to train on instead of the config's Prometheus: a directory with `QUERY.json[.gz]` per query.
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    pub(crate) input: Option<PathBuf>,
    /// Output path of the bundle; it must not exist yet. A name ending in `.tar.zst` gives one archive, any other a directory.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// A time that models don't learn, such as an outage: two RFC 3339 moments. Repeatable; with those of `global.exclude`.
    #[arg(long, value_name = "FROM/TO")]
    pub(crate) exclude: Vec<Interval>,
    /// Reads the history, fits a few subjects and estimates the time and memory that training takes. Writes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Creation time to store in the bundle, in Unix seconds, for reproducible bundles. Default: now.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub(crate) source_date_epoch: Option<i64>,
    /// For crash tests: stand still once so many subjects are fitted and kept.
    #[arg(long = "test.pause-after", hide = true, value_name = "N")]
    pub(crate) pause_after: Option<usize>,
}

pub(crate) fn run(args: &TrainArgs) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::Failed(anyhow::Error::new(error).context("starting the runtime")),
    };
    let outcome = runtime.block_on(train(args)).unwrap_or_else(Outcome::Failed);
    // A training that was stopped is cut off wherever it is: what it writes is whole or not there.
    runtime.shutdown_background();
    outcome
}

/// What to train on.
struct Input {
    /// For people.
    source: String,
    histories: Box<dyn Histories>,
}

async fn train(args: &TrainArgs) -> anyhow::Result<Outcome> {
    check_output(&args.output)?;
    let config = args.config.as_deref().map(config::load_or_explain).transpose()?;
    let kept = Checkpoint::beside(&args.output, args.pause_after);
    let run = begin(args, config.as_ref(), &kept);
    let mut detection = config.as_ref().map_or_else(Detection::default, |config| config.detection.clone());
    detection.exclude.extend(args.exclude.iter().copied().map(Exclusion::from));
    let Input { source, histories } = input(args, config.as_ref(), run.history_end).await?;
    let input = Input { source, histories: excluding(histories, &detection.exclude) };
    if input.histories.len() == 0 {
        bail!(
            "{} holds no subject; check that the queries answer and that `subjects` names their labels",
            input.source
        );
    }
    if args.dry_run {
        print(&dry_run(args, &detection, &input));
        return Ok(Outcome::Done);
    }
    kept.begin(&run)?;
    let job = Job {
        recipe: recipe(&detection, config.as_ref())?,
        calibration: config.as_ref().map_or_else(calibration, calibration_of)?,
        runtime: load_options(detection.onnx_library.as_deref())?,
        output: args.output.clone(),
        trained_at: args.source_date_epoch.map_or(run.began, Timestamp::from_secs),
        detection,
        input,
        kept,
    };
    let (dir, n_all) = (job.kept.dir().to_owned(), job.input.histories.len());
    let fitting = tokio::task::spawn_blocking(move || job.run());
    tokio::select! {
        done = fitting => done.context("training")?.map(|()| Outcome::Done),
        () = terminated() => Ok(stopped(args, &dir, n_all)),
    }
}

/// Fitting and saving, off the async threads.
struct Job {
    detection: Detection,
    recipe: Recipe,
    calibration: homeostat_incidents::Calibration,
    runtime: LoadOptions,
    output: PathBuf,
    trained_at: Timestamp,
    input: Input,
    kept: Checkpoint,
}

impl Job {
    fn run(self) -> anyhow::Result<()> {
        let began = Instant::now();
        let trained = self.fit();
        source::tell(&trained);
        if trained.ensembles.is_empty() {
            self.kept.remove()?;
            bail!("no model could be trained, see above");
        }
        let took = began.elapsed();
        let n_subjects = trained.ensembles.len();
        let n_failed = trained.failures.len();
        let (history_start, history_end) = trained.history.unwrap_or_default();
        let provenance =
            Provenance { trained_at: self.trained_at, source: self.input.source, history_start, history_end };
        let calibration_json = self.calibration.to_json().context("the calibration")?;
        let (recipe, ensembles) = (self.recipe, trained.ensembles);
        Bundle { provenance, recipe, ensembles, calibration_json }.save(&self.output)?;
        self.kept.remove()?;
        let left_out = if n_failed > 0 { format!(", {n_failed} couldn't be, see above") } else { String::new() };
        print(&format!(
            "{n_subjects} subjects trained in {}{left_out}; the bundle is {}\n",
            seconds_text(took.as_secs_f64()),
            self.output.display()
        ));
        Ok(())
    }

    fn fit(&self) -> Trained {
        let spec = ensemble_spec(&self.detection);
        let Detection { share_models, seed, .. } = self.detection;
        let histories = &*self.input.histories;
        tracing::info!(subjects = histories.len(), backend = backend(&self.runtime), "training");
        let work = Work::new(histories, &spec, share_models, Seed::new(seed));
        let bar = Progress::begin("training", Unit::Count("subjects"), histories.len() as u64);
        let found = |n_found: usize| bar.go_on_from(n_found as u64);
        train_with_hooks(
            &work,
            &self.runtime,
            &TrainHooks { kept: Some(&self.kept), found: &found, progress: &|_| bar.add(1) },
        )
    }
}

/// Says what is left, and takes away what a write under way has left beside the output.
fn stopped(args: &TrainArgs, kept_dir: &Path, n_all: usize) -> Outcome {
    if args.output.exists() {
        return Outcome::Stopped(format!("stopped at the very end; the bundle is {}", args.output.display()));
    }
    Bundle::discard_unfinished(&args.output);
    let n_kept = Checkpoint::beside(&args.output, None).n_kept();
    Outcome::Stopped(format!(
        "stopped; no bundle was written. {n_kept} of {n_all} subjects are fitted and kept in {}: the same command goes on \
         from there (remove it to start over)",
        kept_dir.display()
    ))
}

fn check_output(output: &Path) -> anyhow::Result<()> {
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.is_empty() {
        bail!("--output {}: name a file or directory", output.display());
    }
    if output.exists() {
        bail!("--output {}: already exists; choose another name or move it away", output.display());
    }
    let is_archive = name.ends_with(".tar.zst");
    if !is_archive && let Some(ending) = OTHER_ENDINGS.into_iter().find(|ending| name.ends_with(ending)) {
        bail!(
            "--output {}: {ending} isn't written; end the name with .tar.zst for one file, or choose another for a directory",
            output.display()
        );
    }
    Ok(())
}

/// When this training began: a moment ago, or earlier, if it was stopped.
fn begin(args: &TrainArgs, config: Option<&Config>, kept: &Checkpoint) -> Run {
    let asked =
        sha256_hex(&[format!("{config:?} {:?} {:?} {:?}", args.input, args.files.files, args.output).as_bytes()]);
    let now = clock::now();
    match kept.run(&asked).filter(|run| now.since(run.began) < GO_ON_WITHIN) {
        Some(run) if !args.dry_run => {
            tracing::info!(began = %run.began, "resuming a stopped training; remove {} to start over", kept.dir().display());
            run
        }
        Some(_) | None => Run { asked, began: now, history_end: config.map_or(now, source::history_end) },
    }
}

async fn input(args: &TrainArgs, config: Option<&Config>, history_end: Timestamp) -> anyhow::Result<Input> {
    let Some(config) = config else {
        let windows = inputs::tables(&args.files, None, DatasetRows::Training)?;
        endings::tell_features(&windows);
        return Ok(Input { histories: Box::new(windows), source: inputs::names(&args.files) });
    };
    let (source, answers): (String, Answers) = match &args.input {
        Some(input) => {
            let matrices = read_export(input, &config.queries, &DecodeLimits::default())?;
            let answers = Answers { matrices: matrices.into_iter().map(Some).collect(), scrapes: None };
            inputs::check_subjects(&answers.matrices, config)?;
            (input.display().to_string(), answers)
        }
        None if !args.files.files.is_empty() => {
            (inputs::names(&args.files), inputs::answers(&args.files, config, DatasetRows::Training)?)
        }
        None => {
            let prometheus = PrometheusSource::new(source::config_of(config)?)?;
            // Beside the output, where there must be room for the bundle anyway.
            let dir = args.output.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let history = source::pull_history(config, &prometheus, history_end, dir).await?;
            return Ok(Input { source: prometheus.server().to_owned(), histories: Box::new(InFile::new(history)) });
        }
    };
    let (start, end) = source::range(config, &answers.matrices)?;
    let windows = source::history_windows(config, &answers, start, end)?;
    endings::tell_features(&windows);
    Ok(Input { source, histories: Box::new(windows) })
}

fn dry_run(args: &TrainArgs, detection: &Detection, input: &Input) -> String {
    let spec = ensemble_spec(detection);
    let work = Work::new(&*input.histories, &spec, detection.share_models, Seed::new(detection.seed));
    tracing::info!("fitting a few subjects to estimate how long it takes");
    let estimate = Estimate::measure(&work);
    summary::dry_run(&args.output, &input.source, &work, &estimate)
}
