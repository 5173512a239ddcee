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
use homeostat_remediate::{explain, lint_confidence};
use homeostat_settings::Problem;

pub(super) use memory::bytes_text;

use crate::calibration::{calibration, highest_confidence};
use crate::config::{self, PoliciesError, PoliciesRead};
use crate::outcome::{Outcome, print};
use crate::source;

#[derive(Debug, Subcommand)]
pub(crate) enum CheckCommand {
    /// A config file, with the policy files it names.
    Config(CheckConfigArgs),
    /// Policy files, together: what each policy would do and when not, and what is wrong or unwise.
    Policy(CheckPolicyArgs),
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
pub(crate) struct CheckPolicyArgs {
    /// The files to check.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
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

pub(crate) fn policy(paths: &[PathBuf]) -> Outcome {
    let actions = homeostat_execute::actions();
    let PoliciesRead { policies, rego, mut warnings } = match config::read_policy_files(paths) {
        Ok(read) => read,
        Err(PoliciesError::Problems(problems)) => return problems_of(&problems),
        Err(error @ (PoliciesError::Unreadable(_) | PoliciesError::Unfit(_))) => return Outcome::Failed(error.into()),
    };
    match calibration() {
        Ok(calibration) => {
            warnings.extend(lint_confidence(&policies, |incident_type| highest_confidence(&calibration, incident_type)))
        }
        Err(error) => return Outcome::Failed(error),
    }
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let files = names.join(", ");
    for warning in warnings {
        print(&format!("{files}: {warning} [warning]\n"));
    }
    let rules = rego.map(|rego| format!(", files with Rego rules: {}", rego.n_files())).unwrap_or_default();
    print(&format!("{files}: OK: {} policies{rules}\n", policies.len()));
    for policy in &policies {
        print(&format!("\n{}\n", policy.name));
        for sentence in explain(policy, &actions) {
            print(&format!("  {sentence}\n"));
        }
    }
    Outcome::Done
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
