//! What `homeostat evaluate` is asked.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use homeostat_detect::FalseAlarmBudget;

use crate::flags::StampsArg;

#[derive(Debug, Args)]
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
    pub(crate) budget: Option<FalseAlarmBudget>,
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
    /// Show another program's scores of the same series beside ours; may be given several times. Its directory is as that of
    /// `--scores`; with a column `surprisal` its alerts are made by homeostat's own policy.
    #[arg(long = "peer", value_name = "NAME=DIR", value_parser = peer, requires = "pack")]
    pub(crate) peers: Vec<Peer>,
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
    pub(crate) workers: Option<NonZeroUsize>,
}

/// Another program's scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// What to call it.
    pub(crate) name: String,
    /// Its scores.
    pub(crate) dir: PathBuf,
}

/// Reads `NAME=DIR`. A name becomes part of figures' names, so it has no spaces.
fn peer(text: &str) -> Result<Peer, String> {
    let (name, dir) = text.split_once('=').ok_or("write it as NAME=DIR")?;
    let is_usual = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || !name.chars().all(is_usual) {
        return Err(format!("invalid name {name:?}: use letters, digits, -, _ and ."));
    }
    if dir.is_empty() {
        return Err("no directory after =".to_owned());
    }
    Ok(Peer { name: name.to_owned(), dir: dir.into() })
}
