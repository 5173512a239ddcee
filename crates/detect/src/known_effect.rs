//! What is known about a row beforehand: planned events and roll-outs.
//!
//! Which signals may be excused is decided here; how far is decided where the forecast is made.

use std::time::Duration;

use homeostat_core::{Calendar, Rollout, Signal, Subject, Timestamp};
use serde::{Deserialize, Serialize};

/// A roll-out explains what a feature does for this long: pods are replaced, caches fill, the new version settles.
pub const ROLLOUT_SETTLES: Duration = Duration::from_secs(30 * 60);

/// What is known beforehand about one feature at one row. It never hides a row: both effects are bounded.
///
/// ```
/// use homeostat_core::{Calendar, Rollout, Signal, Subject, Timestamp};
/// use homeostat_detect::KnownEffect;
///
/// let cart = Subject::deployment("shop", "cart");
/// let at = Timestamp::from_secs(600);
/// let rollout = Rollout { subject: cart.clone(), at, revision: "2".into(), by_us: false };
/// let known = |signal| KnownEffect::of(&Calendar::default(), std::slice::from_ref(&rollout), &cart, signal, at);
/// assert_eq!(known(Signal::Memory), KnownEffect::Rollout);
/// assert_eq!(known(Signal::ErrorRatio), KnownEffect::None, "failures are never excused");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownEffect {
    /// Nothing.
    #[default]
    None,
    /// A planned event is on: distances count a third and the interval is three times as wide, so that what is beyond 60
    /// deviations still scores in full; nothing of it is learned as usual.
    Event,
    /// It was rolled out just now: distances count half, and the slow level moves to the new one with a half-life of five
    /// minutes, by ten deviations in all at most.
    Rollout,
}

impl KnownEffect {
    /// What is known about a signal of a subject at a moment.
    ///
    /// Signals of failure are never excused: no campaign and no new version makes errors, restarts, kills or missing
    /// replicas usual. Nor is traffic excused, though it is what campaigns change: it is where load comes in, and where it was excused, the
    /// services behind the entrance were found first, each with an incident of its own. What is announced is told once and never acted
    /// on. A roll-out excuses only what another version may rightly use more or less of (CPU, memory); a latency
    /// that rises after it is the very thing to be found. Our own roll-outs count as much as any. An event comes first where
    /// both hold: what is learned in it would be wrong after it.
    pub fn of(calendar: &Calendar, rollouts: &[Rollout], subject: &Subject, signal: Signal, at: Timestamp) -> Self {
        let (by_event, by_rollout) = match signal {
            Signal::ErrorRatio
            | Signal::Restarts
            | Signal::OomKills
            | Signal::ReplicasUnavailable
            | Signal::Traffic => (false, false),
            Signal::Memory | Signal::Cpu => (true, true),
            Signal::CpuThrottling | Signal::Latency | Signal::QueueLag | Signal::Other => (true, false),
        };
        let settling = |rollout: &Rollout| {
            rollout.subject == *subject && rollout.at <= at && at.since(rollout.at) < ROLLOUT_SETTLES
        };
        if by_event && calendar.covering(subject, at).is_some() {
            Self::Event
        } else if by_rollout && rollouts.iter().any(settling) {
            Self::Rollout
        } else {
            Self::None
        }
    }

    /// What is left of a distance.
    #[inline]
    pub(crate) fn excuse(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Event => 1.0 / 3.0,
            Self::Rollout => 0.5,
        }
    }

    /// By how much intervals are widened: as much as distances shrink.
    #[inline]
    pub(crate) fn widening(self) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Event => 3.0,
            Self::Rollout => 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use homeostat_core::PlannedEvent;

    #[test]
    fn errors_are_never_excused_and_a_new_version_excuses_no_latency() {
        let cart = Subject::deployment("shop", "cart");
        let (start, end) = (Timestamp::from_secs(1_000), Timestamp::from_secs(9_000));
        let event = PlannedEvent { name: "sale".into(), start, end, namespaces: vec![], workloads: vec![] };
        let calendar = Calendar { events: vec![event] };
        let rollout = Rollout { subject: cart.clone(), at: start, revision: "2".into(), by_us: false };
        let known = |calendar: &Calendar, signal| {
            KnownEffect::of(calendar, std::slice::from_ref(&rollout), &cart, signal, Timestamp::from_secs(1_060))
        };
        let quiet = Calendar::default();
        let never =
            [Signal::ErrorRatio, Signal::Restarts, Signal::OomKills, Signal::ReplicasUnavailable, Signal::Traffic];
        for signal in never {
            assert_eq!((known(&calendar, signal), known(&quiet, signal)), (KnownEffect::None, KnownEffect::None));
        }
        assert_eq!(known(&quiet, Signal::Latency), KnownEffect::None);
        assert_eq!(known(&calendar, Signal::Latency), KnownEffect::Event);
        assert_eq!(
            (known(&calendar, Signal::Cpu), known(&quiet, Signal::Cpu)),
            (KnownEffect::Event, KnownEffect::Rollout)
        );
    }

    #[test]
    fn a_roll_out_settles_and_concerns_its_own_subject() {
        let (cart, web) = (Subject::deployment("shop", "cart"), Subject::deployment("shop", "web"));
        let rollout = Rollout { subject: cart.clone(), at: Timestamp::from_secs(0), revision: "2".into(), by_us: true };
        let known = |subject, at_s| {
            let at = Timestamp::from_secs(at_s);
            KnownEffect::of(&Calendar::default(), std::slice::from_ref(&rollout), subject, Signal::Cpu, at)
        };
        assert_eq!(known(&cart, 1_799), KnownEffect::Rollout);
        assert_eq!((known(&cart, 1_800), known(&cart, -1), known(&web, 60)), Default::default());
    }
}
