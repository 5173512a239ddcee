//! Time, injected. [`WallClock`] is the only code of the workspace that reads the wall clock; everything else is given a
//! [`Clock`] or told what time it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use homeostat_core::Timestamp;

/// Where the service's time comes from.
pub(crate) trait Clock: Send + Sync {
    /// The time of day. It may step, forwards and back.
    fn now(&self) -> Timestamp;

    /// Time since some moment before the first call. It never steps.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        now()
    }

    fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// The wall clock's time.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A clock with a correction that [`Timeline`](crate::serve::timeline::Timeline) keeps up: what the service takes for the
/// time while the machine's clock is off.
pub(crate) struct CorrectedClock {
    inner: Arc<dyn Clock>,
    correction_ms: AtomicI64,
}

impl CorrectedClock {
    /// As `inner`, until a correction is set.
    pub(crate) fn new(inner: Arc<dyn Clock>) -> Self {
        Self { inner, correction_ms: AtomicI64::new(0) }
    }

    /// The uncorrected clock.
    pub(crate) fn inner(&self) -> &dyn Clock {
        &*self.inner
    }

    /// Whether the machine's clock isn't followed.
    pub(crate) fn is_corrected(&self) -> bool {
        self.correction_ms.load(Ordering::Relaxed) != 0
    }

    /// From now on so many milliseconds are added to the inner clock's time.
    pub(crate) fn correct(&self, correction_ms: i64) {
        self.correction_ms.store(correction_ms, Ordering::Relaxed);
    }
}

impl Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        let correction_ms = self.correction_ms.load(Ordering::Relaxed);
        Timestamp::from_millis(self.inner.now().as_millis().saturating_add(correction_ms))
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }
}

/// The driver's time is the service's.
impl homeostat_execute::Clock for CorrectedClock {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A clock that goes as a test says.

    use std::sync::Mutex;
    use std::time::Duration;

    use homeostat_core::Timestamp;

    use super::Clock;

    /// Stands still until it is moved.
    pub(crate) struct FakeClock(Mutex<(Timestamp, Duration)>);

    impl FakeClock {
        /// Shows `now`.
        pub(crate) fn at(now: Timestamp) -> Self {
            Self(Mutex::new((now, Duration::ZERO)))
        }

        /// Time passes.
        pub(crate) fn pass(&self, time: Duration) {
            let mut clock = self.0.lock().expect("a lock");
            clock.0 = clock.0 + time;
            clock.1 += time;
        }

        /// Somebody sets the time of day; no time passes.
        pub(crate) fn set(&self, now: Timestamp) {
            self.0.lock().expect("a lock").0 = now;
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Timestamp {
            self.0.lock().expect("a lock").0
        }

        fn elapsed(&self) -> Duration {
            self.0.lock().expect("a lock").1
        }
    }
}
