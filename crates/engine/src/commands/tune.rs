//! `homeostat tune`: looks for better detector options on a labelled dataset, and says what the choice is worth elsewhere.
//!
//! How to search and to choose is in the crate `evaluate`; this knows the options, runs the jobs, keeps the journal and
//! writes the config.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use homeostat_core::Seed;
use homeostat_detect::FalseAlarmBudget;
use homeostat_evaluate::{
    Dataset, Finished, Named, Outcomes, Search, SearchSpec, SeriesEntry, Space, Step, Trial, tuning_figure_lines,
    tuning_text,
};

use super::evaluate::{files, read_dataset, watch_for_stop};
use crate::config::{self, Detection};
use crate::outcome::{Interrupted, print};

mod args;
mod journal;
mod options;
mod work;
mod written;

pub(crate) use args::TuneArgs;
use journal::Journal;
use work::Work;

pub(crate) async fn run(args: TuneArgs) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    if args.output.exists() {
        bail!("--output {}: already exists; choose another name or move it away", args.output.display());
    }
    let base = written::Base::read(&args)?;
    let dataset = read_dataset(&args.dataset, &args.sets)?;
    let plan = Plan::new(&args, &dataset, base.budget)?;
    let (journal, known) = Journal::open(&journal_path(&args), &plan.digest(&args)?)?;
    if !known.is_empty() {
        tracing::info!(runs = known.len(), "resuming a stopped search");
    }
    let work = Arc::new(plan.work(&args, dataset.entries())?);
    let stopped = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch_for_stop(Arc::clone(&stopped), "stopping; finished runs are in the journal"));
    let search = Search::new(plan.spec.clone());
    let until = Arc::clone(&stopped);
    let searched = tokio::task::spawn_blocking(move || search_on(&search, &work, journal, known, &until));
    let (finished, n_runs) = searched.await.context("searching")??;
    watch.abort();
    let Some(finished) = finished else {
        let why = format!("stopped after {n_runs} runs; the same command continues from there");
        return Err(Interrupted(why).into());
    };
    let named = Named { space: &plan.space, trials: &plan.trials };
    print(&tuning_text(&finished, named, plan.spec.budget_per_day));
    base.write(&args, &plan, &finished)?;
    print(&format!("\n{} written; train and serve read it as it is\n", args.output.display()));
    print(&tuning_figure_lines(&finished));
    print(&format!("figure tune.elapsed {:.1} s\nfigure tune.runs {n_runs} runs\n", began.elapsed().as_secs_f64()));
    if let Some(mib) = files::peak_memory_mib() {
        print(&format!("figure tune.memory {mib:.0} mib\n"));
    }
    Ok(())
}

/// Everything that is decided before the first run.
struct Plan {
    space: Space,
    trials: Vec<Trial>,
    spec: SearchSpec,
    budget: FalseAlarmBudget,
    entries: Vec<SeriesEntry>,
}

impl Plan {
    fn new(args: &TuneArgs, dataset: &Dataset, budget: FalseAlarmBudget) -> anyhow::Result<Self> {
        let space = options::space(&args.options)?;
        let seed = Seed::new(args.seed);
        let trials = space.draw(args.trials as usize, seed);
        if trials.len() < args.trials as usize {
            tracing::info!(trials = trials.len(), "the options have only this many combinations");
        }
        let spec = SearchSpec {
            n_trials: trials.len(),
            sets: dataset.entries().iter().map(|entry| entry.set.clone()).collect(),
            seeds: (0..u64::from(args.seeds)).map(|idx| args.seed.wrapping_add(idx)).collect(),
            budget_per_day: budget.incidents_per_day(),
            seed,
        };
        Ok(Self { space, trials, spec, budget, entries: dataset.entries().to_vec() })
    }

    /// What a trial makes of detection.
    fn detection(&self, trial: &Trial) -> anyhow::Result<Detection> {
        let text = options::yaml(&self.space, trial);
        let detection = config::detection_of(&text).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("a trial's own options can't be used:\n{}\n{text}", lines.join("\n"))
        })?;
        Ok(Detection { budget: self.budget, ..detection })
    }

    /// Everything a run's outcome depends on but its trial, series and seed; and the trials, as far as both have them,
    /// because the shorter of two draws begins the longer.
    fn digest(&self, args: &TuneArgs) -> anyhow::Result<String> {
        let program = std::env::current_exe().and_then(std::fs::read).context("reading this program")?;
        let mut parts: Vec<Vec<u8>> = vec![program, format!("{:?}", self.space).into_bytes()];
        parts.push(format!("{} {} {:?} {:?}", args.seed, self.budget, args.stamps, self.entries).into_bytes());
        let files: BTreeSet<&str> = self.entries.iter().map(|entry| entry.path.as_str()).collect();
        for path in files {
            let path = args.dataset.join(path);
            parts.push(std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Ok(homeostat_core::sha256_hex(&parts))
    }

    fn work(&self, args: &TuneArgs, entries: &[SeriesEntry]) -> anyhow::Result<Work> {
        let detections: anyhow::Result<Vec<Detection>> = self.trials.iter().map(|one| self.detection(one)).collect();
        Ok(Work::new(args, entries.to_vec(), &detections?, self.budget))
    }
}

fn journal_path(args: &TuneArgs) -> std::path::PathBuf {
    args.journal.clone().unwrap_or_else(|| {
        let mut name = args.output.file_name().unwrap_or_default().to_owned();
        name.push(".journal");
        args.output.with_file_name(name)
    })
}

/// Runs what the search asks for until it ends or is stopped; with how many runs there are by then.
fn search_on(
    search: &Search,
    work: &Work,
    mut journal: Journal,
    mut known: Outcomes,
    stopped: &AtomicBool,
) -> anyhow::Result<(Option<Finished>, usize)> {
    loop {
        match search.step(&known) {
            Step::Done(finished) => return Ok((Some(*finished), known.len())),
            Step::Run(jobs) => {
                tracing::info!(runs = jobs.len(), done = known.len(), about = search.n_jobs_about(), "starting a rung");
                work.run(&jobs, stopped, &mut |job, outcome| {
                    journal.note(job, &outcome)?;
                    known.insert(job, outcome);
                    Ok(())
                })?;
                if stopped.load(Ordering::Relaxed) {
                    return Ok((None, known.len()));
                }
            }
        }
    }
}

/// Whether two paths are in one directory.
fn beside(one: &Path, other: &Path) -> bool {
    let dir = |path: &Path| {
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned())
    };
    dir(one) == dir(other)
}
