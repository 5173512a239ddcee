//! From a detector's own score to a probability that means the same for every detector.
//!
//! It knows nothing of detectors or thresholds: numbers in, a monotone curve out.

use homeostat_core::{RawScore, TailProbability};
use serde::{Deserialize, Serialize};

use crate::look_ahead::look_ahead;

/// Above this quantile of the calibration scores the tail is exponential: below it there are samples enough to count.
/// On labelled data .95 ranked .003 to .005 VUS-PR better than .9, .98 or .99, whatever else was changed: a mean excess from
/// 2.5 times as many rows is surer, and heavier for short histories.
const BODY_QUANTILE: f64 = 0.95;

/// Knots kept of the empirical part, evenly spaced in surprisal: 64 are 1 KiB and lie a sixteenth of a nat apart, where it
/// matters (the rare rows) as where it doesn't.
const KNOTS_MAX: usize = 64;

/// The mean excess is at least this share of the body's width (median to where the tail begins); of where the tail begins,
/// where the body has no width; or this much, where that is 0, too. Without a floor, a detector that scored all
/// calibration rows alike would call the next digit impossible.
const MEAN_EXCESS_FLOOR: f64 = 0.01;

/// Scores are in training deviations, their squares, or shares: what differs by less than this differs by rounding.
const WIDTH_MIN: f64 = 1e-6;

/// How rare a raw score is among normal rows: `score -> -ln P(normal row scores at least as high)`.
///
/// Empirical up to the calibration scores' 95 % quantile, linear in the score beyond it, which is an exponential tail with
/// the mean excess found there (the estimator of the exponential's mean by maximum likelihood). Continuous, monotone,
/// and without an upper end: a score ten times as far out says ten times as much.
///
/// ```
/// use homeostat_core::RawScore;
/// use homeostat_detect::Tail;
///
/// let tail = Tail::fit((0..1000).filter_map(|score| RawScore::new(f64::from(score)).ok()));
/// // A tenth of normal rows scores at least 900.
/// let p = tail.probability(RawScore::new(900.0)?);
/// assert!((p.surprisal_nats() - 10.0_f64.ln()).abs() < 0.02);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "SavedTail", into = "SavedTail")]
pub struct Tail {
    /// `(score, surprisal_nats)`, both ascending, scores distinct; the last is where the exponential begins.
    knots: Vec<(f64, f64)>,
    /// Mean of the calibration scores beyond the last knot, less that knot's score.
    mean_excess: f64,
    n_rows: usize,
    /// The last score of each [`GUIDED`] knots, infinite beyond the last: in one line of cache, where a search among all knots
    /// waits for six.
    guide: [f64; KNOTS_MAX / GUIDED],
}

/// Knots that one score of the guide stands for: a line of the processor's cache at both levels of the search.
const GUIDED: usize = 8;

/// The first knots, of which nine rows of ten lie among: knots are evenly spaced in surprisal.
const USUAL_KNOTS: usize = 48;

/// A tail as it is saved.
#[derive(Serialize, Deserialize)]
struct SavedTail {
    knots: Vec<(f64, f64)>,
    mean_excess: f64,
    n_rows: usize,
}

impl From<Tail> for SavedTail {
    fn from(Tail { knots, mean_excess, n_rows, guide: _ }: Tail) -> Self {
        Self { knots, mean_excess, n_rows }
    }
}

impl From<SavedTail> for Tail {
    fn from(SavedTail { knots, mean_excess, n_rows }: SavedTail) -> Self {
        Self::new(knots, mean_excess, n_rows)
    }
}

impl Tail {
    fn new(knots: Vec<(f64, f64)>, mean_excess: f64, n_rows: usize) -> Self {
        let guide =
            std::array::from_fn(|idx| knots.get((idx + 1) * GUIDED - 1).map_or(f64::INFINITY, |(score, _)| *score));
        Self { knots, mean_excess, n_rows, guide }
    }

    /// Bytes held beside the struct itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.knots.capacity() * size_of::<(f64, f64)>()
    }

    /// Asks for the knots that most rows lie among.
    pub(crate) fn look_ahead(&self) {
        look_ahead(&self.knots[..self.knots.len().min(USUAL_KNOTS)]);
    }

    /// Fits the curve to the scores of rows that the detector was not trained on. With no score at all, nothing is
    /// surprising: every probability is 1.
    pub fn fit(scores: impl Iterator<Item = RawScore>) -> Self {
        let mut sorted: Vec<f64> = scores.map(RawScore::value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let n_rows = sorted.len();
        if n_rows == 0 {
            return Self::new(Vec::new(), MEAN_EXCESS_FLOOR, n_rows);
        }
        let body_idx = (((n_rows - 1) as f64) * BODY_QUANTILE) as usize;
        let n_knots = (body_idx + 1).min(KNOTS_MAX);
        let surprisal_max = -((n_rows - body_idx) as f64 / n_rows as f64).ln();
        let mut knots: Vec<(f64, f64)> = Vec::with_capacity(n_knots);
        for knot_idx in 0..n_knots {
            let share = if n_knots == 1 { 1.0 } else { knot_idx as f64 / (n_knots - 1) as f64 };
            // The row above which e^-surprisal of all rows lie; the last knot is the body's end, whatever rounding says.
            let below = (1.0 - (-share * surprisal_max).exp()) * n_rows as f64;
            let idx = if knot_idx + 1 == n_knots { body_idx } else { (below.round() as usize).min(body_idx) };
            let score = sorted[idx];
            // How many score at least as high, ties included.
            let n_above = n_rows - sorted.partition_point(|other| *other < score);
            let surprisal = -(n_above as f64 / n_rows as f64).ln();
            if knots.last().is_none_or(|(last, _)| *last < score) {
                // `-ln 1` is a negative zero.
                knots.push((score, surprisal.max(0.0)));
            }
        }
        let begin = sorted[body_idx];
        let excesses = sorted.iter().filter(|score| **score > begin).map(|score| score - begin);
        let (sum, n) = excesses.fold((0.0, 0_usize), |(sum, n), excess| (sum + excess, n + 1));
        let widths = [begin - sorted[body_idx / 2], begin, 1.0];
        let floor = MEAN_EXCESS_FLOOR * widths.into_iter().find(|width| *width > WIDTH_MIN).unwrap_or(1.0);
        let mean = if n == 0 { 0.0 } else { sum / n as f64 };
        Self::new(knots, mean.max(floor).min(f64::MAX), n_rows)
    }

    /// Number of rows it was fitted to.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The probability that a normal row scores at least as high.
    pub fn probability(&self, raw: RawScore) -> TailProbability {
        TailProbability::from_surprisal(self.surprisal_nats(raw.value())).unwrap_or(TailProbability::CERTAIN)
    }

    fn surprisal_nats(&self, score: f64) -> f64 {
        let n_at_most = self.n_knots_at_most(score);
        let Some((from, low)) = self.knots.get(n_at_most.saturating_sub(1)).copied() else { return 0.0 };
        if n_at_most == 0 || (n_at_most == 1 && score <= from) {
            return low;
        }
        match self.knots.get(n_at_most) {
            Some((to, high)) => low + (high - low) * ((score - from) / (to - from)),
            // Scores near the largest float divide to infinity; the largest float says the same.
            None => (low + (score - from) / self.mean_excess).min(f64::MAX),
        }
    }

    /// How many knots have this score at most.
    fn n_knots_at_most(&self, score: f64) -> usize {
        let before = GUIDED * self.guide.iter().filter(|last| **last <= score).count();
        let rest = self.knots.get(before..).unwrap_or(&[]);
        // The count of a few neighbours has no branch to foresee, as a search among them has.
        let near = &rest[..rest.len().min(GUIDED)];
        before + near.iter().filter(|(knot, _)| *knot <= score).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(scores: &[f64]) -> Tail {
        Tail::fit(scores.iter().map(|score| RawScore::new(*score).expect("a score")))
    }

    fn surprisal(tail: &Tail, score: f64) -> f64 {
        tail.probability(RawScore::new(score).expect("a score")).surprisal_nats()
    }

    #[test]
    fn ranks_below_the_quantile_and_an_exponential_beyond_it() {
        let scores: Vec<f64> = (1..=1000).map(f64::from).collect();
        let tail = tail(&scores);
        assert!((surprisal(&tail, 501.0) - 2.0_f64.ln()).abs() < 0.01);
        let begin = 950.0;
        let mean_excess = (1..=50).map(f64::from).sum::<f64>() / 50.0;
        let at_begin = -(51.0_f64 / 1000.0).ln();
        assert!((surprisal(&tail, begin + 100.0 * mean_excess) - (at_begin + 100.0)).abs() < 1e-9, "uncapped");
    }

    #[test]
    fn exponential_scores_give_back_their_own_rate() {
        // Quantiles of the unit exponential: -ln P(X >= x) = x.
        let scores: Vec<f64> = (0..5000).map(|idx| -(1.0 - (f64::from(idx) + 0.5) / 5000.0).ln()).collect();
        let tail = tail(&scores);
        for score in [0.5, 2.0, 5.0, 9.0] {
            assert!((surprisal(&tail, score) / score - 1.0).abs() < 0.05, "{score}: {}", surprisal(&tail, score));
        }
    }

    #[test]
    fn few_rows_and_equal_rows_are_defined() {
        assert_eq!(surprisal(&tail(&[]), 1e9), 0.0);
        assert_eq!(surprisal(&tail(&[2.0]), 2.0), 0.0);
        assert!(surprisal(&tail(&[2.0]), 3.0) > 0.0);
        assert!(surprisal(&tail(&[0.0; 500]), f64::MAX).is_finite());
    }

    #[test]
    fn rounding_is_never_surprising() {
        let scores: Vec<f64> = (0..500).map(|row| if row % 50 == 0 { 1e-24 } else { 0.0 }).collect();
        assert!(surprisal(&tail(&scores), 1e-12) < 5.0);
    }

    #[test]
    fn a_saved_tail_is_the_same_bit_for_bit() {
        let fitted = tail(&[0.1, 0.7, 0.2, 1.0 / 3.0]);
        let bytes = postcard::to_allocvec(&fitted).expect("plain data");
        assert_eq!(postcard::from_bytes::<Tail>(&bytes).as_ref(), Ok(&fitted));
    }

    proptest::proptest! {
        #[test]
        fn as_many_knots_are_found_as_a_search_among_all_of_them_finds(
            scores in proptest::collection::vec(0.0..100.0_f64, 0..300), probes in proptest::collection::vec(-1.0..120.0_f64, 1..40),
        ) {
            let tail = tail(&scores);
            for probe in probes.iter().chain(tail.knots.iter().map(|(score, _)| score)) {
                let wanted = tail.knots.partition_point(|(knot, _)| knot <= probe);
                proptest::prop_assert_eq!(tail.n_knots_at_most(*probe), wanted);
            }
        }

        #[test]
        fn a_higher_score_is_never_less_surprising(
            scores in proptest::collection::vec(0.0..1e12_f64, 0..400), mut probes in proptest::collection::vec(0.0..2e12_f64, 2..40),
        ) {
            let tail = tail(&scores);
            probes.extend(scores.iter().take(50));
            probes.sort_by(f64::total_cmp);
            let surprisals: Vec<f64> = probes.iter().map(|probe| surprisal(&tail, *probe)).collect();
            proptest::prop_assert!(surprisals.windows(2).all(|pair| pair[0] <= pair[1]));
        }

        #[test]
        fn the_curve_has_no_jump_where_the_tail_begins(scores in proptest::collection::vec(0.0..100.0_f64, 60..400)) {
            let tail = tail(&scores);
            let begin = tail.knots.last().expect("a knot").0;
            let jump = surprisal(&tail, begin * (1.0 + 1e-12)) - surprisal(&tail, begin * (1.0 - 1e-12));
            proptest::prop_assert!(jump.abs() < 1e-3, "{jump}");
        }
    }
}
