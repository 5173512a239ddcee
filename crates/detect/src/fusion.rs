//! All votes on one row to one number, and that number's memory.
//!
//! It knows no detector by name; it sees probabilities only.

use homeostat_core::{DetectorVote, Fused, LocalMoment, Score};
use serde::{Deserialize, Serialize};

use crate::alarm_threshold::AlarmThreshold;
use crate::budget::FalseAlarmBudget;
use crate::lasting::{Lasting, take};
use crate::recurrence::{ExpectedTime, Recurrence};
use crate::surprisal::{DEAD_ZONE_NATS, FUSED_NATS_MAX, VOTES_MIN, in_units_of, surprisal_nats};

mod fit;

pub(crate) use fit::{FittedFusion, FusionFit, RowNats};

/// Half-lives, in rows, of the averages that make up the smoothed score: from the row itself to some hours.
const HALF_LIVES_ROWS: [f64; 5] = [1.0, 4.0, 16.0, 64.0, 256.0];

/// What each average counts: its half-life to the power of 0.1. Longer averages are smaller and surer.
const HALF_LIFE_WEIGHTS: [f64; HALF_LIVES_ROWS.len()] = [1.0, 1.15, 1.32, 1.52, 1.74];

/// For the alert, a detector counts at most so many times what the second one says. False alarms are mostly one
/// detector's, true incidents nearly always several detectors': what nobody else sees at all calls nobody. On labelled data 2 to 4
/// did alike. It would cost ranking, where the sum is uncut.
const SECOND_TIMES_MAX: f64 = 4.0;

/// Fuses votes and remembers.
///
/// The surprisal of a row is `e = Σ max(-ln p - 2, 0)` over the detectors that scored it; f, the alert's, is the
/// same sum with each detector cut at four times the second. A detector that didn't
/// score adds nothing: there is less evidence, on the same scale, and the threshold stays where it is. (Scaling the rest up
/// would let a broken detector raise alarms.) The score is `f`, less what recurs at the row's time of the day or week, over
/// the [`AlarmThreshold`] of the moment; it looks at nothing but this row. What goes on for many rows has a score of its own, the
/// lasting one: see [`Lasting`]. The smoothed score is the sum of causal exponential averages of e, in units of the threshold that
/// training found, over the detectors that rank: where the threshold has moved to says nothing about which of two rows was the more unusual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fusion {
    recurrence: Recurrence,
    alarm_threshold: AlarmThreshold,
    lasting: Lasting,
    /// Which of the votes, in their order, take part in the smoothed score.
    ranks: Vec<bool>,
    averages: [f64; HALF_LIVES_ROWS.len()],
}

impl Fusion {
    /// With no memory yet.
    pub(crate) fn new(
        recurrence: Recurrence,
        alarm_threshold: AlarmThreshold,
        lasting: Lasting,
        ranks: Vec<bool>,
    ) -> Self {
        Self { recurrence, alarm_threshold, lasting, ranks, averages: [0.0; HALF_LIVES_ROWS.len()] }
    }

    /// Goes by what people say is meant to happen, on both paths; moments of local time.
    pub(crate) fn expect(&mut self, expected: &[ExpectedTime]) {
        self.recurrence.expect(expected);
        self.lasting.expect(expected);
    }

    /// Keeps to this budget, where it is tighter than the one it was trained for; each path may use half of it.
    pub(crate) fn hold_to(&mut self, budget: &FalseAlarmBudget) {
        let budget = budget.halved();
        self.alarm_threshold.hold_to(&budget);
        self.lasting.hold_to(&budget);
    }

    /// The same thresholds as now, without memory and without moving on from rows that are scored out of turn.
    pub(crate) fn forgotten(&self) -> Self {
        Self::new(self.recurrence.clone(), self.alarm_threshold.clone(), self.lasting.forgotten(), self.ranks.clone())
    }

    /// The averages as they are, the thresholds back where training put them: the rows they were fitted to mustn't move them, too.
    fn calibrated(self) -> Self {
        Self { alarm_threshold: self.alarm_threshold.restarted(), lasting: self.lasting.calibrated(), ..self }
    }

    /// As it keeps to the budget that it was trained for.
    pub(crate) fn as_trained(&self) -> Self {
        let (alarm_threshold, lasting) = (self.alarm_threshold.as_trained(), self.lasting.as_trained());
        Self { alarm_threshold, lasting, ..self.clone() }
    }

    /// Asks for the memory that the next row will read.
    pub(crate) fn look_ahead(&self) {
        self.alarm_threshold.look_ahead();
        self.lasting.look_ahead();
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.recurrence.heap_bytes()
            + self.alarm_threshold.heap_bytes()
            + self.lasting.heap_bytes()
            + self.ranks.capacity()
    }

    /// Whether its parts fit each other; one that was read from a file may not.
    pub(crate) fn is_consistent(&self) -> bool {
        self.recurrence.is_consistent() && self.alarm_threshold.is_consistent() && self.lasting.is_consistent()
    }

    pub(crate) fn threshold_nats(&self) -> f64 {
        self.alarm_threshold.threshold_nats()
    }

    /// Takes the next row's votes, those of all detectors that were trained, at a moment of local time. A row with too few votes leaves the memory as it was:
    /// not knowing is not calm.
    pub(crate) fn push(&mut self, at: LocalMoment, votes: &[DetectorVote]) -> Fused {
        let alert = alert_nats(votes).map(|alert| self.recurrence.push(at, alert));
        let threshold_nats = self.alarm_threshold.push(alert);
        let lasting_score = self.lasting.push(at, votes);
        let Some(alert) = alert else {
            let n_scored = votes.iter().filter(|named| surprisal_nats(&named.vote).is_some()).count();
            return Fused::TooFewVotes { n_scored, n_needed: VOTES_MIN };
        };
        let total = ranking_nats(votes, &self.ranks);
        for (average, half_life) in self.averages.iter_mut().zip(HALF_LIVES_ROWS) {
            take(average, half_life, total);
        }
        let smoothed_nats: f64 =
            self.averages.iter().zip(HALF_LIFE_WEIGHTS).map(|(average, weight)| average * weight).sum();
        Fused::Scored {
            score: in_units_of(threshold_nats, alert),
            lasting_score: lasting_score.unwrap_or(Score::ZERO),
            smoothed_score: in_units_of(self.alarm_threshold.initial_nats(), smoothed_nats),
        }
    }
}

/// What the alert looks at, in nats: no detector counts more than four times the second. `None` with too few votes.
///
/// The second is the second-largest excess, so that a detector that breaks never loosens the cut. With two detectors
/// in all there is no cut.
pub(crate) fn alert_nats(votes: &[DetectorVote]) -> Option<f64> {
    let n_scored = excesses(votes).count();
    if n_scored < VOTES_MIN {
        return None;
    }
    let (first, second) = excesses(votes).fold((0.0_f64, 0.0_f64), |(first, second), excess| {
        if excess > first { (excess, first) } else { (first, second.max(excess)) }
    });
    // Of two detectors one may well be the one that sees it.
    let agreed = if votes.len() > 2 { second } else { first };
    // Cut well below the largest float, so that no sum or average of these overflows.
    Some(excesses(votes).map(|excess| excess.min(SECOND_TIMES_MAX * agreed)).sum::<f64>().min(FUSED_NATS_MAX))
}

/// What ranking and confidence look at, in nats: the plain sum over those that take part.
fn ranking_nats(votes: &[DetectorVote], ranks: &[bool]) -> f64 {
    let ranking = votes.iter().zip(ranks).filter(|(_, ranks)| **ranks);
    ranking.filter_map(|(named, _)| excess(named)).sum::<f64>().min(FUSED_NATS_MAX)
}

/// What each vote that has a score says beyond the dead zone.
fn excesses(votes: &[DetectorVote]) -> impl Iterator<Item = f64> + '_ {
    votes.iter().filter_map(excess)
}

fn excess(named: &DetectorVote) -> Option<f64> {
    surprisal_nats(&named.vote).map(|nats| (nats - DEAD_ZONE_NATS).clamp(0.0, FUSED_NATS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm_threshold::InitialThreshold;
    use crate::hysteresis::Hysteresis;
    use crate::lasting::Averages;
    use homeostat_core::{NotReady, RawScore, TailProbability, Timestamp, Vote};

    fn fusion(threshold_nats: f64) -> Fusion {
        let initial = InitialThreshold { threshold_nats, excess_nats: 1.0 };
        let minute = std::time::Duration::from_secs(60);
        let threshold = AlarmThreshold::new(initial, &FalseAlarmBudget::default(), minute, Hysteresis::default());
        let lasting = Lasting::new(Recurrence::default(), Averages::new([1.0; 3]), threshold.clone());
        Fusion::new(Recurrence::default(), threshold, lasting, vec![true; 6])
    }

    const AT: LocalMoment = LocalMoment { clock: Timestamp::from_secs(0), weekday: Timestamp::from_secs(0) };

    fn scored(nats: f64) -> DetectorVote {
        let tail = TailProbability::from_surprisal(nats).expect("a surprisal");
        DetectorVote { detector: "x".into(), vote: Vote::Scored { raw: RawScore::ZERO, tail } }
    }

    fn missing() -> DetectorVote {
        DetectorVote { detector: "y".into(), vote: Vote::NotReady { why: NotReady::TooManyGaps } }
    }

    fn score(fused: Fused) -> f64 {
        match fused {
            Fused::Scored { score, .. } => score.value(),
            Fused::TooFewVotes { .. } => f64::NAN,
        }
    }

    fn smoothed(fused: Fused) -> f64 {
        match fused {
            Fused::Scored { smoothed_score, .. } => smoothed_score.value(),
            Fused::TooFewVotes { .. } => f64::NAN,
        }
    }

    #[test]
    fn the_score_is_one_at_the_threshold() {
        assert_eq!(score(fusion(10.0).push(AT, &[scored(7.0), scored(7.0), scored(1.9)])), 1.0);
    }

    #[test]
    fn a_missing_detector_takes_evidence_away_and_never_changes_the_scale() {
        let votes = [scored(9.0), scored(5.0), scored(4.0)];
        let whole = score(fusion(10.0).push(AT, &votes));
        let without = score(fusion(10.0).push(AT, &[votes[0].clone(), votes[1].clone(), missing()]));
        assert_eq!((whole, without), (1.2, 1.0));
    }

    #[test]
    fn one_detector_alone_raises_no_alarm_and_is_evidence_all_the_same() {
        let fused = fusion(10.0).push(AT, &[scored(1e6), scored(1.0), scored(1.5), scored(0.0), scored(1.9)]);
        assert_eq!(score(fused), 0.0);
        assert!(smoothed(fused) > 1.0);
    }

    proptest::proptest! {
        #[test]
        fn more_surprisal_never_scores_lower_and_a_broken_detector_never_scores_higher(
            nats in proptest::collection::vec(0.0..100.0_f64, 5), which in 0..5_usize, more in 0.0..1e9_f64,
        ) {
            let votes: Vec<DetectorVote> = nats.iter().map(|nats| scored(*nats)).collect();
            let (mut raised, mut broken) = (votes.clone(), votes.clone());
            raised[which] = scored(nats[which] + more);
            broken[which] = missing();
            let of = |votes: &[DetectorVote]| alert_nats(votes).expect("enough votes");
            proptest::prop_assert!(of(&raised) >= of(&votes));
            proptest::prop_assert!(of(&broken) <= of(&votes));
            proptest::prop_assert!(of(&votes) <= ranking_nats(&votes, &[true; 5]));
        }
    }

    #[test]
    fn one_vote_alone_is_too_few_and_leaves_the_memory_alone() {
        let mut fusion = fusion(10.0);
        fusion.push(AT, &[scored(9.0), scored(9.0)]);
        let before = fusion.clone();
        assert_eq!(
            fusion.push(AT, &[scored(99.0), missing()]),
            Fused::TooFewVotes { n_scored: 1, n_needed: VOTES_MIN }
        );
        assert_eq!(fusion.averages, before.averages);
        assert_eq!(fusion.threshold_nats(), before.threshold_nats());
    }

    #[test]
    fn the_alert_has_no_memory_and_the_evidence_has() {
        let mut fusion = fusion(10.0);
        let high = fusion.push(AT, &[scored(102.0), scored(2.0)]);
        let after = fusion.push(AT, &[scored(0.0), scored(0.0)]);
        assert_eq!((score(high), score(after)), (10.0, 0.0));
        assert!(smoothed(after) > 0.0 && smoothed(after) < smoothed(high));
        // A half-life of one row halves what the first average got: 5 of 10 thresholds, then 2.5.
        let first = |rows: i32| 0.5 * 0.5_f64.powi(rows);
        assert!((fusion.averages[0] / 100.0 - first(1)).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_rank_alarms_and_leaves_the_smoothed_score_alone() {
        let of = |ranks: [bool; 3]| {
            let fused =
                Fusion { ranks: ranks.to_vec(), ..fusion(10.0) }.push(AT, &[scored(7.0), scored(7.0), scored(9.0)]);
            (score(fused), smoothed(fused))
        };
        let (all, two) = (of([true; 3]), of([true, true, false]));
        assert_eq!((all.0, two.0), (1.7, 1.7));
        assert!((two.1 / all.1 - 10.0 / 17.0).abs() < 1e-9, "{all:?} {two:?}");
    }

    #[test]
    fn the_most_surprising_votes_stay_finite() {
        let mut fusion = fusion(1.0);
        for _ in 0..1000 {
            assert!(smoothed(fusion.push(AT, &[scored(f64::MAX), scored(f64::MAX)])).is_finite());
        }
    }
}
