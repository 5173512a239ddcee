//! Many incidents at once: nothing is done about any of them by itself, and everybody concerned is called once (I18).

use std::collections::BTreeSet;

use homeostat_core::{Incident, IncidentState, Timestamp};
use homeostat_journal::Note;
use homeostat_remediate::{Storm, n_going_on, policy_for};

use super::{Driver, DriverEvent, TickInput};

/// The storm that goes on, and until when it would at least.
#[derive(Debug)]
pub(super) struct StormWatch {
    storm: Storm,
    until: Timestamp,
}

impl Driver {
    /// A storm lasts until few enough incidents went on for a while. Each channel that a policy of any of its incidents
    /// names is called once: when the storm begins, or when the first incident of that channel joins it.
    pub(super) fn watch_for_storm(&mut self, input: &TickInput<'_>, now: Timestamp, events: &mut Vec<DriverEvent>) {
        if n_going_on(input.incidents) > self.limits.open_max {
            let until = now + self.limits.storm_clear;
            let before = self.storm.take().map(|watch| watch.storm);
            let is_new = before.is_none();
            let mut storm = before.unwrap_or(Storm { began_at: now, called: BTreeSet::new() });
            self.call_for_storm(&mut storm, is_new, input, now, events);
            self.record_storm(Some(&storm), now, events);
            self.storm = Some(StormWatch { storm, until });
        } else if self.storm.as_ref().is_some_and(|watch| watch.until <= now) {
            self.storm = None;
            self.record_storm(None, now, events);
        }
    }

    /// After start: a storm that the journal knows goes on until it has cleared anew, for nobody watched meanwhile. Whom it
    /// has called it doesn't call again.
    pub(super) fn recall_storm(&mut self, now: Timestamp) {
        let storm = self.journal.history().ok().and_then(|history| history.storm);
        self.storm = storm.map(|storm| StormWatch { storm, until: now + self.limits.storm_clear });
    }

    fn record_storm(&self, storm: Option<&Storm>, now: Timestamp, events: &mut Vec<DriverEvent>) {
        if let Err(error) = self.journal.note(&Note::Storm { storm: storm.cloned() }, now) {
            events.push(DriverEvent::JournalTrouble { why: error.to_string() });
        }
    }

    fn call_for_storm(
        &mut self,
        storm: &mut Storm,
        is_new: bool,
        input: &TickInput<'_>,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let channel_of = |incident: &Incident| policy_for(&self.policies, incident)?.escalation_channel.clone();
        let going_on: Vec<(&Incident, Option<String>)> = input
            .incidents
            .iter()
            .filter(|incident| incident.state == IncidentState::Open)
            .map(|incident| (incident, channel_of(incident)))
            .collect();
        let is_uncalled = |channel: &Option<String>| channel.as_ref().is_some_and(|name| !storm.called.contains(name));
        let uncalled: BTreeSet<String> = going_on
            .iter()
            .filter(|(_, channel)| is_uncalled(channel))
            .filter_map(|(_, channel)| channel.clone())
            .collect();
        if !is_new && uncalled.is_empty() {
            return;
        }
        // The latest is one that no earlier storm was called out on.
        let concerned = going_on.iter().filter(|(_, channel)| is_new || is_uncalled(channel));
        let Some((latest, _)) = concerned.max_by_key(|(incident, _)| (incident.opened_at, &incident.id)) else {
            return;
        };
        let message = format!(
            "{} incidents are open, more than {}: nothing is done about any of them until that has passed",
            going_on.len(),
            self.limits.open_max
        );
        self.escalate_to(*latest, uncalled.clone(), "storm", message, now, events);
        storm.called.extend(uncalled);
    }
}
