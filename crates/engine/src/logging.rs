//! Structured logs on standard error. One correlation id runs from the window that alarmed to the action that was taken.

use std::io::{self, Write};
use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// How to log.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogArgs {
    /// Log level, or filters such as `info,homeostat=debug`. The Kubernetes client logs only where it is named
    /// (`info,kube_client=debug`).
    #[arg(long = "log.level", global = true, default_value = "info", value_name = "LEVEL")]
    pub(crate) level: String,
    /// Format of log lines, which go to standard error.
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

static FLAGS: OnceLock<Vec<String>> = OnceLock::new();

/// The flags with which a process that this one starts logs as this one does.
pub(crate) fn flags() -> &'static [String] {
    FLAGS.get().map_or(&[], Vec::as_slice)
}

/// What a level may be.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The filter that `--log.level` asks for. A word that isn't a level would be taken for the name of a module, and everything
/// else would fall silent: it is refused.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let is_level = |word: &str| LEVELS.iter().any(|known| known.eq_ignore_ascii_case(word));
    let unknown = level.split(',').find(|part| match part.rsplit_once('=') {
        Some((_module, level)) => !is_level(level),
        None => !is_level(part),
    });
    if let Some(unknown) = unknown {
        return Err(format!(
            "--log.level {level:?}: unknown level {unknown:?}; use {}, or filters such as info,homeostat=debug",
            LEVELS.join(", ")
        ));
    }
    // The Kubernetes client logs every failed request as an error, without saying of what. What fails is told by whoever asked, with
    // what follows from it. Naming it (`info,kube_client=debug`) overrides this.
    EnvFilter::builder()
        .parse(format!("kube_client=off,{level}"))
        .map_err(|error| format!("--log.level {level:?}: {error}"))
}

/// Starts logging. An unusable `--log.level` is the caller's mistake.
pub(crate) fn start(args: &LogArgs) -> Result<(), String> {
    let filter = filter(&args.level)?;
    let format = match args.format {
        LogFormat::Logfmt => "logfmt",
        LogFormat::Json => "json",
    };
    // Logging is started once.
    let _ = FLAGS.set(["--log.level", &args.level, "--log.format", format].map(str::to_owned).to_vec());
    let layer = match args.format {
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_span_path(false)
            .with_span_name(false)
            .with_target(false)
            .layer()
            .with_writer(|| PlainApostrophes(crate::progress::log_writer()))
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

/// A writer of logfmt lines in which an apostrophe stays one: the formatter escapes it (`can\'t`), which neither logfmt nor
/// its readers know.
struct PlainApostrophes<W>(W);

impl<W: Write> Write for PlainApostrophes<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(&with_plain_apostrophes(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn with_plain_apostrophes(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, after.first()) {
            (b'\\', Some(b'\'')) => {}
            // Whatever else is escaped stays as it is; what follows belongs to it.
            (b'\\', Some(&escaped)) => {
                plain.extend([first, escaped]);
                rest = &after[1..];
            }
            _ => plain.push(first),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apostrophe_in_a_message_is_not_escaped() {
        let plain = |line: &[u8]| String::from_utf8(with_plain_apostrophes(line)).expect("text");
        assert_eq!(
            plain(br#"message="it can\'t be read" path="C:\\'x\"\n""#),
            r#"message="it can't be read" path="C:\\'x\"\n""#
        );
        assert_eq!(plain(b"a=b\\"), "a=b\\");
    }

    #[test]
    fn levels_and_filters_are_taken() {
        for level in ["info", "WARN", "off", "info,homeostat=debug", "warn,hyper=off", "homeostat::serve=trace"] {
            assert!(filter(level).is_ok(), "{level}");
        }
    }

    #[test]
    fn the_kubernetes_client_is_silent_unless_it_is_named() {
        let directives = |level: &str| filter(level).expect(level).to_string();
        assert!(directives("debug").contains("kube_client=off"), "{}", directives("debug"));
        let named = directives("info,kube_client=debug");
        assert!(named.contains("kube_client=debug") && !named.contains("kube_client=off"), "{named}");
    }

    #[test]
    fn a_mistyped_level_silences_nothing_but_is_refused() {
        for level in ["inof", "", "info,homeostat=debgu", "homeostat", "info,,debug"] {
            let why = filter(level).expect_err(level);
            assert!(why.contains("use off, error, warn, info, debug, trace"), "{why}");
        }
    }
}
