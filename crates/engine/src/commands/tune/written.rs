//! The config that tuning writes: the user's own with other detectors and options, or a new one around the defaults.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use homeostat_detect::FalseAlarmBudget;
use homeostat_evaluate::{Finished, Named};

use super::TuneArgs;
use super::{Plan, beside, options};
use crate::commands::evaluate::BUDGET;
use crate::config;

/// What the rest of the config is.
pub(super) struct Base {
    text: String,
    pub(super) budget: FalseAlarmBudget,
}

/// The top-level keys that tuning writes, and takes out of a config of the user's.
const OWN_KEYS: [&str; 2] = ["detectors", "detection"];

impl Base {
    /// From `--config.file`, or new.
    pub(super) fn read(args: &TuneArgs) -> anyhow::Result<Self> {
        let Some(path) = &args.config else {
            let budget = match args.budget {
                Some(budget) => budget,
                None => BUDGET.parse()?,
            };
            let text = format!(
                "datasources:\n  - url: ${{PROMETHEUS_URL:-http://127.0.0.1:9090}}\npreset: kubernetes-workload\n\
                 incidents:\n  false_alarm_budget: {budget}   # tuned for this\n"
            );
            return Ok(Self { text, budget });
        };
        if !beside(path, &args.output) {
            bail!("--output: must be in the directory of --config.file, whose paths are relative to it");
        }
        let config = config::load_or_explain(path).context("--config.file")?;
        let text = std::fs::read_to_string(path).with_context(|| format!("--config.file {}", path.display()))?;
        Ok(Self { text: without_keys(&text, &OWN_KEYS), budget: config.detection.budget })
    }

    /// Writes the config whole or not at all, and only if it reads back as what was chosen.
    pub(super) fn write(&self, args: &TuneArgs, plan: &Plan, finished: &Finished) -> anyhow::Result<()> {
        let trial = plan.trials.get(finished.chosen.trial).context("the chosen trial isn't there")?;
        let text = format!("{}{}{}", comment(plan, finished), self.text, options::yaml(&plan.space, trial));
        let mut name = args.output.file_name().context("--output: names no file")?.to_owned();
        name.push(".partial");
        let partial = args.output.with_file_name(name);
        let kept = std::fs::write(&partial, text).map_err(anyhow::Error::from).and_then(|()| {
            let read = config::load_or_explain(&partial)?.detection;
            let wanted = plan.detection(trial)?;
            if (&read.detectors, &read.options, read.budget) != (&wanted.detectors, &wanted.options, wanted.budget) {
                bail!("it doesn't read back as what was chosen; write the config with one key a line");
            }
            Ok(std::fs::rename(&partial, &args.output)?)
        });
        if kept.is_err() {
            // What is half written helps nobody; that it can't be removed either is told by the first error.
            let _ = std::fs::remove_file(&partial);
        }
        kept.with_context(|| format!("--output {}", args.output.display()))
    }
}

/// Where it comes from and what it is worth.
fn comment(plan: &Plan, finished: &Finished) -> String {
    let chosen = &finished.chosen;
    let named = Named { space: &plan.space, trials: &plan.trials };
    let mut text = format!(
        "# Written by `homeostat tune`: {} trials on {} series, seed {}, budget {}.\n# Chosen: {}.\n\
         # VUS-PR on these series {:.3} (defaults {:.3})",
        plan.trials.len(),
        plan.entries.len(),
        plan.spec.seed.value(),
        plan.budget,
        named.changes(chosen.trial),
        chosen.worth.vus_pr,
        finished.default.vus_pr,
    );
    if let Some(loso) = finished.loso {
        let _ = write!(text, "; chosen without a set and judged on it {:.3}, which is the metric to quote", loso.value);
    }
    text.push_str(".\n# Train again after changing `detectors` or `detection`.\n");
    text
}

/// A config's text without these top-level keys and what is below them. Comments above a key stay.
fn without_keys(text: &str, keys: &[&str]) -> String {
    let mut kept = String::new();
    let mut drops = false;
    for line in text.lines() {
        let is_key = line.starts_with(|first: char| first.is_alphanumeric() || first == '"' || first == '\'');
        if is_key {
            let name = line.split(':').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            drops = keys.contains(&name);
        } else if line.starts_with('#') {
            // A comment at the margin belongs to what follows.
            drops = false;
        }
        if !drops {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_keys_go() {
        let text = "# top\nmode: observe\ndetectors:\n  - forest\n- dbscan\n\n# about queries\nqueries:\n  up: up\n\"detection\": {forest: {trees: 9}}\nseed: 3\n";
        let kept = without_keys(text, &OWN_KEYS);
        assert_eq!(kept, "# top\nmode: observe\n# about queries\nqueries:\n  up: up\nseed: 3\n");
    }
}
