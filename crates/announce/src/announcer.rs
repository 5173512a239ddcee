//! Everything together: what is told is queued for its channels, and what is due is delivered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use homeostat_core::{IncidentChange, Timestamp};
use tokio::task::JoinSet;

use crate::escalation::Escalation;
use crate::event::{Event, EventKind};
use crate::log::LogSink;
use crate::outbox::{Backlog, Due, Enqueued, Outbox, OutboxError, Settled};
use crate::router::{ChannelSpec, Router};
use crate::sink::{Delivery, Sink};
use crate::webhook::WebhookSink;

/// Deliveries a channel and flush. With the usual answer in a tenth of a second a flush stays within some seconds, and
/// the backlog of a day is still gone in minutes.
const DELIVERIES_MAX: u32 = 50;

/// No attempt takes longer, whatever the sink believes: one channel's hang must not stop the others' next flush.
const ATTEMPT_MAX: Duration = Duration::from_secs(90);

/// Tells changes and escalations to the configured channels.
pub struct Announcer {
    router: Router,
    outbox: Arc<Outbox>,
    sinks: BTreeMap<String, Arc<dyn Sink>>,
    n_dropped: AtomicU64,
    /// How many were overdue at the last flush, so that it's logged when it gets worse and not every few seconds.
    n_overdue_seen: AtomicU64,
    /// Two flushes at once would deliver the same rows twice.
    flushing: tokio::sync::Mutex<()>,
}

/// Why an announcer can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A channel can't be set up: repair its configuration.
    #[error("channel {channel:?} can't be set up: {why}")]
    Channel {
        /// The channel.
        channel: String,
        /// The cause.
        why: String,
    },
}

/// Why something isn't queued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// No such channel: tell it some other way, and repair the policy.
    #[error("there is no channel {channel:?}; known are: {known}")]
    UnknownChannel {
        /// What was asked for.
        channel: String,
        /// The channels there are.
        known: String,
    },
    /// The outbox didn't take it.
    #[error(transparent)]
    Outbox(OutboxError),
}

/// What one flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Accepted by their receivers.
    pub n_accepted: u64,
    /// Not accepted this time; they stay.
    pub n_retried: u64,
    /// Refused for good by their receivers.
    pub n_refused: u64,
}

impl Announcer {
    /// Sets the configured channels up. Nobody is contacted yet.
    pub fn new(router: Router, outbox: Outbox) -> Result<Self, BuildError> {
        let mut sinks = BTreeMap::new();
        for (channel, spec) in router.channels() {
            let sink = sink_of(spec).map_err(|why| BuildError::Channel { channel: channel.clone(), why })?;
            sinks.insert(channel.clone(), sink);
        }
        Ok(Self {
            router,
            outbox: Arc::new(outbox),
            sinks,
            n_dropped: AtomicU64::new(0),
            n_overdue_seen: AtomicU64::new(0),
            flushing: tokio::sync::Mutex::new(()),
        })
    }

    /// Queues a change for every channel that wants changes. After `Ok` it survives the process.
    pub fn announce(&self, change: &IncidentChange, now: Timestamp) -> Result<Enqueued, EnqueueError> {
        let channels: Vec<&str> = self.router.for_changes().collect();
        self.enqueue(&Event::of_change(change, self.router.source()), &channels, now)
    }

    /// Queues an escalation for its channel. After `Ok` it survives the process and stays until it is accepted.
    pub fn escalate(&self, escalation: &Escalation, now: Timestamp) -> Result<Enqueued, EnqueueError> {
        if !self.router.has(&escalation.channel) {
            let known = self.router.channels().keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(EnqueueError::UnknownChannel { channel: escalation.channel.clone(), known });
        }
        self.enqueue(&Event::of_escalation(escalation, self.router.source(), now), &[&escalation.channel], now)
    }

    fn enqueue(&self, event: &Event, channels: &[&str], now: Timestamp) -> Result<Enqueued, EnqueueError> {
        let (enqueued, n_dropped) = self.outbox.enqueue(event, channels, now).map_err(EnqueueError::Outbox)?;
        if n_dropped > 0 {
            self.n_dropped.fetch_add(n_dropped, Ordering::Relaxed);
            tracing::error!(n_dropped, "the outbox is full; the oldest undelivered incident changes were dropped");
        }
        Ok(enqueued)
    }

    /// Tries what is due, all channels at once, each in order until its first failure: a receiver that is down gets one
    /// request a flush, and what waits behind a message it chokes on gets its turn at the next.
    ///
    /// `now` is the moment of the flush; pauses are counted from it. A second call waits for the first.
    pub async fn flush(&self, now: Timestamp) -> Result<Flushed, OutboxError> {
        let _flushing = self.flushing.lock().await;
        let mut channels = JoinSet::new();
        for (channel, sink) in &self.sinks {
            channels.spawn(flush_channel(Arc::clone(&self.outbox), Arc::clone(sink), channel.clone(), now));
        }
        let mut flushed = Flushed::default();
        let mut failed = None;
        while let Some(ended) = channels.join_next().await {
            match ended {
                Ok((part, error)) => {
                    flushed.n_accepted += part.n_accepted;
                    flushed.n_retried += part.n_retried;
                    flushed.n_refused += part.n_refused;
                    failed = failed.or(error);
                }
                // A sink that panics has delivered nothing that we know of: its event is still pending.
                Err(error) => tracing::error!(%error, "a channel's delivery broke off"),
            }
        }
        failed = failed.or(self.outbox.prune().err()).or(self.sound_the_alarm(now).err());
        failed.map_or(Ok(flushed), Err)
    }

    fn sound_the_alarm(&self, now: Timestamp) -> Result<(), OutboxError> {
        let backlog = self.outbox.backlog(now)?;
        if backlog.n_overdue > self.n_overdue_seen.swap(backlog.n_overdue, Ordering::Relaxed) {
            tracing::error!(
                n_overdue = backlog.n_overdue,
                n_pending_escalations = backlog.n_pending_escalations,
                n_refused_escalations = backlog.n_refused_escalations,
                oldest_s = backlog.oldest.as_secs(),
                "events aren't delivered: look at the channels"
            );
        }
        Ok(())
    }

    /// How much is waiting; `n_overdue` is what should alarm.
    pub fn backlog(&self, now: Timestamp) -> Result<Backlog, OutboxError> {
        self.outbox.backlog(now)
    }

    /// Changes dropped undelivered for want of room, since the start.
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped.load(Ordering::Relaxed)
    }
}

fn sink_of(spec: &ChannelSpec) -> Result<Arc<dyn Sink>, String> {
    Ok(match spec {
        ChannelSpec::Log { .. } => Arc::new(LogSink),
        ChannelSpec::Webhook { url, timeout, .. } => Arc::new(WebhookSink::new(url.parse()?, *timeout)?),
    })
}

/// Delivers what is due on one channel. Also returns what the outbox itself failed at.
async fn flush_channel(
    outbox: Arc<Outbox>,
    sink: Arc<dyn Sink>,
    channel: String,
    now: Timestamp,
) -> (Flushed, Option<OutboxError>) {
    let mut flushed = Flushed::default();
    let due = match outbox.due(&channel, DELIVERIES_MAX, now) {
        Ok(due) => due,
        Err(error) => return (flushed, Some(error)),
    };
    for due in due {
        let settled = attempt(sink.as_ref(), &channel, &due).await;
        // When this fails after an acceptance, the event goes out once more, under the same id.
        if let Err(error) = outbox.settle(&due, &settled, now) {
            return (flushed, Some(error));
        }
        match settled {
            Settled::Accepted => flushed.n_accepted += 1,
            Settled::Refused { .. } => flushed.n_refused += 1,
            Settled::Retry { .. } => {
                flushed.n_retried += 1;
                break;
            }
        }
    }
    (flushed, None)
}

async fn attempt(sink: &dyn Sink, channel: &str, due: &Due) -> Settled {
    let delivery = tokio::time::timeout(ATTEMPT_MAX, sink.deliver(&due.event)).await;
    let delivery =
        delivery.unwrap_or_else(|_| Delivery::Retry { why: format!("no answer within {ATTEMPT_MAX:?}"), after: None });
    let (event, sink, n_attempts) = (&due.event.id, sink.name(), due.n_attempts + 1);
    match delivery {
        Delivery::Accepted => Settled::Accepted,
        Delivery::Retry { why, after } => {
            tracing::warn!(event, channel, sink, n_attempts, why, "not delivered; it will be tried again");
            Settled::Retry { why, after }
        }
        Delivery::Refused { why } => {
            match due.event.kind {
                EventKind::Change => tracing::error!(event, channel, sink, why, "refused; this change isn't delivered"),
                EventKind::Escalation => tracing::error!(
                    event,
                    channel,
                    sink,
                    why,
                    "escalation refused: repair the channel and restart, then it is tried again"
                ),
            }
            Settled::Refused { why }
        }
    }
}

#[cfg(test)]
mod tests;
