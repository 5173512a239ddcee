//! What people's verdicts on incidents of one's own make of a confidence that was measured elsewhere.

use std::collections::BTreeMap;

use homeostat_core::{Calibrated, Confidence, IncidentType};

use super::{OWN_CURVE_OUTCOMES_MIN, Z_95, wilson_lower};

/// What was measured elsewhere counts as so many verdicts of one's own, at most: as many as give a type a curve of its own. From then on what
/// people here say counts more than what homeostat shipped with.
const MEASURED_ELSEWHERE_MAX: f64 = OWN_CURVE_OUTCOMES_MIN as f64;

/// An interval of no width stands for so many outcomes; no calibration rests on more.
const OUTCOMES_MAX: f64 = 1e6;

/// How many incidents of each type people have judged, and how.
///
/// ```
/// use homeostat_core::IncidentType;
/// use homeostat_incidents::Verdicts;
///
/// let mut verdicts = Verdicts::default();
/// verdicts.add(IncidentType::Latency, true);
/// assert_eq!(verdicts.n_of(IncidentType::Latency), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    by_type: BTreeMap<IncidentType, Count>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    n: u32,
    n_right: u32,
}

impl Verdicts {
    /// Counts one: whether it was right to call somebody.
    pub fn add(&mut self, incident_type: IncidentType, right: bool) {
        let count = self.by_type.entry(incident_type).or_default();
        count.n = count.n.saturating_add(1);
        count.n_right = count.n_right.saturating_add(u32::from(right));
    }

    /// How many incidents of this type were judged.
    pub fn n_of(&self, incident_type: IncidentType) -> u32 {
        self.by_type.get(&incident_type).map_or(0, |count| count.n)
    }

    /// What is known of incidents of this type, `measured` elsewhere and judged here.
    ///
    /// The estimate is the mean of a beta distribution whose prior is what was measured, worth as many outcomes as its interval stands for and at most
    /// [`MEASURED_ELSEWHERE_MAX`]. Its lower end is Wilson's for all outcomes together. One more incident that was right never lowers either, and one more
    /// that was wrong never raises them.
    pub(super) fn update(&self, incident_type: IncidentType, measured: Calibrated) -> Calibrated {
        let Some(count) = self.by_type.get(&incident_type) else { return measured };
        let (n, n_right) = (f64::from(count.n), f64::from(count.n_right));
        let n_outcomes = measured.n_outcomes.saturating_add(count.n);
        let (estimate, lower) = if measured.n_outcomes == 0 {
            // Laplace's, as for what was measured.
            ((n_right + 1.0) / (n + 2.0), wilson_lower(n_right, n))
        } else {
            let n_measured = outcomes_behind(measured);
            let n_prior = n_measured.min(MEASURED_ELSEWHERE_MAX);
            let estimate = (measured.confidence.value() * n_prior + n_right) / (n_prior + n);
            (estimate, wilson_lower(estimate * (n_measured + n), n_measured + n))
        };
        let confidence = Confidence::new(estimate.clamp(0.0, 1.0)).unwrap_or(Confidence::ZERO);
        Calibrated { confidence, lower, n_outcomes, n_verdicts: count.n }
    }
}

/// Of how many outcomes Wilson's interval around this estimate has this lower end: `(p - l)² = z² l (1 - l) / n`, solved for n.
fn outcomes_behind(measured: Calibrated) -> f64 {
    let (estimate, lower) = (measured.confidence.value(), measured.lower.value());
    let half_width = estimate - lower;
    if half_width <= 0.0 {
        return OUTCOMES_MAX;
    }
    (Z_95 * Z_95 * lower * (1.0 - lower) / (half_width * half_width)).min(OUTCOMES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: IncidentType = IncidentType::Latency;

    fn measured(confidence: f64, lower: f64) -> Calibrated {
        let of = |value: f64| Confidence::new(value).expect("a confidence");
        Calibrated { confidence: of(confidence), lower: of(lower), n_outcomes: 100, n_verdicts: 0 }
    }

    fn after(measured: Calibrated, n_right: u32, n_wrong: u32) -> Calibrated {
        let mut verdicts = Verdicts::default();
        (0..n_right).for_each(|_| verdicts.add(TYPE, true));
        (0..n_wrong).for_each(|_| verdicts.add(TYPE, false));
        verdicts.update(TYPE, measured)
    }

    #[test]
    fn without_verdicts_it_is_what_was_measured() {
        assert_eq!(after(measured(0.9, 0.8), 0, 0), measured(0.9, 0.8));
        let mut others = Verdicts::default();
        others.add(IncidentType::MemoryLeak, false);
        assert_eq!(others.update(TYPE, measured(0.9, 0.8)), measured(0.9, 0.8));
    }

    #[test]
    fn twenty_verdicts_weigh_as_much_as_what_was_measured() {
        let mixed = after(measured(0.9, 0.85), 10, 10);
        assert!((mixed.confidence.value() - 0.7).abs() < 1e-9, "{mixed:?}");
        assert_eq!((mixed.n_outcomes, mixed.n_verdicts), (120, 20));
        let many = after(measured(0.9, 0.85), 0, 400);
        assert!(many.confidence.value() < 0.05 && many.lower.value() < 0.05, "{many:?}");
    }

    #[test]
    fn of_what_was_never_measured_verdicts_alone_speak() {
        let known = after(Calibrated::UNKNOWN, 18, 0);
        assert!((known.confidence.value() - 0.95).abs() < 1e-9 && known.lower.value() > 0.8, "{known:?}");
        assert_eq!(after(Calibrated::UNKNOWN, 1, 0).lower, wilson_lower(1.0, 1.0));
    }

    proptest::proptest! {
        #[test]
        fn a_verdict_never_moves_confidence_the_wrong_way(
            confidence in 0.0..1.0_f64, share in 0.0..1.0_f64, n_right in 0..40_u32, n_wrong in 0..40_u32,
        ) {
            for before in [measured(confidence, confidence * share), Calibrated::UNKNOWN] {
                let now = after(before, n_right, n_wrong);
                let (right, wrong) = (after(before, n_right + 1, n_wrong), after(before, n_right, n_wrong + 1));
                let is_at_least = |more: Calibrated, less: Calibrated| {
                    more.confidence.value() >= less.confidence.value() - 1e-9 && more.lower.value() >= less.lower.value() - 1e-9
                };
                // The first verdict on what was never measured takes the place of not knowing.
                proptest::prop_assert!(before == Calibrated::UNKNOWN && n_right + n_wrong == 0 || is_at_least(right, now));
                proptest::prop_assert!(before == Calibrated::UNKNOWN && n_right + n_wrong == 0 || is_at_least(now, wrong));
                proptest::prop_assert!(now.lower <= now.confidence);
            }
        }
    }
}
