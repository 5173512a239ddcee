//! How a write of ours is recognised on an object afterwards. Pure.

use homeostat_core::Timestamp;
use homeostat_remediate::{Marker, PlanId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::api::FIELD_MANAGER;
use crate::patch::{ACTION_ID, UNDONE_ID};

/// Whether the plan's marker is on the object.
pub(super) fn is_marked(metadata: &ObjectMeta, id: &PlanId) -> bool {
    annotation(metadata, ACTION_ID) == Some(id.as_str())
}

/// Whether the marker says that the plan was taken back.
pub(super) fn is_undone(metadata: &ObjectMeta, id: &PlanId) -> bool {
    annotation(metadata, UNDONE_ID) == Some(id.as_str())
}

/// The trace that an action left on the object, with the time of our field manager's latest write.
pub(super) fn marker(metadata: &ObjectMeta) -> Option<Marker> {
    let action = annotation(metadata, ACTION_ID)?.to_owned();
    let entries = metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    let at = ours.filter_map(|entry| entry.time.as_ref()).map(|time| time.0.as_millisecond()).max();
    Some(Marker { action, at: at.map(Timestamp::from_millis) })
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
