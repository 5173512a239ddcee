//! Flags that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use homeostat_evaluate::Placement;

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
    pub(crate) fn placement(self) -> Placement {
        match self {
            Self::Rows => Placement::Rows,
            Self::Strict => Placement::Strict,
        }
    }
}
