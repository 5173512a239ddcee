//! Everything together: what is published is kept, and the channels' tasks deliver it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use homeostat_core::{Escalation, Incident, IncidentChange, IncidentId, IncidentState};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::channels::Channels;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::event::{Event, EventKind, Payload};
use crate::lane::Lane;
use crate::mirroring::{MirrorTask, Open, StreamTask};
use crate::outbox::{End, New, Outbox, OutboxError};
use crate::outlet::Outlet;
use crate::queue::{Entry, Full, due_after_start};
use crate::status::Status;

/// How often what couldn't be written is tried again, and what is old is forgotten.
const UPKEEP_EVERY: Duration = Duration::from_secs(30);

/// How long deliveries may hold up the end. SIGTERM ends the program within five seconds, with room for the rest.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// An escalation that waits for so long is logged: whoever reads the log should hear of it.
const OVERDUE_AFTER: Duration = Duration::from_secs(300);

/// Publishes changes and escalations to the configured channels. Publishing waits for the disk, never for a receiver.
pub struct Announcer {
    source: String,
    disk: Arc<Disk>,
    lanes: Vec<Arc<Lane>>,
    /// The lanes that get every change.
    for_changes: Vec<usize>,
    mirrors: Vec<Arc<MirrorTask>>,
    streams: Vec<Arc<StreamTask>>,
    open: watch::Sender<Open>,
    sequence: AtomicU64,
    n_overdue: AtomicU64,
}

/// Where what was published is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Nowhere: thousands of escalations wait already, and none of them is given up for it.
    Nowhere,
    /// In memory only, because the outbox can't be written. It is being delivered, but wouldn't survive the process; see
    /// [`Announcer::take_safe`].
    InMemory,
    /// In the outbox, or delivered before: it survives the process.
    Safe,
}

impl Announcer {
    /// Takes up what the outbox has. Nobody is contacted before [`run`](Self::run). `source` is the CloudEvents `source` of
    /// everything that goes out: it names this installation.
    pub fn new(
        source: impl Into<String>,
        channels: &Channels,
        outbox: Outbox,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OutboxError> {
        let (mut lanes, mut for_changes, mut mirrors, mut streams) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (name, channel) in channels.iter() {
            match &channel.outlet {
                Outlet::Deliver(deliver) => {
                    if channel.changes {
                        for_changes.push(lanes.len());
                    }
                    lanes.push(Arc::new(Lane::new(name, channel.kind, Arc::clone(deliver))));
                }
                Outlet::Mirror(mirror) => {
                    mirrors.push(Arc::new(MirrorTask::new(name, channel.kind, Arc::clone(mirror))));
                }
                Outlet::Stream(stream) => {
                    streams.push(Arc::new(StreamTask::new(name, channel.kind, Arc::clone(stream))));
                }
            }
        }
        let announcer = Self {
            source: source.into(),
            sequence: AtomicU64::new(outbox.last_sequence()?),
            disk: Arc::new(Disk::new(outbox, clock)),
            lanes,
            for_changes,
            mirrors,
            streams,
            open: watch::Sender::new(Open::default()),
            n_overdue: AtomicU64::new(0),
        };
        announcer.take_up()?;
        Ok(announcer)
    }

    /// Publishes changes to every channel that wants changes.
    pub fn announce(&self, changes: &[IncidentChange]) -> Kept {
        let mut rows = Vec::new();
        for change in changes {
            let event = Arc::new(Event::of_change(change, &self.source, self.next_sequence()));
            self.streams.iter().for_each(|stream| stream.push(&event));
            rows.extend(self.for_changes.iter().map(|lane| (Arc::clone(&event), *lane)));
        }
        self.publish(rows)
    }

    /// Publishes an escalation to its channels, once each. What names none, or one that isn't there, goes to the default
    /// channel. `incident` is what is known of the incident; the call goes out in any case.
    pub fn escalate(&self, escalation: &Escalation, incident: Option<&Incident>) -> Kept {
        let event = Arc::new(Event::of_escalation(escalation, incident, &self.source, self.next_sequence()));
        self.streams.iter().for_each(|stream| stream.push(&event));
        let named = escalation.channels.iter();
        let mut lanes: Vec<usize> = named.filter_map(|channel| self.lane_or_default(channel, &event)).collect();
        if lanes.is_empty() {
            lanes.extend(self.lane_or_default(Channels::DEFAULT, &event));
        }
        if lanes.is_empty() {
            return Kept::Nowhere;
        }
        lanes.sort_unstable();
        lanes.dedup();
        self.publish(lanes.into_iter().map(|lane| (Arc::clone(&event), lane)).collect())
    }

    /// Shows mirrors what is open now.
    pub fn show(&self, open: &[Incident]) {
        if !self.mirrors.is_empty() {
            self.open.send_if_modified(|shown| {
                let is_changed = shown.as_slice() != open;
                if is_changed {
                    *shown = Arc::new(open.to_vec());
                }
                is_changed
            });
        }
    }

    /// Whether receivers may have missed changes: after a start, after trouble with the disk, and after changes were dropped or
    /// given up. Then [`resync`](Self::resync) should be called.
    pub fn wants_resync(&self) -> bool {
        self.disk.wants_resync()
    }

    /// Tells each channel that gets changes what it can't know: incidents that are open and of which it never heard, and
    /// the end of those that it takes for open and `ended` knows to be over. What it knows isn't told again.
    pub fn resync(&self, open: &[Incident], ended: impl Fn(&IncidentId) -> Option<Incident>) -> Kept {
        let mut rows = Vec::new();
        for lane in &self.for_changes {
            let name = &self.lanes[*lane].name;
            // Without knowing what was told everything would be told again; the wish for it stays.
            let Ok(mut known) = self.disk.outbox.known_incidents(name) else { return Kept::InMemory };
            for entry in self.lanes[*lane].queue().entries().filter(|entry| !entry.on_disk) {
                if entry.event.kind() == EventKind::Change {
                    known.insert(entry.event.incident_id().clone(), entry.event.closes());
                }
            }
            let unheard = open.iter().filter(|incident| known.get(&incident.id) != Some(&false));
            let unheard = unheard.map(|incident| IncidentChange::Opened(incident.clone()));
            let taken_for_open =
                known.iter().filter(|(id, closed)| !**closed && !open.iter().any(|incident| incident.id == **id));
            let over = taken_for_open.filter_map(|(id, _)| end_of(ended(id)?));
            let missing: Vec<IncidentChange> = unheard.chain(over).collect();
            if !missing.is_empty() {
                tracing::info!(channel = name, missing = missing.len(), "sending the channel the changes it missed");
            }
            rows.extend(
                missing
                    .iter()
                    .map(|change| (Arc::new(Event::of_change(change, &self.source, self.next_sequence())), *lane)),
            );
        }
        self.disk.resynced();
        self.publish(rows)
    }

    /// Escalations, by incident and reason, that were [`Kept::InMemory`] and have been written or accepted since.
    pub fn take_safe(&self) -> Vec<(IncidentId, String)> {
        self.disk.take_safe()
    }

    /// How the channels do.
    pub fn status(&self) -> Status {
        let now = self.disk.clock.now();
        // Reading fails only when writing does, too, which the status says.
        let failed = self.disk.outbox.failed().unwrap_or_default();
        let mut channels: Vec<_> = self.lanes.iter().map(|lane| lane.status(now)).collect();
        channels.extend(self.mirrors.iter().map(|task| task.side.status()));
        channels.extend(self.streams.iter().map(|task| task.side.status()));
        for channel in &mut channels {
            let failed = |kind| failed.get(&(channel.name.clone(), kind)).copied().unwrap_or_default();
            (channel.n_failed_changes, channel.n_failed_escalations) =
                (failed(EventKind::Change), failed(EventKind::Escalation));
        }
        channels.sort_by(|left, right| left.name.cmp(&right.name));
        let n_only_in_memory =
            self.lanes.iter().map(|lane| lane.queue().entries().filter(|entry| !entry.on_disk).count());
        Status {
            channels,
            outbox_writable: self.disk.is_writable(),
            n_only_in_memory: n_only_in_memory.sum::<usize>() as u64,
        }
    }

    /// Delivers until `end` is done, and then for two seconds at most what was never tried. It is a task of its own, in which each channel has its
    /// own: no receiver holds up another, or whoever publishes. What isn't delivered by then stays in the outbox.
    pub async fn run(self: Arc<Self>, end: impl Future<Output = ()>) {
        let ending = watch::Sender::new(false);
        let mut lanes = JoinSet::new();
        for lane in &self.lanes {
            lanes.spawn(Arc::clone(lane).run(Arc::clone(&self.disk), ending.subscribe()));
        }
        // These keep nothing that must arrive, so they are cut off at the end.
        let mut sides = JoinSet::new();
        for mirror in &self.mirrors {
            sides.spawn(Arc::clone(mirror).run(Arc::clone(&self.disk.clock), self.open.subscribe()));
        }
        for stream in &self.streams {
            sides.spawn(Arc::clone(stream).run(Arc::clone(&self.disk.clock)));
        }
        let upkeep = async {
            loop {
                self.upkeep();
                self.disk.clock.sleep(UPKEEP_EVERY).await;
            }
        };
        tokio::select! {
            () = end => {}
            () = upkeep => {}
        }
        ending.send_replace(true);
        tokio::select! {
            () = async { while lanes.join_next().await.is_some() {} } => {}
            () = self.disk.clock.sleep(ENDING_MAX) => {}
        }
        self.upkeep();
        let n_pending = self.status().n_pending();
        if n_pending > 0 {
            tracing::warn!(n_pending, "undelivered events remain; they are sent after the next start");
        }
    }

    /// Writes what couldn't be written, forgets what is old, and sounds the alarm.
    fn upkeep(&self) {
        self.disk.write_ends();
        self.write_entries();
        // That it goes well says nothing: mostly there is nothing to forget, and nothing is written.
        if let Err(error) = self.disk.outbox.prune(self.disk.clock.now()) {
            self.disk.noted::<()>(Err(error));
        }
        self.sound_the_alarm();
    }

    fn write_entries(&self) {
        for lane in &self.lanes {
            let unwritten: Vec<Entry> = lane.queue().entries().filter(|entry| !entry.on_disk).cloned().collect();
            if unwritten.is_empty() {
                continue;
            }
            let rows: Vec<New<'_>> = unwritten
                .iter()
                .map(|entry| New { event: &entry.event, channel: &lane.name, queued_at: entry.queued_at })
                .collect();
            if self.disk.noted(self.disk.outbox.insert(&rows)).is_none() {
                return;
            }
            for entry in &unwritten {
                lane.queue().now_on_disk(&entry.event);
                if let Payload::Escalation(call) = &entry.event.payload {
                    self.disk.now_safe(&call.escalation);
                }
            }
        }
    }

    fn sound_the_alarm(&self) {
        let now = self.disk.clock.now();
        let mut n_overdue = 0;
        for lane in &self.lanes {
            let queue = lane.queue();
            let overdue = queue.entries().filter(|entry| {
                entry.event.kind() == EventKind::Escalation && now.since(entry.queued_at) >= OVERDUE_AFTER
            });
            n_overdue += overdue.count() as u64;
        }
        if n_overdue > self.n_overdue.swap(n_overdue, Ordering::Relaxed) {
            tracing::error!(
                n_overdue,
                "escalations have been undelivered for minutes and nobody was notified; check the channels"
            );
        }
    }

    fn publish(&self, rows: Vec<(Arc<Event>, usize)>) -> Kept {
        if rows.is_empty() {
            return Kept::Safe;
        }
        let queued_at = self.disk.clock.now();
        let new: Vec<New<'_>> =
            rows.iter().map(|(event, lane)| New { event, channel: &self.lanes[*lane].name, queued_at }).collect();
        let inserted = self.disk.noted(self.disk.outbox.insert(&new));
        let mut kept = Kept::Safe;
        for (idx, (event, lane)) in rows.iter().enumerate() {
            let on_disk = inserted.is_some();
            let is_new = inserted.as_ref().is_none_or(|inserted| inserted[idx]);
            if is_new {
                kept = kept.min(self.push(*lane, Entry::new(Arc::clone(event), on_disk, queued_at)));
            }
        }
        for lane in &self.lanes {
            lane.wake();
        }
        kept
    }

    fn push(&self, lane: usize, entry: Entry) -> Kept {
        let (lane, on_disk, event) = (&self.lanes[lane], entry.on_disk, Arc::clone(&entry.event));
        let mut queue = lane.queue();
        if queue.entries().any(|waiting| !waiting.on_disk && waiting.event.id == event.id) {
            if on_disk {
                // It waits in memory since the disk failed; now it is written under the number that it has there.
                drop(queue);
                self.write_entries();
                return Kept::Safe;
            }
            return Kept::InMemory;
        }
        let pushed = queue.push(entry);
        drop(queue);
        match pushed {
            Ok(dropped) => {
                if !dropped.is_empty() {
                    lane.counters.dropped(dropped.len());
                    self.disk.want_resync();
                }
                for entry in dropped.iter().filter(|entry| entry.on_disk) {
                    self.disk.noted(self.disk.outbox.forget(&entry.event, &lane.name));
                }
                if on_disk { Kept::Safe } else { Kept::InMemory }
            }
            Err(Full) => {
                tracing::error!(channel = lane.name, event = event.id, subject = %event.subject(), "thousands of escalations wait on this channel; no more are taken until it delivers");
                if on_disk {
                    self.disk.noted(self.disk.outbox.forget(&event, &lane.name));
                }
                Kept::Nowhere
            }
        }
    }

    /// Queues what the process before this one left.
    fn take_up(&self) -> Result<(), OutboxError> {
        let (wall, now) = (self.disk.clock.now(), self.disk.clock.elapsed());
        for stored in self.disk.outbox.pending(wall)? {
            let event = Arc::new(stored.event);
            let new = New { event: &event, channel: &stored.channel, queued_at: stored.queued_at };
            let Some(lane) = self.lane(&stored.channel) else {
                tracing::warn!(channel = stored.channel, event = event.id, "the channel is no longer configured");
                self.disk.finish(new, End::Failed { why: "the channel is no longer configured" });
                if let (EventKind::Escalation, Some(lane)) = (event.kind(), self.lane(Channels::DEFAULT)) {
                    self.publish(vec![(event, lane)]);
                }
                continue;
            };
            let mut entry = Entry::new(event, true, stored.queued_at);
            entry.n_attempts = stored.n_attempts;
            if stored.n_attempts > 0 {
                entry.due = due_after_start(stored.next_attempt_at, wall, now);
            }
            self.push(lane, entry);
        }
        Ok(())
    }

    fn lane(&self, name: &str) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.name == name)
    }

    /// The channel of this name, or the one that always is there.
    fn lane_or_default(&self, name: &str, event: &Event) -> Option<usize> {
        self.lane(name).or_else(|| {
            tracing::error!(
                channel = name,
                event = event.id,
                "an escalation names a channel that isn't configured; sending it to the default channel"
            );
            self.lane(Channels::DEFAULT)
        })
    }

    /// Grows with the wall clock, so that it grows across restarts also when the outbox is lost.
    fn next_sequence(&self) -> u64 {
        let now = u64::try_from(self.disk.clock.now().as_millis()).unwrap_or_default();
        let next = |last: u64| now.max(last.saturating_add(1));
        let last = self.sequence.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        // The update never refuses, so both arms are the number before.
        next(last.unwrap_or_else(|last| last))
    }
}

/// The change that tells a receiver how the incident ended; `None` while it hasn't.
fn end_of(incident: Incident) -> Option<IncidentChange> {
    match incident.state {
        IncidentState::Open | IncidentState::Stale => None,
        IncidentState::Resolved => Some(IncidentChange::Resolved(incident)),
        IncidentState::Rebaselined => Some(IncidentChange::Rebaselined(incident)),
        IncidentState::Expired => Some(IncidentChange::Expired(incident)),
    }
}

#[cfg(test)]
mod tests;
