//! The command line: the list of commands, and what each runs. A command's own flags are beside the command, those that
//! several share in `flags`. Flags follow Prometheus: `--config.file`, `--log.level`, `--web.listen-address`.

use anyhow::Context;
use clap::{Parser, Subcommand};
use homeostat_remediate::Answer;

use crate::commands::audit::{self, AuditArgs};
use crate::commands::calibrate::{self, CalibrateArgs};
use crate::commands::check::{self, CheckCommand};
use crate::commands::demo::{self, DemoArgs};
use crate::commands::evaluate::{self, EvaluateArgs};
use crate::commands::export::{self, ExportArgs};
use crate::commands::incident::{self, IncidentCommand};
use crate::commands::policy::{self, PolicyCommand};
use crate::commands::rbac::{self, RbacArgs};
use crate::commands::replay::{self, ReplayArgs};
use crate::commands::score::{self, ScoreArgs};
use crate::commands::serve::{self, ServeArgs};
use crate::commands::simulate::{self, SimulateArgs};
use crate::commands::switch::{self, ResumeArgs, StopArgs};
use crate::commands::train::{self, TrainArgs};
use crate::commands::tune::{self, TuneArgs};
use crate::flags;
use crate::logging::{self, LogArgs};
use crate::outcome::Outcome;
use crate::training::child::{self, TrainModelsArgs};

/// Detects anomalies in your services' metrics and, where you allow it, remediates them.
///
/// Start with `homeostat demo`: a simulated shop in which four events are detected, decided on, acted on and verified.
/// Then write a config (see `deploy/homeostat.example.yaml`), check it with `homeostat check config FILE`, and run
/// `homeostat serve --config.file FILE`. It starts in mode `observe`: it detects and notifies, and changes nothing.
#[derive(Debug, Parser)]
#[command(name = "homeostat", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a demo on a simulated shop. It needs nothing, changes nothing on your machine and takes less than a minute.
    Demo(DemoArgs),
    /// Runs the service against Prometheus, and against Kubernetes if the config names a cluster.
    Serve(ServeArgs),
    /// Trains models from the Prometheus history that the config names, or from exported metrics, and saves them as a bundle.
    Train(TrainArgs),
    /// Exports the answers to a config's queries as files that `train`, `score` and `replay` read.
    Export(ExportArgs),
    /// Replays exported metrics through detection and policy: what would have been detected and done, and what not and why.
    Replay(ReplayArgs),
    /// Scores exported metrics row by row with trained models: votes, score and confidence, as the service computes them.
    Score(ScoreArgs),
    /// Evaluates detection on labelled data: events found, detection delay and false alarms.
    Evaluate(Box<EvaluateArgs>),
    /// Tunes detector options on labelled data and writes a config with them.
    Tune(Box<TuneArgs>),
    /// Checks a file and shows every problem at once, with line and column.
    #[command(subcommand)]
    Check(CheckCommand),
    /// Lists, shows and labels recorded incidents.
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Says what policies have earned.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Stops all remediation at once, until `homeostat resume`.
    Stop(StopArgs),
    /// Allows remediation again after `homeostat stop`.
    Resume(ResumeArgs),
    /// Verifies the journal's hash chain, archives included.
    Audit(AuditArgs),
    /// Prints the Kubernetes rights that a config's policies need, as manifests.
    Rbac(RbacArgs),
    /// Writes a labelled dataset of the simulated shop for `evaluate`. The same seed gives the same bytes.
    Simulate(SimulateArgs),
    /// Trains for a service that waits for the models.
    #[command(hide = true)]
    TrainModels(TrainModelsArgs),
    /// Measures how often incidents of each type are correct on simulated faults, and writes the calibration that ships with
    /// homeostat.
    #[command(hide = true)]
    Calibrate(CalibrateArgs),
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Outcome {
    if let Err(why) = logging::start(&args.log) {
        return Outcome::Usage(why);
    }
    flags::renamed(std::env::args_os()).iter().for_each(|renamed| tracing::warn!("{renamed}"));
    match args.command {
        Command::Demo(args) => on_runtime(|| async move { demo::run(&args).await }).into(),
        Command::Serve(args) => on_runtime(|| async move { serve::run(&args).await }).into(),
        Command::Train(args) => train::run(&args),
        Command::Export(args) => on_runtime(|| async move { export::run(&args).await }).into(),
        Command::TrainModels(args) => train_models(&args),
        Command::Replay(args) => on_runtime(|| async move { replay::run(&args).await }).into(),
        Command::Score(args) => score::run(&args).into(),
        Command::Calibrate(args) => on_runtime(|| async move { calibrate::run(&args).await }).into(),
        Command::Evaluate(args) => on_runtime(|| async move { evaluate::run(*args).await }).into(),
        Command::Tune(args) => on_runtime(|| async move { tune::run(*args).await }).into(),
        Command::Check(CheckCommand::Config(args)) => {
            let mut outcome = Outcome::Done;
            let ran = on_runtime(|| async {
                outcome = check::config(&args).await;
                Ok(())
            });
            ran.err().map_or(outcome, Outcome::Failed)
        }
        Command::Check(CheckCommand::Preset(args)) => check::preset::run(&args),
        Command::Check(CheckCommand::Cluster(args)) => check::cluster::run(&args),
        Command::Check(CheckCommand::Policy(args)) => check::policy(&args.files),
        Command::Check(CheckCommand::Bundle(args)) => check::bundle(&args.file),
        Command::Incident(IncidentCommand::List(args)) => {
            on_runtime(|| async move { incident::list(&args).await }).into()
        }
        Command::Incident(IncidentCommand::Show(args)) => {
            on_runtime(|| async move { incident::show(&args).await }).into()
        }
        Command::Incident(IncidentCommand::Approve(args)) => incident::answer(&args, Answer::Approve).into(),
        Command::Incident(IncidentCommand::Reject(args)) => incident::answer(&args, Answer::Reject).into(),
        Command::Incident(IncidentCommand::Label(args)) => {
            on_runtime(|| async move { incident::label(&args).await }).into()
        }
        Command::Policy(PolicyCommand::Promote(args)) => policy::promote(&args),
        Command::Stop(args) => switch::stop(&args).into(),
        Command::Resume(args) => switch::resume(&args).into(),
        Command::Audit(args) => audit::run(&args).into(),
        Command::Rbac(args) => rbac::run(&args),
        Command::Simulate(args) => on_runtime(|| async move { simulate::run(&args).await }).into(),
    }
}

fn train_models(args: &TrainModelsArgs) -> Outcome {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(child::run(args)),
        Err(error) => Outcome::Failed(anyhow::Error::new(error).context("starting the runtime")),
    }
}

/// What still runs when a command has ended may take so long to end, too.
const SHUTDOWN_MAX: std::time::Duration = std::time::Duration::from_secs(1);

fn on_runtime<F: Future<Output = anyhow::Result<()>>>(command: impl FnOnce() -> F) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let result = runtime.block_on(command());
    // A training that still computes would hold up the end for minutes; nobody waits for its models any more.
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    result
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
    fn a_flag_under_its_old_name_is_read_with_a_warning() {
        for (args, wanted) in [
            (&["homeostat", "evaluate", "--pack", "d"][..], &["--pack is now called --dataset"][..]),
            (&["homeostat", "tune", "--pack=d", "--output", "o"], &["--pack is now called --dataset"]),
            (&["homeostat", "evaluate", "--dataset", "d"], &[]),
        ] {
            assert!(Args::try_parse_from(args).is_ok(), "{args:?}");
            assert_eq!(flags::renamed(args.iter().map(Into::into)), wanted, "{args:?}");
        }
    }

    #[test]
    fn config_is_an_alias_of_config_file() {
        assert!(Args::try_parse_from(["homeostat", "serve", "--config", "x.yaml"]).is_ok());
        assert!(Args::try_parse_from(["homeostat", "serve"]).is_err());
    }

    /// What stands in the pages as a command: at the beginning of a line of code, or in backquotes.
    fn commands_in(page: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut in_block = false;
        for line in page.lines() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            }
            let is_code = in_block || line.starts_with("    ");
            let pieces: Vec<&str> = if is_code { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
            let commands = pieces.into_iter().filter_map(|piece| piece.trim_start().strip_prefix("homeostat "));
            found.extend(commands.map(|rest| rest.split(" #").next().unwrap_or(rest).trim().to_owned()));
        }
        found
    }

    /// Words as a shell splits them, as far as our pages go.
    fn words(command: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for letter in command.chars() {
            match letter {
                '"' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().expect("one").push(letter),
            }
        }
        words.into_iter().filter(|word| !word.is_empty()).collect()
    }

    #[test]
    fn commands_in_the_readme_and_the_guides_are_understood() {
        use clap::error::ErrorKind;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let guides = std::fs::read_dir(root.join("docs/guides")).expect("guides").flatten().map(|entry| entry.path());
        let mut n_commands = 0;
        for path in guides.chain([root.join("README.md"), root.join("CONTRIBUTING.md")]) {
            let page = std::fs::read_to_string(&path).expect("a page");
            for command in commands_in(&page) {
                n_commands += 1;
                let parsed = Args::try_parse_from([vec!["homeostat".to_owned()], words(&command)].concat());
                // In a sentence a command may stand without what it needs.
                let is_fine = parsed.as_ref().err().is_none_or(|error| {
                    matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelp)
                        || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                        || error.kind() == ErrorKind::MissingSubcommand
                });
                assert!(is_fine, "{}: homeostat {command}: {:?}", path.display(), parsed.err());
            }
        }
        assert!(n_commands > 20, "only {n_commands} commands were found");
    }
}
