//! What one channel still has to deliver, and what may be tried next. Pure: time is an argument.
//!
//! Escalations go first. Within a kind, events go in the order in which they were published, several at a time, but never two of
//! one incident: its changes arrive in order. Only an event that its receiver refused several times while taking others lets
//! the later ones of its incident pass; once one of those has arrived, the refused change would be out of order and is given up.
//!
//! A receiver that fails gets one attempt at a time, ever more seldom, until it accepts one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{IncidentId, Timestamp};

use crate::event::{Event, EventKind};
use crate::outlet::{Delivery, TIMEOUT_MAX};
use crate::pause::{PAUSE_MAX, pause};

/// Undelivered events of one channel, in memory and on disk. At two or three kilobytes each that is some 15 MB, and half a day
/// of one change every ten seconds to a receiver that is down. Beyond it the oldest changes go; escalations never do.
pub(crate) const PENDING_MAX: usize = 5_000;

/// Attempts of one channel at a time. With the usual answer in a tenth of a second that is 80 events a second; more would be
/// a burden for a receiver that was made for a few alerts an hour.
pub(crate) const UNDER_WAY_MAX: usize = 8;

/// How often an event may fail by its own fault before it no longer holds back the later ones of its incident. A refusal counts
/// twice; a failure of a channel that worked just before counts once, because either may be to blame.
const FAULT_MAX: u32 = 6;

/// Refusals in a row, of whichever event, after which it is the channel that is wrong and not the events.
const REFUSALS_IN_A_ROW_MAX: u32 = 3;

/// Attempts that are made in any case before an event is given up, whatever the clock says: some 40 minutes of them.
const ATTEMPTS_MIN: u32 = 13;

/// How long it is tried to deliver an event. A call is worth answering after a long weekend; a change is of use for a day, after
/// which what is open is told anew.
pub(crate) const fn give_up_after(kind: EventKind) -> Duration {
    match kind {
        EventKind::Escalation => Duration::from_secs(72 * 3600),
        EventKind::Change => Duration::from_secs(24 * 3600),
    }
}

/// An event's place in the queue: escalations before changes, each in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    kind: EventKind,
    sequence: u64,
}

/// An event that isn't delivered yet.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) event: Arc<Event>,
    /// Whether the outbox has it. What it hasn't doesn't survive the process.
    pub(crate) on_disk: bool,
    pub(crate) queued_at: Timestamp,
    pub(crate) n_attempts: u32,
    /// Not before this time on the monotonic clock.
    pub(crate) due: Duration,
    /// How likely it is that its failures are its own fault; see [`FAULT_MAX`].
    fault: u32,
    under_way: Option<UnderWay>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    since: Duration,
    /// Whether the channel worked when it was started.
    channel_worked: bool,
}

impl Entry {
    pub(crate) fn new(event: Arc<Event>, on_disk: bool, queued_at: Timestamp) -> Self {
        Self { event, on_disk, queued_at, n_attempts: 0, due: Duration::ZERO, fault: 0, under_way: None }
    }

    fn key(&self) -> Key {
        Key { kind: self.event.kind(), sequence: self.event.sequence }
    }

    fn lane(&self) -> (&IncidentId, EventKind) {
        (self.event.incident_id(), self.event.kind())
    }

    /// Whether later events of the same incident must wait for it.
    fn holds_back(&self) -> bool {
        self.under_way.is_some() || self.fault < FAULT_MAX
    }
}

/// What to do now.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// Start this attempt.
    Start {
        key: Key,
        event: Arc<Event>,
        /// How long it may take, for a channel whose first attempts may take `timeout`.
        n_attempts: u32,
    },
    /// Nothing before this time on the monotonic clock, or before something else happens.
    Wait(Option<Duration>),
}

/// What an attempt changed.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// It was delivered. `overtaken` are earlier refused events of its incident, which are given up.
    Accepted { entry: Entry, overtaken: Vec<Entry> },
    /// It is tried again after `pause`.
    Again { entry: Entry, pause: Duration, why: String, refused: bool },
    /// It is given up: it was tried for hours.
    GivenUp { entry: Entry, why: String },
}

/// What doesn't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The events of one channel that aren't delivered yet.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: BTreeMap<Key, Entry>,
    n_under_way: usize,
    /// Failures of the channel in a row.
    n_failures: u32,
    n_refused_in_a_row: u32,
    failed_at: Duration,
    paused_until: Duration,
    ending: bool,
}

impl Queue {
    /// Adds an event; the same one twice is once. Returns the changes that gave way for it, which may be the event itself.
    pub(crate) fn push(&mut self, entry: Entry) -> Result<Vec<Entry>, Full> {
        let (key, kind) = (entry.key(), entry.event.kind());
        self.entries.insert(key, entry);
        let mut dropped = Vec::new();
        while self.entries.len() > PENDING_MAX {
            let oldest_change =
                self.entries.iter().find(|(key, entry)| key.kind == EventKind::Change && entry.under_way.is_none());
            match oldest_change.map(|(key, _)| *key).and_then(|key| self.entries.remove(&key)) {
                Some(entry) => dropped.push(entry),
                None if kind == EventKind::Escalation => {
                    self.entries.remove(&key);
                    return Err(Full);
                }
                // Only changes that are under way are left beside escalations; those end soon.
                None => break,
            }
        }
        Ok(dropped)
    }

    /// Everything that waits, escalations first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Remembers that the outbox has the event now.
    pub(crate) fn now_on_disk(&mut self, event: &Event) {
        let key = Key { kind: event.kind(), sequence: event.sequence };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.on_disk = true;
        }
    }

    /// Lets everything that waits be tried at once.
    pub(crate) fn try_now(&mut self) {
        self.paused_until = Duration::ZERO;
        self.entries.values_mut().for_each(|entry| entry.due = Duration::ZERO);
    }

    /// Takes out everything, what is under way too: the end of such an attempt changes nothing any more.
    pub(crate) fn take_all(&mut self) -> Vec<Entry> {
        self.n_under_way = 0;
        std::mem::take(&mut self.entries).into_values().collect()
    }

    /// From now on only events that were never tried are started: the process ends.
    pub(crate) fn end(&mut self) {
        self.ending = true;
    }

    /// Whether the channel works as far as is known.
    pub(crate) fn works(&self) -> bool {
        self.n_failures == 0
    }

    /// What may be started at `now`; it counts as under way from then on.
    pub(crate) fn next(&mut self, now: Duration) -> Next {
        let places = if self.works() { UNDER_WAY_MAX } else { 1 };
        if self.n_under_way >= places {
            return Next::Wait(None);
        }
        if self.paused_until > now {
            return Next::Wait(Some(self.paused_until));
        }
        let (chosen, earliest) = self.choose(now);
        let channel_worked = self.works();
        match chosen.and_then(|key| self.entries.get_mut(&key).map(|entry| (key, entry))) {
            Some((key, entry)) => {
                entry.under_way = Some(UnderWay { since: now, channel_worked });
                self.n_under_way += 1;
                Next::Start { key, event: Arc::clone(&entry.event), n_attempts: entry.n_attempts }
            }
            None => Next::Wait(earliest),
        }
    }

    /// The first that may be started; from a channel that fails, the one that was tried least, so that one message on which a
    /// receiver chokes doesn't take every chance. Also when the next one will be due.
    fn choose(&self, now: Duration) -> (Option<Key>, Option<Duration>) {
        let mut held: HashSet<(&IncidentId, EventKind)> = HashSet::new();
        let mut chosen: Option<(u32, Key)> = None;
        let mut earliest: Option<Duration> = None;
        for (key, entry) in &self.entries {
            if held.contains(&entry.lane()) {
                continue;
            }
            if entry.holds_back() {
                held.insert(entry.lane());
            }
            let is_left_out = entry.under_way.is_some() || (self.ending && entry.n_attempts > 0);
            if is_left_out {
                continue;
            }
            if entry.due > now {
                earliest = Some(earliest.map_or(entry.due, |earliest| earliest.min(entry.due)));
            } else if self.works() {
                return (Some(*key), None);
            } else if chosen.is_none_or(|(n_attempts, _)| entry.n_attempts < n_attempts) {
                chosen = Some((entry.n_attempts, *key));
            }
        }
        (chosen.map(|(_, key)| key), earliest)
    }

    /// Takes the end of an attempt. `now` is on the monotonic clock, `wall` on the wall clock.
    pub(crate) fn settle(&mut self, key: Key, delivery: Delivery, now: Duration, wall: Timestamp) -> Option<Settled> {
        let under_way = self.entries.get(&key)?.under_way?;
        let mut entry = self.entries.remove(&key)?;
        entry.under_way = None;
        self.n_under_way = self.n_under_way.saturating_sub(1);
        entry.n_attempts = entry.n_attempts.saturating_add(1);
        let (why, after, refused) = match delivery {
            Delivery::Accepted => {
                self.n_failures = 0;
                self.n_refused_in_a_row = 0;
                self.paused_until = Duration::ZERO;
                let overtaken = self.take_overtaken(&entry);
                return Some(Settled::Accepted { entry, overtaken });
            }
            Delivery::Retry { why, after } => (why, after, false),
            Delivery::Refused { why } => (why, None, true),
        };
        self.n_refused_in_a_row = if refused { self.n_refused_in_a_row.saturating_add(1) } else { 0 };
        if refused {
            entry.fault = entry.fault.saturating_add(2);
        } else if under_way.channel_worked && after.is_none() {
            entry.fault = entry.fault.saturating_add(1);
        }
        if !refused || self.n_refused_in_a_row >= REFUSALS_IN_A_ROW_MAX {
            self.channel_failed(under_way.since, after, &entry.event.source, now);
        }
        let is_over = wall.since(entry.queued_at) > give_up_after(key.kind) && entry.n_attempts >= ATTEMPTS_MIN;
        if is_over {
            return Some(Settled::GivenUp { entry, why });
        }
        let pause = pause(entry.n_attempts, after, &entry.event.id);
        entry.due = now + pause;
        self.entries.insert(key, entry.clone());
        Some(Settled::Again { entry, pause, why, refused })
    }

    /// Attempts that were started before the channel was known to fail say nothing new: eight that fail together are one failure.
    fn channel_failed(&mut self, since: Duration, after: Option<Duration>, salt: &str, now: Duration) {
        if self.n_failures == 0 || since >= self.failed_at {
            self.n_failures = self.n_failures.saturating_add(1);
            self.failed_at = now;
        }
        self.paused_until = self.paused_until.max(now + pause(self.n_failures, after, salt));
    }

    /// Earlier changes of the same incident, which would arrive out of order. Each escalation has its own reason and stays.
    fn take_overtaken(&mut self, accepted: &Entry) -> Vec<Entry> {
        if accepted.event.kind() == EventKind::Escalation {
            return Vec::new();
        }
        let earlier = self.entries.range(..accepted.key());
        let overtaken: Vec<Key> = earlier
            .filter(|(_, entry)| entry.lane() == accepted.lane() && entry.under_way.is_none())
            .map(|(key, _)| *key)
            .collect();
        overtaken.iter().filter_map(|key| self.entries.remove(key)).collect()
    }
}

/// How long an attempt may take when `n_attempts` were made before: twice as long each time. Whoever answers late has often
/// accepted the event; waiting longer for the answer is better than sending it again.
pub(crate) fn limit(timeout: Duration, n_attempts: u32) -> Duration {
    timeout.saturating_mul(2_u32.saturating_pow(n_attempts)).clamp(timeout.min(TIMEOUT_MAX), TIMEOUT_MAX)
}

/// When an event that was tried before the process started is due: its stored time, unless a clock that was put back wrote it.
pub(crate) fn due_after_start(next_attempt_at: Timestamp, wall: Timestamp, now: Duration) -> Duration {
    now + next_attempt_at.since(wall).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests;
