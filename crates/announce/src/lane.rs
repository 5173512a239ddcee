//! One channel at work: its queue, its counters, and the task that delivers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};

use crate::disk::Disk;
use crate::event::{Event, EventKind, Payload};
use crate::outbox::{End, New};
use crate::outlet::{Attempt, Deliver, Delivery};
use crate::queue::{Entry, Key, Next, Queue, Settled, limit};
use crate::status::{ChannelStatus, Counters};

/// How much later than its own limit an attempt is cut off: what a sink promises, it may forget to keep.
const GRACE: Duration = Duration::from_secs(1);

/// A channel that delivers.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// The name of its kind, and where it leads. A reload may change both.
    leads_to: RwLock<(&'static str, Arc<dyn Deliver>)>,
    queue: Mutex<Queue>,
    /// Whether its task is to end.
    ending: watch::Sender<bool>,
    /// Something was queued.
    queued: Notify,
    pub(crate) counters: Counters,
}

impl Lane {
    pub(crate) fn new(name: &str, kind: &'static str, deliver: Arc<dyn Deliver>) -> Self {
        Self {
            name: name.to_owned(),
            leads_to: RwLock::new((kind, deliver)),
            queue: Mutex::default(),
            ending: watch::Sender::new(false),
            queued: Notify::new(),
            counters: Counters::default(),
        }
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Whoever panicked with the lock had changed the queue whole or not at all: its methods don't call out.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on leads there. What waits is tried at once: mostly a channel is changed because it failed.
    pub(crate) fn lead_to(&self, kind: &'static str, deliver: Arc<dyn Deliver>) {
        *self.leads_to.write().unwrap_or_else(PoisonError::into_inner) = (kind, deliver);
        self.queue().try_now();
        self.wake();
    }

    fn leads_to(&self) -> (&'static str, Arc<dyn Deliver>) {
        self.leads_to.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is told the ends of incidents in any case.
    pub(crate) fn wants_ends(&self) -> bool {
        self.leads_to().1.wants_ends()
    }

    /// Lets its task end, once what was never tried was tried.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Lets the task look at the queue again.
    pub(crate) fn wake(&self) {
        self.queued.notify_one();
    }

    pub(crate) fn status(&self, now: homeostat_core::Timestamp) -> ChannelStatus {
        let (kind, _) = self.leads_to();
        let queue = self.queue();
        let mut status = self.counters.status(&self.name, kind, queue.works());
        for entry in queue.entries() {
            match entry.event.kind() {
                EventKind::Escalation => status.n_pending_escalations += 1,
                EventKind::Change => status.n_pending_changes += 1,
            }
            status.oldest_pending = status.oldest_pending.max(now.since(entry.queued_at));
        }
        status
    }

    /// Delivers what is queued, until it is told to [`end`](Self::end); then only what was never tried, and what is under way.
    pub(crate) async fn run(self: Arc<Self>, disk: Arc<Disk>) {
        let mut ending = self.ending.subscribe();
        let mut under_way: JoinSet<Delivery> = JoinSet::new();
        let mut keys: HashMap<Id, Key> = HashMap::new();
        let mut is_ending = *ending.borrow_and_update();
        if is_ending {
            self.queue().end();
        }
        loop {
            let next_at = self.start_what_is_due(&disk, &mut under_way, &mut keys);
            if is_ending && under_way.is_empty() {
                return;
            }
            let pause = next_at.map(|at| at.saturating_sub(disk.clock.elapsed()));
            tokio::select! {
                Some(ended) = under_way.join_next_with_id() => {
                    let (id, delivery) = match ended {
                        Ok((id, delivery)) => (id, delivery),
                        // A sink that panics has delivered nothing that we know of.
                        Err(error) => (error.id(), Delivery::Retry { why: "the channel's code failed".to_owned(), after: None }),
                    };
                    if let Some(key) = keys.remove(&id) {
                        self.settle(key, delivery, &disk);
                    }
                }
                () = self.queued.notified() => {}
                () = disk.clock.sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                _ = ending.changed(), if !is_ending => {
                    is_ending = true;
                    self.queue().end();
                }
            }
        }
    }

    /// Starts as many attempts as may be made now. Returns when to look again, if nothing happens before.
    fn start_what_is_due(
        &self,
        disk: &Arc<Disk>,
        under_way: &mut JoinSet<Delivery>,
        keys: &mut HashMap<Id, Key>,
    ) -> Option<Duration> {
        loop {
            match self.queue().next(disk.clock.elapsed()) {
                Next::Start { key, event, n_attempts } => {
                    let (_, deliver) = self.leads_to();
                    let limit = limit(deliver.timeout(), n_attempts);
                    let attempt = attempt(deliver, event, limit, Arc::clone(disk));
                    keys.insert(under_way.spawn(attempt).id(), key);
                }
                Next::Wait(at) => return at,
            }
        }
    }

    fn settle(&self, key: Key, delivery: Delivery, disk: &Disk) {
        let now = disk.clock.now();
        let mut queue = self.queue();
        let worked = queue.works();
        let settled = queue.settle(key, delivery, disk.clock.elapsed(), now);
        let works = queue.works();
        let n_pending = queue.entries().count();
        drop(queue);
        match settled {
            None => {}
            Some(Settled::Accepted { entry, overtaken }) => {
                self.counters.accepted();
                if !worked {
                    tracing::info!(channel = self.name, pending = n_pending, "the channel has recovered");
                }
                self.finish(&entry, End::Accepted, disk);
                if let (Payload::Escalation(call), false) = (&entry.event.payload, entry.on_disk && disk.is_safe()) {
                    disk.now_safe(&call.escalation);
                }
                for entry in overtaken {
                    self.give_up(
                        &entry,
                        "it was refused again and again, and a later change of its incident has arrived",
                        disk,
                    );
                }
            }
            Some(Settled::Again { entry, pause, why, refused }) => {
                self.counters.not_accepted(refused, &why);
                if worked && !works {
                    tracing::warn!(
                        channel = self.name,
                        why,
                        "the channel is failing; its events are queued and retried"
                    );
                } else if refused && entry.n_attempts == 1 {
                    tracing::warn!(
                        channel = self.name,
                        event = entry.event.id,
                        why,
                        "the receiver refused an event; it is retried"
                    );
                }
                disk.failed_once(&entry, &self.name, now + pause, &why);
            }
            Some(Settled::GivenUp { entry, why }) => {
                self.counters.not_accepted(false, &why);
                self.give_up(&entry, &why, disk);
                disk.want_resync();
            }
        }
    }

    fn finish(&self, entry: &Entry, end: End<'_>, disk: &Disk) {
        let new = New { event: &entry.event, channel: &self.name, queued_at: entry.queued_at };
        disk.finish(new, end);
    }

    fn give_up(&self, entry: &Entry, why: &str, disk: &Disk) {
        self.finish(entry, End::Failed { why }, disk);
        let (channel, event, attempts) = (&self.name, &entry.event.id, entry.n_attempts);
        match &entry.event.payload {
            Payload::Change(_) => {
                tracing::error!(
                    channel,
                    event,
                    attempts,
                    why,
                    "giving up on an incident change that couldn't be delivered"
                )
            }
            Payload::Escalation(call) => tracing::error!(
                channel,
                event,
                attempts,
                why,
                subject = %call.escalation.subject,
                message = call.escalation.message,
                "giving up on an escalation that couldn't be delivered for days: nobody was notified; fix the channel and restart"
            ),
        }
    }
}

async fn attempt(deliver: Arc<dyn Deliver>, event: Arc<Event>, limit: Duration, disk: Arc<Disk>) -> Delivery {
    let attempt = Attempt { limit, now: disk.clock.now() };
    tokio::select! {
        delivery = deliver.deliver(&event, attempt) => delivery,
        () = disk.clock.sleep(limit + GRACE) => Delivery::Retry { why: format!("no answer within {limit:?}"), after: None },
    }
}
