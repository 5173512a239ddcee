//! Which features of a row are evidence, and how evidence grows while an incident is open.

use homeostat_core::Evidence;

use super::SubjectRow;
use crate::typing::DEVIATING_MIN;

/// Features of evidence kept: what a person reads at night, and what must recover before the incident is over.
const EVIDENCE_MAX: usize = 8;

/// The row's deviating features, strongest first; if none deviates by itself, the strongest of all.
pub(super) fn evidence_of(row: &SubjectRow<'_>) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = (0..row.schema.n_features()).filter_map(|idx| evidence_at(row, idx)).collect();
    strongest_first(&mut all);
    let n_deviating = all.iter().filter(|one| one.deviation.abs() >= DEVIATING_MIN).count();
    all.truncate(n_deviating.clamp(1, EVIDENCE_MAX));
    all
}

/// Adds what deviates in this row more strongly than before, or for the first time.
///
/// Only features whose level is off as well, and to the same side, count: when a fault ends, residuals jump the other way,
/// and that must not be taken for a new symptom. An incident that opened before any feature stood out by itself takes what first
/// does for its evidence.
pub(super) fn merge(evidence: &mut Vec<Evidence>, row: &SubjectRow<'_>) {
    let deviates = |evidence: &[Evidence]| evidence.iter().any(|one| one.deviation.abs() >= DEVIATING_MIN);
    if !deviates(evidence) {
        let first = evidence_of(row);
        if deviates(&first) {
            *evidence = first;
        }
        return;
    }
    for idx in 0..row.schema.n_features() {
        let Some(new) = evidence_at(row, idx) else { continue };
        let off_level = row
            .row
            .features
            .get(idx)
            .is_some_and(|state| !state.normal && state.deviation.is_some_and(|level| level * new.deviation > 0.0));
        if new.deviation.abs() < DEVIATING_MIN || !off_level {
            continue;
        }
        match evidence.iter_mut().find(|one| one.feature == new.feature) {
            Some(old) if old.deviation.abs() >= new.deviation.abs() => {}
            Some(old) => *old = new,
            None => evidence.push(new),
        }
    }
    strongest_first(evidence);
    evidence.truncate(EVIDENCE_MAX);
}

fn strongest_first(evidence: &mut [Evidence]) {
    // A stable sort: equal deviations stay in the schema's order.
    evidence.sort_by(|a, b| b.deviation.abs().total_cmp(&a.deviation.abs()));
}

fn evidence_at(row: &SubjectRow<'_>, idx: usize) -> Option<Evidence> {
    let feature = row.schema.features().get(idx)?;
    let observed = row.row.features.get(idx)?.value?;
    let deviation = row.row.assessment.deviations.get(idx).copied().flatten()?;
    let expected = row.row.assessment.expected.get(idx).copied().flatten().unwrap_or(observed);
    Some(Evidence { feature: feature.name.clone(), signal: feature.signal, observed, expected, deviation })
}
