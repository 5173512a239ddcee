//! How a command ends, for the shell and for people.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use homeostat_ingest::{ExportEvaluatorError, TableError};

use crate::source::StepMismatch;

/// How a command ended. The numbers are an interface, the same as promtool's.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It did what was asked: 0.
    Done,
    /// It couldn't: 1. The error is printed with its whole chain.
    Failed(anyhow::Error),
    /// It was asked wrongly: 2.
    Usage(String),
    /// Somebody stopped it: 130, as shells say of a program that Ctrl-C ended.
    Stopped(String),
    /// What was checked has problems, which are printed already: 1.
    Problems,
}

impl Outcome {
    /// Prints what is left to say and gives the exit code.
    pub(crate) fn exit_code(self) -> ExitCode {
        // A closed stderr leaves nobody to tell.
        let mut stderr = std::io::stderr().lock();
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Problems => ExitCode::from(1),
            Self::Failed(error) => {
                let _ = writeln!(stderr, "homeostat: {error:#}");
                ExitCode::from(1)
            }
            Self::Stopped(why) => {
                let _ = writeln!(stderr, "homeostat: {why}");
                ExitCode::from(130)
            }
            Self::Usage(why) => {
                let _ = writeln!(stderr, "homeostat: {why}\nTry `homeostat --help`.");
                ExitCode::from(2)
            }
        }
    }
}

/// Somebody stopped a command with Ctrl-C. As the error of a command it ends as [`Outcome::Stopped`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Interrupted(pub(crate) String);

impl From<anyhow::Result<()>> for Outcome {
    fn from(result: anyhow::Result<()>) -> Self {
        match result.map_err(anyhow::Error::downcast::<Interrupted>) {
            Ok(()) => Self::Done,
            Err(Ok(Interrupted(why))) => Self::Stopped(why),
            // Rows of another step than the models': the command was given two things that don't belong together.
            Err(Err(error)) if is_step_mismatch(&error) => Self::Usage(format!("{error:#}")),
            Err(Err(error)) => Self::Failed(error),
        }
    }
}

fn is_step_mismatch(error: &anyhow::Error) -> bool {
    error.is::<StepMismatch>()
        || matches!(error.downcast_ref(), Some(TableError::StepMismatch { .. }))
        || matches!(error.downcast_ref(), Some(ExportEvaluatorError::StepMismatch { .. }))
}

/// Writes to standard output. A reader that went away (`| head`) ends the program quietly, like other tools; a disk that is
/// full doesn't: half a result with exit code 0 would pass for a whole one.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "homeostat: standard output can't be written: {error}; what was written is a part"
            );
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_stop_is_no_failure_also_with_context_around_it() {
        let stopped = || Err(anyhow::Error::new(Interrupted("stopped".into())));
        assert!(matches!(Outcome::from(stopped()), Outcome::Stopped(_)));
        assert!(matches!(Outcome::from(stopped().context("evaluating")), Outcome::Stopped(_)));
        assert!(matches!(Outcome::from(Err(anyhow::anyhow!("broken"))), Outcome::Failed(_)));
    }
}
