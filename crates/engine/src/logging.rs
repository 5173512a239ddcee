//! Structured logs on standard error. One correlation id runs from the window that alarmed to the action that was taken.

use clap::{Args, ValueEnum};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// How to log.
#[derive(Debug, Clone, Args)]
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

/// Starts logging. An unusable `--log.level` is the caller's mistake.
pub(crate) fn start(args: &LogArgs) -> Result<(), String> {
    let filter = EnvFilter::builder()
        .parse(&args.level)
        .map_err(|error| format!("--log.level {:?}: {error}; use error, warn, info, debug or trace", args.level))?;
    let layer = match args.format {
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_span_path(false)
            .with_span_name(false)
            .with_target(false)
            .layer()
            .with_writer(crate::progress::log_writer)
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .with_writer(crate::progress::log_writer)
            .boxed(),
    };
    tracing_subscriber::registry().with(filter).with(layer).try_init().map_err(|error| error.to_string())
}
