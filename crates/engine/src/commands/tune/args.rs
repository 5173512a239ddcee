//! What `homeostat tune` is asked.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use homeostat_detect::FalseAlarmBudget;

use crate::flags::StampsArg;

#[derive(Debug, Args)]
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
    pub(crate) budget: Option<FalseAlarmBudget>,
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
    pub(crate) workers: Option<NonZeroUsize>,
}
