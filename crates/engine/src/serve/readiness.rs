//! Whether the service sees anything: when the last cycle ended and when the newest sample came in, and from when on that is
//! too long ago. Measured by the clock that never steps.

use std::fmt;
use std::time::Duration;

use homeostat_core::{Timestamp, format_duration};
use homeostat_ingest::LOST_SHARE_MAX;

/// Without a new sample, or without the end of a cycle, for so many steps the service isn't ready any more. Prometheus itself calls a series
/// stale after 5 minutes, which is five steps of a minute.
const STEPS_MAX: u32 = 5;
/// But never sooner than this: with steps of seconds, a restart of Prometheus would flap.
const SPAN_MIN: Duration = Duration::from_secs(60);

/// How long the service may be without a cycle or a sample before it says that it isn't ready.
pub(crate) fn blind_after(step: Duration) -> Duration {
    (step * STEPS_MAX).max(SPAN_MIN)
}

/// What the last cycle saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sight {
    /// How long it may be without a cycle or a sample; see [`blind_after`].
    pub(crate) blind_after: Duration,
    /// When it had its models.
    pub(crate) began: Duration,
    /// When the last cycle ended.
    pub(crate) cycle_ended: Duration,
    /// When a sample came in that is newer than all before.
    pub(crate) sample_seen: Duration,
    /// The stamp of that sample; none before the first.
    pub(crate) newest_sample: Option<Timestamp>,
    /// Workloads with a model that have had no sample for so long.
    pub(crate) n_blind: usize,
    /// Workloads with a model.
    pub(crate) n_watched: usize,
    /// What the last cycle found wrong with its source, if anything.
    pub(crate) trouble: Option<String>,
}

/// What a cycle saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sighting {
    /// The stamp of the newest sample there is.
    pub(crate) newest: Option<Timestamp>,
    /// Workloads with a model and without a recent sample.
    pub(crate) n_blind: usize,
    /// Workloads with a model.
    pub(crate) n_watched: usize,
    /// What is wrong with the source, if anything.
    pub(crate) trouble: Option<String>,
}

impl Sight {
    /// Before the first cycle, at `elapsed`.
    pub(crate) fn new(step: Duration, elapsed: Duration) -> Self {
        Self {
            blind_after: blind_after(step),
            began: elapsed,
            cycle_ended: elapsed,
            sample_seen: elapsed,
            newest_sample: None,
            n_blind: 0,
            n_watched: 0,
            trouble: None,
        }
    }

    /// A cycle ended at `elapsed`.
    pub(crate) fn cycle(&mut self, elapsed: Duration, saw: Sighting) {
        let Sighting { newest, n_blind, n_watched, trouble } = saw;
        self.cycle_ended = elapsed;
        (self.n_blind, self.n_watched, self.trouble) = (n_blind, n_watched, trouble);
        // Not only later: after clocks were set back, samples are older than before, and new all the same.
        if newest.is_some() && newest != self.newest_sample {
            self.newest_sample = newest;
            self.sample_seen = elapsed;
        }
    }

    /// Why the service isn't ready at `elapsed`, if it isn't.
    pub(crate) fn blindness(&self, elapsed: Duration) -> Option<Blindness> {
        let without_cycle = elapsed.saturating_sub(self.cycle_ended);
        if without_cycle > self.blind_after {
            return Some(Blindness::NoCycle { for_so_long: without_cycle });
        }
        let without_sample = elapsed.saturating_sub(self.sample_seen);
        let (newest, trouble) = (self.newest_sample, self.trouble.clone());
        if without_sample > self.blind_after {
            return Some(Blindness::NoSample { for_so_long: without_sample, newest, trouble });
        }
        // A single workload that is gone says nothing of the others, and at the start nobody has been waited for yet.
        let (n_blind, n_watched) = (self.n_blind, self.n_watched);
        let most = n_blind as f64 > LOST_SHARE_MAX * n_watched as f64 && n_watched > 1;
        let has_waited = elapsed.saturating_sub(self.began) > self.blind_after;
        (most && has_waited).then_some(Blindness::Most { n_blind, n_watched, blind_after: self.blind_after, trouble })
    }
}

/// Why nothing is seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Blindness {
    /// No cycle has ended.
    NoCycle {
        /// Since the last one.
        for_so_long: Duration,
    },
    /// Cycles end, without new samples.
    NoSample {
        /// Since the last one.
        for_so_long: Duration,
        /// Its stamp.
        newest: Option<Timestamp>,
        /// What is wrong with the source.
        trouble: Option<String>,
    },
    /// Most workloads have no samples.
    Most {
        /// How many haven't.
        n_blind: usize,
        /// Of how many.
        n_watched: usize,
        /// For longer than this.
        blind_after: Duration,
        /// What is wrong with the source.
        trouble: Option<String>,
    },
}

impl fmt::Display for Blindness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |time: &Duration| format_duration(Duration::from_secs(time.as_secs()));
        match self {
            Self::NoCycle { for_so_long } => write!(f, "no cycle has ended for {}", whole(for_so_long)),
            Self::NoSample { for_so_long, newest, trouble } => {
                write!(f, "no new sample for {}", whole(for_so_long))?;
                if let Some(newest) = newest {
                    write!(f, "; the newest is from {newest}")?;
                }
                match trouble {
                    Some(trouble) => write!(f, "; {trouble}"),
                    None => f.write_str("; check the queries, Prometheus and the clocks of both machines"),
                }
            }
            Self::Most { n_blind, n_watched, blind_after, trouble } => {
                write!(f, "{n_blind} of {n_watched} workloads have had no sample for {}", whole(blind_after))?;
                match trouble {
                    Some(trouble) => write!(f, "; {trouble}"),
                    None => f.write_str("; check their exporters, or train again if they are gone"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    fn minutes(n: u64) -> Duration {
        STEP * u32::try_from(n).expect("few")
    }

    #[test]
    fn without_new_samples_it_is_not_ready_after_five_steps_and_says_why() {
        let mut sight = Sight::new(STEP, Duration::ZERO);
        let newest = Some(Timestamp::from_secs(600));
        for n in 1..=5 {
            sight.cycle(minutes(n), Sighting { newest, ..Sighting::default() });
        }
        assert_eq!(sight.blindness(minutes(5)), None);
        let trouble = Some("no query is answered".into());
        sight.cycle(minutes(7), Sighting { newest, trouble, ..Sighting::default() });
        let told = sight.blindness(minutes(7)).expect("six minutes without a new sample").to_string();
        assert_eq!(told, "no new sample for 6m; the newest is from 1970-01-01T00:10:00Z; no query is answered");
        sight.cycle(minutes(8), Sighting { newest: Some(Timestamp::from_secs(540)), ..Sighting::default() });
        assert_eq!(sight.blindness(minutes(8)), None, "an older stamp after clocks were set back is a sample, too");
    }

    #[test]
    fn without_samples_of_most_workloads_it_is_not_ready() {
        let mut sight = Sight::new(STEP, Duration::ZERO);
        let mut saw = |minute: u64, n_blind| {
            let newest = Some(Timestamp::from_secs(minute as i64 * 60));
            sight.cycle(minutes(minute), Sighting { newest, n_blind, n_watched: 10, trouble: None });
            sight.blindness(minutes(minute)).map(|blindness| blindness.to_string())
        };
        assert_eq!(saw(1, 10), None, "nobody has been waited for");
        assert_eq!(saw(7, 5), None, "half of them may be a zone that is gone");
        let told = saw(8, 6).expect("most of them");
        assert_eq!(
            told,
            "6 of 10 workloads have had no sample for 5m; check their exporters, or train again if they are gone"
        );
    }

    #[test]
    fn cycles_that_hang_are_seen_from_outside() {
        let sight = Sight::new(STEP, Duration::ZERO);
        assert_eq!(sight.blindness(minutes(5)), None);
        let told = sight.blindness(minutes(6)).expect("no cycle at all").to_string();
        assert_eq!(told, "no cycle has ended for 6m");
    }

    #[test]
    fn short_steps_get_a_minute() {
        assert_eq!(blind_after(Duration::from_secs(2)), Duration::from_secs(60));
        assert_eq!(blind_after(STEP), Duration::from_secs(300));
    }
}
