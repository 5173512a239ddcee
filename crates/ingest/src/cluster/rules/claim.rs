//! PersistentVolumeClaims without a volume.

use homeostat_core::{ClusterFact, FactKind, Standing, Timestamp};

use super::super::draft::Draft;
use super::super::view::View;
use super::words::cut;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    let mut facts = Vec::new();
    for claim in view.claims.iter().filter(|claim| claim.meta.deleted.is_none()) {
        let is_lost = claim.phase == "Lost";
        if claim.phase != "Pending" && !is_lost {
            continue;
        }
        let uses = |subject: &&homeostat_core::Subject| {
            subject.namespace == claim.meta.namespace
                && view.live_pods(subject).any(|pod| pod.claims.contains(&claim.meta.name))
        };
        // A claim that no pod uses may wait for its first one for ever, and rightly.
        let Some(subject) = view.pods_of.keys().find(uses) else { continue };
        let name = &claim.meta.name;
        let events = view.events_about("PersistentVolumeClaim", &claim.meta);
        let event = events.iter().find(|event| event.reason == "ProvisioningFailed" || event.reason == "FailedBinding");
        let why = match (is_lost, event, &claim.class) {
            (true, _, _) => "the volume that it was bound to is gone".to_owned(),
            (false, Some(event), _) => cut(&event.message),
            (false, None, Some(class)) => format!("storage class `{class}` has made no volume yet"),
            (false, None, None) => "it names no storage class".to_owned(),
        };
        let sentence = if is_lost {
            format!("PersistentVolumeClaim `{name}` is lost: {why}")
        } else {
            format!("PersistentVolumeClaim `{name}` isn't bound to a volume: {why}")
        };
        // It matters since a pod waits for it.
        let waiting = view.live_pods(subject).filter(|pod| pod.claims.contains(&claim.meta.name));
        let waiting_since = waiting.filter_map(|pod| pod.meta.created).min();
        let since = claim.meta.created.max(waiting_since).unwrap_or(Timestamp::from_secs(0));
        let draft = Draft::new(FactKind::VolumePending, claim.meta.object("PersistentVolumeClaim"), since, sentence);
        facts.push(draft.about(subject.clone(), Standing::Opens));
    }
    facts
}
