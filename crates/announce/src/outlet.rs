//! The contracts of what events are sent to. There are three, because receivers differ in what they may miss.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Incident, Timestamp};

use crate::event::Event;

/// How long an attempt may take where the channel says nothing else. Alertmanager's webhooks get 10 s, so receivers are used to it.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The longest time for one attempt: it occupies one of the channel's few places.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// Where a channel leads.
#[derive(Clone)]
pub enum Outlet {
    /// Every event must arrive: they wait in the outbox until they are accepted.
    Deliver(Arc<dyn Deliver>),
    /// The receiver is shown what is open now, again and again; what is missed is made good by the next time.
    Mirror(Arc<dyn Mirror>),
    /// Many events, each of little worth: they wait in memory, and are dropped and counted when there are too many.
    Stream(Arc<dyn Stream>),
}

impl fmt::Debug for Outlet {
    // Never what is in it: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deliver(_) => "Deliver",
            Self::Mirror(_) => "Mirror",
            Self::Stream(_) => "Stream",
        })
    }
}

/// One try.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How long it may take, from connecting to the last byte of the answer.
    pub limit: Duration,
    /// The wall clock's time at its start, for answers that name a moment.
    pub now: Timestamp,
}

/// Takes events one by one. It never retries by itself: each call is one attempt, and it may see an event again.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Tries once.
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery;

    /// How long the first attempt may take. Later ones may take longer, up to [`TIMEOUT_MAX`]: whoever answers late has
    /// often accepted the event, and would get it again.
    fn timeout(&self) -> Duration {
        TIMEOUT_DEFAULT
    }

    /// Whether it is told the ends of incidents also where it doesn't get all changes: for receivers that keep a call open
    /// until they hear that it is over.
    fn wants_ends(&self) -> bool {
        false
    }
}

/// Is shown what is open.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// Shows everything that is open now.
    async fn show(&self, open: &[Incident], attempt: Attempt) -> Delivery;

    /// How often it is shown when nothing changes.
    fn every(&self) -> Duration;
}

/// Takes many events at once.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Sends a batch, in order.
    async fn send(&self, events: &[Arc<Event>], attempt: Attempt) -> Delivery;
}

/// What came of one attempt. All but `Accepted` are tried again, for hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has arrived.
    Accepted,
    /// The receiver can't be reached, isn't there, doesn't let us in, or has no time: nothing is wrong with the event, and
    /// others would fare no better now.
    Retry {
        /// The whole chain of causes, without secrets.
        why: String,
        /// How long the receiver wants to be left alone, if it says so.
        after: Option<Duration>,
    },
    /// The receiver is there and doesn't want this event; it may take others.
    Refused {
        /// The receiver's answer, without secrets.
        why: String,
    },
}
