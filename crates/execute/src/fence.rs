//! Whether this replica may still write: it holds the lease, by the monotonic clock, with time to spare (I9).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homeostat_journal::{LeaseTimes, Term};
use tokio::time::Instant;

/// The least that a leader stops writing before its deadline: scheduling takes its time on a busy machine.
const MARGIN_MIN: Duration = Duration::from_secs(1);

/// The server gives a write up after this part of the time that the client waits for it; see `ApiServer::patch_deployment`.
const SERVER_SHARE: (u32, u32) = (3, 4);

/// Says whether writes may leave. It closes by itself, unless it is told in time that the lease was renewed.
#[derive(Debug)]
pub struct Fence {
    /// How long after a renewal was sent.
    open_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    holder: Option<String>,
}

#[derive(Clone, Debug)]
struct Held {
    term: Term,
    until: Instant,
}

impl Fence {
    /// Closed. `request_timeout` is how long a write may be under way: one that left in time must have ended before another
    /// replica may lead.
    pub fn new(times: LeaseTimes, request_timeout: Duration) -> Self {
        Self { open_for: Self::open_for(times, request_timeout), state: Mutex::default() }
    }

    /// How long after a renewal writes may leave: up to the deadline, less a margin in which those under way come to an end.
    pub fn open_for(times: LeaseTimes, request_timeout: Duration) -> Duration {
        let (part, whole) = SERVER_SHARE;
        let under_way = request_timeout * part / whole;
        let spare = times.lease_duration.saturating_sub(times.renew_deadline);
        times.renew_deadline.saturating_sub(under_way.saturating_sub(spare).max(MARGIN_MIN))
    }

    /// A renewal that was sent at `sent` was accepted.
    pub fn renewed(&self, term: Term, sent: Instant) {
        let mut state = self.lock();
        state.holder = Some(term.holder.clone());
        state.held = Some(Held { term, until: sent + self.open_for });
    }

    /// Somebody else leads, or nobody.
    pub fn led_by(&self, holder: Option<&str>) {
        *self.lock() = State { held: None, holder: holder.map(str::to_owned) };
    }

    /// Who holds the lease, as far as is known.
    pub fn holder(&self) -> Option<String> {
        self.lock().holder.clone()
    }

    /// The term, while writes may leave.
    pub fn term(&self) -> Option<Term> {
        self.held().map(|held| held.term)
    }

    /// Whether a write may leave at this moment; the error says why not.
    pub fn check(&self) -> Result<(), String> {
        if self.held().is_some() {
            return Ok(());
        }
        Err(match self.lock() {
            state if state.held.is_some() => "the lease wasn't renewed in time".to_owned(),
            state => match &state.holder {
                Some(holder) => format!("{holder} leads"),
                None => "no replica leads at the moment".to_owned(),
            },
        })
    }

    /// Comes when writes may not leave any more.
    pub async fn closed(&self) {
        while let Some(held) = self.held() {
            tokio::time::sleep_until(held.until).await;
        }
    }

    fn held(&self) -> Option<Held> {
        self.lock().held.clone().filter(|held| Instant::now() < held.until)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of it is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term() -> Term {
        Term { lease_uid: "u".into(), transitions: 3, holder: "a".into() }
    }

    #[test]
    fn a_write_that_left_in_time_has_ended_before_another_replica_may_lead() {
        let times = LeaseTimes::default();
        for timeout_s in [1, 2, 5, 10, 12, 20] {
            let timeout = Duration::from_secs(timeout_s);
            let open_for = Fence::open_for(times, timeout);
            let last_end = open_for + timeout * 3 / 4;
            assert!(last_end <= times.lease_duration || open_for.is_zero(), "{timeout_s} s");
            assert!(open_for <= times.renew_deadline - MARGIN_MIN);
        }
        assert_eq!(Fence::open_for(times, Duration::from_secs(10)), Duration::from_millis(7500));
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_by_itself_and_says_why() {
        let fence = Fence::new(LeaseTimes::default(), Duration::from_secs(10));
        assert_eq!(fence.check(), Err("no replica leads at the moment".into()));
        let began = Instant::now();
        fence.renewed(term(), began);
        assert_eq!((fence.check(), fence.term()), (Ok(()), Some(term())));
        // An answer that took long counts from when the question was sent.
        tokio::time::advance(Duration::from_secs(5)).await;
        fence.renewed(term(), began + Duration::from_secs(2));
        fence.closed().await;
        assert_eq!(began.elapsed(), Duration::from_millis(9500));
        assert_eq!(fence.check(), Err("the lease wasn't renewed in time".into()));
        assert_eq!(fence.term(), None);
        fence.led_by(Some("b"));
        assert_eq!(fence.check(), Err("b leads".into()));
    }
}
