//! From a score to a probability that was measured: how often incidents of this type with such a score turned out right.
//!
//! Nothing is set by hand here. Where nothing was measured, nothing is claimed.

use std::collections::BTreeMap;

use homeostat_core::{Calibrated, Confidence, IncidentType, Score};
use serde::{Deserialize, Serialize};

mod verdicts;

pub use verdicts::Verdicts;

/// Outcomes of a type from which on it has a curve of its own. Two bins of ten; with fewer, one lucky outcome would bend it.
const OWN_CURVE_OUTCOMES_MIN: usize = 20;

/// Outcomes in a bin, at least.
const BIN_OUTCOMES_MIN: usize = 10;

/// Bins of a curve, at most. Ten steps are as fine as a few hundred labels can tell apart.
const BINS_MAX: usize = 10;

/// The normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;

/// An incident somebody, or the simulation, has judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelledOutcome {
    /// The type it was given.
    #[serde(rename = "type")]
    pub incident_type: IncidentType,
    /// Its peak score at the moment whose decision is to be trusted: take it when it opened, not when it was over.
    pub score_peak: Score,
    /// Whether it was real and of that type.
    pub correct: bool,
}

/// How sure to be of an incident, by type and score.
///
/// Each type with at least 20 labelled outcomes has a curve of its own: equal-count bins over the score, made monotone by
/// pooling adjacent violators (Ayer et al. 1955). A bin's confidence is Laplace's `(correct + 1) / (n + 2)`, its lower
/// end Wilson's (1927) for 95 %. A type with fewer outcomes takes the estimate from all types' curve, but its lower end
/// from its own number of outcomes, so that few outcomes never permit an action. A type without any is
/// [`Calibrated::UNKNOWN`].
///
/// ```
/// use homeostat_core::{IncidentType, Score};
/// use homeostat_incidents::{Calibration, LabelledOutcome};
///
/// let outcome = |idx: u32| LabelledOutcome {
///     incident_type: IncidentType::MemoryLeak,
///     score_peak: Score::new(f64::from(idx)).unwrap_or(Score::ZERO),
///     correct: idx >= 20,
/// };
/// let calibration = Calibration::fit(&(0..40).map(outcome).collect::<Vec<_>>());
/// let sure = |score: f64| Score::new(score).map(|score| calibration.confidence(IncidentType::MemoryLeak, score).lower.value());
/// assert!(sure(35.0)? > sure(5.0)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    types: BTreeMap<IncidentType, TypeCurve>,
    pooled: Vec<Step>,
    /// What people here say of incidents. It is kept in the journal.
    #[serde(skip)]
    verdicts: Verdicts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeCurve {
    n_outcomes: u32,
    /// Empty where the type has too few outcomes.
    steps: Vec<Step>,
}

/// From this score on, until the next step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    score_min: Score,
    confidence: Confidence,
    lower: Confidence,
}

impl Calibration {
    /// Knows nothing: every incident is [`Calibrated::UNKNOWN`].
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Reads curves as [`to_json`](Self::to_json) writes them, and as a bundle carries them.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The curves as JSON, for people to read, too.
    ///
    /// # Errors
    /// None that a calibration can bring about.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// The curves these outcomes make; their order doesn't matter.
    pub fn fit(outcomes: &[LabelledOutcome]) -> Self {
        let mut by_type: BTreeMap<IncidentType, Vec<LabelledOutcome>> = BTreeMap::new();
        for outcome in outcomes {
            by_type.entry(outcome.incident_type).or_default().push(*outcome);
        }
        let types = by_type.into_iter().map(|(incident_type, own)| {
            let steps = if own.len() >= OWN_CURVE_OUTCOMES_MIN { steps(&own) } else { Vec::new() };
            (incident_type, TypeCurve { n_outcomes: u32::try_from(own.len()).unwrap_or(u32::MAX), steps })
        });
        Self { types: types.collect(), pooled: steps(outcomes), verdicts: Verdicts::default() }
    }

    /// Goes by these verdicts of people, too, in place of those before.
    pub fn set_verdicts(&mut self, verdicts: Verdicts) {
        self.verdicts = verdicts;
    }

    /// How sure to be of an incident of this type with this peak score. Monotone in the score.
    pub fn confidence(&self, incident_type: IncidentType, score_peak: Score) -> Calibrated {
        self.verdicts.update(incident_type, self.measured(incident_type, score_peak))
    }

    /// By labelled outcomes alone.
    fn measured(&self, incident_type: IncidentType, score_peak: Score) -> Calibrated {
        let Some(curve) = self.types.get(&incident_type) else {
            return Calibrated::UNKNOWN;
        };
        let n_outcomes = curve.n_outcomes;
        if let Some(step) = step_at(&curve.steps, score_peak) {
            return Calibrated { confidence: step.confidence, lower: step.lower, n_outcomes, n_verdicts: 0 };
        }
        match step_at(&self.pooled, score_peak) {
            Some(step) => {
                let n = f64::from(n_outcomes);
                let lower = wilson_lower(step.confidence.value() * n, n);
                Calibrated { confidence: step.confidence, lower, n_outcomes, n_verdicts: 0 }
            }
            None => Calibrated::UNKNOWN,
        }
    }
}

/// The step this score is on; scores below the first belong to it.
fn step_at(steps: &[Step], score: Score) -> Option<&Step> {
    let n_reached = steps.partition_point(|step| step.score_min <= score);
    steps.get(n_reached.saturating_sub(1))
}

#[derive(Clone, Copy)]
struct Bin {
    score_min: Score,
    n: f64,
    correct: f64,
}

fn steps(outcomes: &[LabelledOutcome]) -> Vec<Step> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| a.score_peak.value().total_cmp(&b.score_peak.value()));
    let mut best = (Confidence::ZERO, Confidence::ZERO);
    let pooled = pooled_violators(bins(&sorted));
    let steps = pooled.into_iter().map(|bin| {
        // The share rises from bin to bin, but its estimates needn't where bins differ in size. If it rises, what holds
        // for a lower score holds for a higher one.
        let confidence = Confidence::new((bin.correct + 1.0) / (bin.n + 2.0)).unwrap_or(Confidence::ZERO);
        let lower = wilson_lower(bin.correct, bin.n);
        best = (larger(best.0, confidence), larger(best.1, lower));
        Step { score_min: bin.score_min, confidence: best.0, lower: best.1 }
    });
    steps.collect()
}

fn larger(a: Confidence, b: Confidence) -> Confidence {
    if b > a { b } else { a }
}

/// Bins of about the same number of outcomes; equal scores stay together.
fn bins(sorted: &[LabelledOutcome]) -> Vec<Bin> {
    let per_bin = BIN_OUTCOMES_MIN.max(sorted.len().div_ceil(BINS_MAX)) as f64;
    let mut bins: Vec<Bin> = Vec::new();
    let mut last_score = None;
    for outcome in sorted {
        let correct = if outcome.correct { 1.0 } else { 0.0 };
        match bins.last_mut() {
            Some(bin) if bin.n < per_bin || last_score == Some(outcome.score_peak) => {
                bin.n += 1.0;
                bin.correct += correct;
            }
            Some(_) | None => bins.push(Bin { score_min: outcome.score_peak, n: 1.0, correct }),
        }
        last_score = Some(outcome.score_peak);
    }
    // A last bin that came out short joins the one before.
    if bins.len() >= 2
        && bins.last().is_some_and(|bin| bin.n < BIN_OUTCOMES_MIN as f64)
        && let (Some(short), Some(bin)) = (bins.pop(), bins.last_mut())
    {
        *bin = joined(*bin, short);
    }
    bins
}

/// Joins neighbours until the share of correct outcomes rises from bin to bin.
fn pooled_violators(bins: Vec<Bin>) -> Vec<Bin> {
    let mut pooled: Vec<Bin> = Vec::new();
    for bin in bins {
        pooled.push(bin);
        while let [.., before, last] = pooled[..]
            && before.correct * last.n >= last.correct * before.n
        {
            pooled.truncate(pooled.len() - 2);
            pooled.push(joined(before, last));
        }
    }
    pooled
}

fn joined(low: Bin, high: Bin) -> Bin {
    Bin { score_min: low.score_min, n: low.n + high.n, correct: low.correct + high.correct }
}

/// The lower end of Wilson's 95 % score interval for `correct` of `n`; 0 of nothing.
fn wilson_lower(correct: f64, n: f64) -> Confidence {
    if n <= 0.0 {
        return Confidence::ZERO;
    }
    let (share, z2) = (correct / n, Z_95 * Z_95);
    let spread = Z_95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let lower = (share + z2 / (2.0 * n) - spread) / (1.0 + z2 / n);
    Confidence::new(lower.clamp(0.0, 1.0)).unwrap_or(Confidence::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(incident_type: IncidentType, score: f64, correct: bool) -> LabelledOutcome {
        LabelledOutcome { incident_type, score_peak: Score::new(score).expect("a score"), correct }
    }

    fn at(calibration: &Calibration, incident_type: IncidentType, score: f64) -> Calibrated {
        calibration.confidence(incident_type, Score::new(score).expect("a score"))
    }

    /// Of `n` outcomes with scores from 1 to 2, those above 1.5 are right, and every fifth of the rest.
    fn outcomes(incident_type: IncidentType, n: u32) -> Vec<LabelledOutcome> {
        (0..n)
            .map(|idx| {
                let score = 1.0 + f64::from(idx) / f64::from(n);
                outcome(incident_type, score, score > 1.5 || idx % 5 == 0)
            })
            .collect()
    }

    #[test]
    fn the_confidence_is_the_share_that_was_right() {
        let calibration = Calibration::fit(&outcomes(IncidentType::Latency, 400));
        let low = at(&calibration, IncidentType::Latency, 1.1);
        let high = at(&calibration, IncidentType::Latency, 1.9);
        assert!((low.confidence.value() - 0.2).abs() < 0.03, "{low:?}");
        assert!(high.confidence.value() > 0.97, "{high:?}");
        assert_eq!(high.n_outcomes, 400);
        assert!(low.lower < low.confidence && high.lower < high.confidence);
    }

    #[test]
    fn what_was_never_labelled_is_unknown() {
        let calibration = Calibration::fit(&outcomes(IncidentType::Latency, 400));
        assert_eq!(at(&calibration, IncidentType::MemoryLeak, 9.0), Calibrated::UNKNOWN);
        assert_eq!(at(&Calibration::unknown(), IncidentType::Latency, 9.0), Calibrated::UNKNOWN);
    }

    #[test]
    fn few_outcomes_borrow_the_estimate_but_not_the_certainty() {
        let mut all = outcomes(IncidentType::Latency, 400);
        all.extend([1.7, 1.8, 1.9].map(|score| outcome(IncidentType::OomKilled, score, true)));
        let calibration = Calibration::fit(&all);
        let few = at(&calibration, IncidentType::OomKilled, 1.9);
        assert!(few.confidence.value() > 0.97 && few.lower.value() < 0.5 && few.n_outcomes == 3, "{few:?}");
    }

    #[test]
    fn wilson_agrees_with_the_published_value() {
        // Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
        assert!((wilson_lower(81.0, 263.0).value() - 0.2553).abs() < 5e-5);
        assert_eq!(wilson_lower(0.0, 20.0), Confidence::ZERO);
        assert_eq!(wilson_lower(0.0, 0.0), Confidence::ZERO);
    }

    #[test]
    fn curves_written_as_json_are_read_back_the_same() {
        let calibration = Calibration::fit(&outcomes(IncidentType::Latency, 111));
        let json = serde_json::to_string(&calibration).expect("plain data");
        assert_eq!(serde_json::from_str::<Calibration>(&json).ok(), Some(calibration));
    }

    proptest::proptest! {
        #[test]
        fn a_higher_score_is_never_less_sure(
            labels in proptest::collection::vec((0.0..5.0_f64, proptest::bool::ANY, proptest::bool::ANY), 0..200),
        ) {
            let types = [IncidentType::Latency, IncidentType::ErrorBurst];
            let all: Vec<_> = labels.iter().map(|(score, which, right)| outcome(types[usize::from(*which)], *score, *right)).collect();
            let calibration = Calibration::fit(&all);
            for incident_type in types {
                let mut before = Calibrated::UNKNOWN;
                for tenth in 0..60 {
                    let now = at(&calibration, incident_type, f64::from(tenth) / 10.0);
                    proptest::prop_assert!(now.confidence >= before.confidence && now.lower >= before.lower);
                    proptest::prop_assert!(now.lower <= now.confidence);
                    before = now;
                }
            }
        }
    }
}
