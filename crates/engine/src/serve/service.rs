//! The running service: pulls, scores, decides and acts at every step, until it is told to end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use homeostat_announce::Announcer;
use homeostat_core::{Timestamp, Window};
use homeostat_ingest::{Feed, FeedConfig, Matrix, PrometheusSource, Pull};

use crate::clock;
use crate::config::Config;
use crate::control::{Control, Switch};
use crate::serve::archiving::Archiving;
use crate::serve::cycle::{Cycle, SharedMonitor, Tick};
use crate::serve::event_log;
use crate::serve::metrics::{ChangeLabels, EventLabel, Metrics, ResultLabel};
use crate::serve::publishing;
use crate::serve::replicas::Replicas;
use crate::serve::retraining::Retraining;

/// Rows that a cycle's windows hold. A cycle that comes late catches up on as many; more would be answered by newer ones.
pub(crate) const WINDOW_ROWS: usize = 64;
/// Steps that each cycle asks for again: samples that came late fill the holes they left.
pub(crate) const OVERLAP_STEPS: u32 = 3;
/// The tracker's state between runs.
const TRACKER_FILE: &str = "tracker.json";

/// Everything a cycle needs.
pub(crate) struct Service {
    config: Arc<Config>,
    source: PrometheusSource,
    feed: Feed,
    replicas: Option<Replicas>,
    retraining: Option<Retraining>,
    cycle: Cycle,
    monitor: SharedMonitor,
    announcer: Arc<Announcer>,
    control: Control,
    metrics: Arc<Metrics>,
    archiving: Archiving,
    was_stopped: bool,
    tracker_file: PathBuf,
}

impl Service {
    /// Puts the parts together; nothing runs yet.
    pub(crate) fn new(
        config: Arc<Config>,
        source: PrometheusSource,
        cycle: Cycle,
        monitor: SharedMonitor,
        announcer: Arc<Announcer>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let feed = Feed::new(FeedConfig {
            queries: config.queries.clone(),
            rule: config.subjects.clone(),
            step: config.step,
            n_steps: WINDOW_ROWS,
            subjects_max: config.limits.workloads_max,
        })?
        .with_scrape_interval(config.scrape_interval);
        Ok(Self {
            replicas: Replicas::of(&config)?,
            retraining: Retraining::of(&config, clock::now())?,
            control: Control::new(&config.storage),
            tracker_file: tracker_file(&config.storage),
            archiving: Archiving::new(config.journal_retention),
            was_stopped: false,
            config,
            source,
            feed,
            cycle,
            monitor,
            announcer,
            metrics,
        })
    }

    /// Finds out what became of actions that were under way when the process before this one ended (I6).
    pub(crate) async fn recover(&mut self) {
        let now = clock::now();
        if let Err(error) = self.cycle.reconcile(now) {
            tracing::error!(error = format!("{error:#}"), "open incidents can't be compared with the journal");
        }
        let events = self.cycle.driver().recover(now).await;
        let tick = Tick { events, ..Tick::default() };
        event_log::log(&tick);
        publishing::publish(&self.announcer, self.cycle.driver(), &tick, now);
    }

    /// Turns at every step until `end` is done. A cycle that takes longer than a step makes the next one late, never two
    /// at a time.
    pub(crate) async fn run(&mut self, end: impl Future<Output = ()>) {
        let mut ticker = tokio::time::interval(self.config.step);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                _ = ticker.tick() => {}
            }
            self.renew_models().await;
            let at = (clock::now() - self.config.offset).align_down(self.config.step);
            // Asking changes nothing, so the end needn't wait for a slow answer. What follows isn't cut off: a write under
            // way would be found again at the next start, but it is better to know now.
            let pulled = tokio::select! {
                () = &mut end => return,
                pulled = self.pull(at) => pulled,
            };
            let replicas = tokio::select! {
                () = &mut end => return,
                pulled = self.pull_replicas(at) => pulled,
            };
            self.cycle_once(at, &pulled, replicas.as_ref()).await;
        }
    }

    /// Takes models that were trained anew, and starts the next training when it is due.
    async fn renew_models(&mut self) {
        let Some(retraining) = &mut self.retraining else { return };
        let Some(trained) = retraining.turn(clock::now()).await else { return };
        let n_trained = trained.ensembles.len();
        let kept = self.monitor.lock().unwrap_or_else(PoisonError::into_inner).renew(trained.ensembles);
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        tracing::info!(
            subjects = n_trained,
            kept = kept.join(", "),
            "models were renewed; subjects in an incident keep theirs"
        );
    }

    async fn cycle_once(&mut self, at: Timestamp, pulled: &Pull, pulled_replicas: Option<&Pull>) {
        let began = tokio::time::Instant::now();
        // Now, not before the pull: a slow Prometheus must not make decisions look fresher than they are.
        let now = clock::now();
        let windows = match self.windows(pulled, at) {
            Ok(windows) => windows,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "this cycle's data can't be used");
                Vec::new()
            }
        };
        let replicas = match (&mut self.replicas, pulled_replicas) {
            (Some(replicas), Some(pulled)) => replicas.windows(pulled, at),
            (None, _) | (Some(_), None) => Vec::new(),
        };
        self.cycle.recall_rollouts(now);
        let mut tick = self.cycle.observe(now, &windows, &replicas);
        // Before acting: whoever dies while acting must find the incident open again, or the action under way is given up.
        self.save_tracker();
        let switch = self.switch();
        self.cycle.act(now, &windows, &switch, &mut tick).await;
        event_log::log(&tick);
        publishing::publish(&self.announcer, self.cycle.driver(), &tick, now);
        publishing::reconcile(&self.announcer, self.cycle.driver(), &tick.open);
        let journal = Arc::clone(self.cycle.driver().journal());
        self.archiving.tick(&journal, now);
        self.measure(&tick, pulled, began.elapsed());
    }

    async fn pull(&self, at: Timestamp) -> Pull {
        let step = self.config.step;
        // After an outage: as many steps as the windows hold.
        let reach = step.saturating_mul(u32::try_from(WINDOW_ROWS - 1).unwrap_or(u32::MAX));
        let from = match self.feed.end() {
            Some(end) => (end - step * OVERLAP_STEPS).max(at - reach),
            None => at - reach,
        };
        let pulled = self.source.pull_with_scrapes(&self.config.queries, from.min(at), at, step).await;
        for (query, error) in &pulled.failed {
            tracing::warn!(query, %error, "no answer to a query; its features are holes in this cycle");
        }
        for (query, warning) in pulled.partial(&self.config.queries) {
            tracing::warn!(query, warning, "Prometheus warns that its answer may be partial");
        }
        pulled
    }

    async fn pull_replicas(&self, at: Timestamp) -> Option<Pull> {
        match &self.replicas {
            Some(replicas) => Some(replicas.pull(&self.source, at).await),
            None => None,
        }
    }

    fn windows(&mut self, pulled: &Pull, at: Timestamp) -> anyhow::Result<Vec<Window>> {
        let start = self.feed.end().map_or(at, |end| end.min(at));
        let reach = self.config.step * (OVERLAP_STEPS);
        let from =
            if self.feed.end().is_none() { at - self.config.step * (WINDOW_ROWS as u32 - 1) } else { start - reach };
        let pushed = self.feed.push(&pulled.matrices, from, at)?;
        if let Some(scrapes) = &pulled.scrapes {
            self.feed.push_scrapes(scrapes, at);
        }
        if pushed.subjects_refused > 0 {
            tracing::warn!(
                refused = pushed.subjects_refused,
                limit = self.config.limits.workloads_max,
                "too many workloads; narrow the queries, or raise limits.workloads_max"
            );
        }
        for (query, unplaced) in self.config.queries.queries().iter().zip(&pushed.unplaced) {
            if unplaced.series_unmatched > 0 || unplaced.samples_off_grid > 0 {
                tracing::debug!(query = query.name, ?unplaced, "series or samples without a place");
            }
        }
        Ok(self.feed.windows_at(at)?)
    }

    /// Reads the kill switch, and records that a human released it.
    fn switch(&mut self) -> Switch {
        let switch = self.control.read();
        let is_stopped = matches!(switch, Switch::Engaged { .. });
        match &switch {
            Switch::Engaged { reason } if !self.was_stopped => tracing::warn!(reason, "remediation is stopped"),
            Switch::Released => {
                let journal_says_stopped = self.cycle.driver().journal().kill_switch().is_ok_and(|known| known.engaged);
                if journal_says_stopped && let Some(note) = self.control.last_resume() {
                    match self.cycle.driver().resume(&note.reason, note.at) {
                        Ok(()) => tracing::warn!(reason = note.reason, "remediation goes on"),
                        Err(error) => tracing::error!(%error, "the release of the kill switch couldn't be recorded"),
                    }
                }
            }
            Switch::Engaged { .. } => {}
        }
        self.was_stopped = is_stopped;
        switch
    }

    /// Keeps the tracker's state: a restart must not forget an open incident.
    fn save_tracker(&self) {
        let state = self.monitor.lock().unwrap_or_else(PoisonError::into_inner).tracker().save();
        let saved = state.map_err(anyhow::Error::from).and_then(|json| replace_file(&self.tracker_file, &json));
        if let Err(error) = saved {
            tracing::error!(
                error = format!("{error:#}"),
                "the tracker's state couldn't be saved; a restart would forget open incidents"
            );
        }
    }

    fn measure(&self, tick: &Tick, pulled: &Pull, took: Duration) {
        let metrics = &self.metrics;
        let result = match pulled.failed.len() {
            0 => "ok",
            n_failed if n_failed < self.config.queries.n_queries() => "partial",
            _all => "error",
        };
        metrics.cycles.get_or_create(&ResultLabel { result }).inc();
        metrics.cycle_seconds.observe(took.as_secs_f64());
        metrics.last_cycle_timestamp_seconds.set(clock::now().as_millis() / 1000);
        let matrices = || pulled.matrices.iter().flatten();
        metrics.samples.inc_by(matrices().map(Matrix::n_samples).sum::<usize>() as u64);
        metrics.series.set(matrices().map(|matrix| matrix.series().len()).sum::<usize>() as i64);
        metrics.source_warnings.inc_by(matrices().map(|matrix| matrix.warnings().len()).sum::<usize>() as u64);
        metrics.samples_dropped.inc_by(matrices().map(|matrix| matrix.dropped().total()).sum());
        metrics.subjects.set(tick.n_scored as i64);
        metrics.subjects_without_model.set(tick.without_model.len() as i64);
        metrics.subjects_misfit.set(tick.misfits.len() as i64);
        metrics.incidents_open.set(tick.open.len() as i64);
        metrics.stopped.set(i64::from(self.was_stopped));
        for change in &tick.changes {
            let labels = ChangeLabels { r#type: change.incident().incident_type.name(), change: change.name() };
            metrics.incident_changes.get_or_create(&labels).inc();
        }
        for event in &tick.events {
            metrics.remediation_events.get_or_create(&EventLabel { event: event_log::event_name(event) }).inc();
        }
    }
}

/// Where the tracker's state is kept.
pub(crate) fn tracker_file(storage: &Path) -> PathBuf {
    storage.join(TRACKER_FILE)
}

/// Writes beside the file and moves it there: a reader never sees half.
fn replace_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text).with_context(|| format!("writing {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("writing {}", path.display()))
}
