//! Where an open incident's evidence stands, row by row: normal again, or away from normal but usual.

use homeostat_core::{Evidence, Signal};

use super::open::Open;
use super::{SubjectRow, TrackerTimes};

/// One row in which the forecast is surprised takes back so many in which it wasn't: one in a hundred is noise, one in ten
/// isn't usual.
const UNUSUAL_ROW_COUNTS: u32 = 10;

/// A level isn't accepted before so many rows, however long a step is: as many as the forecast itself waits for.
const REBASELINED_ROWS_MIN: u128 = 24;

/// Whether a lasting level of this signal may be taken for the new usual. Failures never are: what fails for days is a fault that
/// everybody got used to.
fn may_be_usual(signal: Signal) -> bool {
    match signal {
        Signal::Memory
        | Signal::Cpu
        | Signal::CpuThrottling
        | Signal::Latency
        | Signal::Traffic
        | Signal::QueueLag
        | Signal::Other => true,
        Signal::ErrorRatio | Signal::Restarts | Signal::OomKills | Signal::ReplicasUnavailable => false,
    }
}

impl Open {
    /// Where its evidence stands in this row: normal, or away but usual. Says whether any of it was measured.
    ///
    /// What only replicas have shows by comparing them, not in the workload's row.
    pub(super) fn judge_evidence(&mut self, row: &SubjectRow<'_>, times: &TrackerTimes) -> bool {
        let evidence =
            self.incident.evidence.iter().filter(|one| {
                row.schema.position(&one.feature).is_some() || !self.replica_features.contains(&one.feature)
            });
        let states = |one: &Evidence| row.schema.position(&one.feature).and_then(|idx| row.row.features.get(idx));
        let (mut all_normal, mut all_usual, mut some_there) = (true, true, false);
        for one in evidence {
            let state = states(one);
            all_normal &= state.is_some_and(|state| state.normal);
            all_usual &= may_be_usual(one.signal) && state.is_some_and(|state| state.usual);
            some_there |= state.is_some_and(|state| state.value.is_some());
        }
        // Where nothing speaks for it, any measurement is data.
        if self.incident.evidence.is_empty() {
            some_there = row.row.features.iter().any(|state| state.value.is_some());
        }
        self.normal_rows = if all_normal { self.normal_rows.saturating_add(1) } else { 0 };
        let all_usual = all_usual && !self.by_replicas && self.incident.limits_ahead.is_empty();
        self.usual_rows = if all_usual {
            self.usual_rows.saturating_add(1)
        } else {
            self.usual_rows.saturating_sub(UNUSUAL_ROW_COUNTS)
        };
        let rows = times.rebaselined_after.as_millis() / row.step.as_millis().max(1);
        self.is_rebaselined = u128::from(self.usual_rows) >= rows.max(REBASELINED_ROWS_MIN);
        some_there
    }
}
