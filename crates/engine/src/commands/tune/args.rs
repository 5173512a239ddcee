//! What `homeostat tune` is asked.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use homeostat_detect::FalseAlarmBudget;

use crate::flags::StampsArg;

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The labelled dataset: a directory with `manifest.json` and the series it names.
    #[arg(long, alias = "pack", value_name = "DIR")]
    pub(crate) dataset: PathBuf,
    /// Output config; it must not exist yet.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The config whose `detectors` and `detection` are to be replaced, and whose false-alarm budget holds. Default: a new one.
    #[arg(long = "config.file", alias = "config", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Number of trials, the defaults included. Successive halving keeps a third of them at each rung.
    #[arg(long = "budget-trials", default_value_t = 27, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(crate) trials: u32,
    /// Search only this option; can be repeated. An unknown name lists all of them.
    #[arg(long = "option", value_name = "NAME", value_delimiter = ',')]
    pub(crate) options: Vec<String>,
    /// Use only this set; can be repeated.
    #[arg(long = "set", value_name = "NAME", value_delimiter = ',')]
    pub(crate) sets: Vec<String>,
    /// The false-alarm budget of a series. Default: 1 per 1d.
    #[arg(long, value_name = "BUDGET", conflicts_with = "config")]
    pub(crate) budget: Option<FalseAlarmBudget>,
    /// Number of seeds to train the finalists with.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) seeds: u32,
    /// Seed of the search and the first seed of training.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How to treat timestamps that aren't one interval apart.
    #[arg(long, default_value = "rows", value_name = "HOW")]
    pub(crate) stamps: StampsArg,
    /// File of finished runs, to resume a stopped search. Default: OUTPUT.journal.
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Runs in parallel. Default: one per core.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,
}
