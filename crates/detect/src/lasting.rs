//! The alert's slow path: mild evidence that goes on for many rows.
//!
//! A row that is far out is told by itself. One that is only somewhat odd isn't, and should not be; thirty of them in a row are
//! something else. Each row adds a little to averages over three time scales, and these have a threshold of their own, fitted
//! to the same history and to the same budget.

use homeostat_core::{DetectorVote, LocalMoment, Score};
use serde::{Deserialize, Serialize};

use crate::alarm_threshold::AlarmThreshold;
use crate::budget::FalseAlarmBudget;
use crate::recurrence::{ExpectedTime, Recurrence};
use crate::surprisal::{VOTES_MIN, in_units_of, surprisal_nats};

/// Half-lives of the averages, in rows: of minutes they are some minutes, half an hour, and two hours.
pub(crate) const HALF_LIVES_ROWS: [f64; 3] = [8.0, 32.0, 128.0];

/// Votes below this count nothing: one in twenty normal rows of a detector exceeds it. With 2, the dead zone of the single row,
/// noise that adds up hides what is mild: on simulated services twice the latency for half an hour stood 1.3 times above the highest
/// average of the history instead of 2.2 times.
const DEAD_ZONE_NATS: f64 = 3.0;

/// A row adds at most so much, about what it says in mild faults: one far row, which is told by itself, mustn't be mistaken for many. A cap
/// of 5 or 8 found less.
const ROW_NATS_MAX: f64 = 16.0;

/// What went on for hours and has ended must not alarm for hours: the long averages count as far as the shortest, which forgets within
/// some twenty rows, bears them out. On simulated faults 2 found as many as no bound at all.
const NOW_TIMES: f64 = 2.0;

/// What adds up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lasting {
    recurrence: Recurrence,
    averages: Averages,
    alarm_threshold: AlarmThreshold,
}

/// Averages of what rows say, on three time scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Averages {
    nats: [f64; HALF_LIVES_ROWS.len()],
    /// What a nat of each is worth: longer averages are smaller and surer.
    weights: [f64; HALF_LIVES_ROWS.len()],
}

impl Averages {
    /// With no memory yet.
    pub(crate) fn new(weights: [f64; HALF_LIVES_ROWS.len()]) -> Self {
        Self { nats: [0.0; HALF_LIVES_ROWS.len()], weights }
    }

    /// Takes the next row, and gives the highest of the averages, each times its weight; at most [`NOW_TIMES`] the shortest, which is what
    /// says that it still goes on.
    pub(crate) fn push(&mut self, row_nats: f64) -> f64 {
        for (average, half_life) in self.nats.iter_mut().zip(HALF_LIVES_ROWS) {
            take(average, half_life, row_nats);
        }
        let mut weighted = self.nats.iter().zip(self.weights).map(|(average, weight)| average * weight);
        let now = weighted.next().unwrap_or(0.0);
        weighted.fold(now, f64::max).min(NOW_TIMES * now)
    }
}

/// Takes the next row into an exponential average of this half-life, in rows.
pub(crate) fn take(average: &mut f64, half_life_rows: f64, row_nats: f64) {
    *average += (1.0 - (-1.0 / half_life_rows).exp2()) * (row_nats - *average);
}

impl Lasting {
    pub(crate) fn new(recurrence: Recurrence, averages: Averages, alarm_threshold: AlarmThreshold) -> Self {
        Self { recurrence, averages, alarm_threshold }
    }

    /// Goes by what people say is meant to happen; moments of local time.
    pub(crate) fn expect(&mut self, expected: &[ExpectedTime]) {
        self.recurrence.expect(expected);
    }

    /// Keeps to this budget: see [`AlarmThreshold::hold_to`].
    pub(crate) fn hold_to(&mut self, budget: &FalseAlarmBudget) {
        self.alarm_threshold.hold_to(budget);
    }

    /// The same threshold as now, without memory.
    pub(crate) fn forgotten(&self) -> Self {
        Self { averages: Averages::new(self.averages.weights), ..self.clone() }
    }

    /// As it keeps to the budget that it was trained for.
    pub(crate) fn as_trained(&self) -> Self {
        Self { alarm_threshold: self.alarm_threshold.as_trained(), ..self.clone() }
    }

    /// The averages as they are, the threshold back where training put it.
    pub(crate) fn calibrated(self) -> Self {
        Self { alarm_threshold: self.alarm_threshold.restarted(), ..self }
    }

    /// Asks for the memory that the next row will read.
    pub(crate) fn look_ahead(&self) {
        self.alarm_threshold.look_ahead();
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.recurrence.heap_bytes() + self.alarm_threshold.heap_bytes()
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(crate) fn is_consistent(&self) -> bool {
        let finite = |value: &f64| value.is_finite() && *value >= 0.0;
        self.recurrence.is_consistent()
            && self.alarm_threshold.is_consistent()
            && self.averages.nats.iter().chain(&self.averages.weights).all(finite)
    }

    /// Takes the next row's votes, at a moment of local time. With too few of them the memory stays as it was.
    pub(crate) fn push(&mut self, at: LocalMoment, votes: &[DetectorVote]) -> Option<Score> {
        let lasting = row_nats(votes).map(|nats| self.averages.push(self.recurrence.push(at, nats)));
        let threshold = self.alarm_threshold.push(lasting);
        lasting.map(|nats| in_units_of(threshold, nats))
    }
}

/// What one row adds, in nats; `None` with too few votes.
pub(crate) fn row_nats(votes: &[DetectorVote]) -> Option<f64> {
    let surprisals = || votes.iter().filter_map(|named| surprisal_nats(&named.vote));
    if surprisals().count() < VOTES_MIN {
        return None;
    }
    let sum: f64 = surprisals().map(|nats| (nats - DEAD_ZONE_NATS).max(0.0)).sum();
    Some(sum.min(ROW_NATS_MAX))
}

#[cfg(test)]
mod tests {
    use homeostat_core::{NotReady, RawScore, TailProbability, Vote};

    use super::*;

    fn votes(nats: &[f64]) -> Vec<DetectorVote> {
        let vote = |nats: &f64| {
            let tail = TailProbability::from_surprisal(*nats).expect("a surprisal");
            DetectorVote { detector: "x".into(), vote: Vote::Scored { raw: RawScore::ZERO, tail } }
        };
        nats.iter().map(vote).collect()
    }

    #[test]
    fn a_row_counts_beyond_the_dead_zone_and_a_far_one_no_more_than_a_mild_one_may() {
        assert_eq!(row_nats(&votes(&[3.0, 2.9, 0.0])), Some(0.0));
        assert_eq!(row_nats(&votes(&[8.0, 5.0])), Some(7.0));
        assert_eq!(row_nats(&votes(&[f64::MAX, f64::MAX])), Some(ROW_NATS_MAX));
    }

    #[test]
    fn one_vote_alone_says_nothing() {
        let missing = DetectorVote { detector: "y".into(), vote: Vote::NotReady { why: NotReady::TooManyGaps } };
        assert_eq!(row_nats(&[votes(&[9.0]).remove(0), missing]), None);
    }

    #[test]
    fn many_mild_rows_reach_what_one_far_row_does_not() {
        let (mut mild, mut far) = (Averages::new([1.0; 3]), Averages::new([1.0; 3]));
        let most = |averages: &mut Averages, rows: &[f64]| {
            rows.iter().map(|nats| averages.push(*nats)).fold(0.0_f64, f64::max)
        };
        let far_row = row_nats(&votes(&[33.0, 33.0])).unwrap_or(0.0);
        let spike = [&[far_row][..], &[0.0; 29]].concat();
        assert!(most(&mut mild, &[8.0; 30]) > 3.0 * most(&mut far, &spike));
    }

    #[test]
    fn what_has_ended_soon_says_nothing_however_long_it_was() {
        let mut averages = Averages::new([1.0, 1.5, 3.0]);
        let during = (0..600).map(|_| averages.push(8.0)).last().unwrap_or(0.0);
        let after = (0..30).map(|_| averages.push(0.0)).last().unwrap_or(f64::MAX);
        assert!(after < during / 10.0, "{during} {after}");
    }
}
