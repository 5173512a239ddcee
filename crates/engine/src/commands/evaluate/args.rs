//! What `homeostat evaluate` is asked.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use homeostat_detect::FalseAlarmBudget;

use crate::flags::StampsArg;

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// The labelled dataset: a directory with `manifest.json` and the series it names.
    #[arg(long, alias = "pack", value_name = "DIR", required_unless_present = "scenarios")]
    pub(crate) dataset: Option<PathBuf>,
    /// Also simulate this many faults, and evaluate the cause that was named and the incident's type.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) scenarios: Option<u32>,
    /// Config whose detectors, options and budget to evaluate. Default: homeostat's defaults.
    #[arg(long = "config.file", alias = "config", value_name = "FILE", conflicts_with_all = ["detectors", "scores"])]
    pub(crate) config: Option<PathBuf>,
    /// Evaluate only this set; can be repeated.
    #[arg(long = "set", value_name = "NAME", value_delimiter = ',')]
    pub(crate) sets: Vec<String>,
    /// Detectors to vote. Default: those of the service.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) detectors: Vec<String>,
    /// Number of seeds to train with; metrics are means over them.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) seeds: u32,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The false-alarm budget of a series. Default: the config's, or 1 per 1d.
    #[arg(long, value_name = "BUDGET")]
    pub(crate) budget: Option<FalseAlarmBudget>,
    /// How to treat timestamps that aren't one interval apart.
    #[arg(long, default_value = "rows", value_name = "HOW")]
    pub(crate) stamps: StampsArg,
    /// Also evaluate the ensemble without each of its detectors (ablation).
    #[arg(long)]
    pub(crate) ablation: bool,
    /// Series of a set with the same columns share models, as workloads with the same queries do in `serve`.
    #[arg(long)]
    pub(crate) share_models: bool,
    /// Evaluate the scores of any program instead of running detection: a directory with `SET/SERIES.csv[.gz]`, header
    /// `score[,confidence][,alert]`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["detectors", "seeds", "seed", "ablation", "cache", "share_models"])]
    pub(crate) scores: Option<PathBuf>,
    /// Compare with another program's scores of the same series; can be repeated. The directory has the layout of
    /// `--scores`; with a column `surprisal`, alerts follow homeostat's own policy.
    #[arg(long = "peer", value_name = "NAME=DIR", value_parser = peer, requires = "dataset")]
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
    /// Directory to keep the results of each series in, to resume a stopped evaluation. Results of another build or other
    /// options aren't reused.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Series evaluated in parallel. Default: one per core.
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

/// Reads `NAME=DIR`. A name becomes part of metrics' names, so it has no spaces.
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
