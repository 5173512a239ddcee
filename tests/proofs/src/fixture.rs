//! Incidents, for checks that don't detect any.

use homeostat_core::{
    Calibrated, Confidence, CorrelationId, Evidence, Incident, IncidentId, IncidentState, IncidentType, Score, Signal,
    Subject, Timestamp,
};

/// An open incident of one feature, named like its type, of which it is certain enough.
pub(crate) fn incident(kind: IncidentType, subject: &Subject, at: Timestamp) -> Incident {
    #[expect(clippy::expect_used, reason = "constants between 0 and 1, and a score")]
    let (sure, lower, score) = (
        Confidence::new(0.99).expect("a confidence"),
        Confidence::new(0.95).expect("a confidence"),
        Score::new(2.0).expect("a score"),
    );
    Incident {
        id: IncidentId::of(subject, at),
        correlation: CorrelationId::of(subject, at),
        subject: subject.clone(),
        incident_type: kind,
        state: IncidentState::Open,
        opened_at: at,
        updated_at: at,
        score,
        score_peak: score,
        confidence: Calibrated { confidence: sure, lower, n_outcomes: 40, n_verdicts: 0 },
        evidence: vec![Evidence {
            feature: kind.name().to_owned(),
            signal: Signal::Other,
            observed: 3.0,
            expected: 0.0,
            deviation: 9.0,
        }],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}
