//! Publishes what a cycle did: changes of incidents, and calls for a human. Nothing here waits for a receiver.

use homeostat_announce::{Announcer, Kept};
use homeostat_core::{Escalation, Incident, IncidentId, Timestamp};
use homeostat_execute::{Driver, DriverEvent};

use crate::serve::cycle::Tick;

/// Hands changes and calls to the announcer, and notes in the journal which calls are in safe hands.
pub(crate) fn publish(announcer: &Announcer, driver: &mut Driver, tick: &Tick, now: Timestamp) {
    announcer.announce(&tick.changes);
    for event in &tick.events {
        let DriverEvent::Escalate(escalation) = event else { continue };
        let incident = incident_of(driver, escalation, &tick.open);
        match announcer.escalate(escalation, incident.as_ref()) {
            Kept::Safe => in_safe_hands(driver, &escalation.incident, &escalation.reason, now),
            // Not noted as delivered, so that the next process makes it again if this one dies with it.
            Kept::InMemory | Kept::Nowhere => {}
        }
    }
    for (incident, reason) in announcer.take_safe() {
        in_safe_hands(driver, &incident, &reason, now);
    }
}

/// Shows mirrors what is open, and tells receivers what they missed, if they may have missed anything.
pub(crate) fn reconcile(announcer: &Announcer, driver: &Driver, open: &[Incident]) {
    announcer.show(open);
    if announcer.wants_resync() {
        // A journal that can't be read now is asked again at the next cycle.
        if driver.journal().in_flight().is_ok() {
            announcer.resync(open, |id| recorded(driver, id));
        }
    }
}

/// What is known of the incident, which may be nothing: a call goes out all the same.
fn incident_of(driver: &Driver, escalation: &Escalation, open: &[Incident]) -> Option<Incident> {
    if let Some(incident) = open.iter().find(|incident| incident.id == escalation.incident) {
        return Some(incident.clone());
    }
    recorded(driver, &escalation.incident)
}

/// The incident as the journal has it, however long ago it ended.
fn recorded(driver: &Driver, id: &IncidentId) -> Option<Incident> {
    driver.journal().incident(id).ok()??.incident()
}

fn in_safe_hands(driver: &mut Driver, incident: &IncidentId, reason: &str, now: Timestamp) {
    if let Err(error) = driver.escalation_delivered(incident, reason, now) {
        tracing::error!(%error, "an escalation is queued but couldn't be recorded in the journal; after a restart it is sent again with the same key");
    }
}
