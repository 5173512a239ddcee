//! `homeostat train`: models from Prometheus or from an export, saved as a bundle.

use std::sync::Arc;

use anyhow::bail;
use homeostat_detect::{Bundle, Provenance};
use homeostat_ingest::{DecodeLimits, Matrix, PrometheusSource, read_export};

use super::serve::calibration_of;
use crate::cli::TrainArgs;
use crate::clock;
use crate::config;
use crate::outcome::print;
use crate::source;
use crate::training::Trained;

pub(super) async fn run(args: &TrainArgs) -> anyhow::Result<()> {
    if args.output.exists() {
        bail!("--output {}: is there already; choose another name or move it away", args.output.display());
    }
    let config = Arc::new(config::load_or_explain(&args.config.file)?);
    let (source, trained): (String, Trained) = match &args.input {
        Some(input) => {
            let matrices: Vec<Option<Matrix>> =
                read_export(input, &config.queries, &DecodeLimits::default())?.into_iter().map(Some).collect();
            let (start, end) = source::range(&config, &matrices)?;
            let windows = source::history_windows(&config, &matrices, start, end)?;
            (input.display().to_string(), source::train(&config, windows).await?)
        }
        None => {
            let prometheus = PrometheusSource::new(source::config_of(&config)?)?;
            (prometheus.server().to_owned(), source::train_on_history(&config, &prometheus).await?)
        }
    };
    if trained.ensembles.is_empty() {
        bail!("no model could be trained, see above");
    }
    let n_subjects = trained.ensembles.len();
    let (history_start, history_end) = trained.history.unwrap_or_default();
    let provenance = Provenance { trained_at: clock::now(), source, history_start, history_end };
    Bundle { provenance, ensembles: trained.ensembles, calibration: calibration_of(&config)? }.save(&args.output)?;
    print(&format!("{n_subjects} subjects trained; the bundle is {}\n", args.output.display()));
    Ok(())
}
