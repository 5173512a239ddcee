//! Flags that several commands share.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use homeostat_evaluate::Placement;

/// Flags that had another name in earlier versions, each with that name. The old ones are read, with a warning.
const RENAMED: [(&str, &str); 1] = [("--pack", "--dataset")];

/// What to warn of in a command line: its flags under old names.
pub(crate) fn renamed(args: impl IntoIterator<Item = OsString>) -> Vec<String> {
    // What follows `--` is no flag.
    let args = args.into_iter().take_while(|arg| arg != "--").map(|arg| arg.to_string_lossy().into_owned());
    let flags: Vec<String> = args.map(|arg| arg.split('=').next().unwrap_or_default().to_owned()).collect();
    let written = RENAMED.iter().filter(|(old, _)| flags.iter().any(|flag| flag == old));
    written.map(|(old, new)| format!("{old} is now called {new}")).collect()
}

/// Which config to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The config file.
    #[arg(long = "config.file", alias = "config", value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Where a service keeps its state.
#[derive(Debug, Clone, Args)]
pub(crate) struct StorageArgs {
    /// The service's storage directory, as in its config.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) path: PathBuf,
}

/// How to treat timestamps that aren't one interval apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StampsArg {
    /// Ignore timestamps: each row is one interval after the previous one.
    Rows,
    /// Report them as an error.
    Strict,
}

impl StampsArg {
    /// The same for reading a series.
    pub(crate) fn placement(self) -> Placement {
        match self {
            Self::Rows => Placement::Rows,
            Self::Strict => Placement::Strict,
        }
    }
}
