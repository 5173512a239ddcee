//! What each command does: reads its arguments, puts the parts together, and ends.

mod audit;
mod calibrate;
mod check;
mod demo;
mod evaluate;
mod incident;
mod replay;
mod score;
mod serve;
mod simulate;
mod switch;
mod train;
mod tune;

use std::time::Duration;

use anyhow::Context;

use crate::cli::{Args, CheckCommand, Command, IncidentCommand};
use crate::logging;
use crate::outcome::Outcome;

/// Runs the command.
pub(crate) fn run(args: Args) -> Outcome {
    if let Err(why) = logging::start(&args.log) {
        return Outcome::Usage(why);
    }
    match args.command {
        Command::Demo(args) => on_runtime(|| async move { demo::run(&args).await }).into(),
        Command::Serve(args) => on_runtime(|| async move { serve::run(&args).await }).into(),
        Command::Train(args) => on_runtime(|| async move { train::run(&args).await }).into(),
        Command::Replay(args) => on_runtime(|| async move { replay::run(&args).await }).into(),
        Command::Score(args) => score::run(&args).into(),
        Command::Calibrate(args) => on_runtime(|| async move { calibrate::run(&args).await }).into(),
        Command::Evaluate(args) => on_runtime(|| async move { evaluate::run(*args).await }).into(),
        Command::Tune(args) => on_runtime(|| async move { tune::run(*args).await }).into(),
        Command::Check(CheckCommand::Config(args)) => check::config(&args.file),
        Command::Check(CheckCommand::Policy(args)) => check::policy(&args.file),
        Command::Check(CheckCommand::Bundle(args)) => check::bundle(&args.file),
        Command::Incident(IncidentCommand::List(args)) => incident::list(&args).into(),
        Command::Incident(IncidentCommand::Show(args)) => incident::show(&args).into(),
        Command::Stop(args) => switch::stop(&args).into(),
        Command::Resume(args) => switch::resume(&args).into(),
        Command::Audit(args) => audit::run(&args).into(),
        Command::Simulate(args) => simulate::run(&args).into(),
    }
}

/// What still runs when a command has ended may take so long to end, too.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

fn on_runtime<F: Future<Output = anyhow::Result<()>>>(command: impl FnOnce() -> F) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let result = runtime.block_on(command());
    // A training that still computes would hold up the end for minutes; nobody waits for its models any more.
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    result
}
