//! A pod whose volumes can't be mounted.

use homeostat_core::{FactKind, Timestamp};

use super::super::draft::Draft;
use super::super::pod::Pod;
use super::super::view::View;
use super::reason::missing;
use super::words::cut;

/// The kubelet tries to mount again and again, at most two minutes and a few seconds apart; what it said longer ago is over.
const EVENT_FRESH_S: u64 = 600;

pub(super) fn finding(view: &View<'_>, pod: &Pod) -> Option<Draft> {
    let waits = |reason: &str| reason == "ContainerCreating" || reason == "PodInitializing";
    let is_waiting = pod.containers.iter().filter_map(|container| container.waiting()).any(|(reason, _)| waits(reason));
    if !is_waiting {
        return None;
    }
    let is_fresh = |last: Timestamp| view.now.since(last).as_secs() <= EVENT_FRESH_S;
    let events = view.events_about("Pod", &pod.meta);
    let event = events.iter().find(|event| {
        (event.reason == "FailedMount" || event.reason == "FailedAttachVolume") && is_fresh(event.last)
    })?;
    let since = pod.unready_since();
    Some(match missing(&pod.meta.namespace, &event.message) {
        Some(missing) => Draft::new(FactKind::MissingConfig, missing.object, since, missing.sentence),
        None => {
            let sentence = format!("a volume can't be mounted: {}", cut(&event.message));
            Draft::new(FactKind::VolumePending, pod.meta.object("Pod"), since, sentence)
        }
    })
}
