//! `homeostat check config --online`: asks Prometheus what each query gives now, and prints a table of it.

use std::sync::Arc;

use homeostat_ingest::{DataQuality, Feed, FeedConfig, PrometheusSource, Pulling, SourceState};

use super::budget;
use crate::clock;
use crate::config::Config;
use crate::outcome::{Outcome, print};
use crate::source;

/// Rows asked for: half an hour of minutes shows what is sparse without asking for much.
const ROWS: usize = 30;

pub(super) async fn run(config: &Config) -> Outcome {
    match asked(config).await {
        Ok(quality) => {
            print(&quality.table());
            let state = quality.state();
            print(&format!("source: {state}\n"));
            if config.detection.bundle.is_none() {
                print(&budget::text(&config.detection.budgets(), Some(quality.n_subjects_known)));
            }
            match state {
                SourceState::Healthy => Outcome::Done,
                SourceState::Unanswered
                | SourceState::NoData
                | SourceState::ScrapeGap
                | SourceState::SubjectsLost { .. }
                | SourceState::QueriesUnusable { .. } => Outcome::Problems,
            }
        }
        Err(error) => Outcome::Failed(error),
    }
}

async fn asked(config: &Config) -> anyhow::Result<DataQuality> {
    let feed = Feed::new(FeedConfig {
        queries: config.queries.clone(),
        rule: config.subjects.clone(),
        step: config.step,
        n_steps: ROWS,
        subjects_max: config.limits.workloads_max,
    })?
    .with_scrape_interval(config.scrape_interval);
    let prometheus = PrometheusSource::new(source::config_of(config)?)?;
    let mut pulling = Pulling::new(Arc::new(prometheus.clone()), feed);
    let due = pulling.due((clock::now() - config.offset).align_down(config.step));
    source::tell_clusters(config, &prometheus, due.at).await;
    let pull = pulling.pull(&due).await;
    Ok(pulling.take(&due, &pull)?.quality)
}
