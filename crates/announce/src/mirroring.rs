//! The tasks of channels that aren't queues: mirrors, which are shown what is open, and streams, which may lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homeostat_core::Incident;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::event::Event;
use crate::outlet::{Attempt, Delivery, Mirror, Stream, TIMEOUT_DEFAULT};
use crate::pause::pause;
use crate::status::{ChannelStatus, Counters};

/// Events that wait for a stream: some 30 MB, and minutes of the busiest cluster.
const STREAM_MAX: usize = 10_000;

/// Events in one batch: a request of about a megabyte.
const BATCH_MAX: usize = 500;

/// Attempts for a batch before it is dropped: some minutes, after which newer events are worth more.
const BATCH_ATTEMPTS_MAX: u32 = 5;

/// What is open, for mirrors; nothing while that isn't this process's to say.
pub(crate) type Open = Option<Arc<Vec<Incident>>>;

/// What both kinds of tasks keep.
pub(crate) struct Side {
    pub(crate) name: String,
    kind: &'static str,
    up: AtomicBool,
    pub(crate) counters: Counters,
}

impl Side {
    fn new(name: &str, kind: &'static str) -> Self {
        Self { name: name.to_owned(), kind, up: AtomicBool::new(true), counters: Counters::default() }
    }

    pub(crate) fn status(&self) -> ChannelStatus {
        self.counters.status(&self.name, self.kind, self.up.load(Ordering::Relaxed))
    }

    /// Counts the attempt, and logs when the channel begins to fail or works again. Whether it was accepted, else the
    /// receiver's wish.
    fn settle(&self, delivery: Delivery) -> Result<(), Option<Duration>> {
        let (refused, why, after) = match delivery {
            Delivery::Accepted => {
                self.counters.accepted();
                if !self.up.swap(true, Ordering::Relaxed) {
                    tracing::info!(channel = self.name, "the channel has recovered");
                }
                return Ok(());
            }
            Delivery::Retry { why, after } => (false, why, after),
            Delivery::Refused { why } => (true, why, None),
        };
        self.counters.not_accepted(refused, &why);
        if self.up.swap(false, Ordering::Relaxed) {
            tracing::warn!(channel = self.name, why, "the channel is failing");
        }
        Err(after)
    }
}

/// A mirror at work.
pub(crate) struct MirrorTask {
    pub(crate) side: Side,
    mirror: Arc<dyn Mirror>,
}

impl MirrorTask {
    pub(crate) fn new(name: &str, kind: &'static str, mirror: Arc<dyn Mirror>) -> Self {
        Self { side: Side::new(name, kind), mirror }
    }

    /// Shows what is open when it changes, and again and again.
    pub(crate) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>, mut open: watch::Receiver<Open>) {
        let mut n_failures = 0;
        loop {
            let Some(now_open) = open.borrow_and_update().clone() else {
                match open.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            let attempt = Attempt { limit: TIMEOUT_DEFAULT, now: clock.now() };
            let shown = limited(&*clock, attempt, self.mirror.show(&now_open, attempt)).await;
            match self.side.settle(shown) {
                Ok(()) => {
                    n_failures = 0;
                    tokio::select! {
                        changed = open.changed() => if changed.is_err() { return },
                        () = clock.sleep(self.mirror.every()) => {}
                    }
                }
                Err(after) => {
                    n_failures += 1;
                    clock.sleep(pause(n_failures, after, &self.side.name)).await;
                }
            }
        }
    }
}

/// A stream at work.
pub(crate) struct StreamTask {
    pub(crate) side: Side,
    stream: Arc<dyn Stream>,
    sender: Sender<Arc<Event>>,
    receiver: Mutex<Receiver<Arc<Event>>>,
}

impl StreamTask {
    pub(crate) fn new(name: &str, kind: &'static str, stream: Arc<dyn Stream>) -> Self {
        let (sender, receiver) = channel(STREAM_MAX);
        Self { side: Side::new(name, kind), stream, sender, receiver: Mutex::new(receiver) }
    }

    /// Adds an event, or drops and counts it.
    pub(crate) fn push(&self, event: &Arc<Event>) {
        if self.sender.try_send(Arc::clone(event)).is_err() {
            self.side.counters.dropped(1);
        }
    }

    /// Sends batches.
    pub(crate) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>) {
        let mut receiver = self.receiver.lock().await;
        loop {
            let mut batch = Vec::new();
            receiver.recv_many(&mut batch, BATCH_MAX).await;
            self.send(&*clock, &batch).await;
        }
    }

    async fn send(&self, clock: &dyn Clock, batch: &[Arc<Event>]) {
        for n_failures in 1..=BATCH_ATTEMPTS_MAX {
            let attempt = Attempt { limit: TIMEOUT_DEFAULT, now: clock.now() };
            let sent = limited(clock, attempt, self.stream.send(batch, attempt)).await;
            match self.side.settle(sent) {
                Ok(()) => return,
                Err(after) => clock.sleep(pause(n_failures, after, &self.side.name)).await,
            }
        }
        self.side.counters.dropped(batch.len());
    }
}

async fn limited(clock: &dyn Clock, attempt: Attempt, sent: impl Future<Output = Delivery>) -> Delivery {
    tokio::select! {
        delivery = sent => delivery,
        () = clock.sleep(attempt.limit) => Delivery::Retry { why: format!("no answer within {:?}", attempt.limit), after: None },
    }
}

#[cfg(test)]
mod tests;
