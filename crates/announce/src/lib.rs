//! Telling people and other systems: incident changes and escalations, each to the channels that want them.
//!
//! Start at [`Announcer`]. What is published becomes a typed [`Event`] with a stable id, which is written to the [`Outbox`], a
//! table in SQLite, and queued for its channels. [`Announcer::run`] is a task of its own, with one below it for each channel:
//! publishing waits for no receiver, and no receiver for another. A process that dies tells nobody twice under two ids, and forgets nobody
//! (invariant I33).
//!
//! A new kind of channel is one file and one line in `kinds.rs`. This crate doesn't decide what is worth telling, and reads no
//! clock: time is injected.

mod announcer;
mod channels;
mod clock;
mod cloudevent;
mod disk;
mod endpoint;
mod event;
mod http;
mod kinds;
mod lane;
mod mirroring;
mod outbox;
mod outlet;
mod outlets;
mod pause;
mod queue;
mod status;
mod wording;

#[cfg(test)]
mod testing;

pub use announcer::{Announcer, Kept};
pub use channels::{Channel, Channels};
pub use clock::{Clock, RealClock};
pub use event::{Call, Event, EventKind, Payload};
pub use http::{Http, SecretUrl};
pub use kinds::{ChannelKind, KINDS};
pub use outbox::{Outbox, OutboxError};
pub use outlet::{Attempt, Deliver, Delivery, Mirror, Outlet, Stream, TIMEOUT_DEFAULT, TIMEOUT_MAX};
pub use status::{ChannelStatus, Status};
