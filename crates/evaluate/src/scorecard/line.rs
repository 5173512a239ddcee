//! One fault's line of the scorecard.

use std::time::Duration;

use homeostat_core::{IncidentType, Timestamp};
use homeostat_simulate::FaultTruth;
use serde::Serialize;

use crate::action_outcome::{ActionOutcome, Verification};
use crate::incident_record::IncidentRecord;
use crate::matching::Due;

/// One fault and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultLine {
    /// The fault.
    pub truth: FaultTruth,
    /// When the first incident due to it was opened.
    pub detected_at: Option<Timestamp>,
    /// What the first incident at its cause was called at last; `None` if there is none at the cause.
    pub typed: Option<IncidentType>,
    /// Actions executed for incidents that are due to it.
    pub n_actions: usize,
    /// An action cured it, and verification found so.
    pub recovered: bool,
}

impl FaultLine {
    pub(crate) fn of(
        idx: usize,
        truth: &FaultTruth,
        records: &[IncidentRecord],
        dues: &[Due],
        actions: &[ActionOutcome],
    ) -> Self {
        let due = || records.iter().zip(dues).filter(|(_, due)| due.truth_idx() == Some(idx)).map(|(record, _)| record);
        let at_cause = records.iter().zip(dues).find(|(_, due)| **due == Due::Cause(idx)).map(|(record, _)| record);
        let cured_by = truth.cured_by();
        let cured = |action: &ActionOutcome| {
            cured_by == Some(action.plan.as_str()) && action.verification == Verification::Recovered
        };
        Self {
            truth: truth.clone(),
            // Records are in order of opening.
            detected_at: due().next().map(|record| record.incident.opened_at),
            typed: at_cause.map(|record| record.incident.incident_type),
            n_actions: actions
                .iter()
                .filter(|action| due().any(|record| record.incident.id == action.incident))
                .count(),
            recovered: actions.iter().any(cured),
        }
    }

    /// From the fault's beginning to its detection.
    pub fn delay(&self) -> Option<Duration> {
        self.detected_at.map(|at| at.since(self.truth.start))
    }

    /// Whether the incident at the cause is rightly named.
    pub fn is_typed_right(&self) -> bool {
        self.typed.is_some_and(|incident_type| self.truth.is_rightly(incident_type))
    }
}
