//! Time as an argument that goes on: a tick waits for answers, and what it decides afterwards is decided later.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use homeostat_core::Timestamp;

/// Tells the time. The engine gives the wall clock; replays, demos and tests one of their own.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still until somebody sets it.
#[derive(Debug)]
pub struct SetClock(AtomicI64);

impl SetClock {
    /// A clock that stands at this moment.
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_millis()))
    }

    /// Sets it, also back.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
    }

    /// Lets this much time pass.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
