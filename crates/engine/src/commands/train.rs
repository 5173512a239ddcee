//! `homeostat train`: models from Prometheus or from an export, saved as a bundle.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use homeostat_detect::{Bundle, Provenance};
use homeostat_ingest::{DecodeLimits, Matrix, PrometheusSource, read_export};

use super::serve::{calibration, calibration_of};
use crate::clock;
use crate::config::{self, Config, Detection};
use crate::inputs::{self, FilesArgs};
use crate::outcome::print;
use crate::source;
use crate::training::Trained;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The config file. It may be left out where tables are trained on: then every column is a feature.
    #[arg(long = "config.file", alias = "config", value_name = "FILE", required_unless_present = "files")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) files: FilesArgs,
    /// An export to train on instead of the config's Prometheus: a directory with `QUERY.json[.gz]` per query.
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    pub(crate) input: Option<PathBuf>,
    /// Where to write the bundle; must not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}

pub(crate) async fn run(args: &TrainArgs) -> anyhow::Result<()> {
    if args.output.exists() {
        bail!("--output {}: is there already; choose another name or move it away", args.output.display());
    }
    let config = args.config.as_deref().map(config::load_or_explain).transpose()?;
    let (source, trained) = trained(args, config.as_ref()).await?;
    if trained.ensembles.is_empty() {
        bail!("no model could be trained, see above");
    }
    let n_subjects = trained.ensembles.len();
    let (history_start, history_end) = trained.history.unwrap_or_default();
    let provenance = Provenance { trained_at: clock::now(), source, history_start, history_end };
    let calibration = config.as_ref().map_or_else(calibration, calibration_of)?;
    Bundle { provenance, ensembles: trained.ensembles, calibration }.save(&args.output)?;
    print(&format!("{n_subjects} subjects trained; the bundle is {}\n", args.output.display()));
    Ok(())
}

/// Models, and what they were trained on.
async fn trained(args: &TrainArgs, config: Option<&Config>) -> anyhow::Result<(String, Trained)> {
    let Some(config) = config else {
        let windows = inputs::tables(&args.files, None)?;
        return Ok((inputs::names(&args.files), source::train(&Detection::default(), windows).await?));
    };
    let (source, matrices): (String, Vec<Option<Matrix>>) = match &args.input {
        Some(input) => {
            let matrices = read_export(input, &config.queries, &DecodeLimits::default())?;
            let matrices: Vec<Option<Matrix>> = matrices.into_iter().map(Some).collect();
            inputs::check_subjects(&matrices, config)?;
            (input.display().to_string(), matrices)
        }
        None if !args.files.files.is_empty() => (inputs::names(&args.files), inputs::answers(&args.files, config)?),
        None => {
            let prometheus = PrometheusSource::new(source::config_of(config)?)?;
            return Ok((prometheus.server().to_owned(), source::train_on_history(config, &prometheus).await?));
        }
    };
    let (start, end) = source::range(config, &matrices)?;
    let windows = source::history_windows(config, &matrices, start, end)?;
    Ok((source, source::train(&config.detection, windows).await?))
}
