//! Which moment a cycle is about, though the machine's clock may step.
//!
//! Rows belong to the time by which Prometheus stamps samples. The machine's clock usually shows it; when it steps, rows
//! asked for in the future or the past have no data, and what was once looked at as empty isn't looked at again. So the
//! clock is followed while it agrees with a second opinion: the time at which Prometheus itself dates its answers, or,
//! without one, the clock that never steps. While they disagree, the second opinion counts.

use std::time::Duration;

use homeostat_core::Timestamp;

use crate::clock::Clock;

/// A difference that nobody looks at: `Date` headers have whole seconds, answers are under way for some time, and clocks
/// that are kept by NTP differ by less.
const TOLERANCE: Duration = Duration::from_secs(5);
/// A step that Prometheus neither confirms nor denies is believed after so long: a clock set right at start or a machine that
/// was suspended must be followed; a step that is taken back sooner never was one.
const BELIEVED_AFTER: Duration = Duration::from_secs(120);
/// An older opinion of Prometheus says nothing of now: clocks drift, and it may have been another server.
const OPINION_AGE_MAX: Duration = Duration::from_secs(300);

/// What another server said the time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opinion {
    /// Its time.
    pub(crate) at: Timestamp,
    /// When it said so, by [`Clock::elapsed`].
    pub(crate) elapsed: Duration,
}

/// What the service takes for the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The time to go by.
    pub(crate) now: Timestamp,
    /// What has to be added to the machine's clock to get it, in milliseconds; 0 while that is believed.
    pub(crate) correction_ms: i64,
}

/// Follows the clock, and doubts it when it steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeline {
    /// A moment at which the clock was believed: time of day and [`Clock::elapsed`].
    anchor: Option<(Timestamp, Duration)>,
    /// Since when the clock has been doubted.
    doubted_since: Option<Duration>,
}

impl Timeline {
    /// The time to go by now. `opinion` is the newest that Prometheus said, if it says the time at all.
    pub(crate) fn read(&mut self, clock: &dyn Clock, opinion: Option<Opinion>) -> Reading {
        let (wall, elapsed) = (clock.now(), clock.elapsed());
        let opinion = opinion.map(|said| (said.at, elapsed.saturating_sub(said.elapsed)));
        let dated = opinion.filter(|(_, age)| *age <= OPINION_AGE_MAX).map(|(at, age)| at + age);
        let steady = self.anchor.map(|(at, since)| at + elapsed.saturating_sub(since));
        let Some(reference) = dated.or(steady) else { return self.believe(wall, elapsed) };
        if apart(wall, reference) <= TOLERANCE {
            return self.believe(wall, elapsed);
        }
        let since = *self.doubted_since.get_or_insert(elapsed);
        if dated.is_none() && elapsed.saturating_sub(since) >= BELIEVED_AFTER {
            return self.believe(wall, elapsed);
        }
        // The steady clock goes on from what Prometheus said, for when it says nothing any more.
        self.anchor = Some((reference, elapsed));
        Reading { now: reference, correction_ms: reference.as_millis().saturating_sub(wall.as_millis()) }
    }

    fn believe(&mut self, wall: Timestamp, elapsed: Duration) -> Reading {
        self.anchor = Some((wall, elapsed));
        self.doubted_since = None;
        Reading { now: wall, correction_ms: 0 }
    }
}

fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::FakeClock;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().expect("a time")
    }

    fn dated(clock: &FakeClock, at: Timestamp) -> Option<Opinion> {
        Some(Opinion { at, elapsed: clock.elapsed() })
    }

    #[test]
    fn a_clock_that_goes_on_steadily_is_followed() {
        let (clock, mut timeline) = (FakeClock::at(noon()), Timeline::default());
        for n_minutes in 0..10 {
            let wanted = noon() + MINUTE * n_minutes;
            assert_eq!(timeline.read(&clock, None), Reading { now: wanted, correction_ms: 0 });
            clock.pass(MINUTE);
        }
    }

    #[test]
    fn an_hour_forward_for_14_seconds_and_back_is_never_followed() {
        let (clock, mut timeline) = (FakeClock::at(noon()), Timeline::default());
        timeline.read(&clock, None);
        clock.set(noon() + HOUR);
        for n_seconds in 1..=14 {
            clock.pass(Duration::from_secs(1));
            let reading = timeline.read(&clock, None);
            assert_eq!(reading.now, noon() + Duration::from_secs(n_seconds));
            assert_eq!(reading.correction_ms, -3_600_000);
        }
        clock.set(noon() + Duration::from_secs(14));
        assert_eq!(timeline.read(&clock, None), Reading { now: noon() + Duration::from_secs(14), correction_ms: 0 });
    }

    #[test]
    fn a_step_that_lasts_is_followed_after_two_minutes_where_prometheus_says_no_time() {
        for step_to in [noon() + HOUR, noon() - MINUTE * 2] {
            let (clock, mut timeline) = (FakeClock::at(noon()), Timeline::default());
            timeline.read(&clock, None);
            clock.set(step_to);
            timeline.read(&clock, None);
            clock.pass(MINUTE);
            assert_eq!(timeline.read(&clock, None).now, noon() + MINUTE, "still doubted");
            clock.pass(MINUTE);
            assert_eq!(timeline.read(&clock, None), Reading { now: step_to + MINUTE * 2, correction_ms: 0 });
        }
    }

    #[test]
    fn where_prometheus_says_its_time_that_counts_for_as_long_as_they_disagree() {
        let (clock, mut timeline) = (FakeClock::at(noon()), Timeline::default());
        timeline.read(&clock, dated(&clock, noon()));
        clock.set(noon() - MINUTE * 2);
        for n_minutes in 1..60 {
            clock.pass(MINUTE);
            let reading = timeline.read(&clock, dated(&clock, noon() + MINUTE * n_minutes));
            assert_eq!((reading.now, reading.correction_ms), (noon() + MINUTE * n_minutes, 120_000));
        }
        // Prometheus was on the same machine, and its clock is set back as well.
        clock.pass(MINUTE);
        let reading = timeline.read(&clock, dated(&clock, clock.now()));
        assert_eq!(reading, Reading { now: clock.now(), correction_ms: 0 });
    }

    #[test]
    fn a_machine_that_starts_with_a_wrong_clock_goes_by_prometheus_from_the_start() {
        let (clock, mut timeline) = (FakeClock::at(Timestamp::from_secs(0)), Timeline::default());
        assert_eq!(timeline.read(&clock, dated(&clock, noon())).now, noon());
        clock.pass(MINUTE);
        assert_eq!(timeline.read(&clock, None).now, noon() + MINUTE, "one answer without a date changes nothing");
    }

    #[test]
    fn a_suspended_machine_is_followed_at_once_where_prometheus_confirms_it() {
        let (clock, mut timeline) = (FakeClock::at(noon()), Timeline::default());
        timeline.read(&clock, dated(&clock, noon()));
        clock.set(noon() + Duration::from_secs(144));
        // The last opinion was formed before the pause, and seems to be from just now.
        let stale = Opinion { at: noon(), elapsed: clock.elapsed() };
        assert_eq!(timeline.read(&clock, Some(stale)).now, noon(), "one cycle late");
        let reading = timeline.read(&clock, dated(&clock, clock.now()));
        assert_eq!(reading, Reading { now: clock.now(), correction_ms: 0 });
    }
}
