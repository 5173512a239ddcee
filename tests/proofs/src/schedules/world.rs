//! One schedule: processes come and go, time passes, people and faults come in between; everything follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use homeostat_core::{Incident, Mode, Seed, Signal, Subject, Timestamp};
use homeostat_execute::{Clock, Driver, DriverEvent, SubjectSignals, TickInput};
use homeostat_journal::Journal;
use homeostat_remediate::{Observation, Policy, RowScore, SafetyLimits};
use homeostat_simulate::{Fault, FaultKind, FaultTruth, Severity, Shop};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use super::cluster::{Client, Cluster, SharedCluster};
use super::record::Record;
use super::store::{SharedRows, StoreFault};
use super::{START, policies, spec};
use crate::fixture::incident;

/// One cycle of the product.
const CYCLE: Duration = Duration::from_secs(30);

/// Cycles in which things go wrong: half an hour.
const TROUBLED: usize = 60;

/// Cycles afterwards in which nothing does: longer than any action may take (sixteen minutes with these policies), also by a clock
/// that was set by ten minutes.
const QUIET: usize = 56;

/// Rows that the driver gets of each subject, as long as it verifies.
const ROWS_KEPT: usize = 30;

/// True time, and how far a process's clock is from it.
struct SkewedClock {
    cluster: SharedCluster,
    offset_ms: AtomicI64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.cluster.now().as_millis() + self.offset_ms.load(Ordering::SeqCst))
    }
}

/// A process: it may die, and another one may take its place while it doesn't know.
struct Process {
    driver: Driver,
    died: Arc<Notify>,
    is_dead: Arc<AtomicBool>,
    epoch: i64,
}

/// Everything in a schedule.
pub(super) struct World {
    chance: ChaCha8Rng,
    cluster: SharedCluster,
    clock: Arc<SkewedClock>,
    rows: SharedRows,
    policies: Vec<Policy>,
    process: Option<Process>,
    /// A process that was replaced and goes on all the same.
    replaced: Option<Process>,
    mode: Mode,
    incidents: Vec<Incident>,
    seen: BTreeMap<Subject, SubjectSignals>,
    record: Record,
    stopped_since: Option<Timestamp>,
    /// Nothing goes wrong but that somebody says stop at this moment, with the API server hung or not.
    drill: Option<Drill>,
}

/// A drill of the kill switch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drill {
    /// When somebody says stop.
    pub(super) after: Duration,
    /// When the API server begins to hang, if it does.
    pub(super) hangs_after: Option<Duration>,
}

impl World {
    /// A shop with a few faults ahead.
    pub(super) fn new(seed: Seed) -> Self {
        let mut chance = seed.fork("schedule").rng();
        let mut shop = new_shop(seed);
        schedule_faults(&mut shop, &mut chance);
        // Some schedules are calm, most aren't.
        let fault_permille = [0, 50, 150, 300][chance.random_range(0..4)];
        let cluster = SharedCluster::new(Cluster::new(shop, seed.fork("requests").rng(), fault_permille), START);
        let clock = Arc::new(SkewedClock { cluster: cluster.clone(), offset_ms: AtomicI64::new(0) });
        Self {
            chance,
            cluster,
            clock,
            rows: SharedRows::default(),
            policies: policies(),
            process: None,
            replaced: None,
            mode: Mode::Execute,
            incidents: Vec::new(),
            seen: BTreeMap::new(),
            record: Record::default(),
            stopped_since: None,
            drill: None,
        }
    }

    /// A shop with a few faults ahead, and a drill of the kill switch in place of everything else that goes wrong.
    pub(super) fn drill(seed: Seed, drill: Drill) -> Self {
        let world = Self { drill: Some(drill), ..Self::new(seed) };
        world.cluster.lock().fault_permille = 0;
        world
    }

    /// Says stop, whatever the driver is in the middle of.
    fn begin(&self, drill: Drill) {
        let cluster = self.cluster.clone();
        tokio::spawn(async move {
            tokio::time::sleep(drill.after).await;
            cluster.lock().stop = true;
        });
        if let Some(hangs_after) = drill.hangs_after {
            let cluster = self.cluster.clone();
            tokio::spawn(async move {
                tokio::time::sleep(hangs_after).await;
                cluster.lock().is_down = true;
            });
        }
    }

    /// Runs it to its end.
    pub(super) async fn run(mut self) -> Record {
        if let Some(drill) = self.drill {
            self.begin(drill);
        }
        for cycle in 0..TROUBLED + QUIET {
            let is_troubled = cycle < TROUBLED && self.drill.is_none();
            if cycle == TROUBLED && self.drill.is_none() {
                self.calm_down();
            }
            if is_troubled {
                self.disturb();
            }
            if self.process.is_none() {
                self.start().await;
            }
            if !is_troubled && self.drill.is_none() && self.stopped_since.is_some() {
                self.resume();
            }
            self.sense();
            self.tick().await;
            tokio::time::sleep(CYCLE).await;
            let now = self.cluster.now();
            let mut cluster = self.cluster.lock();
            cluster.arrive(now);
            cluster.shop.advance_to(now.align_down(CYCLE));
        }
        self.finish()
    }

    /// What nobody does on purpose, and what people do.
    fn disturb(&mut self) {
        let permille = self.chance.random_range(0..1000);
        let n_requests = self.chance.random_range(0..6);
        match permille {
            0..15 => self.cluster.lock().die_in = Some(n_requests),
            15..30 => {
                let fault = [StoreFault::DieBefore, StoreFault::DieAfter][self.chance.random_range(0..2)];
                self.rows.lock().fault_in = Some((n_requests, fault));
            }
            30..60 => {
                let faults = [StoreFault::NotWritten, StoreFault::LostAnswer, StoreFault::LostRequest];
                self.rows.lock().fault_in = Some((n_requests, faults[self.chance.random_range(0..3)]));
            }
            60..70 => self.rows.lock().unreadable = n_requests,
            70..85 => self.cluster.lock().stop_in = Some(n_requests),
            85..95 => self.replaced = self.process.take(),
            95..110 => {
                let subjects = [super::WEB, super::API];
                let subject = Subject::deployment(super::NAMESPACE, subjects[self.chance.random_range(0..2)]);
                // A roll-out of somebody else's.
                let _ = self.cluster.lock().shop.deploy(&subject);
            }
            110..120 => {
                let by_s = self.chance.random_range(-600..600);
                self.clock.offset_ms.fetch_add(1000 * by_s, Ordering::SeqCst);
                self.record.is_clock_set = true;
            }
            120..130 => self.mode = [Mode::Observe, Mode::Recommend][self.chance.random_range(0..2)],
            130..180 => self.mode = Mode::Execute,
            180..190 => self.cluster.lock().is_down = true,
            190..240 => self.cluster.lock().is_down = false,
            240..250 => {
                if let Some(process) = &mut self.process {
                    process.driver.set_policies(self.policies.clone());
                }
            }
            250..300 => self.resume(),
            _ => {}
        }
    }

    /// From here on nothing goes wrong, and automation is as it was.
    fn calm_down(&mut self) {
        {
            let mut rows = self.rows.lock();
            (rows.fault_in, rows.unreadable) = (None, 0);
            let mut cluster = self.cluster.lock();
            (cluster.fault_permille, cluster.is_down) = (0, false);
            (cluster.stop_in, cluster.die_in) = (None, None);
        }
        self.replaced = None;
        self.mode = Mode::Execute;
        self.resume();
    }

    /// A person takes the stop away and lets automation go on.
    fn resume(&mut self) {
        let now = self.clock.now();
        let resumed = self.process.as_mut().map(|process| process.driver.resume("ada: drill over", now));
        // Without a process, or a journal, nobody can be told.
        let Some(Ok(())) = resumed else { return };
        self.cluster.lock().stop = false;
        if let Some(since) = self.stopped_since.take() {
            self.record.stops.push((since, self.cluster.now()));
        }
    }

    /// A new process over the same journal.
    async fn start(&mut self) {
        let epoch = self.rows.open();
        let Ok(journal) = Journal::over(Box::new(self.rows.clone()), epoch) else { return };
        let (died, is_dead) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let client = Client {
            cluster: self.cluster.clone(),
            rows: self.rows.clone(),
            epoch: epoch.0,
            died: Arc::clone(&died),
            is_dead: Arc::clone(&is_dead),
        };
        let limits = SafetyLimits::default();
        let driver = Driver::new(Arc::new(client), Arc::new(journal), self.policies.clone(), limits);
        let mut process = Process { driver: driver.with_clock(self.clock.clone()), died, is_dead, epoch: epoch.0 };
        let now = self.clock.now();
        let events = tokio::select! {
            biased;
            () = process.died.notified() => return,
            events = process.driver.recover(now) => events,
        };
        self.hear(&mut process, events);
        self.process = Some(process);
    }

    /// One cycle of the process, and of the one that was replaced.
    async fn tick(&mut self) {
        let may_write = self.mode == Mode::Execute;
        self.cluster.lock().may_write = may_write;
        for is_replaced in [true, false] {
            let slot = if is_replaced { &mut self.replaced } else { &mut self.process };
            let Some(mut process) = slot.take() else { continue };
            let (topology, calendar) = {
                let cluster = self.cluster.lock();
                (cluster.shop.topology().clone(), cluster.shop.calendar().clone())
            };
            let now = self.clock.now();
            let switch = self.cluster.clone();
            let input = TickInput {
                incidents: &self.incidents,
                signals: &self.seen,
                kill_switch: &switch,
                mode: self.mode,
                topology: &topology,
                calendar: &calendar,
            };
            let events = tokio::select! {
                biased;
                () = process.died.notified() => continue,
                events = process.driver.tick(now, &input) => events,
            };
            self.hear(&mut process, events);
            let is_dead = process.is_dead.load(Ordering::SeqCst) || self.rows.lock().killed == Some(process.epoch);
            match (is_dead, is_replaced) {
                (true, _) => {}
                (false, true) => self.replaced = Some(process),
                (false, false) => self.process = Some(process),
            }
        }
        if self.stopped_since.is_none() && self.cluster.lock().stop {
            self.stopped_since = Some(self.cluster.now());
        }
    }

    /// Takes what the driver tells, and hands escalations on.
    fn hear(&mut self, process: &mut Process, events: Vec<DriverEvent>) {
        let now = self.clock.now();
        for event in events {
            if let DriverEvent::Escalate(call) = &event
                && self.chance.random_bool(0.9)
            {
                let _ = process.driver.escalation_delivered(&call.incident, &call.reason, now);
            }
            self.record.events.push(event);
        }
    }

    /// What is measured now: each fault shows in the subject's incident after a while, and is gone a minute after it ended.
    fn sense(&mut self) {
        let now = self.clock.now();
        let true_now = self.cluster.now();
        let truths: Vec<FaultTruth> = self.cluster.lock().shop.truths().to_vec();
        let minute = Duration::from_secs(60);
        let shows = |truth: &FaultTruth| {
            let ends = truth.end.as_ref().map_or(truth.runs_until, |end| end.at) + minute;
            !truth.harmless && truth.start + 2 * minute <= true_now && true_now < ends
        };
        let mut ids = BTreeSet::new();
        for truth in truths.iter().filter(|truth| shows(truth) && !is_external(&truth.subject)) {
            let Some(kind) = truth.incident_types.first() else { continue };
            let open = incident(*kind, &truth.subject, truth.start + 2 * minute);
            ids.insert(open.id.clone());
            if !self.incidents.iter().any(|known| known.id == open.id) {
                self.incidents.push(open);
            }
        }
        // An incident is closed once its signals have been normal for three cycles.
        let is_over = |incident: &Incident| {
            let rows = self.seen.get(&incident.subject).map(|seen| seen.scores.as_slice()).unwrap_or_default();
            !ids.contains(&incident.id) && rows.len() >= 3 && rows[rows.len() - 3..].iter().all(|row| row.is_calm)
        };
        let over: BTreeSet<_> = self.incidents.iter().filter(|it| is_over(it)).map(|it| it.id.clone()).collect();
        self.incidents.retain(|incident| !over.contains(&incident.id));
        for incident in &mut self.incidents {
            incident.updated_at = now;
            let is_normal = !ids.contains(&incident.id);
            // Some scrapes fail.
            let is_gap = self.chance.random_bool(0.05);
            let seen = self.seen.entry(incident.subject.clone()).or_default();
            let value = (!is_gap).then_some(1.0);
            let deviation = value.map(|_| if is_normal { 0.0 } else { 9.0 });
            seen.observations.push(Observation {
                feature: incident.incident_type.name().to_owned(),
                signal: Signal::Other,
                at: now,
                value,
                deviation,
                normal: is_normal && !is_gap,
            });
            seen.scores.push(RowScore { at: now, is_calm: is_normal, opens_at_once: !is_normal });
            let n_old = seen.scores.len().saturating_sub(ROWS_KEPT);
            seen.scores.drain(..n_old);
            let n_old = seen.observations.len().saturating_sub(2 * ROWS_KEPT);
            seen.observations.drain(..n_old);
        }
    }

    fn finish(mut self) -> Record {
        self.record.rows = self.rows.lock().rows.clone();
        self.record.ended_at = Some(self.clock.now());
        let epoch = self.rows.open();
        if let Ok(journal) = Journal::over(Box::new(self.rows.clone()), epoch) {
            self.record.is_chain_whole = journal.verify_chain().is_ok();
            let history = journal.history().map(|history| history.actions).unwrap_or_default();
            self.record.actions = history.iter().map(|action| action.as_ref().clone()).collect();
        }
        let mut cluster = self.cluster.lock();
        self.record.calls = std::mem::take(&mut cluster.calls);
        self.record.effects = std::mem::take(&mut cluster.effects);
        drop(cluster);
        self.record
    }
}

fn is_external(subject: &Subject) -> bool {
    subject.kind == homeostat_core::WorkloadKind::External
}

#[expect(clippy::expect_used, reason = "the shop's specification is constant")]
fn new_shop(seed: Seed) -> Shop {
    Shop::new(spec(), seed.fork("shop"), START).expect("a good shop")
}

/// Two to five faults, mostly of kinds and at services that some policy is for.
fn schedule_faults(shop: &mut Shop, chance: &mut ChaCha8Rng) {
    const KINDS: [FaultKind; 6] = [
        FaultKind::MemoryLeak,
        FaultKind::OomKill,
        FaultKind::BadDeployment,
        FaultKind::BadDeployment,
        FaultKind::CpuSpike,
        FaultKind::CrashLoop,
    ];
    let subjects: Vec<Subject> = shop.subjects().cloned().collect();
    let in_scope: Vec<Subject> =
        [super::WEB, super::API].map(|name| Subject::deployment(super::NAMESPACE, name)).to_vec();
    for _ in 0..chance.random_range(2..6) {
        let kind = KINDS[chance.random_range(0..KINDS.len())];
        let of = if chance.random_bool(0.8) { &in_scope } else { &subjects };
        let subject = of[chance.random_range(0..of.len())].clone();
        let begins = Duration::from_secs(30 * chance.random_range(1..40));
        let lasts = Duration::from_secs(60 * chance.random_range(3..40));
        // A fault that can't befall this workload, or meets another one there, doesn't happen.
        let _ = shop.schedule(Fault::new(kind, subject, START + begins, Severity::FULL).lasting(lasts));
    }
}
