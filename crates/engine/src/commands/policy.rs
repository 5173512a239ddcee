//! `homeostat policy`: what policies have earned, by the journal.

mod promotion;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use homeostat_core::{Proportion, Timestamp, Verdict};
use homeostat_journal::Journal;
use homeostat_remediate::{Policy, track_record};
use serde_json::json;

use self::promotion::{Earned, Level, Record, earned};
use super::check::problems_of;
use crate::clock;
use crate::config::{self, Config};
use crate::flags::ConfigArgs;
use crate::outcome::{Outcome, print};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Shows for each policy how far it goes now, how its decisions were judged, whether its actions helped, and how far it has earned to
    /// go: observe, recommend, execute. It changes nothing; the change in the policy's file is yours.
    Promote(PromoteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The service's storage directory; default: the config's.
    #[arg(long = "storage.path", value_name = "DIR")]
    storage: Option<PathBuf>,
    /// How to print it.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(crate) fn promote(args: &PromoteArgs) -> Outcome {
    let loaded = match config::load(&args.config.file) {
        Ok(loaded) => loaded,
        Err(problems) => return problems_of(&problems),
    };
    let storage = args.storage.as_deref().unwrap_or(&loaded.config.storage);
    match rows(&loaded.config, storage, clock::now()) {
        Ok(rows) => {
            print(&match args.output {
                Format::Table => table(&rows),
                Format::Json => format!("{:#}\n", json!(rows.iter().map(Row::json).collect::<Vec<_>>())),
            });
            Outcome::Done
        }
        Err(error) => Outcome::Failed(error),
    }
}

/// What is said of one policy.
struct Row {
    policy: String,
    level: Level,
    record: Record,
    earned: Earned,
}

fn rows(config: &Config, storage: &Path, now: Timestamp) -> anyhow::Result<Vec<Row>> {
    let journal = Journal::open_to_read(&storage.join("journal.db")).context("the journal")?;
    let history = journal.history()?;
    let row = |policy: &Policy| {
        let record = Record { judged: judged(&journal, policy)?, helped: track_record(&history, &policy.name, now) };
        let level = Level::of(policy, config.mode);
        let earned = earned(level, &record, history.frozen.get(&policy.name).map(String::as_str));
        anyhow::Ok(Row { policy: policy.name.clone(), level, record, earned })
    };
    config.policies.iter().map(row).collect()
}

/// Of the incidents that the policy was asked about and that people have judged, how many were real.
fn judged(journal: &Journal, policy: &Policy) -> anyhow::Result<Proportion> {
    let mut all = Vec::new();
    for labelled in journal.labels()? {
        let decision = journal.decision(&labelled.label.incident)?;
        let is_ours = decision.is_some_and(|decision| decision.policy.as_deref() == Some(policy.name.as_str()));
        let verdict = labelled.label.verdict.filter(|_| is_ours);
        all.extend(verdict.map(|verdict| match verdict {
            Verdict::TruePositive => true,
            Verdict::FalsePositive | Verdict::ExpectedDaily | Verdict::ExpectedWeekly => false,
        }));
    }
    Ok(Proportion::count(all))
}

impl Row {
    fn json(&self) -> serde_json::Value {
        let proportion = |all: Proportion| json!({"n": all.n, "of": all.of, "at_least": all.interval().low});
        json!({
            "policy": self.policy,
            "level": self.level.name(),
            "judged_right": proportion(self.record.judged),
            "helped": proportion(self.record.helped),
            "earned": self.earned.level().name(),
            "why": self.earned.why(),
        })
    }
}

/// A line for each policy, and under it what it takes.
fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "the config names no policies\n".to_owned();
    }
    let of = |all: Proportion| match all.of {
        0 => "-".to_owned(),
        _ => format!("{} of {} (at least {:.2})", all.n, all.of, all.interval().low),
    };
    let width = rows.iter().map(|row| row.policy.chars().count()).max().unwrap_or(0).max("POLICY".len());
    let mut text = format!(
        "{:<width$}  {:<9}  {:<9}  {:<26}  {:<26}\n",
        "POLICY", "NOW", "EARNED", "REAL, OF THOSE JUDGED", "HELPED, OF ITS ACTIONS"
    );
    for row in rows {
        let (now, earned) = (row.level.name(), row.earned.level().name());
        let (judged, helped) = (of(row.record.judged), of(row.record.helped));
        text.push_str(&format!("{:<width$}  {now:<9}  {earned:<9}  {judged:<26}  {helped:<26}\n", row.policy));
        text.push_str(&format!("  {}\n", row.earned.why()));
    }
    text
}

#[cfg(test)]
mod tests;
