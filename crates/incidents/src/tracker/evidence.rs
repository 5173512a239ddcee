//! How evidence grows while an incident is open.

use homeostat_core::Evidence;

use super::SubjectRow;
use crate::typing::{DEVIATING_MIN, EVIDENCE_MAX, evidence_at, evidence_of, strongest_first};

/// Adds what deviates in this row more strongly than before, or for the first time.
///
/// Only features whose level is off as well, and to the same side, count: when a fault ends, residuals jump the other way,
/// and that must not be taken for a new symptom. An incident that opened before any feature stood out by itself takes what first
/// does for its evidence.
pub(super) fn merge(evidence: &mut Vec<Evidence>, row: &SubjectRow<'_>) {
    let deviates = |evidence: &[Evidence]| evidence.iter().any(|one| one.deviation.abs() >= DEVIATING_MIN);
    if !deviates(evidence) {
        let first = evidence_of(row.schema, row.row);
        if deviates(&first) {
            *evidence = first;
        }
        return;
    }
    for idx in 0..row.schema.n_features() {
        let Some(new) = evidence_at(row.schema, row.row, idx) else { continue };
        if !is_off_level(row, idx, &new) {
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

/// What stands out in this row for longer than a jump: the features whose level is off as well, and to the same side.
pub(super) fn lasting(row: &SubjectRow<'_>) -> Vec<Evidence> {
    let one = |idx: usize| evidence_at(row.schema, row.row, idx).filter(|one| is_off_level(row, idx, one));
    (0..row.schema.n_features()).filter_map(one).collect()
}

fn is_off_level(row: &SubjectRow<'_>, idx: usize, one: &Evidence) -> bool {
    let off = row
        .row
        .features
        .get(idx)
        .is_some_and(|state| !state.normal && state.deviation.is_some_and(|level| level * one.deviation > 0.0));
    one.deviation.abs() >= DEVIATING_MIN && off
}

/// Brings the numbers of evidence up to this row; what the row doesn't have keeps its last.
pub(super) fn bring_up_to(evidence: &mut [Evidence], row: &SubjectRow<'_>) {
    for one in evidence {
        let newest = row.schema.position(&one.feature).and_then(|idx| newest_at(row, idx));
        if let Some((observed, expected, deviation)) = newest {
            (one.observed, one.expected, one.deviation) = (observed, expected, deviation);
        }
    }
}

/// What was measured and expected, and how far that is: where the numbers contradict each other, from the training level.
fn newest_at(row: &SubjectRow<'_>, idx: usize) -> Option<(f64, f64, f64)> {
    if let Some(one) = evidence_at(row.schema, row.row, idx) {
        return Some((one.observed, one.expected, one.deviation));
    }
    let state = row.row.features.get(idx)?;
    Some((state.value?, state.expected.or(state.value)?, state.deviation?))
}
