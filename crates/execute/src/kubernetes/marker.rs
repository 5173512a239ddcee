//! How a write of ours is recognised on a workload afterwards. Pure.

use homeostat_core::Timestamp;
use homeostat_remediate::{Marker, PlanId};
use k8s_openapi::api::apps::v1::Deployment;

use super::api::FIELD_MANAGER;
use crate::patch::{ACTION_ID, UNDONE_ID};

/// Whether the plan's marker is on the Deployment.
pub(super) fn is_marked(deployment: &Deployment, id: &PlanId) -> bool {
    annotation(deployment, ACTION_ID) == Some(id.as_str())
}

/// Whether the marker says that the plan was taken back.
pub(super) fn is_undone(deployment: &Deployment, id: &PlanId) -> bool {
    annotation(deployment, UNDONE_ID) == Some(id.as_str())
}

/// The trace that an action left on the Deployment, with the time of our field manager's latest write.
pub(super) fn marker(deployment: &Deployment) -> Option<Marker> {
    let action = annotation(deployment, ACTION_ID)?.to_owned();
    let entries = deployment.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    let at = ours.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_millisecond()).max();
    Some(Marker { action, at: at.map(Timestamp::from_millis) })
}

fn annotation<'a>(deployment: &'a Deployment, key: &str) -> Option<&'a str> {
    deployment.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
