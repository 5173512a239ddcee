//! The running service: pulls, scores, decides and acts at every step, until it is told to end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use homeostat_announce::Announcer;
use homeostat_core::{Incident, IncidentId, Subject, Timestamp};
use homeostat_execute::DriverEvent;
use homeostat_ingest::{Matrix, PrometheusSource, Pull, SourceState};
use homeostat_journal::{Head, Journal, PageRequest};

use crate::clock::{Clock, CorrectedClock};
use crate::config::Config;
use crate::inbox::Inbox;
use crate::kill_switch;
use crate::labels::Desk;
use crate::serve::archiving::Archiving;
use crate::serve::cycle::{Cycle, SharedMonitor, Tick};
use crate::serve::event_log;
use crate::serve::metrics::{ChangeLabels, EventLabel, LeaseLabel, Metrics, ResultLabel};
use crate::serve::publishing;
use crate::serve::retraining::Retraining;

use super::approving::Approving;
use super::incident_list::Row;
use super::labelling::Labelling;
use super::live::LiveReader;
use super::outage::Outage;
use super::puller::{Pulled, Puller, Seen};
use super::readiness::{Sight, Sighting, blind_after};
use super::replica::{Replica, Turn};
use super::sample_ages::{BlindnessLog, SampleAges};
use super::snapshot::{Phase, Publisher, Role};
use super::source_log::{SourceLog, series_left_out};
use super::timeline::{Opinion, Timeline};
use crate::training::Trained;
use crate::training::child::Trainer;

/// How long a cycle under way may go on after the end was asked for: enough for an answer that is due anyway, and the
/// service ends within five seconds also when an API server hangs.
const END_GRACE: Duration = Duration::from_secs(3);
/// The tracker's state between runs.
const TRACKER_FILE: &str = "tracker.json";

mod look_back;

/// Everything a cycle needs.
pub(crate) struct Service {
    config: Arc<Config>,
    puller: Puller,
    retraining: Option<Retraining>,
    cycle: Cycle,
    monitor: SharedMonitor,
    announcer: Arc<Announcer>,
    switch: Arc<kill_switch::Watch>,
    metrics: Arc<Metrics>,
    labelling: Labelling,
    approving: Approving,
    archiving: Archiving,
    replica: Replica,
    tracker_file: PathBuf,
    clock: Arc<CorrectedClock>,
    timeline: Timeline,
    live: LiveReader,
    publisher: Publisher,
    sight: Sight,
    outage: Outage,
    /// The same of the replicas' queries.
    replicas_outage: Outage,
    source_log: SourceLog,
    ages: SampleAges,
    blindness: BlindnessLog,
    /// Up to where the journal's incidents are shown.
    shown: Option<Head>,
    /// Whether a cycle has begun that hasn't ended: it may have been given up while it was writing.
    is_in_cycle: bool,
}

/// What the service works with beside its own parts.
pub(crate) struct Around {
    /// The time, which the service corrects when the machine's clock is off.
    pub(crate) clock: Arc<CorrectedClock>,
    /// What a reload changes.
    pub(crate) live: LiveReader,
    /// Who is shown how it goes.
    pub(crate) publisher: Publisher,
    /// Makes models anew.
    pub(crate) trainer: Arc<dyn Trainer>,
    /// Whether remediation is stopped.
    pub(crate) switch: Arc<kill_switch::Watch>,
    /// Where labels are taken.
    pub(crate) desk: Arc<Desk>,
    /// Whether this process acts.
    pub(crate) replica: Replica,
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
        around: Around,
    ) -> anyhow::Result<Self> {
        let Around { clock, live, publisher, trainer, switch, desk, replica } = around;
        Ok(Self {
            puller: Puller::new(&config, source)?,
            retraining: Retraining::of(&config, trainer, clock.now()),
            sight: Sight::new(config.step, clock.elapsed()),
            timeline: Timeline::default(),
            outage: Outage::default(),
            replicas_outage: Outage::default(),
            source_log: SourceLog::default(),
            ages: SampleAges::default(),
            blindness: BlindnessLog::default(),
            shown: None,
            is_in_cycle: false,
            clock,
            live,
            publisher,
            switch,
            tracker_file: tracker_file(&config.storage),
            approving: Approving::new(Inbox::new(&config.storage), Arc::clone(desk.journal())),
            labelling: Labelling::new(desk, Inbox::new(&config.storage), config.step),
            archiving: Archiving::new(config.journal_retention),
            replica,
            config,
            cycle,
            monitor,
            announcer,
            metrics,
        })
    }

    /// Finds out what became of actions that were under way when the process before this one ended (I6).
    pub(crate) async fn recover(&mut self) {
        let now = self.clock.now();
        match self.replica.turn().await {
            Turn::Leads | Turn::TakesOver => {
                let reconciled = self.cycle.reconcile(now);
                self.take_up(reconciled, now).await;
            }
            Turn::Follows => self.cycle.record(false),
        }
        self.publish_recorded();
    }

    /// From here on this process records and acts: goes on with what the journal has.
    async fn take_up(&mut self, reconciled: anyhow::Result<()>, now: Timestamp) {
        if let Err(error) = reconciled {
            tracing::error!(error = format!("{error:#}"), "open incidents can't be compared with the journal");
        }
        self.labelling.tick(&self.monitor, &self.metrics, now);
        let events = self.cycle.driver().recover(now).await;
        let tick = Tick { events, ..Tick::default() };
        event_log::log(&tick);
        publishing::publish(&self.announcer, self.cycle.driver(), &tick, now);
    }

    /// Who acts in the cycle that begins.
    async fn take_turn(&mut self, now: Timestamp) {
        match self.replica.turn().await {
            Turn::Leads => {}
            Turn::TakesOver => {
                self.cycle.record(true);
                let reconciled = self.cycle.take_over(now);
                self.take_up(reconciled, now).await;
                self.publish_recorded();
            }
            Turn::Follows => {
                self.cycle.record(false);
                self.announcer.withdraw();
                if self.shown != Some(self.cycle.driver().journal().head()) {
                    self.publish_recorded();
                }
            }
        }
        if let Some((name, leads)) = self.replica.lease() {
            self.metrics.leader.get_or_create(&LeaseLabel { name: name.to_owned() }).set(i64::from(leads));
        }
    }

    /// Whether this process records, acts and tells.
    fn acts(&self) -> bool {
        *self.replica.role() == Role::Acts
    }

    /// The process ends: another replica may take over, at once if surely no write is under way any more.
    pub(crate) async fn end(self) {
        if !self.is_in_cycle {
            self.replica.end().await;
        }
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
            let at = self.begin_cycle().await;
            // Asking changes nothing, so the end needn't wait for a slow answer. What follows is given a moment: a write under
            // way is found again at the next start, but it is better to know now.
            let pulled = tokio::select! {
                () = &mut end => return,
                pulled = self.puller.ask(at) => pulled,
            };
            let cycle = self.cycle_once(at, pulled);
            tokio::pin!(cycle);
            tokio::select! {
                () = &mut end => {
                    if tokio::time::timeout(END_GRACE, cycle).await.is_err() {
                        tracing::warn!("the cycle under way was cut short; the next start finds out what became of it");
                    }
                    return;
                }
                () = &mut cycle => {}
            }
        }
    }

    /// Takes what is new since the last cycle, and gives the newest row of this one.
    async fn begin_cycle(&mut self) -> Timestamp {
        let now = self.read_clock();
        self.renew_models().await;
        self.take_config();
        self.take_turn(now).await;
        if self.acts() {
            self.labelling.tick(&self.monitor, &self.metrics, now);
            self.approving.tick(now);
        }
        let at = (now - self.config.offset).align_down(self.config.step);
        if self.puller.go_back(at) {
            self.monitor.lock().unwrap_or_else(PoisonError::into_inner).rewind(at);
        }
        at
    }

    /// Takes a config that was reloaded. Within a cycle nothing changes.
    fn take_config(&mut self) {
        if self.live.has_changed().unwrap_or(false) {
            let live = Arc::clone(&self.live.borrow_and_update());
            self.cycle.go_by(&live, self.clock.now());
            self.announcer.reload(&live.channels);
        }
    }

    /// The time to go by, as far as it can be known while the machine's clock steps.
    fn read_clock(&mut self) -> Timestamp {
        let elapsed = self.clock.elapsed();
        let said = self.puller.server_time();
        let opinion = said.map(|(at, said)| Opinion { at, elapsed: elapsed.saturating_sub(said.elapsed()) });
        let reading = self.timeline.read(self.clock.inner(), opinion);
        let was_off = self.clock.is_corrected();
        self.clock.correct(reading.correction_ms);
        if self.clock.is_corrected() != was_off {
            if was_off {
                tracing::info!(now = %reading.now, "this machine's clock is believed again");
            } else {
                tracing::warn!(
                    clock = %self.clock.inner().now(), now = %reading.now, by_prometheus = said.is_some(),
                    "this machine's clock has stepped or is wrong, and isn't followed for now; check time synchronisation"
                );
            }
        }
        self.metrics.clock_correction_seconds.set(reading.correction_ms as f64 / 1000.0);
        reading.now
    }

    /// There are no models yet, and why.
    pub(crate) fn starting(&self, waits_for: &str) {
        let phase = Phase::Starting { waits_for: Some(waits_for.to_owned()) };
        self.publisher.publish(|snapshot| snapshot.phase = phase);
    }

    /// Takes the first models, of the bundle or just trained.
    pub(crate) fn take_models(&mut self, trained: Trained) {
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner).renew(trained.ensembles);
        self.prefer_watched();
        self.sight = Sight::new(self.config.step, self.clock.elapsed());
        self.publish(&Tick::default());
    }

    /// Those with models are looked at, however many others there are.
    fn prefer_watched(&mut self) {
        let watched: Vec<Subject> = {
            let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
            monitor.subjects().cloned().collect()
        };
        self.puller.prefer(&watched);
        let budgets = self.config.detection.budgets();
        if let Some(fleet) = budgets.fleet {
            let (subjects, each) = (watched.len(), budgets.of_each(watched.len()));
            tracing::info!(subjects, fleet = %fleet, each = %each, "false-alarm budget of all workloads");
        }
    }

    /// Puts the journal's incidents into the snapshot, which goes on from there.
    fn publish_recorded(&mut self) {
        let journal = Arc::clone(self.cycle.driver().journal());
        // All that the journal keeps in memory, newest first; the list is in the order in which they became known.
        let recorded = journal.page(&PageRequest { limit: usize::MAX, ..PageRequest::default() });
        let rows: Vec<Row> = recorded.items.iter().rev().map(Row::recorded).collect();
        let role = self.replica.role().clone();
        self.publisher.publish(|snapshot| {
            snapshot.role = role;
            let list = Arc::make_mut(&mut snapshot.incidents);
            rows.into_iter().for_each(|row| list.put(row));
        });
        self.shown = Some(journal.head());
    }

    /// Shows what a tick did.
    fn publish(&mut self, tick: &Tick) {
        let mut touched: BTreeMap<&IncidentId, &Incident> = BTreeMap::new();
        let decided = tick.events.iter().filter_map(|event| match event {
            DriverEvent::Decided { incident, .. } => tick.open.iter().find(|open| open.id == *incident),
            _ => None,
        });
        touched.extend(decided.map(|incident| (&incident.id, incident)));
        // The last change of an incident is how it stands now.
        touched.extend(tick.changes.iter().map(|change| (&change.incident().id, change.incident())));
        let journal = Arc::clone(self.cycle.driver().journal());
        let phase = Phase::Watching(self.sight.clone());
        let role = self.replica.role().clone();
        self.publisher.publish(|snapshot| {
            (snapshot.phase, snapshot.role) = (phase, role);
            // Not before: a label may come at any time, and what is shown last must have it.
            for incident in touched.into_values() {
                Arc::make_mut(&mut snapshot.incidents).put(row(&journal, incident));
            }
        });
    }

    /// Takes models that were trained anew, and starts the next training when it is due.
    async fn renew_models(&mut self) {
        let Some(retraining) = &mut self.retraining else { return };
        let Some(trained) = retraining.tick(self.clock.now()).await else { return };
        let n_trained = trained.ensembles.len();
        let kept = self.monitor.lock().unwrap_or_else(PoisonError::into_inner).renew(trained.ensembles);
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        self.prefer_watched();
        tracing::info!(
            subjects = n_trained,
            kept = kept.join(", "),
            "models were renewed; subjects in an incident keep theirs"
        );
    }

    async fn cycle_once(&mut self, at: Timestamp, pulled: Pulled) {
        let began = tokio::time::Instant::now();
        self.is_in_cycle = true;
        let (seen, pull) = self.puller.take(pulled);
        // Now, not before the pull: a slow Prometheus must not make decisions look fresher than they are.
        let now = self.clock.now();
        self.cycle.recall_rollouts(now, self.puller.rollouts());
        let mut tick = self.cycle.observe(now, &seen.windows, &seen.replicas);
        // Before acting: whoever dies while acting must find the incident open again, or the action under way is given up.
        self.save_tracker();
        let acts = self.acts();
        if acts {
            tokio::select! {
                // Whatever is under way ends where it stands; whoever acts next finds it in the journal (I9).
                () = self.replica.closed() => tracing::warn!("this replica may not act any more; what it was doing is left to the next one"),
                () = self.cycle.act(now, self.switch.as_ref(), &mut tick) => {}
            }
        }
        event_log::log(&tick);
        if acts {
            // Now, after acting: a delivery isn't noted as older than what it tells of.
            publishing::publish(&self.announcer, self.cycle.driver(), &tick, self.clock.now());
            publishing::reconcile(&self.announcer, self.cycle.driver(), &tick.open);
            let journal = Arc::clone(self.cycle.driver().journal());
            self.labelling.look(&tick.changes);
            self.archiving.tick(&journal, now);
        }
        self.metrics.journal_ends_in(&self.replica.note_head(self.clock.elapsed()));
        self.look(&seen, at, &pull);
        self.measure(&tick, &pull, began.elapsed());
        self.publish(&tick);
        self.is_in_cycle = false;
    }

    /// Notes what this cycle could see, and says what changed: the source, its queries, workloads that go blind.
    fn look(&mut self, seen: &Seen, at: Timestamp, pull: &Pull) {
        let elapsed = self.clock.elapsed();
        self.ages.take(&seen.windows);
        let since = at - blind_after(self.config.step);
        let ages = {
            let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
            self.metrics.subjects_gone.set(monitor.tracker().n_gone() as i64);
            self.ages.sum_up(monitor.subjects(), since)
        };
        let seconds = |at: Option<Timestamp>| at.map_or(0, |at| at.as_millis() / 1000);
        self.metrics.newest_sample_timestamp_seconds.set(seconds(ages.newest));
        self.metrics.oldest_sample_timestamp_seconds.set(seconds(ages.oldest));
        self.metrics.subjects_blind.set(ages.blind.len() as i64);
        let state = seen.quality.state();
        self.metrics.source_is(state);
        self.metrics.series_left_out.set(series_left_out(&seen.quality) as i64);
        self.metrics.subjects_refused.set(seen.subjects_refused as i64);
        self.metrics.steps_missed.inc_by(seen.missed.map_or(0, |missed| missed.n_steps));
        if let Some(told) = self.outage.cycle(elapsed, &pull.failed) {
            told.log("queries", self.config.queries.n_queries());
        }
        if let Some(replicas) = &self.config.replicas
            && let Some(told) = self.replicas_outage.cycle(elapsed, &seen.replicas_failed)
        {
            told.log("queries of replicas", replicas.queries.n_queries());
        }
        self.source_log.cycle(seen).iter().for_each(|told| told.log());
        if let Some(told) = self.blindness.cycle(&ages) {
            told.log();
        }
        let trouble = self.outage.trouble().or_else(|| (state != SourceState::Healthy).then(|| state.to_string()));
        let (n_blind, n_watched) = (ages.blind.len(), ages.n_watched);
        self.sight.cycle(elapsed, Sighting { newest: ages.newest, n_blind, n_watched, trouble });
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
        metrics.last_cycle_timestamp_seconds.set(self.clock.now().as_millis() / 1000);
        let matrices = || pulled.matrices.iter().flatten();
        metrics.samples.inc_by(matrices().map(Matrix::n_samples).sum::<usize>() as u64);
        metrics.series.set(matrices().map(|matrix| matrix.series().len()).sum::<usize>() as i64);
        metrics.source_warnings.inc_by(matrices().map(|matrix| matrix.warnings().len()).sum::<usize>() as u64);
        metrics.samples_dropped.inc_by(matrices().map(|matrix| matrix.dropped().total()).sum());
        metrics.subjects.set(tick.n_scored as i64);
        metrics.subjects_without_model.set(tick.without_model.len() as i64);
        metrics.subjects_misfit.set(tick.misfits.len() as i64);
        metrics.incidents_open.set(tick.open.len() as i64);
        for change in &tick.changes {
            let labels = ChangeLabels { r#type: change.incident().incident_type.name(), change: change.name() };
            metrics.incident_changes.get_or_create(&labels).inc();
        }
        for event in &tick.events {
            metrics.remediation_events.get_or_create(&EventLabel { event: event_log::event_name(event) }).inc();
        }
    }
}

/// An incident as it is shown, with what the journal has on it.
fn row(journal: &Journal, incident: &Incident) -> Row {
    let decision = journal.decision(&incident.id).ok().flatten();
    let label = journal.label(&incident.id).ok().flatten();
    let data = |value: Result<serde_json::Value, serde_json::Error>| value.unwrap_or_default();
    Row::new(incident, &data(serde_json::to_value(decision)), &data(serde_json::to_value(label)))
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

#[cfg(test)]
mod tests;
