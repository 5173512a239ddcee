//! `homeostat calibrate`: how often incidents of each type are right, measured on simulated faults with known causes.
//!
//! The shares hold for the simulator. On a real cluster they are a start, to be replaced by the outcomes of real
//! incidents; `models/README.md` says so to users.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use homeostat_core::{Incident, IncidentChange, Seed};
use homeostat_evaluate::outcomes;
use homeostat_incidents::{Calibration, LabelledOutcome};
use homeostat_simulate::{Shop, ShopSpec};

use crate::closed_loop::{train_on_shop, watch_scenario};
use crate::config::Detection;
use crate::outcome::print;
use crate::training::Trained;

/// Healthy days that the models are trained on.
const TRAINING_DAYS: u32 = 3;

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Number of scenarios to run.
    #[arg(long, default_value_t = 600)]
    pub(crate) scenarios: u32,
    /// Seed of the scenarios.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Output file.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

pub(crate) async fn run(args: &CalibrateArgs) -> anyhow::Result<()> {
    let seed = Seed::new(args.seed);
    let spec = ShopSpec { history_steps: TRAINING_DAYS as usize * 24 * 60, ..ShopSpec::default() };
    let (shop, trained) = train_on_shop(&spec, TRAINING_DAYS, seed, &Detection::default(), |_| {})?;
    let mut labelled = Vec::new();
    for scenario_idx in 0..args.scenarios {
        let seed = seed.fork(&format!("scenario {scenario_idx}"));
        labelled.extend(run_scenario(&spec, &shop, &trained, seed).await?);
    }
    let n_correct = labelled.iter().filter(|outcome| outcome.correct).count();
    let calibration = Calibration::fit(&labelled);
    write(&args.output, &serde_json::to_string_pretty(&calibration)?)?;
    print(&format!(
        "{} scenarios gave {} incidents, {n_correct} of them correct; calibration written to {}\n",
        args.scenarios,
        labelled.len(),
        args.output.display()
    ));
    Ok(())
}

/// One scenario's incidents with the answer beside them.
async fn run_scenario(
    spec: &ShopSpec,
    shop: &Shop,
    trained: &Trained,
    seed: Seed,
) -> anyhow::Result<Vec<LabelledOutcome>> {
    let watched = watch_scenario(spec, shop, trained, seed, Calibration::unknown()).await?;
    let typed = when_typed(&watched.changes);
    Ok(outcomes(&watched.truths, &typed)
        .into_iter()
        .map(|outcome| LabelledOutcome {
            incident_type: outcome.incident_type,
            score_peak: outcome.score_peak,
            correct: outcome.correct,
        })
        .collect())
}

/// Each incident as it was when it got each of its types: that is when it must be decided how sure to be.
fn when_typed(changes: &[IncidentChange]) -> Vec<Incident> {
    let mut typed: Vec<Incident> = Vec::new();
    for change in changes {
        let incident = match change {
            IncidentChange::Opened(incident)
            | IncidentChange::Updated(incident)
            | IncidentChange::Refired(incident) => incident,
            IncidentChange::Stale(_)
            | IncidentChange::Resolved(_)
            | IncidentChange::Rebaselined(_)
            | IncidentChange::Expired(_) => continue,
        };
        if !typed.iter().any(|known| known.id == incident.id && known.incident_type == incident.incident_type) {
            typed.push(incident.clone());
        }
    }
    typed
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(path).with_context(|| format!("writing {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    Ok(())
}
