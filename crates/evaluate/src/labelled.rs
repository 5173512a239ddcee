//! Incidents with the answer beside them: what confidence is calibrated from.

use homeostat_core::{Incident, IncidentType, Score};
use homeostat_simulate::FaultTruth;
use serde::{Deserialize, Serialize};

use crate::matching::{Due, match_incidents};

/// One incident, and whether it was right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelledOutcome {
    /// What it was called.
    pub incident_type: IncidentType,
    /// Its highest score.
    pub score_peak: Score,
    /// It was real, at the cause, and rightly called. Real but at somebody who only suffers is wrong: acting there
    /// would be. A planned event that was rightly named is right: keeping hands off it is the calendar's work.
    pub correct: bool,
}

/// The outcomes of these incidents, in their order; see [`match_incidents`] for the rule.
pub fn outcomes(truths: &[FaultTruth], incidents: &[Incident]) -> Vec<LabelledOutcome> {
    let dues = match_incidents(truths, incidents);
    incidents
        .iter()
        .zip(dues)
        .map(|(incident, due)| LabelledOutcome {
            incident_type: incident.incident_type,
            score_peak: incident.score_peak,
            correct: match due {
                Due::Cause(idx) => truths[idx].is_rightly(incident.incident_type),
                Due::Affected(_) | Due::Nothing => false,
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{incident, truth};
    use homeostat_simulate::FaultKind;

    #[test]
    fn right_means_real_at_the_cause_and_well_named() {
        let truths = [truth(FaultKind::MemoryLeak, "cart", &["frontend"], 10, Some(60))];
        let incidents = [
            incident("cart", IncidentType::MemoryLeak, 20),
            incident("cart", IncidentType::CpuSpike, 20),
            incident("frontend", IncidentType::MemoryLeak, 20),
            incident("orders", IncidentType::MemoryLeak, 20),
        ];
        let correct: Vec<bool> = outcomes(&truths, &incidents).iter().map(|outcome| outcome.correct).collect();
        assert_eq!(correct, [true, false, false, false]);
    }
}
