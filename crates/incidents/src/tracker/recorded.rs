//! After a restart: the tracker's own state brought together with the incidents that were recorded elsewhere.

use homeostat_core::{Incident, IncidentId, IncidentState, Timestamp};

use super::Tracker;
use super::open::Open;

impl Tracker {
    /// Takes up what a record says, after [`restore`](Self::restore) or instead of it. The record is the truth about which
    /// incidents there are; what this tracker has besides (rows that alarmed or were calm) is its own.
    ///
    /// `recorded` are the incidents that the record has open; each that this tracker hasn't goes on as it stands there, and
    /// isn't published again. What `is_over` by the record is over. It answers the recorded incidents that have ended
    /// without a word: those of a subject that has another one by now. Record them, and whatever else is open here.
    pub fn take_up(
        &mut self,
        recorded: impl IntoIterator<Item = Incident>,
        is_over: impl Fn(&IncidentId) -> bool,
        now: Timestamp,
    ) -> Vec<Incident> {
        for watch in self.watches.values_mut() {
            // A clock that was ahead when the state was saved must not make rows count for nothing from now on.
            watch.rewind(now);
            watch.open.take_if(|open| is_over(&open.incident().id));
        }
        self.drop_data_incidents(&is_over);
        let mut ended = Vec::new();
        for mut incident in recorded {
            if self.take_up_data_incident(&incident) {
                continue;
            }
            let watch = self.watches.entry(incident.subject.clone()).or_default();
            match &mut watch.open {
                Some(open) if open.incident().id == incident.id => open.catch_up(incident),
                Some(open) => {
                    incident.state = IncidentState::Resolved;
                    incident.limits_ahead.clear();
                    incident.updated_at = incident.updated_at.max(open.incident().opened_at);
                    ended.push(incident);
                }
                None => {
                    // Rows from before what is known of it would make it look calm.
                    watch.has_been_seen_until(incident.updated_at.min(now));
                    watch.open = Some(Open::of_record(incident, self.times.stale_after));
                }
            }
        }
        ended
    }
}
