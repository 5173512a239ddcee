//! What one assessed row says by itself: which type an incident of it would have, and how sure that is.
//!
//! A row tells nothing of roll-outs and dependencies, so the type may be less sharp than that of an incident that the
//! service itself follows.

use homeostat_core::{Assessment, Calibrated, Evidence, IncidentType, Schema};
use homeostat_incidents::{Calibration, DEVIATING_MIN, TypingContext, incident_type};
use ndarray::ArrayView1;

/// Type and confidence of a row; `None` where there were too few votes for a score.
pub(crate) fn typed(
    schema: &Schema,
    row: ArrayView1<'_, f64>,
    assessment: &Assessment,
    calibration: &Calibration,
) -> Option<(IncidentType, Calibrated)> {
    assessment.score().map(|score| {
        let incident_type = incident_type(&evidence(schema, row, assessment), TypingContext::default());
        (incident_type, calibration.confidence(incident_type, score))
    })
}

/// The features that deviate, as typing looks at them.
fn evidence(schema: &Schema, row: ArrayView1<'_, f64>, assessment: &Assessment) -> Vec<Evidence> {
    let features = schema.features().iter().zip(row);
    features
        .zip(assessment.deviations.iter().zip(&assessment.expected))
        .filter_map(|((feature, observed), (deviation, expected))| {
            let deviation = (*deviation).filter(|deviation| deviation.abs() >= DEVIATING_MIN)?;
            Some(Evidence {
                feature: feature.name.clone(),
                signal: feature.signal,
                observed: *observed,
                expected: expected.unwrap_or(*observed),
                deviation,
            })
        })
        .collect()
}
