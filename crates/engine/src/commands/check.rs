//! `homeostat check`: every problem of a file at once, with line and column.

mod budget;
mod bundle;
pub(crate) mod cluster;
mod memory;
mod online;
pub(crate) mod preset;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use homeostat_detect::{Bundle, BundleManifest, LoadOptions};
use homeostat_remediate::{lint, load_policies};
use homeostat_settings::Problem;

pub(super) use memory::bytes_text;

use crate::config;
use crate::outcome::{Outcome, print};
use crate::source;

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// A config file, with the policy files it names.
    Config(CheckConfigArgs),
    /// A policy file.
    Policy(CheckArgs),
    /// A saved bundle of models.
    Bundle(CheckArgs),
    /// Objects of a Kubernetes cluster, saved with `kubectl get -o json`: prints what is certainly wrong, and why.
    Cluster(cluster::ClusterArgs),
    /// A preset: prints its queries with all parameters filled in, to copy and change.
    Preset(preset::PresetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckConfigArgs {
    /// The file to check.
    pub(crate) file: PathBuf,
    /// Also queries Prometheus, and shows what each query returns now, for how many workloads, and what is wrong with it.
    #[arg(long)]
    pub(crate) online: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file to check.
    pub(crate) file: PathBuf,
}

pub(crate) async fn config(args: &CheckConfigArgs) -> Outcome {
    let path = args.file.as_path();
    match config::load(path) {
        Ok(loaded) => {
            let config = &loaded.config;
            for warning in &loaded.warnings {
                print(&format!("{warning} [warning]\n"));
            }
            print(&format!(
                "{}: OK: mode {}, {} queries every {}, {} policies, {} planned events\n",
                path.display(),
                config.mode,
                config.queries.n_queries(),
                homeostat_core::format_duration(config.step),
                config.policies.len(),
                config.calendar.events.len(),
            ));
            print(&memory::text(config));
            // What `serve` would refuse: models that aren't there, or that answer other queries.
            let n_subjects = match config.detection.bundle.as_ref().map(|bundle| source::load_bundle(bundle, config)) {
                None => None,
                Some(Ok(trained)) => Some(trained.ensembles.len()),
                Some(Err(error)) => {
                    print(&format!("{}: bundle: {error:#} [error]\n", path.display()));
                    return Outcome::Problems;
                }
            };
            if !args.online || n_subjects.is_some() {
                print(&budget::text(&config.detection.budgets(), n_subjects));
            }
            if args.online { online::run(config).await } else { Outcome::Done }
        }
        Err(problems) => problems_of(&problems),
    }
}

pub(crate) fn policy(path: &Path) -> Outcome {
    let file = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Outcome::Failed(anyhow::Error::new(error).context(file)),
    };
    match load_policies(&text, &file, &homeostat_execute::actions()) {
        Ok(policies) => {
            for warning in lint(&policies, &homeostat_execute::actions()) {
                print(&format!("{file}: {warning} [warning]\n"));
            }
            print(&format!("{file}: OK: {} policies\n", policies.len()));
            Outcome::Done
        }
        Err(problems) => problems_of(&problems),
    }
}

pub(crate) fn bundle(path: &Path) -> Outcome {
    let loaded = Bundle::load(path, |_| None, &LoadOptions::default());
    match loaded.and_then(|_| BundleManifest::read(path)) {
        Ok(manifest) => {
            print(&bundle::text(path, &manifest));
            Outcome::Done
        }
        Err(error) => Outcome::Failed(anyhow::Error::new(error)),
    }
}

pub(super) fn problems_of(problems: &[Problem]) -> Outcome {
    print_all("error", problems);
    print(&format!("{} {}\n", problems.len(), if problems.len() == 1 { "problem" } else { "problems" }));
    Outcome::Problems
}

fn print_all(severity: &str, problems: &[Problem]) {
    for problem in problems {
        print(&format!("{problem} [{severity}]\n"));
    }
}
