//! Everything together: what is published is kept, and the channels' tasks deliver it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use homeostat_core::{Escalation, Incident, IncidentChange, IncidentId, IncidentState, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::channels::Channels;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::event::{Event, EventKind, Payload};
use crate::lane::Lane;
use crate::mirroring::Open;
use crate::outbox::{End, New, Outbox, OutboxError};
use crate::outlets::Outlets;
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
    outlets: watch::Sender<Arc<Outlets>>,
    open: watch::Sender<Open>,
    sequence: AtomicU64,
    n_overdue: AtomicU64,
}

/// Where what was published is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Nowhere: thousands of escalations wait already, and none of them is given up for it.
    Nowhere,
    /// In memory only, because the outbox can't be written, or in an outbox that nobody else reads. It is being delivered, but
    /// wouldn't survive the process, or the replica; see [`Announcer::take_safe`].
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
        let announcer = Self {
            source: source.into(),
            sequence: AtomicU64::new(outbox.last_sequence()?),
            disk: Arc::new(Disk::new(outbox, clock)),
            outlets: watch::Sender::new(Arc::new(Outlets::of(channels, &[]))),
            open: watch::Sender::new(Open::default()),
            n_overdue: AtomicU64::new(0),
        };
        announcer.take_up()?;
        Ok(announcer)
    }

    /// For one of several replicas, none of which reads another one's outbox: an escalation is [`Kept::Safe`] only once a
    /// receiver has accepted it.
    #[must_use]
    pub fn of_a_replica(self) -> Self {
        self.disk.set_local();
        self
    }

    fn outlets(&self) -> Arc<Outlets> {
        Arc::clone(&self.outlets.borrow())
    }

    /// From now on these channels are there. What waits for one that stays goes on waiting for it, and is tried at once where it leads now.
    /// What waits for one that is gone fails, but for its calls, which go to the default channel. Mirrors and streams begin anew.
    pub fn reload(&self, channels: &Channels) {
        let before = self.outlets();
        let now = Arc::new(Outlets::of(channels, &before.lanes));
        self.outlets.send_replace(Arc::clone(&now));
        for lane in before.lanes.iter().filter(|lane| now.lane(&lane.name).is_none()) {
            let left = lane.queue().take_all();
            lane.end();
            for entry in left {
                self.give_up_channel(&lane.name, &entry.event, entry.queued_at);
            }
        }
        // A channel that is new to changes hears of what is open.
        if now.for_changes.iter().any(|lane| !before.for_changes.iter().any(|known| Arc::ptr_eq(known, lane))) {
            self.disk.want_resync();
        }
    }

    /// Publishes changes to every channel that wants changes.
    pub fn announce(&self, changes: &[IncidentChange]) -> Kept {
        let outlets = self.outlets();
        let mut rows = Vec::new();
        for change in changes {
            let event = Arc::new(Event::of_change(change, &self.source, self.next_sequence()));
            outlets.streams.iter().for_each(|stream| stream.push(&event));
            rows.extend(outlets.told_of(&event).map(|lane| (Arc::clone(&event), Arc::clone(lane))));
        }
        self.publish(rows)
    }

    /// Publishes an escalation to its channels, once each. What names none, or one that isn't there, goes to the default
    /// channel. `incident` is what is known of the incident; the call goes out in any case.
    pub fn escalate(&self, escalation: &Escalation, incident: Option<&Incident>) -> Kept {
        let event = Arc::new(Event::of_escalation(escalation, incident, &self.source, self.next_sequence()));
        self.outlets().streams.iter().for_each(|stream| stream.push(&event));
        let named = escalation.channels.iter();
        let mut lanes: Vec<Arc<Lane>> = named.filter_map(|channel| self.lane_or_default(channel, &event)).collect();
        if lanes.is_empty() {
            lanes.extend(self.lane_or_default(Channels::DEFAULT, &event));
        }
        if lanes.is_empty() {
            return Kept::Nowhere;
        }
        lanes.sort_by(|left, right| left.name.cmp(&right.name));
        lanes.dedup_by(|left, right| left.name == right.name);
        self.publish(lanes.into_iter().map(|lane| (Arc::clone(&event), lane)).collect())
    }

    /// Another replica shows mirrors what is open from here on: this one says nothing to them until it is told again.
    pub fn withdraw(&self) {
        self.open.send_if_modified(|shown| shown.take().is_some());
    }

    /// Shows mirrors what is open now.
    pub fn show(&self, open: &[Incident]) {
        if !self.outlets().mirrors.is_empty() {
            self.open.send_if_modified(|shown| {
                let is_changed = shown.as_ref().is_none_or(|shown| shown.as_slice() != open);
                if is_changed {
                    *shown = Some(Arc::new(open.to_vec()));
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
    /// the end of those that it takes for open and `ended` knows to be over. Channels that get ends only are told those. What they
    /// know isn't told again.
    pub fn resync(&self, open: &[Incident], ended: impl Fn(&IncidentId) -> Option<Incident>) -> Kept {
        let outlets = self.outlets();
        let mut rows = Vec::new();
        for (lane, only_ends) in outlets.told_of_changes() {
            let name = &lane.name;
            // Without knowing what was told everything would be told again; the wish for it stays.
            let Ok(mut known) = self.disk.outbox.known_incidents(name, only_ends) else { return Kept::InMemory };
            for entry in lane.queue().entries().filter(|entry| !entry.on_disk) {
                if only_ends || entry.event.kind() == EventKind::Change {
                    known.insert(entry.event.incident_id().clone(), entry.event.closes());
                }
            }
            let unheard = open.iter().filter(|incident| !only_ends && known.get(&incident.id) != Some(&false));
            let unheard = unheard.map(|incident| IncidentChange::Opened(incident.clone()));
            let taken_for_open =
                known.iter().filter(|(id, closed)| !**closed && !open.iter().any(|incident| incident.id == **id));
            let over = taken_for_open.filter_map(|(id, _)| end_of(ended(id)?));
            let missing: Vec<IncidentChange> = unheard.chain(over).collect();
            if !missing.is_empty() {
                tracing::info!(channel = name, missing = missing.len(), "sending the channel the changes it missed");
            }
            rows.extend(missing.iter().map(|change| {
                (Arc::new(Event::of_change(change, &self.source, self.next_sequence())), Arc::clone(lane))
            }));
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
        let outlets = self.outlets();
        let mut channels: Vec<_> = outlets.lanes.iter().map(|lane| lane.status(now)).collect();
        channels.extend(outlets.mirrors.iter().map(|task| task.side.status()));
        channels.extend(outlets.streams.iter().map(|task| task.side.status()));
        for channel in &mut channels {
            let failed = |kind| failed.get(&(channel.name.clone(), kind)).copied().unwrap_or_default();
            (channel.n_failed_changes, channel.n_failed_escalations) =
                (failed(EventKind::Change), failed(EventKind::Escalation));
        }
        channels.sort_by(|left, right| left.name.cmp(&right.name));
        let n_only_in_memory =
            outlets.lanes.iter().map(|lane| lane.queue().entries().filter(|entry| !entry.on_disk).count());
        Status {
            channels,
            outbox_writable: self.disk.is_writable(),
            n_only_in_memory: n_only_in_memory.sum::<usize>() as u64,
        }
    }

    /// Delivers until `end` is done, and then for two seconds at most what was never tried. It is a task of its own, in which each channel has its
    /// own: no receiver holds up another, or whoever publishes. What isn't delivered by then stays in the outbox.
    pub async fn run(self: Arc<Self>, end: impl Future<Output = ()>) {
        let mut lanes = JoinSet::new();
        let upkeep = async {
            loop {
                self.upkeep();
                self.disk.clock.sleep(UPKEEP_EVERY).await;
            }
        };
        tokio::select! {
            () = end => {}
            () = upkeep => {}
            () = self.keep_running(&mut lanes) => {}
        }
        self.outlets().lanes.iter().for_each(|lane| lane.end());
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

    /// Runs the channels that are configured, also after a reload. Those that are gone were told to end.
    async fn keep_running(&self, lanes: &mut JoinSet<()>) {
        let mut changes = self.outlets.subscribe();
        let mut running: Vec<Arc<Lane>> = Vec::new();
        loop {
            let now = Arc::clone(&changes.borrow_and_update());
            let is_running = |lane: &Arc<Lane>| running.iter().any(|known| Arc::ptr_eq(known, lane));
            for lane in now.lanes.iter().filter(|lane| !is_running(lane)) {
                lanes.spawn(Arc::clone(lane).run(Arc::clone(&self.disk)));
            }
            running.clone_from(&now.lanes);
            // These keep nothing that must arrive, so they are cut off.
            let mut sides = JoinSet::new();
            for mirror in &now.mirrors {
                sides.spawn(Arc::clone(mirror).run(Arc::clone(&self.disk.clock), self.open.subscribe()));
            }
            for stream in &now.streams {
                sides.spawn(Arc::clone(stream).run(Arc::clone(&self.disk.clock)));
            }
            if changes.changed().await.is_err() {
                return;
            }
            // Tasks that have ended are forgotten.
            while lanes.try_join_next().is_some() {}
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
        for lane in &self.outlets().lanes {
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
                if let (Payload::Escalation(call), true) = (&entry.event.payload, self.disk.is_safe()) {
                    self.disk.now_safe(&call.escalation);
                }
            }
        }
    }

    fn sound_the_alarm(&self) {
        let now = self.disk.clock.now();
        let mut n_overdue = 0;
        for lane in &self.outlets().lanes {
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

    fn publish(&self, rows: Vec<(Arc<Event>, Arc<Lane>)>) -> Kept {
        if rows.is_empty() {
            return Kept::Safe;
        }
        let queued_at = self.disk.clock.now();
        let new: Vec<New<'_>> =
            rows.iter().map(|(event, lane)| New { event, channel: &lane.name, queued_at }).collect();
        let inserted = self.disk.noted(self.disk.outbox.insert(&new));
        let mut kept = Kept::Safe;
        for (idx, (event, lane)) in rows.iter().enumerate() {
            let on_disk = inserted.is_some();
            let is_new = inserted.as_ref().is_none_or(|inserted| inserted[idx]);
            if is_new {
                kept = kept.min(self.push(lane, Entry::new(Arc::clone(event), on_disk, queued_at)));
            } else if !self.disk.is_safe() && lane.queue().entries().any(|waiting| waiting.event.id == event.id) {
                kept = kept.min(Kept::InMemory);
            }
        }
        rows.iter().for_each(|(_, lane)| lane.wake());
        kept
    }

    fn push(&self, lane: &Lane, entry: Entry) -> Kept {
        let (on_disk, event) = (entry.on_disk, Arc::clone(&entry.event));
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
                if on_disk && self.disk.is_safe() { Kept::Safe } else { Kept::InMemory }
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
            let Some(lane) = self.lane(&stored.channel) else {
                self.give_up_channel(&stored.channel, &event, stored.queued_at);
                continue;
            };
            let mut entry = Entry::new(event, true, stored.queued_at);
            entry.n_attempts = stored.n_attempts;
            if stored.n_attempts > 0 {
                entry.due = due_after_start(stored.next_attempt_at, wall, now);
            }
            self.push(&lane, entry);
        }
        Ok(())
    }

    /// What waits for a channel that isn't there any more fails; a call goes to the default channel.
    fn give_up_channel(&self, channel: &str, event: &Arc<Event>, queued_at: Timestamp) {
        tracing::warn!(channel, event = event.id, "the channel is no longer configured");
        self.disk.finish(New { event, channel, queued_at }, End::Failed { why: "the channel is no longer configured" });
        if let (EventKind::Escalation, Some(lane)) = (event.kind(), self.lane(Channels::DEFAULT)) {
            self.publish(vec![(Arc::clone(event), lane)]);
        }
    }

    fn lane(&self, name: &str) -> Option<Arc<Lane>> {
        self.outlets().lane(name).cloned()
    }

    /// The channel of this name, or the one that always is there.
    fn lane_or_default(&self, name: &str, event: &Event) -> Option<Arc<Lane>> {
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
