//! `homeostat demo`: the main job on a simulated shop, told as it happens.
//!
//! Nothing here is staged but the faults: the same detectors, policies, journal, driver and verification run as in
//! `serve`, and nobody tells them what will strike.

mod story;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use homeostat_core::{Mode, Seed};
use homeostat_journal::Journal;
use homeostat_remediate::{Policy, load_policies};
use homeostat_simulate::{Scenario, ShopSpec};

use super::serve::calibration;
use crate::closed_loop::{ClosedLoop, train_on_shop};
use crate::config::Detection;
use crate::outcome::print;
use story::Story;

/// Simulated days that models are trained on: three show the daily season thrice, and fit into a few seconds.
const TRAINING_DAYS: u32 = 3;
/// Real time for one simulated minute on a terminal: twelve hours in some twenty seconds, slow enough to read along.
const MINUTE_PACE: Duration = Duration::from_millis(28);

/// The policies of the demo, in the format of a policy file.
const POLICIES: &str = include_str!("demo/policies.yaml");

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Seed of the simulation: another seed, other noise and other times.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Where to keep the journal; a directory. Default: a temporary one, removed at the end.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) storage: Option<PathBuf>,
}

pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let seed = Seed::new(args.seed);
    let is_live = std::io::stdout().is_terminal();
    let policies = policies()?;
    let journal = journal(args)?;
    print(&story::title(&policies));
    let began = Instant::now();
    let spec = spec();
    let n_services = spec.services.len();
    let progress = |n_done: usize| {
        if is_live {
            print(&format!("\r  training {n_done} of {n_services} services"));
        }
    };
    let (shop, trained) = train_on_shop(&spec, TRAINING_DAYS, seed, &Detection::default(), progress)?;
    print(&story::trained(&trained, TRAINING_DAYS, began.elapsed(), is_live));
    let mut shop = shop;
    let scenario = Scenario::showcase(&spec, shop.now());
    scenario.schedule_on(&mut shop).context("scheduling the demo's events")?;
    let mut closed = ClosedLoop::new(shop, &trained, calibration()?, policies, journal, Mode::Execute).await?;
    let mut story = Story::new(closed.now(), is_live);
    let mut pace = tokio::time::interval(MINUTE_PACE);
    while closed.now() < scenario.until {
        let tick = closed.step().await;
        print(&story.tell(closed.now(), &tick));
        if is_live {
            tokio::select! {
                _ = pace.tick() => {}
                _ = tokio::signal::ctrl_c() => {
                    print("\n\n  Stopped. Nothing outside this program was touched.\n");
                    break;
                }
            }
        }
    }
    print(&story.ending(&closed));
    std::io::stdout().flush()?;
    Ok(())
}

/// The default shop, remembering just what training needs.
fn spec() -> ShopSpec {
    ShopSpec { history_steps: TRAINING_DAYS as usize * 24 * 60, ..ShopSpec::default() }
}

fn policies() -> anyhow::Result<Vec<Policy>> {
    load_policies(POLICIES, "demo/policies.yaml")
        .map_err(|problems| anyhow::anyhow!("the demo's own policies: {}", problems[0]))
}

fn journal(args: &DemoArgs) -> anyhow::Result<Arc<Journal>> {
    Ok(match &args.storage {
        None => Arc::new(Journal::in_memory()?),
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
            Arc::new(Journal::open(&dir.join("journal.db"))?)
        }
    })
}
