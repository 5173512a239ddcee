//! `homeostat evaluate`: detection on labelled data, judged; or the scores of any other program.
//!
//! What is measured is in the crate `evaluate`; this opens files, spreads series over threads and writes what came out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use homeostat_evaluate::{
    AlertRule, AlertsBy, Claimant, Comparison, Dataset, Evaluation, Judged, Protocol, claims, figure_lines, html,
    markdown, table,
};

use crate::config::{self, Detection};
use crate::outcome::{Interrupted, print};

mod args;
mod cache;
pub(super) mod files;
mod scenarios;
mod shared;
mod work;

pub(crate) use args::{EvaluateArgs, Peer};
use work::Work;

pub(crate) async fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    // Read first: a wrong name should not show after minutes of work.
    let detection = detection(&args)?;
    check_peers(&args.peers)?;
    let against = args.against.as_deref().map(read_evaluation).transpose()?;
    let work = match &args.dataset {
        Some(dir) => Some(Arc::new(Work::new(&args, dir, read_dataset(dir, &args.sets)?, &detection)?)),
        None => None,
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch_for_stop(Arc::clone(&stopped), "stopping; what is done will be judged"));
    let mut judged = match &work {
        Some(work) => {
            let (doing, until) = (Arc::clone(work), Arc::clone(&stopped));
            tokio::task::spawn_blocking(move || doing.run(&until)).await.context("judging the series")?
        }
        None => Vec::new(),
    };
    let confidence = claim(&mut judged);
    let protocol = work.as_ref().map_or_else(Protocol::default, |work| work.protocol(confidence));
    let mut evaluation = Evaluation::of(protocol, &judged);
    if let Some(work) = &work {
        let (doing, peers, until) = (Arc::clone(work), args.peers.clone(), Arc::clone(&stopped));
        let judging = tokio::task::spawn_blocking(move || put_beside(evaluation, &doing, &peers, &until));
        evaluation = judging.await.context("judging the peers")?;
    }
    if let Some(n_scenarios) = args.scenarios {
        let n_workers = args.workers.map_or_else(cores, usize::from);
        let playing = scenarios::diagnose(n_scenarios, args.seed, detection, n_workers, Arc::clone(&stopped));
        evaluation.diagnosis = playing.await?;
    }
    watch.abort();
    let comparison = against.as_ref().map(|older| Comparison::of(older, &evaluation));
    write_outputs(&args, &evaluation, comparison.as_ref(), &judged)?;
    print(&table(&evaluation, comparison.as_ref()));
    print(&figure_lines(&evaluation));
    print(&format!("figure eval.elapsed {:.1} s\n", began.elapsed().as_secs_f64()));
    if let Some(mib) = files::peak_memory_mib() {
        print(&format!("figure eval.memory {mib:.0} mib\n"));
    }
    if !judged.is_empty() && judged.iter().all(|one| one.judgement.failure.is_some()) {
        bail!("no series could be judged, see above");
    }
    if stopped.load(Ordering::Relaxed) {
        let n_runs = work.as_ref().map_or(0, |work| work.n_runs());
        let n_judged = judged.len();
        let why = format!("stopped after {n_judged} of {n_runs} runs; the metrics above are of these alone");
        return Err(Interrupted(why).into());
    }
    Ok(())
}

/// Names are told apart, and directories are there: a slip should not show after minutes of work.
fn check_peers(peers: &[Peer]) -> anyhow::Result<()> {
    for (idx, peer) in peers.iter().enumerate() {
        if peers[..idx].iter().any(|other| other.name == peer.name) {
            bail!("--peer: two are called {}", peer.name);
        }
        if !peer.dir.is_dir() {
            bail!("--peer {}: {} isn't a directory; it must hold SET/SERIES.csv", peer.name, peer.dir.display());
        }
    }
    Ok(())
}

/// Judges the peers on the same series, by the same policy as far as their scores allow.
fn put_beside(mut evaluation: Evaluation, work: &Work, peers: &[Peer], stopped: &AtomicBool) -> Evaluation {
    for peer in peers {
        let judged = work.run_peer(&peer.dir, AlertRule::Policy(work.hysteresis()), stopped);
        let is_policys = judged.iter().any(|one| one.alerts_by == Some(AlertsBy::Policy));
        let fixed = is_policys.then(|| work.run_peer(&peer.dir, AlertRule::FixedThreshold, stopped));
        evaluation.add_peer(peer.name.clone(), &judged, fixed.as_deref());
        tracing::info!(peer = peer.name, "evaluated");
    }
    evaluation
}

/// Threads at a time unless told otherwise.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the config says of detection, or the flags.
fn detection(args: &EvaluateArgs) -> anyhow::Result<Detection> {
    let configured = match &args.config {
        Some(path) => config::load_or_explain(path).context("--config.file")?.detection,
        None => Detection { budget: BUDGET.parse()?, detectors: detectors(args)?, ..Detection::default() },
    };
    Ok(Detection { budget: args.budget.unwrap_or(configured.budget), ..configured })
}

/// The false-alarm budget unless somebody says otherwise: what the dataset's protocol judges at.
pub(super) const BUDGET: &str = "1 per 1d";

/// Sets the flag at Ctrl-C.
pub(super) async fn watch_for_stop(stopped: Arc<AtomicBool>, told: &'static str) {
    if tokio::signal::ctrl_c().await.is_ok() {
        tracing::warn!("{told}");
        stopped.store(true, Ordering::Relaxed);
    }
}

/// The manifest in this directory, with these sets only, or all.
pub(super) fn read_dataset(dir: &Path, sets: &[String]) -> anyhow::Result<Dataset> {
    let path = dir.join("manifest.json");
    let bytes = std::fs::read(&path).with_context(|| format!("--dataset: reading {}", path.display()))?;
    let dataset = Dataset::parse(&bytes).with_context(|| format!("--dataset: {}", path.display()))?;
    let unknown: Vec<&String> = sets.iter().filter(|set| !dataset.sets().contains(set.as_str())).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = dataset.sets().into_iter().collect();
        bail!("--set: the dataset has no {unknown:?}; it has {}", known.join(", "));
    }
    Ok(if sets.is_empty() { dataset } else { dataset.only(sets) })
}

/// The flag's detectors, in the order of their votes, or the default ones.
fn detectors(args: &EvaluateArgs) -> anyhow::Result<Vec<&'static str>> {
    if args.detectors.is_empty() {
        return Ok(Detection::default().detectors);
    }
    let all = homeostat_detect::DetectorSpec::all_default();
    let known: Vec<&'static str> = all.iter().map(|spec| spec.name()).collect();
    for (idx, name) in args.detectors.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            bail!("--detectors: unknown {name:?}; use one of {}", known.join(", "));
        }
        if args.detectors[..idx].contains(name) {
            bail!("--detectors: {name} is named twice");
        }
    }
    Ok(known.into_iter().filter(|name| args.detectors.iter().any(|wanted| wanted == name)).collect())
}

fn read_evaluation(path: &Path) -> anyhow::Result<Evaluation> {
    let bytes = std::fs::read(path).with_context(|| format!("--against: reading {}", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("--against: {} isn't what --output.json writes", path.display()))
}

/// Gives confidence to scores that claim none, fitted on the other sets; says where confidence came from.
fn claim(judged: &mut [Judged]) -> String {
    if judged.iter().any(|one| one.scores.confidence.is_some()) {
        return "as claimed".to_owned();
    }
    let claimed = claims(&judged.iter().map(|judged| Claimant { judged }).collect::<Vec<_>>());
    let mut some = false;
    for (one, confidence) in judged.iter_mut().zip(claimed) {
        some |= confidence.is_some();
        one.scores.confidence = confidence;
    }
    if some { "fitted on the other sets (leave-one-set-out)" } else { "none: one set alone has no others" }.to_owned()
}

fn write_outputs(
    args: &EvaluateArgs,
    evaluation: &Evaluation,
    comparison: Option<&Comparison>,
    judged: &[Judged],
) -> anyhow::Result<()> {
    if let Some(path) = &args.output_json {
        let json = serde_json::to_string_pretty(evaluation).context("the evaluation as JSON")?;
        files::write(path, json.as_bytes()).context("--output.json")?;
    }
    if let Some(path) = &args.output_markdown {
        files::write(path, markdown(evaluation, comparison).as_bytes()).context("--output.markdown")?;
    }
    if let Some(path) = &args.output_html {
        files::write(path, html(evaluation, comparison, judged).as_bytes()).context("--output.html")?;
    }
    if let Some(dir) = &args.output_scores {
        for one in judged.iter().filter(|one| one.judgement.seed == args.seed && one.judgement.failure.is_none()) {
            let path = dir.join(&one.judgement.set).join(format!("{}.csv", one.judgement.series));
            files::write(&path, one.scores.to_csv().as_bytes()).context("--output.scores")?;
        }
    }
    Ok(())
}

impl Work {
    fn protocol(&self, confidence: String) -> Protocol {
        Protocol { confidence, ..self.protocol.clone() }
    }
}
