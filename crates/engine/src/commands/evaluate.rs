//! `homeostat evaluate`: detection on labelled data, judged; or the scores of any other program.
//!
//! What is measured is in the room `evaluate`; this opens files, spreads series over threads and writes what came out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use homeostat_evaluate::{
    Claimant, Comparison, Evaluation, Judged, Pack, Protocol, claims, figure_lines, html, markdown, table,
};

use crate::cli::EvaluateArgs;
use crate::config::Detection;
use crate::outcome::print;

mod cache;
mod files;
mod shared;
mod work;

use work::Work;

pub(super) async fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    let pack = pack(&args)?;
    // Read first: a wrong name should not show after minutes of work.
    let against = args.against.as_deref().map(read_evaluation).transpose()?;
    let work = Arc::new(Work::new(&args, pack, detectors(&args)?)?);
    let stopped = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch_for_stop(Arc::clone(&stopped)));
    let (doing, until) = (Arc::clone(&work), Arc::clone(&stopped));
    let mut judged = tokio::task::spawn_blocking(move || doing.run(&until)).await.context("judging the series")?;
    watch.abort();
    let confidence = claim(&mut judged);
    let evaluation = Evaluation::of(work.protocol(confidence), &judged);
    let comparison = against.as_ref().map(|older| Comparison::of(older, &evaluation));
    write_outputs(&args, &evaluation, comparison.as_ref(), &judged)?;
    print(&table(&evaluation, comparison.as_ref()));
    print(&figure_lines(&evaluation));
    print(&format!("figure eval.elapsed {:.1} s\n", began.elapsed().as_secs_f64()));
    if let Some(mib) = files::peak_memory_mib() {
        print(&format!("figure eval.memory {mib:.0} mib\n"));
    }
    if stopped.load(Ordering::Relaxed) {
        bail!("stopped after {} of {} runs; the figures above are of these alone", judged.len(), work.n_runs());
    }
    Ok(())
}

async fn watch_for_stop(stopped: Arc<AtomicBool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        tracing::warn!("stopping; what is done will be judged");
        stopped.store(true, Ordering::Relaxed);
    }
}

fn pack(args: &EvaluateArgs) -> anyhow::Result<Pack> {
    let path = args.pack.join("manifest.json");
    let bytes = std::fs::read(&path).with_context(|| format!("--pack: reading {}", path.display()))?;
    let pack = Pack::parse(&bytes).with_context(|| format!("--pack: {}", path.display()))?;
    let unknown: Vec<&String> = args.sets.iter().filter(|set| !pack.sets().contains(set.as_str())).collect();
    if !unknown.is_empty() {
        let known: Vec<&str> = pack.sets().into_iter().collect();
        bail!("--set: the pack has no {unknown:?}; it has {}", known.join(", "));
    }
    Ok(if args.sets.is_empty() { pack } else { pack.only(&args.sets) })
}

fn detectors(args: &EvaluateArgs) -> anyhow::Result<Vec<String>> {
    let names: Vec<String> = if args.detectors.is_empty() {
        Detection::default().detectors.into_iter().map(str::to_owned).collect()
    } else {
        args.detectors.clone()
    };
    for (idx, name) in names.iter().enumerate() {
        if homeostat_detect::DetectorSpec::by_name(name).is_none() {
            let known: Vec<&str> =
                homeostat_detect::DetectorSpec::all_default().iter().map(|spec| spec.name()).collect();
            bail!("--detectors: {name:?} is none of {}", known.join(", "));
        }
        if names[..idx].contains(name) {
            bail!("--detectors: {name} is named twice");
        }
    }
    Ok(names)
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
