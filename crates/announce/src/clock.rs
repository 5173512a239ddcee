//! Time, injected: no test waits for it, and only the program reads the real one.

use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::Timestamp;
use tokio::time::Instant;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock's time. It may step.
    fn now(&self) -> Timestamp;

    /// Time since some moment before the first call. It never steps.
    fn elapsed(&self) -> Duration;

    /// Ends after so much time.
    async fn sleep(&self, time: Duration);
}

/// The real clock.
pub struct RealClock {
    wall: fn() -> Timestamp,
    start: Instant,
}

impl RealClock {
    /// The runtime's clock, with the wall clock's time from `wall`.
    pub fn new(wall: fn() -> Timestamp) -> Self {
        Self { wall, start: Instant::now() }
    }
}

#[async_trait]
impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        (self.wall)()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
