//! Which features of a row are evidence: the one rule by which a row and an incident are typed.

use homeostat_core::{Assessment, Evidence, Schema};
use homeostat_detect::{AssessedRow, FeatureState};

use super::DEVIATING_MIN;

/// Features of evidence kept: what a person reads at night, and what must recover before the incident is over.
pub(crate) const EVIDENCE_MAX: usize = 8;

/// A measurement this near to what was expected, as a share of the larger of the two, is no evidence, however steady the feature
/// was before: nobody acts on a hundredth.
const DIFFERENCE_SHARE_MIN: f64 = 0.01;

/// The row's deviating features, strongest first; if none deviates by itself, the strongest of all.
pub(crate) fn evidence_of(schema: &Schema, row: &AssessedRow) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = (0..schema.n_features()).filter_map(|idx| evidence_at(schema, row, idx)).collect();
    strongest_first(&mut all);
    let n_deviating = all.iter().filter(|one| one.deviation.abs() >= DEVIATING_MIN).count();
    all.truncate(n_deviating.clamp(1, EVIDENCE_MAX));
    all
}

pub(crate) fn strongest_first(evidence: &mut [Evidence]) {
    // A stable sort: equal deviations stay in the schema's order.
    evidence.sort_by(|a, b| b.deviation.abs().total_cmp(&a.deviation.abs()));
}

/// A feature as evidence; `None` for a gap, and where the numbers contradict each other: a deviation upwards of what lies below
/// its expectation, or of what lies where it was expected. Such a deviation is from the rows before, as after a gap.
///
/// What is away from its training level is evidence all the same, with that as its deviation: the forecast may have got used to it.
pub(crate) fn evidence_at(schema: &Schema, row: &AssessedRow, idx: usize) -> Option<Evidence> {
    let (feature, state) = (schema.features().get(idx)?, row.features.get(idx)?);
    let observed = state.value?;
    let Assessment { deviations, expected, .. } = &row.assessment;
    let deviation = deviations.get(idx).copied().flatten()?;
    let expected = expected.get(idx).copied().flatten().unwrap_or(observed);
    let deviation = if agrees(observed, expected, deviation) { deviation } else { level(state)? };
    Some(Evidence { feature: feature.name.clone(), signal: feature.signal, observed, expected, deviation })
}

/// Whether the deviation is what the two numbers say, in its direction and at all.
fn agrees(observed: f64, expected: f64, deviation: f64) -> bool {
    // Halves, so that the difference of the largest floats is a number.
    let (half, larger) = (observed / 2.0 - expected / 2.0, observed.abs().max(expected.abs()));
    deviation.abs() < DEVIATING_MIN || (half * deviation > 0.0 && half.abs() >= DIFFERENCE_SHARE_MIN * larger / 2.0)
}

/// How far the feature is from its training level, if that isn't normal.
fn level(state: &FeatureState) -> Option<f64> {
    state.deviation.filter(|_| !state.normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_must_be_what_the_numbers_say() {
        assert!(agrees(0.9, 0.4, 8.5) && agrees(0.1, 0.4, -8.5) && agrees(f64::MAX, -f64::MAX, 200.0));
        assert!(!agrees(0.2398, 0.2401, 55.9), "up, says the deviation, and down, say the numbers");
        assert!(!agrees(0.2404, 0.2401, 55.9), "that is where it was expected");
        assert!(!agrees(5.0, 5.0, 40.0));
        assert!(agrees(0.0, 0.0, 0.0) && agrees(5.1, 5.0, -1.0), "what doesn't deviate contradicts nothing");
    }
}
