//! `homeostat demo`: the main job on a simulated shop, told as it happens.
//!
//! Nothing here is staged but the faults: the same detectors, policies, journal, driver and verification run as in
//! `serve`, and nobody tells them what will strike.

mod ending;
mod paint;
mod story;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use homeostat_core::{Mode, Seed, Timestamp};
use homeostat_journal::Journal;
use homeostat_remediate::{Policy, load_policies};
use homeostat_simulate::{Scenario, ShopSpec};

use crate::calibration::calibration;
use crate::closed_loop::{ClosedLoop, train_on_shop};
use crate::config::Detection;
use crate::outcome::{Interrupted, print};
use paint::Paint;
use story::Story;

/// Simulated days that models are trained on: three show the daily season thrice, and fit into a few seconds.
const TRAINING_DAYS: u32 = 3;
/// Real time for a simulated minute in which nothing happens, on a terminal: twelve hours in four seconds.
const MINUTE_PACE: Duration = Duration::from_millis(6);
/// Time to read a line.
const LINE_PACE: Duration = Duration::from_millis(220);
/// Longest pause after several lines.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// Takes a terminal's last line away.
const WIPE: &str = "\r\x1b[K";

/// The policies of the demo, in the format of a policy file.
const POLICIES: &str = include_str!("demo/policies.yaml");

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Seed of the simulation; another seed gives other noise and other times.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Directory for the journal. Default: a temporary one, removed at the end.
    #[arg(long = "storage.path", value_name = "DIR")]
    pub(crate) storage: Option<PathBuf>,
}

pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let is_live = std::io::stdout().is_terminal();
    let paint = Paint::of_stdout();
    print(&story::title(paint, &policies()?));
    let show = |shown: Shown<'_>| match shown {
        Shown::Lines(lines) if is_live => print(&format!("{WIPE}{lines}")),
        Shown::Lines(lines) => print(lines),
        Shown::Status(line) if is_live => print(&format!("{WIPE}{line}")),
        Shown::Status(_) => {}
    };
    let mut played = play(args, paint, &show).await?;
    let mut stopped = false;
    while let Some(told) = played.step().await {
        show(Shown::Lines(&told.lines));
        show(Shown::Status(&told.status));
        if is_live {
            // Time to read where there is something to read.
            let n_lines = told.lines.lines().count() as u32;
            let pause = (MINUTE_PACE + LINE_PACE * n_lines).min(PAUSE_MAX);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = tokio::signal::ctrl_c() => stopped = true,
            }
        }
        if stopped {
            break;
        }
    }
    show(Shown::Lines(&played.ending(args.storage.as_deref())));
    std::io::stdout().flush()?;
    if stopped {
        return Err(Interrupted("stopped; nothing outside this program was changed".to_owned()).into());
    }
    Ok(())
}

/// What is to be shown: lines that stay, or the terminal's last line.
enum Shown<'a> {
    Lines(&'a str),
    Status(&'a str),
}

/// A demo under way.
struct Played {
    closed: ClosedLoop,
    story: Story,
    paint: Paint,
    until: Timestamp,
}

/// What one simulated minute brought.
struct Minute {
    lines: String,
    status: String,
}

/// Trains on the healthy shop and schedules what will happen.
async fn play(args: &DemoArgs, paint: Paint, show: &(impl Fn(Shown<'_>) + Sync)) -> anyhow::Result<Played> {
    let began = Instant::now();
    let spec = spec();
    let n_services = spec.services.len();
    let progress = |n_done: usize| show(Shown::Status(&format!("  training {n_done} of {n_services} services")));
    let detection = Detection::default();
    let (mut shop, trained) = train_on_shop(&spec, TRAINING_DAYS, Seed::new(args.seed), &detection, progress)?;
    show(Shown::Lines(&story::trained(&trained, TRAINING_DAYS, began.elapsed())));
    let scenario = Scenario::showcase(&spec, shop.now());
    scenario.schedule_on(&mut shop).context("scheduling the demo's events")?;
    let closed = ClosedLoop::new(shop, &trained, calibration()?, policies()?, journal(args)?, Mode::Execute).await?;
    let story = Story::new(closed.now(), paint);
    Ok(Played { closed, story, paint, until: scenario.until })
}

impl Played {
    /// The next simulated minute; `None` at the end.
    async fn step(&mut self) -> Option<Minute> {
        if self.closed.now() >= self.until {
            return None;
        }
        let tick = self.closed.step().await;
        let now = self.closed.now();
        Some(Minute { lines: self.story.tell(now, &tick), status: self.story.status(now, &tick) })
    }

    fn ending(&self, storage: Option<&Path>) -> String {
        ending::page(self.paint, &self.closed.scorecard(), storage, self.story.first())
    }
}

/// The default shop, remembering just what training needs.
fn spec() -> ShopSpec {
    ShopSpec { history_steps: TRAINING_DAYS as usize * 24 * 60, ..ShopSpec::default() }
}

fn policies() -> anyhow::Result<Vec<Policy>> {
    load_policies(POLICIES, "demo/policies.yaml", &homeostat_execute::actions())
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
