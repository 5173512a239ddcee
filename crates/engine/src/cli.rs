//! The command line. Flags follow Prometheus: `--config.file`, `--log.level`, `--web.listen-address`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Finds faults in your services' metrics and, where you allow it, cures them.
///
/// Start with `homeostat demo`: a simulated shop with four events, found, decided, acted on and verified before your eyes.
/// Then write a config (see `deploy/homeostat.example.yaml`), check it with `homeostat check config FILE`, and run
/// `homeostat serve --config.file FILE`. It starts in mode `observe`: it watches and tells, and changes nothing.
#[derive(Debug, Parser)]
#[command(name = "homeostat", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to log.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct LogArgs {
    /// What to log; a level, or filters such as `info,homeostat=debug`.
    #[arg(long = "log.level", global = true, default_value = "info", value_name = "LEVEL")]
    pub(crate) level: String,
    /// How to write log lines. They go to standard error.
    #[arg(long = "log.format", global = true, default_value = "logfmt", value_name = "FORMAT")]
    pub(crate) format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `ts=… level=info msg=…`
    Logfmt,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the simulated shop: nothing needed, nothing changed on your machine, done within a minute.
    Demo(DemoArgs),
    /// Runs the service on a real Prometheus, and on Kubernetes where the config names one.
    Serve(ServeArgs),
    /// Trains models from the Prometheus history that the config names, or from exported metrics, and saves them as a bundle.
    Train(TrainArgs),
    /// Runs an export through detection and policy: what would have happened, and why not.
    Replay(ReplayArgs),
    /// Scores exported metrics row by row with trained models: votes, score and confidence, as the service would have.
    Score(ScoreArgs),
    /// Judges detection on labelled data: what is found, how late, and how often nothing was there.
    Evaluate(Box<EvaluateArgs>),
    /// Looks for better detector options on labelled data, and writes a config with them.
    Tune(Box<TuneArgs>),
    /// Checks a file and shows every problem at once, with line and column.
    #[command(subcommand)]
    Check(CheckCommand),
    /// Looks at recorded incidents.
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Stops all remediation at once, until `homeostat resume`.
    Stop(StopArgs),
    /// Allows remediation again after `homeostat stop`.
    Resume(ResumeArgs),
    /// Checks that the journal's chain of records is unbroken.
    Audit(AuditArgs),
    /// Writes labelled data of the simulated shop: a pack for `evaluate`, the same bytes for the same seed.
    Simulate(SimulateArgs),
    /// Measures how often incidents are right, on simulated faults, and writes the calibration that ships with homeostat.
    #[command(hide = true)]
    Calibrate(CalibrateArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SimulateArgs {
    /// Where to write the pack; a new directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Seed of services, noise and faults.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Healthy days at the beginning, which train.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) train_days: u32,
    /// Days with faults, which are judged.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) days: u32,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CalibrateArgs {
    /// How many scenarios to run.
    #[arg(long, default_value_t = 600)]
    pub(crate) scenarios: u32,
    /// Seed of the scenarios.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where to write the calibration.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Which config to use.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ConfigArgs {
    /// The config file.
    #[arg(long = "config.file", alias = "config", value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// Seed of the simulation: another seed, other noise and other times.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Where to keep the journal; a directory. Default: a temporary one, removed at the end.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) storage: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where to listen, instead of the config's `server.listen_address`. Loopback only for now.
    #[arg(long = "web.listen-address", value_name = "ADDRESS:PORT")]
    pub(crate) listen_address: Option<std::net::SocketAddr>,
    /// Where to keep the journal, instead of the config's `storage.path`.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) storage: Option<PathBuf>,
    /// The native ONNX Runtime to use instead of the embedded backend.
    #[arg(long = "onnx.library", env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub(crate) onnx_library: Option<PathBuf>,
    /// For crash tests: wait for a kill at this point of an action.
    #[arg(long = "test.pause-at", hide = true, value_name = "POINT")]
    pub(crate) pause_at: Option<PauseAt>,
}

/// Points at which a crash test may stop the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PauseAt {
    /// The intent is on disk, nothing was written to the cluster.
    AfterJournal,
    /// The cluster has the write, the journal doesn't know yet.
    AfterApply,
}

/// Files of exported metrics.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct FilesArgs {
    /// Exported metrics, packed with gzip or zstd or not; a directory stands for the files in it. With a config, its queries
    /// are evaluated on raw series, and answers (`QUERY.json`, columns of tables) are taken by their names. Without one,
    /// tables only: every column is a feature.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The files' format: query-range, openmetrics, tsdb-dump, victoriametrics, csv or parquet. Default: by their content.
    #[arg(long = "format", value_name = "FORMAT", value_parser = crate::inputs::format)]
    pub(crate) files_format: Option<homeostat_ingest::Format>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ScoreArgs {
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// The config file, whose queries say what the files' series mean. Needed for raw series and for answers.
    #[arg(long = "config.file", alias = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The models, as `homeostat train` saved them. Default: the config's `bundle`.
    #[arg(long, value_name = "PATH")]
    pub(crate) bundle: Option<PathBuf>,
    /// Where to write the rows; the ending says how: .csv, .json (an array) or .jsonl. Default: CSV on standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TrainArgs {
    /// The config file. It may be left out where tables are trained on: then every column is a feature.
    #[arg(long = "config.file", alias = "config", value_name = "FILE", required_unless_present = "files")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// An export to train on instead of the config's Prometheus: a directory with `QUERY.json[.gz]` per query.
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write the bundle; must not exist yet. A name ending with `.tar.zst` gets one archive, any other a directory.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// Reads the history, fits a few subjects, and says what training would take: nothing is written.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The moment at which the bundle says it was made, in Unix seconds: for bundles that must be the same bytes when they are
    /// made again. Default: now.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS")]
    pub(crate) source_date_epoch: Option<i64>,
    /// For crash tests: stand still once so many subjects are fitted and kept.
    #[arg(long = "test.pause-after", hide = true, value_name = "N")]
    pub(crate) pause_after: Option<usize>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// The export: a directory with `QUERY.json[.gz]` per query, each a `query_range` answer.
    #[arg(long, value_name = "DIR", required_unless_present = "files", conflicts_with = "files")]
    pub(crate) input: Option<PathBuf>,
    /// Where the part that is judged begins; what lies before trains the models. Default: the last quarter.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<homeostat_core::Timestamp>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EvaluateArgs {
    /// The labelled pack: a directory with `manifest.json` and the series it names.
    #[arg(long, value_name = "DIR", required_unless_present = "scenarios")]
    pub(crate) pack: Option<PathBuf>,
    /// Also play so many simulated faults, and judge who was named as the cause and what it was called.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) scenarios: Option<u32>,
    /// Judge detection with the detectors, options and budget of this config. Default: those of homeostat.
    #[arg(long = "config.file", alias = "config", value_name = "FILE", conflicts_with_all = ["detectors", "scores"])]
    pub(crate) config: Option<PathBuf>,
    /// Judge these sets only; may be given several times.
    #[arg(long = "set", value_name = "NAME", value_delimiter = ',')]
    pub(crate) sets: Vec<String>,
    /// The detectors that vote. Default: those of the service.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) detectors: Vec<String>,
    /// How many seeds to train with; figures are means over them.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) seeds: u32,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The false-alarm budget of a series. Default: the config's, or 1 per 1d.
    #[arg(long, value_name = "BUDGET")]
    pub(crate) budget: Option<homeostat_detect::FalseAlarmBudget>,
    /// What to make of stamps that aren't one interval apart.
    #[arg(long, default_value = "rows", value_name = "HOW")]
    pub(crate) stamps: StampsArg,
    /// Also judge the ensemble with each detector left out.
    #[arg(long)]
    pub(crate) ablation: bool,

    /// Series of a set with the same columns share models, as workloads with the same queries do in `serve`.
    #[arg(long)]
    pub(crate) share_models: bool,
    /// Judge these scores of any program instead of running detection: a directory with `SET/SERIES.csv[.gz]`, header
    /// `score[,confidence][,alert]`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["detectors", "seeds", "seed", "ablation", "cache", "share_models"])]
    pub(crate) scores: Option<PathBuf>,
    /// Compare with an evaluation written by `--output.json`.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Write the scores of the judged rows here, one file a series, in the format that `--scores` reads (the first seed's).
    #[arg(long = "output.scores", value_name = "DIR")]
    pub(crate) output_scores: Option<PathBuf>,
    /// Write the evaluation as JSON.
    #[arg(long = "output.json", value_name = "FILE")]
    pub(crate) output_json: Option<PathBuf>,
    /// Write the tables as Markdown.
    #[arg(long = "output.markdown", value_name = "FILE")]
    pub(crate) output_markdown: Option<PathBuf>,
    /// Write a report with plots: one HTML page that needs nothing else.
    #[arg(long = "output.html", value_name = "FILE")]
    pub(crate) output_html: Option<PathBuf>,
    /// Keep each series' run here, so that an evaluation that was stopped goes on where it stopped. Runs of another build or
    /// other options are never taken.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Series at a time. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TuneArgs {
    /// The labelled pack: a directory with `manifest.json` and the series it names.
    #[arg(long, value_name = "DIR")]
    pub(crate) pack: PathBuf,
    /// Where to write the config; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The config whose `detectors` and `detection` are to be replaced, and whose false-alarm budget holds. Default: a new one.
    #[arg(long = "config.file", alias = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How many trials, the defaults among them: two thirds are given up after a part of the series, and so on.
    #[arg(long = "budget-trials", default_value_t = 27, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(crate) trials: u32,
    /// Search these options only; may be given several times. A wrong name shows all of them.
    #[arg(long = "option", value_name = "NAME", value_delimiter = ',')]
    pub(crate) options: Vec<String>,
    /// Use these sets only; may be given several times.
    #[arg(long = "set", value_name = "NAME", value_delimiter = ',')]
    pub(crate) sets: Vec<String>,
    /// The false-alarm budget of a series. Default: 1 per 1d.
    #[arg(long, value_name = "BUDGET", conflicts_with = "config")]
    pub(crate) budget: Option<homeostat_detect::FalseAlarmBudget>,
    /// With how many seeds the finalists are trained.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) seeds: u32,
    /// Seed of the search and the first seed of training.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// What to make of stamps that aren't one interval apart.
    #[arg(long, default_value = "rows", value_name = "HOW")]
    pub(crate) stamps: StampsArg,
    /// Where finished runs are noted; a search that was stopped goes on from there. Default: OUTPUT.journal.
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Runs at a time. Default: one for each core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<std::num::NonZeroUsize>,
}

/// What to make of stamps that aren't one interval apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StampsArg {
    /// Rows are rows: each stands one interval after the one before.
    Rows,
    /// They are an error.
    Strict,
}

impl StampsArg {
    /// The same for reading a series.
    pub(crate) fn placement(self) -> homeostat_evaluate::Placement {
        match self {
            Self::Rows => homeostat_evaluate::Placement::Rows,
            Self::Strict => homeostat_evaluate::Placement::Strict,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// A config file, with the policy files it names.
    Config(CheckArgs),
    /// A policy file.
    Policy(CheckArgs),
    /// A saved bundle of models.
    Bundle(CheckArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// What to check.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Lists incidents, newest first.
    List(IncidentArgs),
    /// Shows one incident with every decision and action.
    Show(IncidentShowArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IncidentArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// How to print.
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IncidentShowArgs {
    /// The incident's id.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

/// Where a service keeps its state.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct StorageArgs {
    /// The service's storage directory, as in its config.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) path: PathBuf,
}

/// How to print a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns for people.
    Table,
    /// One JSON array.
    Json,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Why; everybody who looks will see it.
    #[arg(long, default_value = "stopped by hand")]
    pub(crate) reason: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
    /// Why it is safe again; kept in the record.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn files_of_metrics_are_named_without_a_flag() {
        let args = ["homeostat", "score", "a.csv", "b.csv", "--bundle", "models", "--format", "csv"];
        let Ok(Args { command: Command::Score(score), .. }) = Args::try_parse_from(args) else { panic!("no score") };
        assert_eq!((score.files.files.len(), score.files.files_format), (2, Some(homeostat_ingest::Format::Csv)));
        for (args, wanted) in [
            (&["train", "a.csv", "--output", "o"][..], true),
            (&["train", "--output", "o"], false),
            (&["train", "a.csv", "--input", "dir", "--config", "c", "--output", "o"], false),
            (&["train", "--config", "c", "--output", "o"], true),
            (&["replay", "--config", "c", "a.json"], true),
            (&["replay", "--config", "c"], false),
            (&["score", "a.csv", "--format", "xls"], false),
        ] {
            let parsed = Args::try_parse_from([&["homeostat"], args].concat());
            assert_eq!(parsed.is_ok(), wanted, "{args:?}");
        }
    }

    #[test]
    fn config_is_an_alias_of_config_file() {
        assert!(Args::try_parse_from(["homeostat", "serve", "--config", "x.yaml"]).is_ok());
        assert!(Args::try_parse_from(["homeostat", "serve"]).is_err());
    }
}
