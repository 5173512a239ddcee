//! Telling people and other systems: incident changes and escalations, each to the channels that want them.
//!
//! Start at [`Announcer`]. What is told becomes an [`Event`] with a stable id; it is written to the [`Outbox`], a table in
//! SQLite, before anybody tries to deliver it; [`Announcer::flush`] delivers what is due, and what isn't accepted stays.
//! So a process that dies tells nobody twice under two ids, and forgets nobody (invariant I33).
//!
//! This room doesn't decide what is worth telling, reads no clock, and waits for nobody: who calls `flush`, and when, is the
//! engine's business. Today's sinks are the log and a webhook.

mod announcer;
mod escalation;
mod event;
mod log;
mod outbox;
mod router;
mod sink;
mod webhook;

#[cfg(test)]
mod testing;

pub use announcer::{Announcer, BuildError, EnqueueError, Flushed};
pub use escalation::Escalation;
pub use event::{Event, EventKind};
pub use log::LogSink;
pub use outbox::{Backlog, Enqueued, Outbox, OutboxError};
pub use router::{ChannelSpec, RouteProblem, Router, SecretUrl};
pub use sink::{Delivery, Sink};
pub use webhook::WebhookSink;
