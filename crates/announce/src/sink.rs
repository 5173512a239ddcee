//! The contract of everything that can be told something.

use std::time::Duration;

use async_trait::async_trait;

use crate::event::Event;

/// Takes events. A sink never retries by itself: each call is one attempt, and it may see an event again.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Its kind, in logs and metrics.
    fn name(&self) -> &'static str;

    /// Tries once, within a time limit of its own.
    async fn deliver(&self, event: &Event) -> Delivery;
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It has arrived.
    Accepted,
    /// It hasn't, or nobody knows; it may at another time.
    Retry {
        /// The whole chain of causes, without secrets.
        why: String,
        /// The receiver's wish how long to wait, if it has one.
        after: Option<Duration>,
    },
    /// The receiver doesn't want it and won't: sending the same again is pointless until somebody repairs something.
    Refused {
        /// The receiver's answer, without secrets.
        why: String,
    },
}
